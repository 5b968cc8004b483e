"""Forgetting in steps that fit the disk, and a file that does not outgrow its limit."""

import sqlite3
from datetime import UTC, datetime, timedelta

import pytest

from flowlord.cache.historian import Historian
from flowlord.cache.prune import CHUNK, LEAST, LONG_NS
from support.clock import VirtualClock
from support.journal import BEGIN_US, SECOND_US, done, journal, published, task

LONG_AGO = timedelta(days=3_650)


@pytest.fixture
def clock():
    return VirtualClock(datetime(2026, 8, 1, 12, tzinfo=UTC))


def filled(path, clock, attempts: int) -> Historian:
    historian = Historian(path, clock)
    fill(historian, 0, attempts)
    return historian


def fill(historian: Historian, first: int, attempts: int) -> None:
    commits = [
        (published(f"k{n}", task(n=n)), done(f"k{n}", task(n=n), output="x" * 500))
        for n in range(first, first + attempts)
    ]
    historian.follow(journal(commits, first=first + 1))


class Slow(VirtualClock):
    """A clock beside a disk on which each row that goes takes so long."""

    def __init__(self, us_a_row: int) -> None:
        super().__init__(datetime(2027, 1, 1, tzinfo=UTC))
        self._us_a_row = us_a_row

    def watch(self, connection: sqlite3.Connection) -> None:
        def removed() -> None:
            self.advance(self._us_a_row / 1e6)

        connection.create_function("removed", 0, removed)
        connection.execute("CREATE TEMP TRIGGER watch AFTER DELETE ON main.tasks BEGIN SELECT removed(); END")


@pytest.mark.parametrize("us_a_row", [1, 100, 1_000])
def test_a_step_takes_as_many_rows_as_go_in_some_milliseconds(tmp_path, us_a_row):
    clock = Slow(us_a_row)
    historian = filled(tmp_path / "tasks.db", clock, 3_000)
    clock.watch(historian.connection)
    took, sizes = [], []
    more = True
    while more:
        begin = clock.monotonic_ns()
        before = historian.removed
        more = historian.prune(timedelta(days=1))
        if historian.removed > before:
            sizes.append(historian.removed - before)
            took.append(clock.monotonic_ns() - begin)
    assert historian.removed == 3_000
    settled = took[3:]
    assert max(settled) <= max(2 * LONG_NS, LEAST * us_a_row * 1_000)
    if us_a_row == 1:
        assert max(sizes) == CHUNK
    elif us_a_row == 100:
        assert min(settled[:-1]) >= LONG_NS // 4


def test_a_file_that_outgrows_its_limit_loses_its_oldest_attempts_and_it_is_said_once(
    tmp_path, clock, caplog
):
    historian = filled(tmp_path / "tasks.db", clock, 1_000)
    assert not historian.prune(LONG_AGO, 3_000_000)
    first = 1_000
    for _ in range(4):
        fill(historian, first, 1_000)
        first += 1_000
        while historian.prune(LONG_AGO, 3_000_000):
            pass
    assert [record.action for record in caplog.records] == ["history.full"]
    db = historian.connection
    [pages], [free] = (db.execute(f"PRAGMA {name}").fetchone() for name in ("page_count", "freelist_count"))
    [kept, oldest] = db.execute("SELECT count(*), min(happened_us) FROM tasks").fetchone()
    assert (pages - free) * 4096 <= 3_000_000
    assert pages * 4096 < 4_500_000, "what one portion adds comes on top, until it is given back"
    assert 1_000 < kept < 5_000
    assert oldest == BEGIN_US + (5_000 - kept + 1) * SECOND_US, "the newest are there without a hole"
    assert db.execute("SELECT sum(attempts) FROM days").fetchone() == (5_000,)


def test_what_a_workflow_was_goes_with_its_tasks_and_what_it_is_stays(tmp_path, clock):
    from flowlord.model.plan import Fact, FactKind, PhaseText

    historian = Historian(tmp_path / "tasks.db", clock)
    loads = [
        Fact(FactKind.RELOAD, phase="a.toml", revision=f"{n}@abc", text="loaded", phases=(PhaseText("load"),))
        for n in range(3)
    ]
    historian.follow(journal(loads))
    clock.advance(91 * 86_400)
    while historian.prune(timedelta(days=90)):
        pass
    assert historian.connection.execute("SELECT digest FROM phases").fetchall() == [("2",)]
    assert historian.connection.execute("SELECT count(*) FROM revisions").fetchone() == (0,)
    assert historian.connection.execute("SELECT revision FROM workflows").fetchall() == [("2@abc",)]


def test_the_numbers_of_days_outlive_attempts_by_a_year(tmp_path, clock):
    historian = filled(tmp_path / "tasks.db", clock, 10)
    clock.advance(399 * 86_400)
    while historian.prune(timedelta(days=90)):
        pass
    assert historian.connection.execute("SELECT sum(attempts) FROM days").fetchone() == (10,)
    clock.advance(100 * 86_400)
    while historian.prune(timedelta(days=90)):
        pass
    assert historian.connection.execute("SELECT count(*) FROM days").fetchone() == (0,)
