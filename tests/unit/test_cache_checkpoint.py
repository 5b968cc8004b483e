"""Who brings the log of the history into its file: never the writer while that would take long."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from flowlord.cache import checkpoint
from flowlord.cache.checkpoint import AGAIN_NS, Checkpoints
from flowlord.cache.historian import Historian
from flowlord.cache.schema import CHECKPOINT_PAGES, SPARE_BYTES, open_reader
from support.clock import VirtualClock
from support.journal import done, journal, published, task


@pytest.fixture
def clock():
    return VirtualClock()


@pytest.fixture
def historian(tmp_path, clock):
    made = Historian(tmp_path / "tasks.db", clock)
    yield made
    made.close()


def write(historian: Historian, first: int, attempts: int = 50) -> None:
    commits = [
        (published(f"k{n}", task(n=n)), done(f"k{n}", task(n=n), output="x" * 4_000))
        for n in range(first, first + attempts)
    ]
    historian.follow(journal(commits, first=first + 1))


def setting(historian: Historian) -> int:
    return int(historian.connection.execute("PRAGMA wal_autocheckpoint").fetchone()[0])


def log_of(historian: Historian) -> int:
    assert historian.path is not None
    return Path(f"{historian.path}-wal").stat().st_size


def test_a_log_that_a_reader_let_grow_is_brought_into_the_file_beside_the_writer(
    historian, clock, monkeypatch
):
    monkeypatch.setattr(checkpoint, "LARGE_BYTES", 1_000_000)
    write(historian, 0)
    reader = open_reader(historian.path)
    reader.execute("BEGIN")
    assert reader.execute("SELECT count(*) FROM tasks").fetchone() == (50,)
    first = 50
    while log_of(historian) < 4 * CHECKPOINT_PAGES * 1_024:
        write(historian, first)
        first += 50
    assert setting(historian) == 0, "it is left to the thread"
    reader.close()
    for _ in range(1_000):
        clock.advance(AGAIN_NS / 1e9)
        historian._checkpoints.is_under_way(40)
        write(historian, first, 1)
        first += 1
        if setting(historian):
            break
    assert setting(historian) == CHECKPOINT_PAGES
    reader = open_reader(historian.path)
    assert reader.execute("SELECT count(*), sum(length(output)) FROM tasks").fetchone() == (
        first,
        first * 4_000,
    )
    reader.close()


def test_a_log_of_the_usual_size_is_left_to_the_writer(historian):
    write(historian, 0)
    assert log_of(historian) > 0
    assert setting(historian) == CHECKPOINT_PAGES


def test_what_was_removed_is_in_the_file_before_more_is(tmp_path):
    historian = Historian(tmp_path / "tasks.db", VirtualClock(datetime(2027, 1, 1, tzinfo=UTC)))
    write(historian, 0, 400)
    while historian.prune(timedelta(days=90)):
        pass
    historian._checkpoints.end()
    assert historian.removed == 400
    assert checkpoint.checkpoint(historian.path) == 0
    historian.close()


def test_nothing_is_made_where_no_history_is(tmp_path):
    assert checkpoint.checkpoint(tmp_path / "tasks.db") > CHECKPOINT_PAGES
    assert not list(tmp_path.iterdir())
    in_memory = Checkpoints(None, VirtualClock())
    in_memory.begin()
    assert not in_memory.is_under_way()
    assert checkpoint.LARGE_BYTES > SPARE_BYTES, "a log that was cut to its spare size counts as usual"
