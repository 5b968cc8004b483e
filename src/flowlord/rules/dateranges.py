"""Date ranges: many times as one short text, for alerts and recaps."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import UTC, date, datetime, timedelta
from typing import Final

from flowlord.rules.moments import format_hour

_HOUR: Final = timedelta(hours=1)
_DAY: Final = timedelta(days=1)


def compress_dates(times: Iterable[datetime]) -> str:
    """Return the times (aware), in UTC and sorted, as ranges: `2018/04/09T03-2018/04/09T05,2018/04/09T07`.

    The finest that is needed to tell the times apart decides for all: months, days when two share a month, hours when
    two share a day. Neighbours join; what stands alone is written with its hour.

    Source:
        how existing alert summaries write them; tests/vectors pins it.
    """
    ordered = sorted({time.astimezone(UTC) for time in times})
    written, follows = _grain(ordered)
    ranges: list[str] = []
    first = last = None
    for time in ordered:
        if first is None or last is None:
            first = time
        elif not follows(last, time):
            ranges.append(_range(first, last, written))
            first = time
        last = time
    if first is not None and last is not None:
        ranges.append(_range(first, last, written))
    return ",".join(ranges)


def _range(first: datetime, last: datetime, written: Callable[[datetime], str]) -> str:
    return _hour(first) if first == last else f"{written(first)}-{written(last)}"


_Grain = tuple[Callable[[datetime], str], Callable[[datetime, datetime], bool]]


def _grain(times: list[datetime]) -> _Grain:
    """How one time of a range is written, and when a time follows another; of distinct times."""
    days: set[date] = set()
    months: set[tuple[int, int]] = set()
    grain: _Grain = (_month, _next_month)
    for time in times:
        if time.date() in days:
            return _hour, _next_hour
        if (time.year, time.month) in months:
            grain = (_day, _next_day)
        days.add(time.date())
        months.add((time.year, time.month))
    return grain


def _hour(time: datetime) -> str:
    return format_hour(time).replace("-", "/")


def _day(time: datetime) -> str:
    return _hour(time)[:10]


def _month(time: datetime) -> str:
    return _hour(time)[:7]


def _next_hour(last: datetime, time: datetime) -> bool:
    return time - last == _HOUR


def _next_day(last: datetime, time: datetime) -> bool:
    return time.date() - last.date() == _DAY


def _next_month(last: datetime, time: datetime) -> bool:
    return time.year * 12 + time.month == last.year * 12 + last.month + 1
