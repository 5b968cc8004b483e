"""What nobody could be told at the time, or what did not happen at all, is an alert: an outage, a file that never came.

The daemons are real and hurry: what takes half a minute of standing still in production takes a moment here.
"""

import sys

from support.processes import flowlord, started, until, write
from support.redis_home import redis_home
from support.redis_server import Server

FLOW = """
[[phase]]
task = "load"
rule = "cron=@yearly"
"""
FILES = """
[[phase]]
task = "load"
rule = "files=in/*.csv&late=1s&settle=0s"
template = "{meta:file}"
"""
HURRIED = """
import flowlord.taskmaster.absent as absent
import flowlord.taskmaster.daemon as daemon
from flowlord.cli.main import main

absent.SLACK_NS = 0
daemon.ABSENT_EVERY_S = 0.1
daemon.OUTAGE_NS = 50_000_000
main()
"""
DAEMON = [sys.executable, "-c", HURRIED, "run", "workflows"]


def alerts(home, **more):
    ended = flowlord("alerts", "-o", "json", cwd=home, **more)
    assert ended.code == 0, ended.err
    return ended.data


def test_a_bus_that_was_away_for_long_is_told_when_it_answers_again(tmp_path):
    with Server(options={"appendonly": "yes", "appendfsync": "always"}) as server:
        home = redis_home(tmp_path, server.url, "flowlord", {"workflows/a.toml": FLOW})
        with started(DAEMON, cwd=home) as daemon:
            daemon.says("a.toml was loaded")
            until(lambda: flowlord("workers", "-o", "json", cwd=home).data, "its heartbeat")
            server.kill()
            daemon.says("bus.lost")
            server.start()
            found = until(
                lambda: [each for each in alerts(home) if "could not reach the bus for" in str(each)]
            )
            assert daemon.end() == 0
    assert len(found) == 1
    assert "what was due meanwhile is caught up" in str(found)


def test_a_file_that_does_not_come_in_time_is_told_once_and_where_people_look(tmp_path):
    write(tmp_path, {"workflows/a.toml": FILES, "in/old.txt": ""})
    settings = {"FLOWLORD_WATCH_POLL": "100ms"}
    with (
        started(DAEMON, cwd=tmp_path, env=settings) as one,
        started(DAEMON, cwd=tmp_path, env=settings) as two,
    ):
        one.says("a.toml was loaded")
        two.says("a.toml was loaded")
        until(lambda: alerts(tmp_path), "the file to be told as missing")
        until(
            lambda: "file.absent" in one.err + two.err or "no file came" in one.err + two.err,
            "a line of the log",
        )
        write(tmp_path, {"in/new.csv": "x"})
        until(lambda: flowlord("tasks", "-o", "json", cwd=tmp_path).data, "its task")
        assert (one.end(), two.end()) == (0, 0)
    [first, *later] = [
        row
        for row in flowlord("gaps", "--grace", "0s", "-o", "json", cwd=tmp_path).data
        if row["kind"] == "absent"
    ]
    assert first["task"] == "load"
    assert "no file came for load within 1s; none ever came since it is waited for" in first["why"]
    assert len(later) <= 1, "once for each file that is waited for: after the one that came, none came again"
    told = flowlord("why", "load", cwd=tmp_path)
    assert "no file came for load" in told.out
