"""The history has a process of its own: it lives and ends with its daemon, and either may be killed."""

import os
import signal
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import msgspec
import pytest

from flowlord.cli.historian import Charge
from flowlord.config.settings import BusSettings, CacheSettings, Settings
from support.processes import flowlord, running, until, write

FLOW = """
[[phase]]
task = "slow"
rule = "cron=@yearly"

[[phase]]
task = "next"
dependsOn = "slow"
"""
HANDS = ("--worker", "slow=true", "--worker", "next=true")


def historian_of(pid: int) -> int:
    """The process that writes the history of a daemon; 0 while there is none."""
    for each in Path("/proc").glob("[0-9]*"):
        try:
            parent = int(each.joinpath("stat").read_text().rpartition(")")[2].split()[1])
            command = each.joinpath("cmdline").read_bytes()
        except OSError:  # it ended meanwhile
            continue
        if parent == pid and b"flowlord.cli.historian" in command:
            return int(each.name)
    return 0


def is_there(pid: int) -> bool:
    try:
        return "Z" not in Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return False


def states(file: Path) -> list[str]:
    """What the file of the history itself says; reading commands would look into the journal as well."""
    with closing(sqlite3.connect(file)) as db:
        return [state for (state,) in db.execute("SELECT state FROM tasks ORDER BY n")]


@pytest.fixture
def home(tmp_path):
    return write(tmp_path, {"workflows/a.toml": FLOW})


def test_a_historian_that_was_killed_is_told_and_replaced_and_nothing_is_missing(home):
    with running("run", "workflows", *HANDS, cwd=home) as daemon:
        assert flowlord("send", "slow", cwd=home).code == 0
        first = until(lambda: historian_of(daemon.process.pid), "a historian")
        os.kill(first, signal.SIGKILL)
        daemon.says("was killed by signal 9")
        assert flowlord("send", "slow", cwd=home).code == 0
        second = until(lambda: historian_of(daemon.process.pid), "another historian")
        assert second != first
        daemon.says("the history is written again")
        until(lambda: daemon.err.count("next complete") == 2, "the end of both chains")
        assert daemon.end() == 0, daemon.err
        assert not is_there(second)
    assert states(home / ".flowlord" / "tasks.db") == ["complete"] * 4


def test_a_historian_whose_daemon_died_before_it_said_what_to_do_ends_without_a_word():
    for said in (b"", b'{"bus": "mem'):
        ended = subprocess.run(
            [sys.executable, "-m", "flowlord.cli.historian"], input=said, capture_output=True, timeout=60
        )
        assert (ended.returncode, ended.stdout, ended.stderr) == (0, b"", b"")


def test_a_historian_that_nobody_hears_any_more_ends_without_a_word(tmp_path):
    settings = Settings(
        BusSettings(f"sqlite:///{tmp_path}/bus.db"), CacheSettings(str(tmp_path / "tasks.db"))
    )
    told = Charge(
        settings.bus, settings.cache, settings.storage, settings.alerts, "UTC", "killed-1", "text", "INFO"
    )
    with subprocess.Popen(
        [sys.executable, "-m", "flowlord.cli.historian"],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    ) as process:  # fmt: skip
        process.stdout.close()  # its daemon was killed; that its words end is seen a moment later
        process.stdin.write(msgspec.json.encode(told) + b"\n")
        process.stdin.flush()
        assert process.wait(60) == 0
        assert b"Traceback" not in process.stderr.read()


def test_the_health_of_the_daemon_tells_that_history_cannot_be_written(home):
    (home / "tasks.db").mkdir()  # no file can be there
    with running("run", "workflows", "--cache", "tasks.db", *HANDS, cwd=home) as daemon:

        def health() -> str:
            return " ".join(each["health"] for each in flowlord("workers", "-o", "json", cwd=home).data)

        until(lambda: "history" in health(), "health that tells of history")
        assert "red" in health()
        assert flowlord("send", "slow", "--wait", cwd=home).code == 0, "tasks do not wait for the history"
        daemon.says("history.failed")
        assert daemon.err.count("history.failed") == 1, "told once, however often it is tried"
        (home / "tasks.db").rmdir()
        daemon.says("the history is written again")
        until(lambda: "next complete" in daemon.err, "the end of the chain")
        assert daemon.end() == 0, daemon.err
    assert states(home / "tasks.db") == ["complete"] * 2


def test_a_historian_leaves_when_its_daemon_was_killed(home):
    with running("run", "workflows", *HANDS, cwd=home) as daemon:
        historian = until(lambda: historian_of(daemon.process.pid), "a historian")
        daemon.tell(signal.SIGKILL)
        until(lambda: not is_there(historian), "the end of the historian")


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_for_both_ends_the_daemon_first_and_history_is_whole(home, number):
    with running("run", "workflows", *HANDS, cwd=home) as daemon:
        historian = until(lambda: historian_of(daemon.process.pid), "a historian")
        for _ in range(3):
            assert flowlord("send", "slow", "--workflow", "a.toml", cwd=home).code == 0
        until(lambda: daemon.err.count("next complete") == 3, "the end of all chains")
        os.kill(historian, number)  # as a terminal or a service manager does, which mean everybody
        assert daemon.end(number) == 0, daemon.err
        assert "history.died" not in daemon.err
        assert "Traceback" not in daemon.err
        assert not is_there(historian)
    assert states(home / ".flowlord" / "tasks.db").count("complete") == 6


def test_each_of_two_daemons_keeps_the_whole_history_in_a_file_of_its_own(home):
    with (
        running("run", "workflows", "--cache", "one.db", *HANDS, cwd=home) as one,
        running("run", "workflows", "--cache", "two.db", *HANDS, cwd=home) as two,
    ):
        for _ in range(5):
            assert (
                flowlord("send", "slow", "--workflow", "a.toml", "--wait", "--children", cwd=home).code == 0
            )
        assert one.end() == 0, one.err
        assert two.end() == 0, two.err
    told = []
    for file in (home / "one.db", home / "two.db"):
        with closing(sqlite3.connect(file)) as db:
            told.append(
                db.execute("SELECT key, state, started_us, worker FROM tasks ORDER BY key").fetchall()
            )
    assert len(told[0]) == 10
    assert told[0] == told[1]
