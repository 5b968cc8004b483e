"""How much the follower of the journal copies at a time, and how it forgets beside."""

from datetime import UTC, datetime, timedelta

from flowlord.bus.port import JournalEntry
from flowlord.cache.historian import Historian
from flowlord.taskmaster.follower import BATCH, LONG_NS, Follower
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


def test_a_follower_that_is_behind_takes_more_at_a_time_and_few_again_when_it_has_caught_up():
    bus = Bus(many(3_000))
    follower = follower_of(bus, VirtualClock())
    copied = []
    while step := follower.step(0.5):
        copied.append(step)
    assert sum(copied) == 6_000
    assert [limit for limit, _ in bus.asked][:5] == [BATCH * 2**n for n in range(5)]
    bus.entries += journal([published("late")], first=6_001)
    follower.step(0.5)
    follower.step(0.5)
    assert bus.asked[-1][0] == BATCH


def test_steps_that_take_long_become_smaller_again():
    clock = VirtualClock()
    bus = Bus(many(2_000))
    historian = Historian(None, clock)
    follow = historian.follow

    def slowly(entries):
        clock.advance(LONG_NS / 1e9 * (1.5 if len(entries) > 4 * BATCH else 0.1))
        return follow(entries)

    historian.follow = slowly  # type: ignore[method-assign]
    follower = Follower(bus, clock, lambda: historian, timedelta(days=9_999))  # type: ignore[arg-type]
    while follower.step(0.5):
        pass
    limits = [limit for limit, _ in bus.asked]
    assert max(limits) == 8 * BATCH
    assert limits[4] == 4 * BATCH


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
