"""The fields of a cron text: each read into the numbers it selects, with the place of whatever is wrong."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache
from itertools import islice
from typing import Final

from flowlord.rules.errors import Unreadable, quote

_MONTHS: Final = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_WEEKDAYS: Final = ("sun", "mon", "tue", "wed", "thu", "fri", "sat")
_NUMBER: Final = re.compile(r"\+?[0-9]+", re.ASCII)
_ITEM: Final = re.compile(r"[^,]+")
_PART: Final = re.compile(r"\S+")
_LONGEST_DAY: Final = (31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31)


@dataclass(frozen=True, slots=True, eq=False)  # there is one of each
class _Kind:
    """What a field may hold."""

    name: str
    low: int
    high: int
    names: tuple[str, ...] = ()


_SECOND: Final = _Kind("second", 0, 59)
_WEEKDAY: Final = _Kind("day of the week", 0, 6, _WEEKDAYS)
_KINDS: Final = (
    _SECOND,
    _Kind("minute", 0, 59),
    _Kind("hour", 0, 23),
    _Kind("day of the month", 1, 31),
    _Kind("month", 1, 12, _MONTHS),
    _WEEKDAY,
)


@dataclass(frozen=True, slots=True)
class Field:
    """One field: the numbers it selects, ascending."""

    numbers: tuple[int, ...]
    starred: bool  # holds `*` or `?` with step 1: then the day rule asks for both days
    open: bool  # holds `*` or `?` with any step: then the schedule follows real time
    full: bool  # selects everything

    def __str__(self) -> str:
        return "*" if self.full else ",".join(map(str, self.numbers))


_FIRST_SECOND: Final = Field((0,), starred=False, open=False, full=False)


@dataclass(frozen=True, slots=True)
class Fields:
    """The six fields of a schedule; a text of five has the first second of each minute."""

    second: Field
    minute: Field
    hour: Field
    day: Field
    month: Field
    weekday: Field

    @property
    def either_day(self) -> bool:
        """One of the two days is enough; otherwise both must fit."""
        return not (self.day.starred or self.weekday.starred)

    @property
    def fixed(self) -> bool:
        """Neither minute nor hour holds a star, so daylight saving moves the times instead of dropping them."""
        return not (self.minute.open or self.hour.open)


def read_fields(text: str, start: int = 0) -> Fields:
    """Return the fields that `text` has from `start` on, separated by any white space.

    Raises:
        Unreadable: not five or six fields, one that cannot be read, or a date that never comes. Offsets count
            from the begin of `text`.
    Source:
        docs/reference.md, "Cron".
    """
    parts = text[start:].split()
    if len(parts) not in (5, 6):
        has = f"has {len(parts)} field{'s' * (len(parts) != 1)}" if parts else "is empty"
        raise Unreadable(
            f"{quote(text[start:])} {has}: a schedule is "
            '"minute hour day month weekday", with seconds in front if needed',
            offset=start,
            end=len(text.rstrip()) if parts else len(text),
        )
    kinds = _KINDS[-len(parts) :]
    fields = []
    for number, (part, kind) in enumerate(zip(parts, kinds, strict=True)):
        try:
            fields.append(_field(part, kind))
        except Unreadable as error:
            raise error.moved(_begin(text, start, number)) from None
    found = Fields(_FIRST_SECOND, *fields) if len(fields) == 5 else Fields(*fields)
    if not found.either_day and not _some_day_comes(found):
        month = _begin(text, start, len(parts) - 2)
        raise Unreadable(
            f"{quote(text[start:])} never comes: no such month has day {found.day}",
            offset=_begin(text, start, len(parts) - 3),
            end=month + len(parts[-2]),
        )
    return found


def _some_day_comes(fields: Fields) -> bool:
    return any(fields.day.numbers[0] <= _LONGEST_DAY[month - 1] for month in fields.month.numbers)


def _begin(text: str, start: int, number: int) -> int:
    """Return where in `text` the field of that number begins, counted from 0 behind `start`."""
    return next(islice(_PART.finditer(text, start), number, None)).start()


@lru_cache(maxsize=1024)  # schedules have the same fields over and over
def _field(text: str, kind: _Kind) -> Field:
    numbers: set[int] = set()
    starred = opened = False
    for item in _ITEM.finditer(text):
        found, step, star = _read_item(item[0], item.start(), kind)
        numbers.update(found)
        opened |= star
        starred |= star and step == 1
    if not numbers:
        raise Unreadable(f"the field {quote(text)} selects no {kind.name}", end=len(text))
    return Field(tuple(sorted(numbers)), starred, opened, len(numbers) == kind.high - kind.low + 1)


def _read_item(text: str, start: int, kind: _Kind) -> tuple[set[int], int, bool]:
    """Read `*`, `N`, `A-B`, each maybe with `/step`; return what it selects, its step and whether it is a star.

    An error has the place of what it quotes; of all that stands between two commas when something is missing.
    """
    whole = start, start + len(text)
    span, slash, written = text.partition("/")
    step = 1
    if slash:
        step = _read_number(written, start + len(span) + 1, f"a step of the {kind.name}", whole)
        if step == 0:
            raise Unreadable(f"{quote(text)} has step 0: it would stand still", offset=whole[0], end=whole[1])
    if span in ("*", "?"):
        return set(range(kind.low, kind.high + 1, step)), step, True
    if span[:1] in ("*", "?"):
        raise Unreadable(
            f'{quote(text)} has a tail after "{span[0]}": only a step may follow it',
            offset=whole[0],
            end=whole[1],
        )
    # As everywhere but in Go, 7 is Sunday too: at the end of a range it is the day after 6.
    highest = 7 if kind is _WEEKDAY else kind.high
    first, hyphen, last = span.partition("-")
    low = _read_value(first, start, kind, highest, whole)
    if hyphen:
        high = _read_value(last, start + len(first) + 1, kind, highest, whole)
        if high < low:
            raise Unreadable(
                f"the range {quote(span)} runs backwards: write it as two, with a comma",
                offset=start,
                end=start + len(span),
            )
    elif slash:
        low, high = low % 7 if kind is _WEEKDAY else low, kind.high
    else:
        high = low
    numbers = range(low, high + 1, step)
    return {number % 7 for number in numbers} if kind is _WEEKDAY else set(numbers), step, False


def _read_value(text: str, start: int, kind: _Kind, highest: int, whole: tuple[int, int]) -> int:
    if text.lower() in kind.names:
        return kind.names.index(text.lower()) + kind.low
    end = start + len(text)
    if kind.names and text and _NUMBER.fullmatch(text) is None:
        words = f"{kind.names[0].upper()} to {kind.names[-1].upper()} are, and {kind.low} to {highest}"
        raise Unreadable(f"{quote(text)} is no {kind.name}: {words}", offset=start, end=end)
    number = _read_number(text, start, f"the {kind.name}", whole)
    if not kind.low <= number <= highest:
        raise Unreadable(
            f"{quote(text)} is no {kind.name}: {kind.low} to {highest} are", offset=start, end=end
        )
    return number


def _read_number(text: str, start: int, what: str, whole: tuple[int, int]) -> int:
    if not text:
        raise Unreadable(f"a number is missing for {what}", offset=whole[0], end=whole[1])
    if _NUMBER.fullmatch(text) is None:
        raise Unreadable(f"{quote(text)} is no number for {what}", offset=start, end=start + len(text))
    digits = text.lstrip("+0")
    return int(digits[:9] or "0") if len(digits) <= 9 else 10**9
