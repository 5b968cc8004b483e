"""Coming starts as a calendar file (iCalendar, RFC 5545), for programs in which people look at their day."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, datetime
from hashlib import blake2b
from typing import Final

from flowlord.cli.printer import printable

_LONGEST: Final = 75
"""Octets of a line, by the standard; what is longer goes on behind a blank."""
_ESCAPES: Final = str.maketrans({"\\": "\\\\", ";": "\\;", ",": "\\,", "\n": "\\n"})


def calendar(records: Iterable[Mapping[str, object]], now: datetime) -> Iterator[str]:
    """Yield the lines of a calendar, each with the return in front of its end that the standard wants.

    Args:
        records: as `nextrows.Rows.records` has them.
        now: aware; when the calendar was made.
    """
    yield from ("BEGIN:VCALENDAR\r", "VERSION:2.0\r", "PRODID:-//flowlord//next//EN\r")
    stamp = f"{now.astimezone(UTC):%Y%m%dT%H%M%SZ}"
    seen: Counter[str] = Counter()
    for record in records:
        name = "\0".join(str(record[key]) for key in ("workflow", "task", "rule", "at"))
        seen[name] += 1
        yield "BEGIN:VEVENT\r"
        yield f"UID:{_digest(name, seen[name])}@flowlord\r"  # the same each time, so that a later file replaces it
        yield f"DTSTAMP:{stamp}\r"
        yield f"DTSTART:{str(record['at'])[:19].replace('-', '').replace(':', '')}Z\r"
        yield "TRANSP:TRANSPARENT\r"  # nobody is busy then
        if record["paused"]:
            yield "STATUS:TENTATIVE\r"
        yield from _property("SUMMARY", _summary(record))
        yield from _property("DESCRIPTION", _description(record))
        yield "END:VEVENT\r"
    yield "END:VCALENDAR\r"


def _summary(record: Mapping[str, object]) -> str:
    tasks = record["tasks"]
    many = f" (x{tasks:,})" if isinstance(tasks, int) and tasks > 1 else ""
    return f"{printable(str(record['task']))}{many}{' (paused)' if record['paused'] else ''}"


def _description(record: Mapping[str, object]) -> str:
    notes = record["notes"]
    fault = f"cannot start: {record['fault']}" if record["fault"] else ""
    told = [record["info"], fault, f"{record['rule']}  ({record['place']})"]
    told += notes if isinstance(notes, list) else []
    return "\n".join(printable(str(each)) for each in told if each)


def _property(name: str, text: str) -> Iterator[str]:
    """Yield a property with a text as its value, folded within no character."""
    line, length = "", 0
    for char in f"{name}:{text.translate(_ESCAPES)}":
        size = len(char.encode("utf-8", "replace"))
        if length + size > _LONGEST:
            yield f"{line}\r"
            line, length = " ", 1
        line, length = line + char, length + size
    yield f"{line}\r"


def _digest(name: str, number: int) -> str:
    return blake2b(f"{name}\0{number}".encode("utf-8", "surrogatepass"), digest_size=16).hexdigest()
