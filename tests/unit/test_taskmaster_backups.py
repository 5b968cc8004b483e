"""When a backup is due, what is told when it fails, and what becomes of a history that is missing."""

import sqlite3
from datetime import UTC, datetime
from pathlib import Path

import pytest

from flowlord.cache.alone import alone
from flowlord.cache.backup import Place
from flowlord.cache.historian import Historian
from flowlord.cache.note import note_of
from flowlord.cache.queries import Filter, History
from flowlord.cache.schema import CacheUnusable
from flowlord.model.errors import BusUnavailable
from flowlord.model.plan import Fact, FactKind
from flowlord.storage.open import Storage
from flowlord.taskmaster.backups import PATIENCE_S, REST_S, Backups, Restorer
from flowlord.taskmaster.copying import How, State
from support.clock import VirtualClock
from support.journal import BEGIN_US, done, journal, published, task

HOUR = 3_600.0


class Home:
    """A history, a place, and all that was told."""

    def __init__(self, folder: Path) -> None:
        self.clock = VirtualClock(datetime(2026, 8, 1, 2, tzinfo=UTC))
        self.path, self.place = folder / "tasks.db", Place(Storage(), str(folder / "backups"))
        self.historian = Historian(self.path, self.clock)
        self.seq = 0
        self.states: list[State] = []
        self.facts: list[Fact] = []
        self.tokens = iter(f"{n:08x}" for n in range(1, 99))
        self.more()

    def more(self) -> None:
        entries = journal(
            [published(f"k{self.seq}", task(n=self.seq)), done(f"k{self.seq}", task(n=self.seq))],
            first=self.seq + 1,
        )
        self.historian.follow(entries)
        self.seq += 2

    def backups(self, place: Place | None = None, **more) -> Backups:
        told = {"fact": self.facts.append} | more
        return Backups(
            self.path, place or self.place, self.clock, every_s=6 * HOUR, keep=3, by="host-1", version="0.1.0",
            token=lambda: next(self.tokens), tell=self.states.append, **told,
        )  # fmt: skip

    def names(self) -> list[str]:
        return [each.name for each in self.place.generations()]


@pytest.fixture
def home(tmp_path):
    return Home(tmp_path)


class Away(Place):
    """A place that can be switched off."""

    is_away = True
    asked = 0

    def generations(self):
        self.asked += 1
        if self.is_away:
            raise CacheUnusable("backups cannot be listed: the bucket refuses")
        return super().generations()


def test_a_backup_is_made_at_once_and_then_as_often_as_is_set(home):
    backups = home.backups()
    first = backups.step()
    assert home.names() == [first]
    home.more()
    assert backups.step() == ""
    home.clock.advance(6 * HOUR + 1)
    assert backups.step() == home.names()[0] != first
    note = note_of(home.path)
    assert (note.name, note.place, note.failed) == (home.names()[0], home.place.path, "")
    assert (home.states, home.facts) == ([], [])


def test_a_restart_and_another_daemon_make_none_while_the_newest_is_young(home):
    home.backups().step()
    home.more()
    again = home.backups()
    home.clock.advance(2 * HOUR)
    assert again.step() == ""
    home.clock.advance(4 * HOUR - 1)
    assert again.step() == ""
    home.clock.advance(2)
    assert again.step() != ""


def test_nothing_new_is_no_reason_for_a_backup(home):
    backups = home.backups()
    backups.step()
    home.clock.advance(7 * HOUR)
    assert backups.step() == ""
    assert backups.finish() == ""
    home.more()
    assert backups.finish() != "", "at the end the newest need not be old"


def test_a_backup_out_of_the_future_keeps_nobody_from_making_one(home):
    home.clock.jump(900 * 86_400)
    home.backups().step()
    home.clock.jump(-900 * 86_400)
    home.more()
    assert home.backups().step() != ""


def test_only_so_many_are_kept(home):
    backups = home.backups()
    for _ in range(5):
        backups.step()
        home.more()
        home.clock.advance(6 * HOUR + 1)
    assert len(home.names()) == 3


def test_a_place_that_refuses_is_told_once_and_tried_again_ever_more_seldom(home):
    away = Away(Storage(), home.place.path)
    backups = home.backups(away)
    tries = 0
    for _ in range(3 * 60):
        before = note_of(home.path).failed_us
        backups.step()
        tries += note_of(home.path).failed_us != before
        home.clock.advance(60)
    assert 5 <= tries <= 8
    [state] = home.states
    assert (state.how, state.subject) == (How.FAILED, "backup")
    assert "the bucket refuses" in state.text
    [fact] = home.facts
    assert (fact.kind, fact.cause, fact.text) == (
        FactKind.ALERT, f"backup:{home.place.path}", state.text,
    )  # fmt: skip
    away.is_away = False
    home.clock.advance(HOUR)
    assert backups.step() != ""
    assert home.states[1:] == [State(How.WORKS, subject="backup")]
    assert [each.kind for each in home.facts] == [FactKind.ALERT, FactKind.BACKUP]
    assert note_of(home.path).failed == ""


