"""Rates as people type them: how many in which time."""

from __future__ import annotations

from flowlord.model.errors import FlowlordError
from flowlord.rules.durations import parse_duration

_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86_400}


def every_us_of(text: str) -> int:
    """Return the microseconds from one to the next at a rate such as `20/m`, `5/s` or, with a length, `5/10m`.

    Raises:
        FlowlordError: it is no rate.
    """
    count, mark, unit = text.partition("/")
    try:
        length_us = _UNITS[unit] * 1_000_000 if unit in _UNITS else parse_duration(unit) // 1000
        every_us = length_us // int(count[:10])
    except (ValueError, ZeroDivisionError):
        every_us = 0
    if not mark or every_us < 1 or not count.isdigit():
        raise FlowlordError(f"--rate {text[:40]!r} is none", hint="write 20/m, 5/s or 100/h")
    return every_us
