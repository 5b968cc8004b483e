"""A history that is looked through while it is written: damage that nobody has met yet sets it aside."""

import sqlite3
import threading
from contextlib import closing
from datetime import timedelta
from pathlib import Path

import pytest

from flowlord.cache.historian import Historian
from flowlord.cache.snapshot import damage_of
from flowlord.taskmaster.follower import Follower
from flowlord.taskmaster.inspector import AFTER_S, EVERY_S, Inspector
from support.clock import VirtualClock
from support.journal import Kept, journal, published, task

PAGE = 4_096


class Bus(Kept):
    """A journal that does not wait."""

    def journal(self, after: int, limit: int, wait_s: float = 0.0) -> list:
        return super().journal(after, limit)


class Ending:
    """Tells for how long somebody would have waited, and says so many times that there is more time."""

    def __init__(self, times: int) -> None:
        self.waited: list[float] = []
        self._times = times

    def wait(self, seconds: float) -> bool:
        self.waited.append(seconds)
        return len(self.waited) > self._times


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A history of some pages that was closed."""
    facts = [published(f"k{n}", task(n=n, info="i" * 500)) for n in range(200)]
    historian = Historian(tmp_path / "tasks.db", VirtualClock())
    historian.follow(journal(facts))
    historian.close()
    return tmp_path / "tasks.db"


def spoil(path: Path) -> None:
    """Write over a page of the rows, as a disk may."""
    with closing(sqlite3.connect(path)) as db:
        [root] = db.execute("SELECT rootpage FROM sqlite_master WHERE name = 'tasks'").fetchone()
    with path.open("r+b") as file:
        file.seek((root - 1) * PAGE)
        file.write(b"\xa5" * 512)


def test_whole_pages_are_no_damage_and_spoilt_ones_are(path):
    assert damage_of(path) == ""
    spoil(path)
    assert damage_of(path) != ""


def test_a_damage_that_was_found_sets_the_file_aside_and_the_journal_makes_it_anew(path):
    bus = Bus(journal([published(f"k{n}", task(n=n)) for n in range(200)]))
    inspector = Inspector(path)
    historian = Historian(path, VirtualClock())
    follower = Follower(
        bus,
        VirtualClock(),
        lambda: historian,
        timedelta(days=9_999),
        inspector=inspector,  # type: ignore[arg-type]
    )
    follower.step(0.0)
    spoil(path)
    inspector.step()
    while follower.step(0.0):
        pass
    assert (path.parent / "tasks.db.aside-1").exists()
    assert damage_of(path) == ""
    assert historian.connection.execute("SELECT count(*) FROM tasks").fetchone() == (200,)
    assert inspector.take() is None, "it is told once"
    historian.close()


def test_a_file_that_was_put_there_meanwhile_stays(path):
    historian = Historian(path, VirtualClock())
    inode = path.stat().st_ino
    historian.condemn(inode + 1, "another file")
    assert not (path.parent / "tasks.db.aside-1").exists()
    assert historian.cursor() == 200
    historian.close()


@pytest.mark.parametrize("was_left_open", [True, False])
def test_a_history_that_nobody_closed_is_looked_at_soon_and_any_each_week(path, was_left_open):
    if was_left_open:
        path.with_name("tasks.db-wal").write_bytes(b"x")
    looked: list[Path] = []

    def look(at: Path) -> str:
        looked.append(at)
        return ""

    ending = Ending(2)
    Inspector(path, look).run(ending)  # type: ignore[arg-type]
    assert ending.waited == [AFTER_S if was_left_open else EVERY_S, EVERY_S, EVERY_S]
    assert looked == [path, path]


def test_what_keeps_it_from_looking_is_told_and_ends_nothing(tmp_path, caplog):
    inspector = Inspector(tmp_path / "nothing.db")
    inspector.step()
    assert [record.action for record in caplog.records] == ["history.unlooked"]
    assert inspector.take() is None


def test_it_ends_when_it_is_told_to(path):
    ending = threading.Event()
    thread = threading.Thread(target=Inspector(path).run, args=(ending,))
    thread.start()
    ending.set()
    thread.join(40)
    assert not thread.is_alive()
