"""How often, when and where people want to be told."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Final

import msgspec

from flowlord.alert.state import Event, fits
from flowlord.rules.zones import instant_of, zone_of

MIN_US: Final = 300_000_000
TIMES: Final = 16
"""The longest wait is that many times the least, when nobody says otherwise."""
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


class Quiet(msgspec.Struct, frozen=True):
    """Hours of each day in which only what cannot wait is told; minutes of the day, on the clocks of `zone`.

    It ends at `last`, on the next day when that lies before `first`.
    """

    first: int
    last: int
    zone: str = ""

    def until_us(self, now_us: int) -> int:
        """Return when the quiet hours end in which `now_us` lies; 0 when it lies in none."""
        zone = zone_of(self.zone)
        wall = (_EPOCH + timedelta(microseconds=now_us)).astimezone(zone).replace(tzinfo=None)
        minute = wall.hour * 60 + wall.minute
        past_midnight = self.last <= self.first
        is_in = (
            (minute >= self.first or minute < self.last)
            if past_midnight
            else self.first <= minute < self.last
        )
        if not is_in:
            return 0
        end = wall.replace(hour=0, minute=0, second=0, microsecond=0) + timedelta(minutes=self.last)
        if past_midnight and minute >= self.first:
            end += timedelta(days=1)
        return max((instant_of(end, zone) - _EPOCH) // timedelta(microseconds=1), now_us + 1)


class Route(msgspec.Struct, frozen=True):
    """What fits `pattern` (a workflow, a topic, a task's name or a whole phase, with `*`) goes to that channel."""

    pattern: str
    to: str

    def fits(self, event: Event) -> bool:
        """Whether an event goes there."""
        topic = event.name.partition(":")[0]
        return fits(self.pattern, (event.phase, event.workflow, event.name, topic))


class Policy(msgspec.Struct, frozen=True):
    """What the configuration says; times in microseconds. No `channels`: nobody is told."""

    channels: tuple[str, ...] = ()
    default: str = ""
    routes: tuple[Route, ...] = ()
    min_us: int = MIN_US
    max_us: int = 0
    quiet: Quiet | None = None
    link: str = ""

    @property
    def longest_us(self) -> int:
        """The longest wait between two digests."""
        return longest(self.min_us, self.max_us)

    def route(self, event: Event) -> str:
        """Return where an event wants to go: what its phase says, else the first route that fits, else the default."""
        return event.to or next((route.to for route in self.routes if route.fits(event)), "")

    def channel(self, to: str) -> str:
        """Return the channel that is there for a name: the default one for a name that is none."""
        return to if to in self.channels else self.default


def longest(min_us: int, max_us: int) -> int:
    """Return the longest wait; a ceiling that does not lie above the least wait is replaced by TIMES that."""
    return max_us if max_us > min_us else min_us * TIMES


def next_wait(wait_us: int, policy: Policy, *, stirred: bool) -> int:
    """Return the wait after a look: twice as long when something happened since the last one, else the least."""
    return min(wait_us * 2, policy.longest_us) if stirred else policy.min_us
