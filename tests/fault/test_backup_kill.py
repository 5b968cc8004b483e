"""Backups killed in the middle: the one before stays whole, and the next one is made as ever.

`flowlord cache backup` and the process beside a daemon die at each named point; an upload is killed while a bucket
holds it back.
"""

from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from fault.backup_ground import LARGE, Kept, believe
from flowlord.bus.trap import VARIABLE
from flowlord.cache.manifest import FILE
from flowlord.storage.open import Storage
from support.gcs_front import GcsFront
from support.object_servers import bucket_on, shared_gcs, shared_s3
from support.processes import flowlord, running, write
from support.redis_programs import HOST

FLOW = '[[phase]]\ntask = "slow"\nrule = "cron=@yearly"\n'
BEFORE = (
    "backup.copied",
    "backup.part.before",
    "backup.part.after",
    "backup.packed",
    "backup.manifest.before",
)
"""Points at which a backup is none yet."""
AFTER = ("backup.manifest.after", "backup.unlisted")
"""Points at which it is whole; the second one is passed while the oldest one goes."""
QUICK = ("backup.copied", "backup.part.after")
SOME = [("folder", "periodic", "backup.part.after"), ("s3", "at the end", "backup.manifest.before")]
ALL = [
    (kind, when, point)
    for kind in ("folder", "s3", "gs")
    for when in ("periodic", "at the end")
    for point in (*BEFORE, *AFTER)
]


@contextmanager
def a_place(kind: str, folder, monkeypatch) -> Iterator[tuple[str, Storage, dict[str, str]]]:
    """A place for backups, how it is reached from here, and by a process."""
    if kind == "folder":
        yield str(folder / "backups"), Storage(), {}
        return
    server = shared_s3() if kind == "s3" else shared_gcs()
    for variable, value in server.variables.items():
        monkeypatch.setenv(variable, value)
    with bucket_on(server) as root:
        yield f"{root}/history", server.storage(), server.variables


def goes_on(kept: Kept, first: str, monkeypatch, storage: Storage) -> None:
    """See that the backup before is as it was, and that two days later the next one is made and leaves no halves."""
    assert kept.beside() in ([], ["tasks.db.copy"])
    assert kept.listed() == [(first, "whole")]
    assert kept.restored("after") == (first, 20)
    believe(monkeypatch, days=2)
    newest = kept.backup()
    assert kept.beside() == []
    assert kept.listed() == [(newest, "whole"), (first, "whole")]
    there = {each.path.removeprefix(kept.place).split("/")[1] for each in storage.list(f"{kept.place}/")}
    assert there == {newest, first}


@pytest.mark.parametrize(
    "point", [pytest.param(each, marks=() if each in QUICK else pytest.mark.full) for each in BEFORE]
)
def test_a_command_that_dies_before_its_backup_is_one_leaves_the_one_before_whole(
    point, tmp_path, capsys, monkeypatch
):
    kept = Kept(tmp_path, str(tmp_path / "backups"), capsys)
    believe(monkeypatch, hours=-1)
    first = kept.backup()
    kept.lose_a_row(LARGE)
    kept.dies(point, {})
    goes_on(kept, first, monkeypatch, Storage())
    assert kept.restored("last") == (kept.listed()[0][0], 19)


@contextmanager
def holding(name: str) -> Iterator[GcsFront]:
    """Another front of the server, which holds uploads of that name back."""
    front = GcsFront(shared_gcs().front.upstream, holds=name)
    try:
        yield front
    finally:
        front.shutdown()
        front.server_close()


@pytest.mark.parametrize("name", [pytest.param("00001.gz", marks=pytest.mark.full), FILE])
def test_an_upload_that_is_killed_while_a_bucket_holds_it_back_leaves_the_one_before_whole(
    name, tmp_path, capsys, monkeypatch
):
    with a_place("gs", tmp_path, monkeypatch) as (place, storage, _), holding(name) as slow:
        kept = Kept(tmp_path, place, capsys)
        believe(monkeypatch, hours=-1)
        first = kept.backup()
        kept.lose_a_row()
        kept.is_killed(slow.held.is_set, {"STORAGE_EMULATOR_HOST": f"http://{HOST}:{slow.port}"})
        goes_on(kept, first, monkeypatch, storage)
        assert kept.restored("last") == (kept.listed()[0][0], 19)


@pytest.mark.parametrize(
    ("kind", "when", "point"),
    [pytest.param(*each, marks=() if each in SOME else pytest.mark.full) for each in ALL],
)
def test_a_daemon_whose_backup_dies_anywhere_goes_on_and_has_one_that_is_whole(
    kind, when, point, tmp_path, capsys, monkeypatch
):
    write(tmp_path, {"workflows/a.toml": FLOW})
    with a_place(kind, tmp_path, monkeypatch) as (place, storage, variables):
        kept = Kept(tmp_path, place, capsys)
        kept.follow_a_bus()
        believe(monkeypatch, hours=-1)
        first = kept.backup()
        keep = {"FLOWLORD_BACKUP_KEEP": "1"} if point == "backup.unlisted" else {}
        every = {"FLOWLORD_BACKUP_EVERY": "1s" if when == "periodic" else "1d"}
        env = {**kept.variables, **variables, **every, **keep, VARIABLE: point}
        with running("run", "workflows", "--worker", "slow=true", cwd=tmp_path, env=env) as daemon:
            if when == "periodic":
                daemon.says("the process that writes history was killed by signal 9")
            assert flowlord("send", "slow", "--wait", cwd=tmp_path, env=kept.variables).code == 0
            assert daemon.end() == 0, daemon.err
        if point in BEFORE:
            goes_on(kept, first, monkeypatch, storage)
            return
        whole = [name for name, state in kept.listed() if state == "whole"]
        assert len(whole) > ("manifest" in point)
        assert whole[0] != first
        assert kept.restored("after")[0] == whole[0]


def test_every_point_of_a_backup_is_among_those_where_it_dies():
    import re
    from pathlib import Path

    import flowlord.cache

    folder = Path(flowlord.cache.__path__[0])
    points = {
        each
        for file in folder.glob("*.py")
        for each in re.findall(r'crashpoint\("(.*?)"\)', file.read_text())
    }
    assert points == {*BEFORE, *AFTER}
