"""Wall clocks and instants: which instants a wall time has in a zone, and when a zone changes its clocks."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, tzinfo
from functools import lru_cache
from typing import Final

from flowlord.rules.errors import Unreadable, quote
from flowlord.rules.zonefiles import is_there

DAY: Final = timedelta(days=1)
SECOND: Final = timedelta(seconds=1)
_OF_THE_MACHINE: Final = {"local", "localtime", "posixrules"}


def zone_of(name: str) -> tzinfo:
    """Return the zone of that name; UTC when the name is empty.

    Raises:
        Unreadable: no such zone. The machine's own zone has no name here, so that all machines agree.
    """
    if name in ("", "UTC"):
        return UTC
    try:
        return _named(name)
    except (KeyError, ValueError, OSError):  # unknown; no such form of a name; a folder of zones
        raise Unreadable(f"{quote(name)} is no time zone: write one like Europe/Berlin or UTC") from None


@lru_cache(maxsize=64)
def _named(name: str) -> tzinfo:
    if name.lower() in _OF_THE_MACHINE or not is_there(name):
        raise KeyError(name)
    from zoneinfo import ZoneInfo

    return ZoneInfo(name)


def offset_at(instant: datetime, zone: tzinfo) -> timedelta:
    """Return what the clocks of `zone` show more than UTC at `instant` (aware)."""
    offset = instant.astimezone(zone).utcoffset()
    assert offset is not None  # instant is aware, so is what comes out
    return offset


def gap_of(wall: datetime, zone: tzinfo) -> timedelta:
    """Return how long the jump of the clocks is that `wall` (naive) falls into; zero when `wall` exists."""
    before, after = (wall.replace(tzinfo=zone, fold=fold).utcoffset() for fold in (0, 1))
    assert before is not None
    assert after is not None
    # In a repeated hour the later reading has the smaller offset, in a gap the greater one.
    return max(after - before, timedelta(0))


def instant_of(wall: datetime, zone: tzinfo) -> datetime:
    """Return the first instant, in UTC, at which the clocks of `zone` show `wall` (naive).

    A wall time inside a gap is read with the offset before the gap, so it becomes a time after it.
    """
    return wall.replace(tzinfo=zone, fold=0).astimezone(UTC)


def first_change(after: datetime, until: datetime, zone: tzinfo) -> datetime | None:
    """Return the first instant in (`after`, `until`] from which `zone` has another offset; None when it keeps it.

    Both are in UTC at whole seconds. A zone that changes and changes back within a day is seen as not changing.
    """
    offset = offset_at(after, zone)
    low = after
    while low < until:
        high = min(low + DAY, until) if until - low > DAY else until
        if offset_at(high, zone) != offset:
            while high - low > SECOND:
                middle = low + (high - low) // 2
                middle = middle.replace(microsecond=0)
                if offset_at(middle, zone) == offset:
                    low = middle
                else:
                    high = middle
            return high
        low = high
    return None
