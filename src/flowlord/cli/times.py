"""Times as people type them and as they are shown; `now` always comes from the caller."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)
_WRITTEN = (
    r"(?P<year>\d{4})(-(?P<month>\d\d)(-(?P<day>\d\d)"
    r"([T ](?P<hour>\d\d)(:(?P<minute>\d\d)(:(?P<second>\d\d)(\.\d+)?)?)?(Z|[+-]\d\d(:?\d\d)?)?)?)?)?"
)
_DAYS = {"yesterday": -1, "today": 0, "tomorrow": 1}
_HINT = "write 24h, -6h, +30m, now, today, yesterday, 2026-08-01, 2026-08-01T05 or an ISO time"


def parse_time(text: str, now: datetime, *, end: bool = False) -> datetime:
    """Return the instant that `text` means: aware, UTC.

    `24h` and `-24h` lie that far before `now`, `+24h` behind it. Times without a zone are UTC. What names a whole
    year, month, day, hour, minute or second means its beginning, or with `end` the beginning of the next one: so
    `--since 2026-08-01 --until 2026-08-01` is that day.

    Raises:
        ValueError: no such time; the text says what could be written.
    """
    word = text.strip()
    try:
        if word.lower() == "now":
            return now
        if word.lower() in _DAYS:
            day = now.astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
            return day + timedelta(days=_DAYS[word.lower()] + end)
        if found := re.fullmatch(_WRITTEN, word, re.ASCII):
            return _written(found, end=end)
        return now + _distance(word)
    except (ValueError, OverflowError) as error:
        is_near = any(c.isdecimal() for c in word)  # else why it is no duration helps nobody
        told = f" ({error})" if str(error) and is_near else ""
        raise ValueError(f"{text[:60]!r} is no time{told}; {_HINT}") from None


def iso(us: int) -> str:
    """Return microseconds since 1970 as ISO 8601 with `Z`; nothing for 0, which is no time."""
    if not us:
        return ""
    try:
        text = (_EPOCH + us * _MICROSECOND).isoformat()
    except OverflowError:
        return ""
    return text.removesuffix("+00:00") + "Z"


def to_us(time: datetime) -> int:
    """Return an aware time as microseconds since 1970."""
    return (time - _EPOCH) // _MICROSECOND


def relative(us: int, now_us: int) -> str:
    """Return how far a time lies from now, for people: `12m ago`, `in 38s`; nothing for 0."""
    if not us:
        return ""
    away = now_us - us
    if abs(away) < 1_000_000:
        return "now"
    return f"{coarse(away)} ago" if away > 0 else f"in {coarse(-away)}"


def coarse(us: int) -> str:
    """Return a length of time in its largest unit: `38s`, `12m`, `3h`, `5d`."""
    seconds = us // 1_000_000
    for unit, length in (("d", 86_400), ("h", 3_600), ("m", 60)):
        if seconds >= 2 * length or (unit != "m" and seconds >= length):
            return f"{seconds // length}{unit}"
    return f"{seconds}s"


def took(us: int) -> str:
    """Return how long something ran, as exact as it matters: `0.4s`, `41s`, `1m02s`, `3h05m`."""
    seconds = us / 1_000_000
    if not us:
        return "0s"
    if seconds < 0.01:
        return f"{us / 1000:.1f}ms"
    if seconds < 9.95:
        return f"{seconds:.1f}s" if seconds >= 0.095 else f"{us // 1000}ms"
    whole = round(seconds)
    if whole < 60:
        return f"{whole}s"
    if whole < 3600:
        return f"{whole // 60}m{whole % 60:02}s"
    return f"{whole // 3600}h{whole % 3600 // 60:02}m"


def _written(found: re.Match[str], *, end: bool) -> datetime:
    parts = [found[name] for name in ("year", "month", "day", "hour", "minute", "second")]
    given = sum(part is not None for part in parts)
    text = "-".join([parts[0], parts[1] or "01", parts[2] or "01"])
    if given > 3:
        text = found[0].replace(" ", "T")
    time = datetime.fromisoformat(text)
    time = time.astimezone(UTC) if time.tzinfo else time.replace(tzinfo=UTC)
    if not end or "." in found[0]:
        return time
    if given == 1:
        return time.replace(year=time.year + 1)
    if given == 2:
        return (time + timedelta(days=31)).replace(day=1)
    return time + timedelta(**{("days", "hours", "minutes", "seconds")[given - 3]: 1})


def _distance(word: str) -> timedelta:
    from flowlord.rules.durations import parse_duration

    ahead = word.startswith("+")
    length = timedelta(microseconds=parse_duration(word.lstrip("+-")) // 1000)
    return length if ahead else -length
