"""A running daemon and its workflow files: broken ones hurt only themselves, changes are picked up."""

import signal

from support.processes import flowlord, running, until, write

GOOD = """
[[phase]]
task = "good"
rule = "cron=@yearly"

[[phase]]
task = "{child}"
dependsOn = "good"
"""
BROKEN = """
[[phase]]
task = "good"
rule = "cron=@yearly&ofset=-1h"
"""
QUICK = (
    "--reload",
    "200ms",
    "--worker",
    "good=builtin:noop",
    "--worker",
    "first=builtin:noop",
    "--worker",
    "second=builtin:noop",
)


def followers(home) -> set[str]:
    """The topics of what follows a `good` that is sent now."""
    sent = flowlord("send", "good", "--workflow", "a.toml", "--wait", "--children", "-o", "json", cwd=home)
    assert sent.code == 0, sent.err
    [row] = sent.data
    found = flowlord("task", row["id"], "-o", "json", cwd=home)
    assert found.code == 0, found.err
    return {
        each["topic"] for each in flowlord("tasks", "-o", "json", cwd=home).data if each["id"] == row["id"]
    } - {"good"}


def test_the_daemon_starts_with_the_good_files_and_tells_of_the_broken_one(tmp_path):
    write(tmp_path, {"workflows/a.toml": GOOD.format(child="first"), "workflows/b.toml": BROKEN})
    with running("run", "workflows", *QUICK, cwd=tmp_path) as daemon:
        daemon.says("b.toml:3:")
        daemon.says("did you mean 'offset'?")
        assert followers(tmp_path) == {"first"}
        [master] = [
            row for row in flowlord("workers", "-o", "json", cwd=tmp_path).data if row["kind"] == "taskmaster"
        ]
        assert master["health"].startswith("yellow")
        assert daemon.end() == 0


def test_with_strict_or_without_a_good_file_the_daemon_does_not_start(tmp_path):
    write(tmp_path, {"workflows/a.toml": GOOD.format(child="first"), "workflows/b.toml": BROKEN})
    strict = flowlord("run", "workflows", "--strict", cwd=tmp_path)
    assert strict.code == 1
    assert "b.toml:3:" in strict.err
    write(tmp_path, {"workflows/a.toml": BROKEN})
    assert flowlord("run", "workflows", cwd=tmp_path, env={"FLOWLORD_BUS": "sqlite:///other.db"}).code == 1


def test_a_file_that_breaks_later_keeps_its_last_good_version_also_across_a_restart(tmp_path):
    write(tmp_path, {"workflows/a.toml": GOOD.format(child="first")})
    with running("run", "workflows", *QUICK, cwd=tmp_path) as daemon:
        daemon.says("a.toml")
        assert followers(tmp_path) == {"first"}
        write(tmp_path, {"workflows/a.toml": BROKEN})
        daemon.says("did you mean 'offset'?")
        assert daemon.err.count("did you mean 'offset'?") == 1, "told once"
        assert followers(tmp_path) == {"first"}
        assert daemon.end() == 0
    with running("run", "workflows", *QUICK, cwd=tmp_path) as daemon:
        daemon.says("its last good version, as kept on the bus, runs")
        assert followers(tmp_path) == {"first"}
        write(tmp_path, {"workflows/a.toml": GOOD.format(child="second")})
        daemon.says("a.toml was changed: 2 phases")
        assert followers(tmp_path) == {"second"}
        assert daemon.end() == 0


def test_files_that_change_come_and_go_are_picked_up(tmp_path):
    write(tmp_path, {"workflows/a.toml": GOOD.format(child="first")})
    with running("run", "workflows", *QUICK, cwd=tmp_path) as daemon:
        daemon.says("a.toml")
        write(tmp_path, {"workflows/a.toml": GOOD.format(child="second")})
        daemon.says("a.toml was changed: 2 phases")
        assert followers(tmp_path) == {"second"}
        write(tmp_path, {"workflows/sub/new.yaml": "phases:\n  - {task: tick, rule: 'cron=* * * * * *'}\n"})
        daemon.says("sub/new.yaml was loaded: 1 phase")
        daemon.says("tick.sent")
        (tmp_path / "workflows" / "sub" / "new.yaml").unlink()
        daemon.says("sub/new.yaml was removed")
        assert daemon.end(signal.SIGINT) == 0


def test_a_path_that_is_not_there_is_wrong_use(tmp_path):
    ended = flowlord("run", "nowhere", cwd=tmp_path)
    assert ended.code == 2
    assert "nowhere" in ended.err
    assert not (tmp_path / ".flowlord").exists()


def test_the_set_in_the_repository_runs_with_its_workers(tmp_path):
    """What the comment in workflows/machine.toml types."""
    from support.processes import ROOT

    bin_ = tmp_path / "bin"
    write(bin_, {"flowlord": f'#!/bin/sh\nexec "{__import__("sys").executable}" -m flowlord "$@"\n'})
    (bin_ / "flowlord").chmod(0o755)
    import os

    env = {"PATH": f"{bin_}{os.pathsep}{os.environ['PATH']}"}
    disk, digest = (ROOT / "examples" / "machine" / name for name in ("disk.sh", "digest.sh"))
    commands = [f"disk=sh {disk} {{info}} 0", "notice=builtin:echo", f"digest=sh {digest} {{info}}"]
    workers = [word for command in commands for word in ("--worker", command)]
    with running("run", str(ROOT / "workflows"), *workers, cwd=tmp_path, env=env) as daemon:
        daemon.says("0 errors, 0 warnings")
        for name, info in (("disk", "/"), ("digest:failed", "digests/2026-08-01.tsv")):
            sent = flowlord(
                "send",
                name,
                info,
                "--workflows",
                str(ROOT / "workflows"),
                "--wait",
                "--children",
                cwd=tmp_path,
            )
            assert sent.code == 0, sent.err + daemon.err
        assert daemon.end() == 0
    assert (tmp_path / "digests" / "2026-08-01.tsv").is_file()
    told = {row["info"] for row in flowlord("tasks", "--topic", "notice", "-o", "json", cwd=tmp_path).data}
    assert "digests/2026-08-01.tsv tells what failed" in told
    assert any(text.startswith("the disk of ") for text in told)
    assert until(lambda: daemon.is_gone)
