"""Schedules that can be read and still surprise: steps, days, changes of the clocks, bounds and jitter."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from itertools import islice, pairwise
from typing import Final

from flowlord.model.workflow import Rule
from flowlord.rules.bounds import first_instant, last_instant
from flowlord.rules.cron import Cron, parsed
from flowlord.rules.cronfields import Fields
from flowlord.rules.durations import SECOND as SECOND_NS
from flowlord.rules.durations import parse_duration, short_duration
from flowlord.rules.errors import Unreadable
from flowlord.rules.zones import first_change, offset_at, zone_of
from flowlord.spec.author.advice import Advice
from flowlord.spec.kinds import WIDEST

LOOKED_AHEAD: Final = timedelta(days=2 * 366)
_MOST_LOOKED_AT: Final = 40  # schedules of one file whose next starts are looked for: some walk over years
_MOST_ZONES: Final = 60  # of one file that are looked at for changes of their clocks
_WEEK: Final = timedelta(days=7)
_MINUTE: Final = timedelta(minutes=1)
_HOUR: Final = timedelta(hours=1)
_LONGEST_JUMP: Final = timedelta(hours=3)  # what is longer leaves out a day, which is another matter
_STEP: Final = re.compile(r"(?:[*?]|\d+)/(\d{1,9})")
_PART: Final = re.compile(r"\S+")
_ZONED: Final = re.compile(r"(?:CRON_)?TZ=(\S*)\s+")
# From the last field on: name, how many values, lowest value, what it begins again with.
_FIELDS: Final = (
    ("day of the week", 7, 0, "Sunday"),
    ("month", 12, 1, "January"),
    ("day of the month", 31, 1, "the first of each month"),
    ("hour", 24, 0, "midnight"),
    ("minute", 60, 0, "each full hour"),
    ("second", 60, 0, "each full minute"),
)


@dataclass(frozen=True, slots=True)
class _Jump:
    """A change of the clocks that leaves wall times out: from `wall`, for `length`."""

    wall: datetime
    length: timedelta


@dataclass(slots=True)
class _Known:
    """What was found out about zones and the next starts, for one file."""

    zones: set[str] = field(default_factory=set)
    starts: dict[tuple[str, str, datetime, bool], list[datetime]] = field(default_factory=dict)
    schedules: set[tuple[str, str, bool]] = field(default_factory=set)  # those of `starts`


_WHOLE: Final = {
    "second": "minute", "minute": "hour", "hour": "day", "day of the month": "month", "day of the week": "week",
    "month": "year",
}  # fmt: skip


def check(advice: Advice) -> None:
    """Tell what is surprising about the schedules of a file."""
    known = _Known()
    future = (advice.now + WIDEST).date().isoformat()
    for number, _, rule in advice.ruled:
        if rule.until and not rule.until[:10] > future:
            _until(advice, number, rule)
        if not rule.cron:
            continue
        text = rule.cron
        if "/" in text:
            _steps(advice, number, text)
        elif "@every " in text:
            _beat(advice, number, text)
        parts = text.split()
        if len(parts) >= 5 and not {parts[-1], parts[-3]} & {"*", "?"}:
            _days(advice, number, text, rule.tz)
        if rule.tz or text.startswith(("TZ=", "CRON_TZ=")):
            _clocks(advice, number, rule, known)
        if rule.jitter_ns or rule.first or rule.until:
            _bounds(advice, number, rule, known)


def _steps(advice: Advice, number: int, text: str) -> None:
    if text.startswith("@"):
        return
    begin = found.end() if (found := _ZONED.match(text)) else 0
    parts = text[begin:].split()
    if len(parts) not in (5, 6):
        return
    for place, part in enumerate(reversed(parts)):
        if "/" not in part or not (odd := _odd_steps(part, place)):
            continue
        for told, hint, start, end in odd:
            if not advice.wants("FL034"):
                continue
            at = [found.start() for found in _PART.finditer(text)][-1 - place]
            advice.at_option("FL034", number, "cron", told, hint, start=at + start, end=at + end)


@lru_cache(maxsize=1024)  # schedules have the same fields over and over
def _odd_steps(part: str, place: int) -> tuple[tuple[str, str, int, int], ...]:
    """Return what is surprising about the steps of a field, with a hint and where; `place` counts from the last."""
    name, size, low, again = _FIELDS[place]
    odd: list[tuple[str, str, int, int]] = []
    for found in _STEP.finditer(part):
        step = int(found[1])
        if step == 0 or (size % step == 0 and step < size) or part[found.end() :].startswith("-"):
            continue
        if part[max(found.start() - 1, 0)] == "-":  # the end of a range, which says where it stops
            continue
        first = low if found[0][0] in "*?" else int(found[0].partition("/")[0])
        values = list(range(first, low + size, step))
        if len(values) < 2 and found[0][0] not in "*?":
            continue
        if len(values) == 1:
            told = f"the step {step} of the {name} goes beyond its end: only {first} is left"
        else:
            shown = ", ".join(map(str, values[:3])) + f", … {values[-1]}" * (len(values) > 3)
            whole = _WHOLE.get(name, name)
            told = f"the step {step} does not divide the {whole}: it is {shown}, and begins again at {again}"
        steady = {"second": f"{step}s", "minute": f"{step}m", "hour": f"{step}h"}.get(name)
        beat = f"for a steady beat write cron=@every {steady}, or " if steady else ""
        odd.append((told, f"{beat}list the values", *found.span()))
    return tuple(odd)


def _beat(advice: Advice, number: int, text: str) -> None:
    """Tell an interval that is no whole second, or none at all."""
    begin = text.index("@every ") + len("@every ")
    written = text[begin:].rstrip()
    try:
        interval = parse_duration(written)
    except Unreadable:
        return
    if interval >= SECOND_NS and interval % SECOND_NS == 0:
        return
    taken = short_duration(max(interval // SECOND_NS, 1) * SECOND_NS)
    told = f"@every {written} counts as @every {taken}: an interval has whole seconds, one at least"
    end = begin + len(written)
    advice.at_option(
        "FL052", number, "cron", told, f"write @every {taken}", start=begin, end=end, better=taken
    )


def _fields(text: str, zone: str) -> Cron | None:
    """Return a schedule that has fields; None for one that has none or cannot be read."""
    try:
        cron = parsed(text, zone)
    except Unreadable:
        return None
    return None if cron.fields is None else cron


def _days(advice: Advice, number: int, text: str, zone: str) -> None:
    cron = _fields(text, zone)
    fields = cron.fields if cron else None
    if fields is None or not fields.either_day or fields.day.full or fields.weekday.full:
        return
    if not advice.wants("FL035"):
        return
    parts = [(found.start(), found.end()) for found in _PART.finditer(text)]
    told = "day of the month and day of the week are both given: either of them is enough"
    hint = "write * for one of them; for both at once let the worker look at the date"
    advice.at_option("FL035", number, "cron", told, hint, start=parts[-3][0], end=parts[-1][1])


def _clocks(advice: Advice, number: int, rule: Rule, known: _Known) -> None:
    if len(known.zones) == _MOST_ZONES and rule.tz not in known.zones and "TZ=" not in rule.cron:
        return
    cron = _fields(rule.cron, rule.tz)
    if cron is None or cron.fields is None or cron.tz is UTC:
        return
    fields, name = cron.fields, cron.zone
    if name not in known.zones:
        if len(known.zones) == _MOST_ZONES:
            return
        known.zones.add(name)
    for jump in _jumps(name, advice.now):
        if jump.length > _LONGEST_JUMP or not _takes(fields, jump.wall):
            continue
        end = jump.wall + jump.length
        if not {jump.wall.hour, (end - _MINUTE).hour} & set(fields.hour.numbers) and jump.length <= _HOUR:
            continue
        named = _first_left_out(fields, jump)
        if named is None or (not fields.fixed and (fields.hour.full or len(fields.hour.numbers) > 6)):
            continue  # what comes all day long is not missed for an hour
        if not advice.wants("FL033"):
            return
        day = jump.wall.date().isoformat()
        begin = _ZONED.match(rule.cron)
        then = f"runs {end:%H:%M}" if fields.fixed else "nothing starts then"
        told = f"{named:%H:%M} {name} does not exist on {day}; {then}"
        advice.at_option(
            "FL033",
            number,
            "cron",
            told,
            "choose a time that exists each day, or UTC",
            start=begin.end() if begin else 0,
            end=len(rule.cron),
        )
        return


def _first_left_out(fields: Fields, jump: _Jump) -> datetime | None:
    """Return the first time of a schedule that a jump of the clocks leaves out."""
    hour, end = jump.wall.replace(minute=0, second=0), jump.wall + jump.length
    while hour < end:
        if hour.hour in fields.hour.numbers:
            for minute in fields.minute.numbers:
                if jump.wall <= (wall := hour + minute * _MINUTE) < end:
                    return wall
        hour += _HOUR
    return None


@lru_cache(maxsize=128)  # files name the same zones over and over
def _jumps(name: str, now: datetime) -> tuple[_Jump, ...]:
    """Return the jumps of a zone that lie ahead; no zone changes its clocks twice in a week."""
    zone, found = zone_of(name), []
    at = now.replace(microsecond=0)
    end, before = at + LOOKED_AHEAD, offset_at(at, zone)
    while at < end:
        until = min(at + _WEEK, end)
        after = offset_at(until, zone)
        if after > before and (changed := first_change(at, until, zone)):
            found.append(_Jump((changed + before).replace(tzinfo=None), after - before))
        at, before = until, after
    return tuple(found)


def _takes(fields: Fields, day: datetime) -> bool:
    """Tell whether a schedule names a day."""
    if day.month not in fields.month.numbers:
        return False
    of_month = day.day in fields.day.numbers
    of_week = day.isoweekday() % 7 in fields.weekday.numbers
    return (of_month or of_week) if fields.either_day else (of_month and of_week)


def _until(advice: Advice, number: int, rule: Rule) -> None:
    try:
        end = last_instant(rule.until, zone_of(rule.tz))
        if rule.first and end < first_instant(rule.first, zone_of(rule.tz)):
            return  # told already
    except Unreadable:
        return
    if end < advice.now:
        told = f"until={rule.until} has passed: nothing starts any more"
        advice.at_option("FL037", number, "until", told, "take the phase out, or move until=")


def _bounds(advice: Advice, number: int, rule: Rule, known: _Known) -> None:
    """Look at the next starts: whether some lie within the bounds, and whether jitter carries one past the next."""
    schedule = rule.cron, rule.tz, bool(rule.jitter_ns)
    try:
        cron = parsed(rule.cron, rule.tz)
        if cron.every_ns is None and len(known.starts) >= _MOST_LOOKED_AT and schedule not in known.schedules:
            return
        zone = zone_of(rule.tz)
        first = first_instant(rule.first, zone) if rule.first else None
        last = last_instant(rule.until, zone) if rule.until else None
    except Unreadable:
        return
    since = max(first.astimezone(UTC) - timedelta(seconds=1), advice.now) if first else advice.now
    if cron.every_ns is not None:
        interval = cron.every_ns
    else:
        key = rule.cron, rule.tz, since, bool(rule.jitter_ns)
        if key not in known.starts:
            if len(known.starts) >= _MOST_LOOKED_AT:
                return
            known.schedules.add(schedule)
            known.starts[key] = list(islice(cron.upcoming(since), 8 if rule.jitter_ns else 1))
        starts = known.starts[key]
        if last is not None and last >= advice.now and (not starts or starts[0] > last) and first != last:
            told = (
                "no planned start lies between from and until"
                if first
                else "no planned start lies before until"
            )
            advice.at_option("FL039", number, "until", told, f"the next one would be {_shown(starts)}")
        gaps = [(b.astimezone(UTC) - a.astimezone(UTC)) for a, b in pairwise(starts)]
        interval = min((int(gap / timedelta(microseconds=1)) * 1000 for gap in gaps), default=0)
    if 0 < interval <= rule.jitter_ns:
        told = f"jitter reaches past the next start, which comes after {short_duration(interval)}"
        advice.at_option("FL038", number, "jitter", told, "make jitter shorter than the interval")


def _shown(starts: list[datetime]) -> str:
    return starts[0].astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ") if starts else "none"
