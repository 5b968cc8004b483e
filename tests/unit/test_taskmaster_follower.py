"""How much the follower of the journal copies at a time, and how it forgets beside."""

from datetime import UTC, datetime, timedelta

from flowlord.bus.port import JournalEntry
from flowlord.cache.historian import Historian
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
