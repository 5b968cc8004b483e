"""When a phase starts: its schedule between `from` and `until`, and how much later `jitter` lets it come."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from hashlib import blake2b

from flowlord.model.workflow import Rule
from flowlord.rules.bounds import first_instant, last_instant
from flowlord.rules.cron import Cron, parsed
from flowlord.rules.zones import SECOND

_NOTHING = timedelta(0)


@dataclass(frozen=True, slots=True)
class Timetable:
    """The planned instants of one phase.

    `first` and `last` are aware, in the zone of the rule; both count. `delay` is at most the `jitter` of the rule,
    always the same for one phase, so that many phases of one instant do not start together: a start is due that much
    after its planned instant, which itself stays as it is.
    """

    cron: Cron
    first: datetime | None = None
    last: datetime | None = None
    delay: timedelta = _NOTHING

    @classmethod
    def of(cls, rule: Rule, identity: str, zone: str = "") -> Timetable:
        """Return the timetable of a phase that has a `cron`; `zone` is that of rules which name none.

        Raises:
            Unreadable: the schedule, its zone or one of its bounds.
        """
        cron = parsed(rule.cron, rule.tz or zone)
        return cls(
            cron,
            first_instant(rule.first, cron.tz) if rule.first else None,
            last_instant(rule.until, cron.tz) if rule.until else None,
            delay_of(identity, rule.jitter_ns),
        )

    def next(self, after: datetime) -> datetime | None:
        """Return the first planned instant strictly later than `after` (aware); None when there is none any more."""
        if self.first is None or after >= self.first:
            return self._within(self.cron.next(after))
        # `@every` begins to count at its first instant.
        return self._within(
            self.first if self.cron.every_ns is not None else self.cron.next(self.first - SECOND)
        )

    def upcoming(self, after: datetime) -> Iterator[datetime]:
        """Yield the planned instants after `after`, one by one; many of them sooner than `next` would tell them."""
        if self.first is not None and after < self.first:
            if self.cron.every_ns is not None:
                if self._within(self.first) is None:
                    return
                yield self.first
                after = self.first
            else:
                after = self.first - SECOND
        if self.last is None:
            yield from self.cron.upcoming(after)
            return
        for instant in self.cron.upcoming(after):
            if self._within(instant) is None:
                return
            yield instant

    def is_over(self, now: datetime) -> bool:
        """Tell whether `until` lets no instant come after `now` (aware)."""
        return self.last is not None and self.next(now) is None

    def _within(self, instant: datetime | None) -> datetime | None:
        return None if instant is None or (self.last is not None and instant > self.last) else instant


def delay_of(identity: str, jitter_ns: int) -> timedelta:
    """Return how long after its planned instants the phase of that identity starts: less than the jitter."""
    most = jitter_ns // 1000
    if most <= 0:
        return _NOTHING
    drawn = int.from_bytes(blake2b(identity.encode("utf-8", "surrogatepass"), digest_size=8).digest(), "big")
    return timedelta(microseconds=drawn % most)
