"""Moments: the data time of a task, read out of its meta, its info or the path of its file."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta, timezone
from functools import lru_cache
from typing import Final

from flowlord.rules.infourl import path_of

_STAMP: Final = re.compile(r"(\d{4})(\d\d)(\d\d)T(\d\d)(\d\d)(\d\d)", re.ASCII)
_SLASH_HOUR: Final = re.compile(r"(\d{4})/(\d\d)/(\d\d)/(\d\d)(?!\d)", re.ASCII)
_SLASH_DAY: Final = re.compile(r"(\d{4})/(\d\d)/(\d\d)", re.ASCII)
_DASH_DAY: Final = re.compile(r"(\d{4})-(\d\d)-(\d\d)", re.ASCII)
_SLASH_MONTH: Final = re.compile(r"(\d{4})/(\d\d)", re.ASCII)

_ZONE: Final = r"(?:(Z)|([+-]|%2[Bb])(\d\d):?(\d\d)?)"
_FULL_PARAMETER: Final = re.compile(
    r"(?:day|date|time|timestamp)[=:](\d{4})-(\d\d)-(\d\d)T(\d\d):(\d\d):(\d\d)" + _ZONE, re.ASCII
)
_HOUR_PARAMETER: Final = re.compile(
    r"(?:day|date|hour|hour_utc)[=:](\d{4})-(\d\d)-(\d\d)T(\d\d)(?!\d)", re.ASCII
)
_DAY_PARAMETER: Final = re.compile(r"(?:day|date)[=:](\d{4})-(\d\d)-(\d\d)", re.ASCII)

# An hour in the path of a URL that has neither a stamp, nor anything escaped or odd; none of its parts is a parameter.
# What stands before the hour, with the sign behind it, is that of many tasks.
_UNTIL_HOUR: Final = re.compile(
    r"[A-Za-z][A-Za-z0-9+.-]*://[A-Za-z0-9.-]*/(?:[^?#%T\x00-\x1f\x7f]*/)?(20\d\d)/(\d\d)/(\d\d)/(\d\d)(?:\D|$)",
    re.ASCII | re.DOTALL,
)
_CENTURY: Final = "/20"
_HOUR_LENGTH: Final = len("/2026/01/31/23/")
_USUAL_LENGTH: Final = 300
"""Longer ones are not worth the memory of a cache."""
_SHORTEST: Final = len("2026/01")
_TIMELY: Final = re.compile(r"\d{4}(?:[-/]\d\d|\d{4}T)", re.ASCII)
"""Stands in every text that tells a time, unless it is escaped."""

_CRON: Final = re.compile(r"(\d{4})-(\d\d)-(\d\d)T(\d\d?)", re.ASCII)
_CRON_LENGTH: Final = len("2026-01-31T23")  # longer texts are no hour, and not worth the memory of a cache
_HOUR: Final = re.compile(_CRON.pattern + f"(?:{_ZONE})?", re.ASCII)

# Other programs write this one where they know no time, so it means the same when read.
_ZERO: Final = datetime(1, 1, 1, tzinfo=UTC)
# dddd/dd with a smaller first number is a sharded folder (0007/12), not a month.
_FIRST_YEAR_OF_MONTHS: Final = 1000


def time_of_path(text: str) -> datetime | None:
    """Return the time that a path tells, in UTC, or None.

    The first that is found: a stamp `yyyymmddThhmmss` in the last element, then anywhere `yyyy/mm/dd/hh`,
    `yyyy/mm/dd`, `yyyy-mm-dd`, `yyyy/mm`. A stamp or hour that is no time lets the search go on, a day that is
    none ends it.

    Source:
        docs/reference.md, "Times out of texts".
    """
    last = text.rfind("/") + 1
    if text.find("T", last) >= 0:
        for stamp in _STAMP.finditer(text, last):
            if time := _time(*stamp.groups()):
                return time
    found = _SLASH_HOUR.search(text)
    while found:
        if time := _time(*found.groups()):
            return time
        found = _SLASH_HOUR.search(text, found.end())
    if day := _SLASH_DAY.search(text) or _DASH_DAY.search(text):
        return _time(*day.groups())
    if month := _SLASH_MONTH.search(text):
        return _time(*month.groups()) if int(month[1]) >= _FIRST_YEAR_OF_MONTHS else None
    return None


def time_of_info(text: str) -> datetime | None:
    """Return the time that an info tells, in UTC, or None.

    Parameters come first, wherever they stand in the raw text, then the path of the info when it reads as a URL.
    Of the parameters: `day date time timestamp` with a time and a zone, `day date hour hour_utc` with an hour,
    `day date` with a day. A parameter that is no time is passed over.

    Source:
        docs/reference.md, "Times out of texts".
    """
    # The history asks this of every task: most have one hour in a plain path, or no time at all.
    if len(text) < _SHORTEST:
        return None
    if "day" in text or "date" in text or "time" in text or "hour" in text:
        for told in _of_parameters(text):
            return told
    elif time := _usual_hour(text):
        return time
    if "%" not in text and not _TIMELY.search(text):
        return None
    path = path_of(text)
    return time_of_path(path) if path else None


def time_of_task(info: str, meta: Mapping[str, list[str]]) -> datetime | None:
    """Return the moment of a task in UTC: `cron` of its meta, else its info, else the path in `file` of its meta."""
    if (crons := meta.get("cron")) and len(crons[0]) <= _CRON_LENGTH and (time := _time_of_cron(crons[0])):
        return time
    if time := time_of_info(info):
        return time
    files = meta.get("file")
    return time_of_path(files[0]) if files else None


def parse_hour(text: str) -> datetime | None:
    """Return the time of `YYYY-MM-DDTHH`, or None; in UTC, or in the zone (`Z`, `+02:00`) that stands behind it."""
    found = _HOUR.fullmatch(text)
    if found is None:
        return None
    year, month, day, hour, *zone = found.groups()
    offset = _offset(*zone)
    try:
        return datetime(int(year), int(month), int(day), int(hour), tzinfo=UTC if offset is None else offset)
    except ValueError:
        return None


def format_hour(time: datetime) -> str:
    """Return `YYYY-MM-DDTHH` with the fields that `time` has in its own zone: what the meta key `cron` carries."""
    return f"{time.year:04d}-{time.month:02d}-{time.day:02d}T{time.hour:02d}"


def _usual_hour(text: str) -> datetime | None:
    """The time of a usual URL; None when it is not so usual, whatever it tells."""
    at = text.find(_CENTURY)
    if at < 0 or len(text) > _USUAL_LENGTH:
        return None
    time = _hour_at_end(text[: at + _HOUR_LENGTH])
    if time is None or "%" in text or "#" in text or not text.isprintable():
        return None
    if "T" in text and not 0 < text.find("?") < text.find("T"):
        return None  # a stamp behind the hour would count
    return time


@lru_cache(maxsize=1024)  # files of one hour lie in one folder
def _hour_at_end(text: str) -> datetime | None:
    usual, first = _UNTIL_HOUR.fullmatch(text), _SLASH_HOUR.search(text)
    is_first = usual and first and usual.end(4) == first.end()
    return _time(*usual.groups()) if usual and is_first else None


@lru_cache(maxsize=1024)  # all tasks of one start tell the same hour
def _time_of_cron(text: str) -> datetime | None:
    hour = _CRON.fullmatch(text)
    return _time(*hour.groups()) if hour else None


def _of_parameters(text: str) -> Iterator[datetime]:
    for found in _FULL_PARAMETER.finditer(text):
        *fields, zulu, sign, hours, minutes = found.groups()
        zone = _offset(zulu, sign, hours, minutes)
        if zone and (time := _time(*fields, zone=zone)):
            yield time
    for pattern in (_HOUR_PARAMETER, _DAY_PARAMETER):
        for found in pattern.finditer(text):
            if time := _time(*found.groups()):
                yield time


@lru_cache(maxsize=1024)  # most tasks of an hour tell that hour, and the texts are a few digits each
def _time(
    year: str, month: str, day: str = "1", hour: str = "0", minute: str = "0", second: str = "0",
    *, zone: timezone = UTC,
) -> datetime | None:  # fmt: skip
    """The time of these fields in UTC; None when there is none, or when it is the zero time of other programs."""
    try:
        time = datetime(int(year), int(month), int(day), int(hour), int(minute), int(second), tzinfo=zone)
        time = time.astimezone(UTC)
    except (ValueError, OverflowError):
        return None
    return None if time == _ZERO else time


def _offset(zulu: str | None, sign: str | None, hours: str | None, minutes: str | None) -> timezone | None:
    """The zone of the groups of `_ZONE`; None when nothing was written or it is no zone."""
    if zulu:
        return UTC
    if sign is None or int(hours or "0") > 23 or int(minutes or "0") > 59:
        return None
    offset = timedelta(hours=int(hours or "0"), minutes=int(minutes or "0"))
    return timezone(-offset if sign == "-" else offset)