def test_what_fails_for_a_day_is_told_again(home):
    backups = home.backups(Away(Storage(), home.place.path))
    for _ in range(26):
        backups.step()
        home.clock.advance(HOUR)
    assert len(home.facts) == 2


def test_a_bus_that_is_away_does_not_keep_a_backup_from_being_tried_again(home):
    def refuse(_: Fact) -> None:
        raise BusUnavailable("gone")

    backups = home.backups(Away(Storage(), home.place.path), fact=refuse)
    assert backups.step() == ""
    assert len(home.states) == 1


def test_while_somebody_else_is_at_it_there_is_nothing_to_do_and_no_fault(home):
    backups = home.backups()
    with alone(home.path, wait=False):
        assert backups.step() == ""
    assert backups.left_s() > 0
    assert home.states == []
    home.clock.advance(61)
    assert backups.step() != ""


def test_a_history_that_is_missing_comes_back_with_the_cursor_it_had(home):
    home.backups().step()
    home.historian.close()
    home.path.unlink()
    back = Historian(home.path, home.clock, restore=Restorer(home.place, home.clock))
    assert back.cursor() == 2
    assert History(back.connection).count(Filter(), BEGIN_US) == 1


def test_a_history_that_is_damaged_is_set_aside_and_comes_back(home, caplog):
    home.backups().step()
    home.historian.close()
    with home.path.open("r+b") as file:
        file.write(b"\0" * 200)
    back = Historian(home.path, home.clock, restore=Restorer(home.place, home.clock))
    assert back.cursor() == 2
    assert home.path.with_name("tasks.db.aside-1").exists()
    assert "is set aside" in caplog.text


def test_without_a_backup_history_begins_anew(home):
    home.historian.close()
    home.path.unlink()
    back = Historian(home.path, home.clock, restore=Restorer(home.place, home.clock))
    assert back.cursor() == 0


def test_backups_that_are_out_of_reach_are_waited_for_but_not_for_ever(home, caplog):
    away = Away(Storage(), home.place.path)
    home.historian.close()
    home.path.unlink()
    restorer = Restorer(away, home.clock)
    for _ in range(2):
        with pytest.raises(CacheUnusable, match=r"the history is missing, and .*the bucket refuses"):
            Historian(home.path, home.clock, restore=restorer)
        home.clock.advance(PATIENCE_S / 2)
    assert Historian(home.path, home.clock, restore=restorer).cursor() == 0
    assert "begun anew" in caplog.text


def test_a_history_that_is_lost_again_much_later_is_waited_for_as_long_as_the_first_time(home):
    away = Away(Storage(), home.place.path)
    home.historian.close()
    kept = home.path.read_bytes()
    home.path.unlink()
    restorer = Restorer(away, home.clock)
    with pytest.raises(CacheUnusable):
        Historian(home.path, home.clock, restore=restorer)
    home.path.write_bytes(kept)  # somebody put it back
    home.clock.advance(HOUR)
    Historian(home.path, home.clock, restore=restorer).close()
    home.path.unlink()
    with pytest.raises(CacheUnusable):
        Historian(home.path, home.clock, restore=restorer)


def test_a_place_that_was_out_of_reach_is_not_asked_again_at_once(home):
    away = Away(Storage(), home.place.path)
    home.historian.close()
    home.path.unlink()
    restorer = Restorer(away, home.clock)
    for _ in range(3):
        with pytest.raises(CacheUnusable, match="the history is missing, and"):
            Historian(home.path, home.clock, restore=restorer)
    assert away.asked == 1, "one that hangs takes half a minute to say nothing, also at the end of a daemon"
    home.clock.advance(REST_S)
    with pytest.raises(CacheUnusable):
        Historian(home.path, home.clock, restore=restorer)
    assert away.asked == 2


def test_a_historian_whose_file_is_removed_under_it_waits_for_the_backup_and_goes_on(home):
    home.backups().step()
    away = Away(Storage(), home.place.path)
    historian = Historian(home.path, home.clock, restore=Restorer(away, home.clock))
    home.path.unlink()
    for _ in range(2):
        with pytest.raises(CacheUnusable):
            historian.cursor()
    away.is_away = False
    home.clock.advance(REST_S)
    assert historian.cursor() == 2


def test_a_strange_name_in_the_place_and_a_damaged_page_are_told_and_end_nothing(home, monkeypatch):
    odd = Path(home.place.path) / "20261399T000000Z-0123abcd"
    odd.mkdir(parents=True)
    (odd / "00001.gz").write_bytes(b"x")
    one = home.backups()
    assert one.step()
    assert home.states == []

    def broken(*_, **__):
        raise sqlite3.DatabaseError("database disk image is malformed")

    monkeypatch.setattr(one, "_left_of", broken)
    home.clock.advance(7 * HOUR)
    assert one.step() == ""
    assert "malformed" in home.states[-1].text
