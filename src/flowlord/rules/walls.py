"""From one wall time that a schedule names to the next: arithmetic over its fields."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from calendar import monthrange
from collections.abc import Iterator
from datetime import MAXYEAR, datetime, timedelta, tzinfo
from typing import Final

from flowlord.rules.cronfields import Fields

_DAY: Final = timedelta(days=1)


def following(fields: Fields, wall: datetime, years: int) -> datetime | None:
    """Return the first wall time (naive, whole seconds) strictly later than `wall` that the fields name.

    None when none comes within so many years, or before the year 9999 ends.
    """
    if _is_day(fields, wall):
        time = _later_that_day(fields, wall)
        if time is not None:
            return wall.replace(hour=time[0], minute=time[1], second=time[2], microsecond=0)
    return _next_day(fields, wall, wall.year + years)


def walk(fields: Fields, wall: datetime, years: int, zone: tzinfo | None = None) -> Iterator[datetime]:
    """Yield what `following` names, one after another: the times of one day at a time.

    `zone` is put to them as it is: one that never changes its clocks.
    """
    hours, minutes, seconds = fields.hour.numbers, fields.minute.numbers, fields.second.numbers
    found = following(fields, wall, years)
    while found is not None:
        year, month, day = found.year, found.month, found.day
        first_hour, first_minute, first_second = found.hour, found.minute, found.second
        for hour in hours[bisect_left(hours, first_hour) :]:
            for minute in minutes[bisect_left(minutes, first_minute) :]:
                for second in seconds[bisect_left(seconds, first_second) :]:
                    yield datetime(year, month, day, hour, minute, second, tzinfo=zone)
                first_second = 0
            first_minute = first_second = 0
        found = _next_day(fields, found, found.year + years)


def is_named(fields: Fields, wall: datetime) -> bool:
    """Tell whether the fields name this wall time."""
    return (
        wall.second in fields.second.numbers
        and wall.minute in fields.minute.numbers
        and wall.hour in fields.hour.numbers
        and _is_day(fields, wall)
    )


def _later_that_day(fields: Fields, wall: datetime) -> tuple[int, int, int] | None:
    hours, minutes, seconds = fields.hour.numbers, fields.minute.numbers, fields.second.numbers
    at = bisect_left(hours, wall.hour)
    if at < len(hours) and hours[at] == wall.hour:
        of_minute = bisect_left(minutes, wall.minute)
        if of_minute < len(minutes) and minutes[of_minute] == wall.minute:
            of_second = bisect_right(seconds, wall.second)
            if of_second < len(seconds):
                return wall.hour, wall.minute, seconds[of_second]
            of_minute += 1
        if of_minute < len(minutes):
            return wall.hour, minutes[of_minute], seconds[0]
        at += 1
    return (hours[at], minutes[0], seconds[0]) if at < len(hours) else None


def _is_day(fields: Fields, day: datetime) -> bool:
    if day.month not in fields.month.numbers:
        return False
    by_date, by_weekday = day.day in fields.day.numbers, day.isoweekday() % 7 in fields.weekday.numbers
    return by_date or by_weekday if fields.either_day else by_date and by_weekday


def _next_day(fields: Fields, wall: datetime, last_year: int) -> datetime | None:
    if not fields.either_day and not fields.day.full:
        return _next_date(fields, wall, last_year)
    day = wall.replace(
        hour=fields.hour.numbers[0], minute=fields.minute.numbers[0], second=fields.second.numbers[0],
        microsecond=0,
    )  # fmt: skip
    try:
        while day.year <= last_year:
            if day.month in fields.month.numbers:
                day += _DAY
            else:  # no day of this month fits: go to the first of the next one
                day += timedelta(days=monthrange(day.year, day.month)[1] - day.day + 1)
            if _is_day(fields, day):
                return day
    except OverflowError:  # beyond the year 9999
        pass
    return None


def _next_date(fields: Fields, wall: datetime, last_year: int) -> datetime | None:
    """Go from date to date where only some dates of a month fit: from one 29 February to the next are 1,461 days."""
    numbers, months = fields.day.numbers, fields.month.numbers
    first = fields.hour.numbers[0], fields.minute.numbers[0], fields.second.numbers[0]
    for year in range(wall.year, min(last_year, MAXYEAR) + 1):
        for month in months[bisect_left(months, wall.month) :] if year == wall.year else months:
            longest = monthrange(year, month)[1]
            before = wall.day if (year, month) == (wall.year, wall.month) else 0
            for date in numbers[bisect_right(numbers, before) :]:
                if date > longest:
                    break
                found = datetime(year, month, date, *first, tzinfo=wall.tzinfo)
                if found.isoweekday() % 7 in fields.weekday.numbers:
                    return found
    return None
