"""A running daemon that lists buckets of a real S3 and a real Google emulator."""

from __future__ import annotations

import pytest

from support.object_servers import bucket_on, shared_gcs, shared_s3
from support.processes import running, tasks, write


@pytest.mark.parametrize("server", [shared_s3, shared_gcs], ids=["s3", "gs"])
def test_objects_that_come_start_their_phases_once_also_after_a_restart(tmp_path, server):
    storage, env = server().storage(), dict(server().variables) | {"FLOWLORD_WATCH_POLL": "200ms"}
    with bucket_on(server()) as root:
        flow = f"""
        [[phase]]
        task = "load"
        rule = "files={root}/in/*.csv&marker=.done"
        template = "{{meta:file}}"

        [[phase]]
        task = "lost"
        rule = "files={root}-missing/*"
        template = "{{meta:file}}"
        """
        write(tmp_path, {"workflows/a.toml": flow})
        storage.write(f"{root}/in/old.csv", b"1")
        storage.write(f"{root}/in/old.csv.done", b"")
        work = ("--worker", "load=builtin:noop")
        with running("run", "workflows", *work, cwd=tmp_path, env=env) as daemon:
            daemon.says("1 file was there before a.toml:load watched")
            daemon.says("files are not seen:")  # the bucket that is not there stops nothing else
            storage.write(f"{root}/in/new.csv", b"2")
            storage.write(f"{root}/in/waits.csv", b"2")
            storage.write(f"{root}/in/new.csv.done", b"")
            daemon.says("load complete")
            storage.write(f"{root}/in/new.csv", b"3, another version")
            daemon.says("load complete", times=2)
            assert daemon.end() == 0
        storage.write(f"{root}/in/waits.csv.done", b"")
        with running("run", "workflows", *work, cwd=tmp_path, env=env) as daemon:
            daemon.says(f"{root}/in/waits.csv started load")
            daemon.says("load complete")
            assert daemon.end() == 0
        found = [row["info"] for row in tasks(tmp_path, "--topic", "load")]
        assert sorted(found) == [f"{root}/in/new.csv", f"{root}/in/new.csv", f"{root}/in/waits.csv"]
