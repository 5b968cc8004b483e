"""Two daemons on one folder and one Redis: each file starts once, whoever sees it first."""

from __future__ import annotations

from support.processes import running, until, write
from support.redis_servers import fresh_namespace, shared_server

FLOW = """
[[phase]]
task = "load"
rule = "files=in/*.csv&settle=200ms"
template = "{meta:file}"

[[phase]]
task = "sum"
rule = "files=in/*.csv&count=2&settle=200ms"
template = "{meta:count}"
"""


def test_two_daemons_on_redis_share_files_and_groups(tmp_path):
    bus = ("--bus", shared_server().url, "--namespace", fresh_namespace(), "--accept-loss")
    work = ("--worker", "load=builtin:noop", "--worker", "sum=builtin:noop")
    write(tmp_path, {"workflows/a.toml": FLOW, "in/old.csv": "x", "in/older.csv": "x"})
    with (
        running("run", "workflows", *bus, *work, cwd=tmp_path) as one,
        running("run", "workflows", *bus, cwd=tmp_path) as other,
    ):
        until(
            lambda: (one.err + other.err).count("2 files were there before") >= 2, "both phases to be watched"
        )
        write(tmp_path, {f"in/{n}.csv": "x" for n in range(6)})
        # Whoever hears a result tells of it.
        until(lambda: (one.err + other.err).count("load complete") >= 6, "a load for each file")
        until(lambda: (one.err + other.err).count("sum complete") >= 3, "a sum for every two files")
        assert one.end() == 0
        assert other.end() == 0
    assert (one.err + other.err).count("started load") == 6
