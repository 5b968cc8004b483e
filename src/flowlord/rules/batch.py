"""Batches: the times of a range and the rows of lists."""

from __future__ import annotations

import calendar
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from itertools import count
from typing import Final, Literal

from flowlord.rules.errors import Unreadable, quote
from flowlord.rules.zones import DAY, instant_of

STEPS: Final[Mapping[str, Literal["hour", "day", "week", "month"]]] = {
    "": "day",
    "hour": "hour",
    "hourly": "hour",
    "day": "day",
    "daily": "day",
    "week": "week",
    "weekly": "week",
    "month": "month",
    "monthly": "month",
}


def steps(start: datetime, end: datetime, by: str) -> Iterator[datetime]:
    """Yield the times from `start` on, forwards or backwards, that do not pass `end`; both ends count.

    Hours are absolute. Days, weeks and months keep the wall clock in the zone of `start`; months count from the first
    date and end at the end of a shorter month. A day that a zone left out is left out. Nothing after the year 9999.

    Args:
        start, end: aware; `start` is always the first time.
        by: a key of STEPS in any case; an unknown one steps by days.
    Source:
        docs/reference.md, "Batches".
    """
    step = STEPS.get(by.lower(), "day")
    direction = 1 if _from(start, end) >= timedelta(0) else -1
    yield start
    for turn in count(1):
        try:
            time = _moved(start, step, direction * turn)
            if time is None:
                continue
            if _from(end, time) * direction > timedelta(0):
                return
        except (OverflowError, ValueError):  # before the year 1 or after 9999
            return
        yield time


def truncate_hour(time: datetime) -> datetime:
    """Return the begin of the hour that the clocks of the time's own zone show."""
    hour = time.replace(minute=0, second=0, microsecond=0)
    return hour.astimezone(UTC).astimezone(time.tzinfo)  # a whole hour may lie inside a half-hour gap


def parse_lists(text: str) -> dict[str, tuple[str, ...]]:
    """Return the lists of a rule's `meta=`: `key:a,b,c`, with `|` between keys; `=` may stand for the first `:`.

    A key without items has an empty list, the last of two equal keys counts.

    Raises:
        Unreadable: a part without a key or without its mark.
    Source:
        docs/reference.md, "Rule strings".
    """
    lists: dict[str, tuple[str, ...]] = {}
    at = 0
    for part in text.split("|"):
        key, mark, items = part.partition(":")
        if not mark or "=" in key:
            key, mark, items = part.partition("=")
        if not mark:
            raise Unreadable(f'{quote(part)} is no list: write "key:a,b,c", with "|" between keys', offset=at)
        if not key:
            raise Unreadable(f'a list lacks its key before {quote(part)}: write "key:a,b,c"', offset=at)
        lists[key] = tuple(items.split(",")) if items else ()
        at += len(part) + 1
    return lists


def rows_of_lists(lists: Mapping[str, Sequence[str]]) -> list[dict[str, str]]:
    """Return one row per place in the lists: the first items of all, the second items of all, and so on.

    Raises:
        Unreadable: lists of unequal length.
    """
    if not lists:
        return []
    (first, items), *others = lists.items()
    for key, other in others:
        if len(other) != len(items):
            raise Unreadable(
                f"the lists of meta are of unequal length: {first} has {len(items)}, {key} has {len(other)}"
            )
    return [dict(zip(lists, row, strict=True)) for row in zip(*lists.values(), strict=True)]


def _from(first: datetime, second: datetime) -> timedelta:
    """Real time from `first` to `second`; plain subtraction forgets the zone when both have the same one."""
    start, end = first.utcoffset(), second.utcoffset()
    assert start is not None
    assert end is not None
    return (second.replace(tzinfo=None) - first.replace(tzinfo=None)) - (end - start)


def _moved(start: datetime, step: Literal["hour", "day", "week", "month"], turns: int) -> datetime | None:
    """`start` and `turns` steps; None for a day that does not exist in the zone."""
    if step == "hour":
        return (start.astimezone(UTC) + timedelta(hours=turns)).astimezone(start.tzinfo)
    wall = start.replace(tzinfo=None, fold=0)
    if step == "month":
        years, month = divmod(wall.year * 12 + wall.month - 1 + turns, 12)
        if not 1 <= years <= 9999:
            raise OverflowError
        day = min(wall.day, calendar.monthrange(years, month + 1)[1])
        wall = wall.replace(year=years, month=month + 1, day=day)
    else:
        wall += timedelta(days=turns * (7 if step == "week" else 1))
    if start.tzinfo is UTC:
        return wall.replace(tzinfo=UTC)
    assert start.tzinfo is not None
    time = instant_of(wall, start.tzinfo).astimezone(start.tzinfo)
    return None if time.replace(tzinfo=None) - wall >= DAY else time
