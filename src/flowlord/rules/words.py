"""A schedule in words: what a person would say it does."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import UTC
from itertools import product
from typing import Final

from flowlord.rules.cron import Cron
from flowlord.rules.cronfields import Field, Fields
from flowlord.rules.durations import SECOND, short_duration

_MONTHS: Final = (
    "January", "February", "March", "April", "May", "June", "July", "August", "September", "October", "November",
    "December",
)  # fmt: skip
_WEEKDAYS: Final = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
_MOST_TIMES: Final = 6  # times of day that are named one by one


def in_words(cron: Cron) -> str:
    """Return what the schedule does as one phrase: `at 01:00 from Monday to Friday, in UTC`.

    Everything that it selects is in it: two schedules with the same words name the same times.
    """
    fields = cron.fields
    if fields is None:
        return f"every {short_duration(cron.every_ns or SECOND)}, counted from the first start of the phase"
    time, day = _time(fields), _day(fields)
    if day == "every day" and fields.hour.full:  # which goes without saying
        day = ""
    return f"{' '.join(filter(None, (time, day, _month(fields.month))))}, in {cron.zone or 'UTC'}"


def on_clock_changes(cron: Cron) -> str:
    """Return what happens where the clocks of its zone change; nothing in UTC, where they never do."""
    if cron.fields is None or cron.tz is UTC:
        return ""
    if cron.fixed:
        return "a time that is skipped comes once, right after the gap; one that occurs twice comes once, at the first"
    return "it follows real time, because minute or hour holds a *"


def _time(fields: Fields) -> str:
    second, minute, hour = fields.second, fields.minute, fields.hour
    whole_minutes = second.numbers == (0,)
    at_once = len(second.numbers) * len(minute.numbers) * len(hour.numbers)
    if at_once <= _MOST_TIMES and not hour.full:
        end = "" if whole_minutes else ":{2:02}"
        times = product(hour.numbers, minute.numbers, second.numbers)
        return f"at {_listed([('{0:02}:{1:02}' + end).format(*time) for time in times])}"
    if whole_minutes and len(minute.numbers) == 1:
        return _hourly(hour, minute.numbers[0])
    hours = _hours(hour)
    if not whole_minutes:
        some = "" if minute.full else _minutes(minute)
        return " ".join(filter(None, (_seconds(second), some, hours or (some and "of every hour"))))
    if minute.full:
        return f"every minute {hours}".rstrip()
    if step := _step(minute, 60):
        return f"every {step} minutes {hours}".rstrip()
    return f"at minutes {_numbers(minute.numbers)} {hours or 'of every hour'}"


def _hourly(hour: Field, minute: int) -> str:
    """Once in each of some hours."""
    if hour.full:
        return f"every hour at minute {minute}" if minute else "every hour"
    first, last = hour.numbers[0], hour.numbers[-1]
    if step := _step(hour, 24):
        return f"every {step} hours from 00:{minute:02}"
    if last - first + 1 == len(hour.numbers):
        return f"every hour from {first:02}:{minute:02} to {last:02}:{minute:02}"
    return f"at minute {minute} of the hours {_numbers(hour.numbers)}"


def _hours(hour: Field) -> str:
    """Which hours; nothing when it is each of them."""
    first, last = hour.numbers[0], hour.numbers[-1]
    if hour.full:
        return ""
    if step := _step(hour, 24):
        return f"of every {_ordinal(step)} hour"
    if last - first + 1 == len(hour.numbers):
        return f"from {first:02}:00 to {last:02}:59"
    return f"of the hours {_numbers(hour.numbers)}"


def _minutes(minute: Field) -> str:
    if len(minute.numbers) == 1:
        return f"of minute {minute.numbers[0]}"
    if step := _step(minute, 60):
        return f"of every {_ordinal(step)} minute"
    return f"of the minutes {_numbers(minute.numbers)}"


def _seconds(second: Field) -> str:
    if second.full:
        return "every second"
    if step := _step(second, 60):
        return f"every {step} seconds"
    some = "second" if len(second.numbers) == 1 else "seconds"
    return f"at {some} {_numbers(second.numbers)}"


def _day(fields: Fields) -> str:
    day, weekday = fields.day, fields.weekday
    if (day.full and weekday.full) or (fields.either_day and (day.full or weekday.full)):
        return "every day"  # of two days of which either will do, one that is always met is enough
    # The week ends with Sunday here, as people say it.
    ordered = sorted(weekday.numbers, key=lambda number: number or 7)
    weekdays = _named([number or 7 for number in ordered], _WEEKDAYS, "on")
    days = _spans(day.numbers, _ordinal)
    dates = f"on the {_listed(days)} of the month"
    if day.full:
        return weekdays
    return dates if weekday.full else f"{dates} or {weekdays}"


def _month(month: Field) -> str:
    return "" if month.full else _named(month.numbers, _MONTHS, "in")


def _named(numbers: Sequence[int], names: Sequence[str], preposition: str) -> str:
    spans = _spans(numbers, lambda number: names[number - 1])
    if len(spans) == 1 and len(numbers) > 1:
        preposition = "from"
    return f"{preposition} {_listed(spans)}"


def _step(field: Field, size: int) -> int:
    """Return the step of numbers that go round evenly from 0, as in `*/15`; 0 when they do not."""
    numbers = field.numbers
    if len(numbers) < 2 or field.full:
        return 0
    step = numbers[1] - numbers[0]
    return step if size % step == 0 and numbers == tuple(range(0, size, step)) else 0


def _numbers(numbers: Sequence[int]) -> str:
    """Return numbers for people, neighbours as ranges: `1, 5 and 9 to 17`; all of them, however many."""
    return _listed(_spans(numbers, str))


def _spans(numbers: Sequence[int], name: Callable[[int], str]) -> list[str]:
    spans: list[list[int]] = []
    for number in numbers:
        if spans and number == spans[-1][-1] + 1:
            spans[-1].append(number)
        else:
            spans.append([number])
    found: list[str] = []
    for span in spans:
        if len(span) > 2:
            found.append(f"{name(span[0])} to {name(span[-1])}")
        else:
            found += map(name, span)
    return found


def _listed(words: Sequence[str]) -> str:
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} and {words[-1]}"


def _ordinal(number: int) -> str:
    end = "th" if number in (11, 12, 13) else {1: "st", 2: "nd", 3: "rd"}.get(number % 10, "th")
    return f"{number}{end}"
