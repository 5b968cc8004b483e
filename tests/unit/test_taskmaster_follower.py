"""How much the follower of the journal copies at a time, and how it forgets beside."""

from datetime import UTC, datetime, timedelta

import pytest

from flowlord.bus.port import JournalEntry
from flowlord.cache.historian import Historian
from flowlord.cache.queries import History
from flowlord.taskmaster.follower import BATCH, LONG_NS, MOST, Follower
from support.clock import VirtualClock
from support.journal import Kept, done, journal, published, task


class Bus(Kept):
    """A journal, and what was asked of it."""

    def __init__(self, entries: list[JournalEntry]) -> None:
        super().__init__(entries)
        self.asked: list[tuple[int, float]] = []

    def journal(self, after: int, limit: int, wait_s: float = 0.0) -> list[JournalEntry]:
        self.asked.append((limit, wait_s))
        return super().journal(after, limit)


def many(attempts: int) -> list[JournalEntry]:
    return journal(
        [each for n in range(attempts) for each in (published(f"k{n}", task(n=n)), done(f"k{n}", task(n=n)))]
    )


def follower_of(bus: Bus, clock: VirtualClock, keep: timedelta = timedelta(days=9_999)) -> Follower:
    historian = Historian(None, clock)
    return Follower(bus, clock, lambda: historian, keep)  # type: ignore[arg-type]


def test_a_follower_takes_what_is_there_and_more_at_a_time_when_that_is_not_all():
    bus = Bus(many(11_000))
    follower = follower_of(bus, VirtualClock())
    copied = []
    while step := follower.step(0.5):
        copied.append(step)
    assert copied == [BATCH, 2 * BATCH, MOST, MOST]
    bus.entries += journal([published("late")], first=22_001)
    assert follower.step(0.5) == 1


def test_steps_that_take_long_become_smaller_again():
    clock = VirtualClock()
    bus = Bus(many(4_000))
    historian = Historian(None, clock)
    follow = historian.follow

    def slowly(entries):
        clock.advance(LONG_NS / 1e9 * (1.5 if len(entries) > 500 else 0.1))
        return follow(entries)

    historian.follow = slowly  # type: ignore[method-assign]
    follower = Follower(bus, clock, lambda: historian, timedelta(days=9_999))  # type: ignore[arg-type]
    while follower.step(0.5):
        pass
    limits = [limit for limit, _ in bus.asked]
    assert limits[:4] == [BATCH, BATCH // 2, BATCH // 4, BATCH // 2]
    assert min(limits) == BATCH // 4


def test_while_there_is_something_to_forget_it_waits_less_and_then_not_for_an_hour():
    clock = VirtualClock(datetime(2027, 1, 1, tzinfo=UTC))
    bus = Bus(many(400))
    follower = follower_of(bus, clock, timedelta(days=1))
    for _ in range(40):
        follower.step(0.5)
    waits = [wait for _, wait in bus.asked]
    assert 0.02 in waits
    assert waits[-1] == 0.5
    assert follower._historian is not None
    assert follower._historian.removed >= 400


class Condemned:
    """An inspector that finds what it is told to."""

    def __init__(self) -> None:
        self.found: tuple[int, str] | None = None

    def take(self) -> tuple[int, str] | None:
        found, self.found = self.found, None
        return found


def _removed(path):
    for end in ("", "-wal", "-shm"):
        path.with_name(path.name + end).unlink(missing_ok=True)


@pytest.mark.parametrize("how", ["condemned", "removed", "restored"])
@pytest.mark.parametrize("read_again", [True, False])
def test_a_reset_of_the_bus_after_a_file_took_the_place_of_another_loses_nothing_silently(
    tmp_path, how, read_again, caplog
):
    path, clock, inspector = tmp_path / "tasks.db", VirtualClock(), Condemned()
    earlier = Historian(tmp_path / "earlier.db", clock)
    earlier.attach("g0")
    earlier.follow(journal([published(f"z{n}", task(n=n)) for n in range(20)]))
    earlier.close()
    begun = []

    def restore(at):
        if how == "restored" and begun:
            (tmp_path / "earlier.db").rename(at)
        begun.append(at)

    historian = Historian(path, clock, restore=restore)
    first = Bus(journal([published(f"a{n}", task(n=n)) for n in range(20)]))
    follower = Follower(first, clock, lambda: historian, timedelta(days=9_999), inspector=inspector)  # type: ignore[arg-type]
    assert follower.step() == 20
    if how == "removed":
        _removed(path)
    else:
        inspector.found = (path.stat().st_ino, "a page is bad")
    if read_again:
        assert follower.step() == 20, "the bus has it all"
        assert History(historian.connection).gaps() == []
    second = Bus(journal([published(f"b{n}", task(n=n)) for n in range(10)]))
    second._generation = "g2"
    follower._bus = second  # type: ignore[assignment]
    while follower.step():
        pass
    there = historian.connection.execute(
        "SELECT substr(key, 1, 1), count(*) FROM tasks GROUP BY 1"
    ).fetchall()
    assert dict(there).get("b") == 10
    assert dict(there).get("a", 0) == (20 if read_again else 0)
    assert History(historian.connection).cursor() == (10, "g2")
    lost = historian.connection.execute("SELECT generation, first_seq, last_seq FROM gaps").fetchall()
    assert lost == ([] if read_again else [("g1", 1, 20)])
    assert ("history.gap" in [record.action for record in caplog.records]) != read_again
    assert follower.step() == 0
    historian.close()


def test_a_reset_between_the_damage_and_the_next_start_is_noticed(tmp_path, caplog):
    path, clock, inspector = tmp_path / "tasks.db", VirtualClock(), Condemned()
    first = Bus(journal([published(f"a{n}", task(n=n)) for n in range(20)]))
    follower = Follower(
        first,
        clock,
        lambda: Historian(path, clock),
        timedelta(days=9_999),
        inspector=inspector,  # type: ignore[arg-type]
    )
    follower.step()
    inspector.found = (path.stat().st_ino, "a page is bad")
    follower.finish()
    second = Bus(journal([published(f"b{n}", task(n=n)) for n in range(10)]))
    second._generation = "g2"
    again = Historian(path, clock)
    follower = Follower(second, clock, lambda: again, timedelta(days=9_999))  # type: ignore[arg-type]
    assert follower.step() == 10
    assert "history.reset" in [record.action for record in caplog.records]
    assert again.connection.execute("SELECT count(*) FROM tasks WHERE key LIKE 'b%'").fetchone() == (10,)
    again.close()
