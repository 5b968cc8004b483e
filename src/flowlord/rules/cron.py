"""Schedules: cron texts and the instants they name, daylight saving included."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta, tzinfo
from functools import lru_cache, partial
from typing import Final

from flowlord.rules.cronfields import Fields, read_fields
from flowlord.rules.durations import SECOND as NS_SECOND
from flowlord.rules.durations import parse_duration
from flowlord.rules.errors import TooLong, Unreadable, quote
from flowlord.rules.walls import following, walk
from flowlord.rules.zones import DAY, SECOND, first_change, gap_of, instant_of, offset_at, zone_of

LOCAL: Final = "Local"
LONGEST_TEXT: Final = 1000
SEARCHED_YEARS: Final = 8  # the longest wait of a date that does come: 29 February around 2100

_EVERY: Final = "@every "
DESCRIPTORS: Final = {
    "@yearly": "0 0 1 1 *",
    "@annually": "0 0 1 1 *",
    "@monthly": "0 0 1 * *",
    "@weekly": "0 0 * * 0",
    "@daily": "0 0 * * *",
    "@midnight": "0 0 * * *",
    "@hourly": "0 * * * *",
}

# From a wall time to the next one that is named, strictly later; None when none comes.
_Walls = Callable[[datetime], datetime | None]


@dataclass(frozen=True, slots=True)
class Cron:
    """A schedule, read once; what it names depends on nothing but the time it is asked for.

    Daylight saving: a *fixed* schedule has neither in minute nor in hour a `*` or `?`. Its times that fall into a gap
    come once, at the first instant after the gap; in a repeated hour they come once, at the first. Any other
    schedule follows real time. A day that a zone left out is left out.

    Source:
        docs/reference.md, "Cron".
    """

    text: str
    zone: str  # "" is UTC
    every_ns: int | None  # interval of `@every`, whole seconds; None for all else
    fixed: bool
    _fields: Fields | None = field(repr=False)
    _zone: tzinfo = field(repr=False)

    @classmethod
    def parse(cls, text: str, zone: str = "") -> Cron:
        """Return the schedule that `text` tells: 5 or 6 fields (seconds first), `@daily` and its like, `@every 5m`.

        `TZ=Zone ` or `CRON_TZ=Zone ` in front names the zone, otherwise, or with `Local`, `zone` does; empty is UTC.

        Raises:
            Unreadable: with the place in `text`; also for a date that never comes.
        """
        if len(text) > LONGEST_TEXT:
            raise TooLong(f"the schedule {quote(text)} has more than {LONGEST_TEXT} characters")
        start = 0
        if text.startswith(("TZ=", "CRON_TZ=")):
            begin, blank = text.index("=") + 1, text.find(" ")
            if blank < 0:
                raise Unreadable(f"{quote(text)} has a zone but no schedule behind it", offset=len(text))
            # The Go program's name for the zone of its process, in which it also read a schedule without any.
            zone = zone if text[begin:blank] == LOCAL else text[begin:blank]
            start = len(text) - len(text[blank:].lstrip())
            try:
                zone_of(zone)
            except Unreadable as error:
                raise Unreadable(error.text, offset=begin, end=blank) from None
        tz = zone_of(zone)
        name = "" if tz is UTC else zone
        body = text[start:].rstrip() if start else text
        if body.startswith(_EVERY):
            return cls(text, name, _read_interval(body, start), False, None, tz)
        if body.startswith("@"):
            if body not in DESCRIPTORS:
                known = ", ".join(DESCRIPTORS)
                raise Unreadable(
                    f"{quote(body)} is not known: {known} and @every 5m are",
                    offset=start,
                    end=start + len(body),
                )
            fields = read_fields(DESCRIPTORS[body])
        else:
            fields = read_fields(text, start)
        return cls(text, name, None, fields.fixed, fields, tz)

    def next(self, after: datetime) -> datetime | None:
        """Return the first time strictly later than `after` (aware), at a whole second, in the zone of the schedule.

        None when none comes within 8 years or before the year 9999. Of `@every`: `after` and the interval; from
        where it counts is its mark's business.
        """
        return self._next(after, self._walls())

    @property
    def fields(self) -> Fields | None:
        """What its fields select; None for `@every`."""
        return self._fields

    @property
    def tz(self) -> tzinfo:
        """Its zone."""
        return self._zone

    def upcoming(self, after: datetime) -> Iterator[datetime]:
        """Yield the times after `after`, one by one, as long as there are some."""
        fields = self._fields
        if fields is not None and self._zone is UTC:
            begin = after.astimezone(UTC).replace(tzinfo=None, microsecond=0)
            yield from walk(fields, begin, SEARCHED_YEARS, UTC)
            return
        walls = self._walls()
        time = self._next(after, walls)
        while time is not None:
            yield time
            time = self._next(time, walls)

    def _walls(self) -> _Walls | None:
        return None if self._fields is None else partial(following, self._fields, years=SEARCHED_YEARS)

    def _next(self, after: datetime, walls: _Walls | None) -> datetime | None:
        try:
            instant = after.astimezone(UTC).replace(microsecond=0)
            if walls is None:
                found: datetime | None = instant + timedelta(seconds=(self.every_ns or 0) // NS_SECOND)
            elif self._zone is UTC:
                wall = walls(instant.replace(tzinfo=None))
                found = wall and wall.replace(tzinfo=UTC)
            elif self.fixed:
                found = _next_fixed(instant, walls, self._zone)
            else:
                found = _next_real(instant, walls, self._zone)
            return found and found.astimezone(self._zone)
        except OverflowError:  # beyond the year 9999
            return None


parsed = lru_cache(maxsize=4096)(Cron.parse)
"""`Cron.parse`, where the same few schedules come again and again: once to be checked, then for each phase."""


def _read_interval(body: str, start: int) -> int:
    try:
        interval = parse_duration(body[len(_EVERY) :])
    except Unreadable as error:
        raise error.moved(start + len(_EVERY)) from None
    if interval < 0:
        raise Unreadable(
            f"{quote(body)} runs backwards: an interval is positive",
            offset=start + len(_EVERY),
            end=start + len(body),
        )
    return max(interval // NS_SECOND, 1) * NS_SECOND


def _next_fixed(after: datetime, walls: _Walls, zone: tzinfo) -> datetime | None:
    """Walk over wall times: each has one instant, and these never go back."""
    wall = walls(after.astimezone(zone).replace(tzinfo=None))
    while wall is not None:
        gap = gap_of(wall, zone)
        if gap < DAY:  # otherwise this day does not exist
            instant = instant_of(wall, zone)
            if gap:
                moved = first_change(instant - gap, instant, zone)
                assert moved is not None  # the offsets on both sides of a gap differ
                instant = moved
            if instant > after:
                return instant
        wall = walls(wall)
    return None


def _next_real(after: datetime, walls: _Walls, zone: tzinfo) -> datetime | None:
    """Walk over real time, from one change of the clocks to the next; between two, each wall time is one instant."""
    since, offset = after, offset_at(after, zone)
    wall = walls((after + offset).replace(tzinfo=None))
    while wall is not None:
        instant = (wall - offset).replace(tzinfo=UTC)
        changed = first_change(since, instant, zone)
        if changed is None:
            return instant
        since, offset = changed, offset_at(changed, zone)
        wall = walls((changed + offset - SECOND).replace(tzinfo=None))
    return None
