"""Durations as whole nanoseconds: Go's notation with days and weeks, and the two forms in which they are written."""

from __future__ import annotations

import re
from typing import Final

from flowlord.rules.errors import TooLong, Unreadable, quote

MICROSECOND: Final = 1_000
MILLISECOND: Final = 1_000_000
SECOND: Final = 1_000_000_000
MINUTE: Final = 60 * SECOND
HOUR: Final = 60 * MINUTE
DAY: Final = 24 * HOUR
WEEK: Final = 7 * DAY
YEAR: Final = 365 * DAY

LONGEST: Final = 2**63 - 1  # about 292 years: what workers in other languages can hold

_UNITS: Final = {
    "ns": 1,
    "us": MICROSECOND,
    "µs": MICROSECOND,  # micro sign
    "μs": MICROSECOND,  # Greek letter mu
    "ms": MILLISECOND,
    "s": SECOND,
    "m": MINUTE,
    "h": HOUR,
    "d": DAY,
    "w": WEEK,
}
_PART: Final = re.compile(r"([0-9]*)(?:(\.)([0-9]*))?([^0-9.]*)", re.ASCII)
_PLAIN: Final = re.compile(
    r"(-?[0-9]{1,5})([nµu]?s|ms|[mhd])", re.ASCII
)  # as nearly all are, and none too long
_MAX_TEXT: Final = 200  # nobody writes more; keeps absurd numbers away from int()
_HINT: Final = "write it like 90s, 1h30m, 2d or 1w"


def parse_duration(text: str) -> int:
    """Return the nanoseconds that `text` tells, cut toward zero.

    Reads Go's notation (`-1h30m`, `1.5h`, `10ms`, `0`) and also `d` of 24 hours and `w` of 7 days. No blanks.

    Raises:
        Unreadable: not a duration, or a number without its unit.
        TooLong: beyond about 292 years.
    Source:
        docs/reference.md, "Durations".
    """
    number, unit = text[:-1], text[-1:]
    if len(number) < 5 and number.isdigit() and number.isascii() and unit in _UNITS:  # never too long
        return int(number) * _UNITS[unit]
    if plain := _PLAIN.fullmatch(text):
        return int(plain[1]) * _UNITS[plain[2]]
    if len(text) > _MAX_TEXT:
        raise TooLong(f"{quote(text)} is too long for a duration: {_HINT}")
    start = 1 if text[:1] in ("-", "+") else 0
    if text[start:] == "0":
        return 0
    if start == len(text):
        raise Unreadable(f"{quote(text)} is no duration: {_HINT}", offset=start)
    total, at = 0, start
    while at < len(text):
        found = _PART.match(text, at)
        assert found is not None  # every part of the pattern may be empty
        whole, fraction, unit = found[1], found[3] or "", found[4]
        if not whole and not fraction:
            raise Unreadable(
                f"{quote(text)} is no duration: a number is missing before {quote(text[at:])}", offset=at
            )
        if not unit:
            raise Unreadable(f"{quote(text)} lacks a unit after {found[0]}: {_HINT}", offset=found.end())
        if unit not in _UNITS:
            known = "ns, us, ms, s, m, h, d, w"
            raise Unreadable(
                f"{quote(text)} has the unknown unit {quote(unit)}: {known} are known", offset=found.start(4)
            )
        total += int(whole or "0") * _UNITS[unit]
        if fraction:
            total += int(fraction) * _UNITS[unit] // 10 ** len(fraction)
        at = found.end()
    if text[0] == "-":
        total = -total
    if not -LONGEST - 1 <= total <= LONGEST:
        raise TooLong(f"{quote(text)} is beyond the longest duration, about 292 years")
    return total


def short_duration(ns: int) -> str:
    """Return the form for people and for the meta key `delayed`: `1d12h`, `12m35.6s`, `28.01ms`.

    Years of 365 days, days, hours, minutes and seconds without their zero parts; two decimals, cut, not rounded.
    """
    sign, rest = ("-", -ns) if ns < 0 else ("", ns)
    if rest < SECOND:
        return sign + _below_a_second(rest, 2)
    parts = [sign]
    for unit, length in (("y", YEAR), ("d", DAY), ("h", HOUR), ("m", MINUTE)):
        count, rest = divmod(rest, length)
        if count:
            parts.append(f"{count}{unit}")
    if rest // (SECOND // 100):
        parts.append(_decimal(rest, SECOND, 2) + "s")
    return "".join(parts)


def go_duration(ns: int) -> str:
    """Return Go's own form, as configurations and other programs write it: `1h30m0s`, `1.5µs`."""
    sign, rest = ("-", -ns) if ns < 0 else ("", ns)
    if rest < SECOND:
        return sign + _below_a_second(rest, 9)
    hours, rest = divmod(rest, HOUR)
    minutes, rest = divmod(rest, MINUTE)
    seconds = _decimal(rest, SECOND, 9) + "s"
    if hours:
        return f"{sign}{hours}h{minutes}m{seconds}"
    return f"{sign}{minutes}m{seconds}" if minutes else sign + seconds


def _below_a_second(ns: int, places: int) -> str:
    if ns >= MILLISECOND:
        return _decimal(ns, MILLISECOND, places) + "ms"
    if ns >= MICROSECOND:
        return _decimal(ns, MICROSECOND, places) + "µs"
    return f"{ns}ns" if ns else "0s"


def _decimal(ns: int, unit: int, places: int) -> str:
    """`ns` counted in `unit` (a power of ten), with up to `places` decimals and no zeros behind."""
    whole, rest = divmod(ns, unit)
    decimals = str(rest).zfill(len(str(unit)) - 1)[:places].rstrip("0")
    return f"{whole}.{decimals}" if decimals else str(whole)
