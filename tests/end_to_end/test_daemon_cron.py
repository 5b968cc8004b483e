"""Two daemons and one calendar: each planned instant once, also those that passed while nothing ran."""

from collections import Counter
from datetime import UTC, datetime, timedelta
from itertools import pairwise

from support.processes import flowlord, running, tasks, until, write

EVERY_SECOND = """
[[phase]]
task = "tick"
rule = "cron=* * * * * *&catchup={catchup}"
template = "{{ts}}"
"""


def instants(home) -> list[datetime]:
    """The planned instants of all ticks that were dispatched, in order."""
    return sorted(datetime.strptime(row["info"], "%Y%m%dT%H%M%S").replace(tzinfo=UTC) for row in tasks(home))


def without_gap(found: list[datetime]) -> bool:
    return all(later - earlier == timedelta(seconds=1) for earlier, later in pairwise(found))


def test_two_daemons_dispatch_each_instant_once(tmp_path):
    write(tmp_path, {"workflows/a.toml": EVERY_SECOND.format(catchup="all")})
    with running("run", "workflows", cwd=tmp_path) as one, running("run", "workflows", cwd=tmp_path) as other:
        until(lambda: one.err.count("tick.sent") + other.err.count("tick.sent") >= 5, "five ticks")
        assert one.end() == 0
        went_on = len(instants(tmp_path))
        until(lambda: len(instants(tmp_path)) > went_on, "the other to go on alone", every_s=0.3)
        assert other.end() == 0
        told = one.err.count("tick.sent") + other.err.count("tick.sent")
    found = instants(tmp_path)
    assert without_gap(found), found
    assert Counter(found).most_common(1)[0][1] == 1
    assert len(found) == told
    assert len({row["id"] for row in tasks(tmp_path)}) == len(found), "each instant is a run of its own"


def test_instants_that_passed_while_nothing_ran_are_made_up_for_with_their_planned_time(tmp_path):
    write(tmp_path, {"workflows/a.toml": EVERY_SECOND.format(catchup="all")})
    with running("run", "workflows", cwd=tmp_path) as daemon:
        daemon.says("tick.sent", 2)
        assert daemon.end() == 0
    before = instants(tmp_path)
    until(lambda: datetime.now(UTC) > before[-1] + timedelta(seconds=4), "some seconds without a daemon")
    with running("run", "workflows", cwd=tmp_path) as daemon:
        until(
            lambda: len(instants(tmp_path)) >= len(before) + 5, "the missed ticks and a new one", every_s=0.3
        )
        assert daemon.end() == 0
    found = instants(tmp_path)
    assert found[: len(before)] == before
    assert without_gap(found), found


def test_with_catchup_none_what_was_missed_is_told_not_started(tmp_path):
    """Ticks up to ten seconds late count as on time, so the watermark is set back by an hour."""
    import sqlite3
    from contextlib import closing

    write(
        tmp_path,
        {"workflows/a.toml": EVERY_SECOND.format(catchup="none").replace("* * * * * *", "0 * * * * *")},
    )
    with running("run", "workflows", cwd=tmp_path) as daemon:
        daemon.says("a.toml was loaded")
        until(lambda: (tmp_path / ".flowlord" / "bus.db").exists())
        until(lambda: marks(tmp_path), "the watermark")
        assert daemon.end() == 0
    an_hour_ago = (datetime.now(UTC) - timedelta(hours=1)).strftime("%Y-%m-%dT%H:%M:%SZ")
    with closing(sqlite3.connect(tmp_path / ".flowlord" / "bus.db", isolation_level=None)) as db:
        db.execute("UPDATE marks SET value = ? WHERE key LIKE 'tick:%'", (an_hour_ago,))
    with running("run", "workflows", cwd=tmp_path) as daemon:
        daemon.says("catchup=none starts nothing late")
        assert daemon.end() == 0
        assert "starts)" in daemon.err
    assert len(tasks(tmp_path)) <= 2


def marks(home) -> list[str]:
    import sqlite3
    from contextlib import closing

    with closing(sqlite3.connect(home / ".flowlord" / "bus.db", isolation_level=None)) as db:
        return [row[0] for row in db.execute("SELECT value FROM marks WHERE key LIKE 'tick:%'")]


def test_run_once_starts_what_stands_in_line_one_behind_the_other(tmp_path):
    flow = EVERY_SECOND.format(catchup="all&overlap=queue")
    write(tmp_path, {"workflows/a.toml": flow, "one.sh": "mkdir busy && sleep 0.1 && rmdir busy"})
    command = ("run", "workflows", "--once", "--worker", "tick=sh one.sh")
    first = flowlord(*command, cwd=tmp_path)
    assert first.code == 0, first.err
    begun = datetime.now(UTC)
    until(lambda: datetime.now(UTC) > begun + timedelta(seconds=4), "some seconds")
    done = flowlord(*command, cwd=tmp_path)
    assert done.code == 0, done.err
    found = instants(tmp_path)
    assert len(found) >= 4
    assert without_gap(found), found
    assert {row["state"] for row in tasks(tmp_path)} == {"complete"}, (
        "never two at a time: they share a folder"
    )
