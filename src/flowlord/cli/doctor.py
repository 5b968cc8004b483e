"""`flowlord doctor`: what is wrong around here, and how it is mended."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from difflib import get_close_matches
from typing import TYPE_CHECKING, Final

from flowlord.bus.clock import SystemClock
from flowlord.bus.open import is_redis
from flowlord.cli import printer
from flowlord.cli.checkup import ALIASES, PARTS, Visit
from flowlord.cli.exits import ANSWER_IS_BAD, DONE, UNREACHABLE
from flowlord.cli.options import cache_of
from flowlord.cli.printer import Look
from flowlord.cli.sources import opened
from flowlord.cli.table import GREEN, RED, YELLOW
from flowlord.cli.texts import printable, some
from flowlord.model.clock import Clock
from flowlord.model.errors import BusError, FlowlordError
from flowlord.model.finding import Finding, Level

if TYPE_CHECKING:
    from flowlord.config import Settings

FIELDS: Final = ("part", "name", "level", "text", "fix")
MARKS: Final = {"ok": GREEN, "warn": YELLOW, "fault": RED}
Record = Mapping[str, str]


def run(
    settings: Settings,
    parts: Sequence[str] = (),
    *,
    strict: bool = False,
    look: Look | None = None,
    clock: Clock | None = None,
) -> int:
    """Look at the parts asked for, all when none is; returns the exit code."""
    look, clock = look or Look(), clock or SystemClock()
    parts = [ALIASES.get(part, part) for part in parts]
    for part in parts:
        if part not in PARTS:
            close = get_close_matches(part, (*PARTS, *ALIASES), 1)
            hint = f"did you mean {close[0]}?" if close else f"write some of {', '.join(PARTS)}"
            raise FlowlordError(f"there is no part {printable(part)!r} to look at", hint=hint)

    def body() -> int:
        with opened(settings.bus, cache_of(settings), clock) as sources:
            visit = Visit(settings, sources, clock)
            chosen = [part for part in PARTS if part in parts or not parts]
            levels = _print(_findings(visit, chosen), look)
        if visit.is_out_of_reach:
            return UNREACHABLE
        return ANSWER_IS_BAD if "fault" in levels or (strict and "warn" in levels) else DONE

    return printer.quietly(body)


def _findings(visit: Visit, parts: Sequence[str]) -> Iterator[Record]:
    told: list[str] = []  # a bus that cannot be used is told once, by the first part that needs it
    for part in parts:
        shown = "bus" if part == "redis" and not is_redis(visit.settings.bus.address) else part
        try:
            for found in PARTS[part](visit):
                yield _record(shown, found)
        except BusError as error:
            if str(error) not in told:
                told.append(str(error))
                yield _record(shown, Finding("bus", Level.FAULT, str(error), error.hint))


def _record(part: str, found: Finding) -> Record:
    level = "fault" if found.level.is_bad else str(found.level)
    fix = "\n".join(line.strip() for line in found.fix.split("\n"))
    return {"part": part, "name": found.name, "level": level, "text": found.text, "fix": fix}


def _print(records: Iterator[Record], look: Look) -> set[str]:
    """Print each finding as it comes; returns the levels that there were."""
    counts = dict.fromkeys(MARKS, 0)

    def counted() -> Iterator[Record]:
        for record in records:
            counts[record["level"]] += 1
            yield record

    if look.form not in ("", "table"):
        printer.rows(counted(), FIELDS, name="name", look=look)
    else:
        for record in counted():
            printer.lines(_lines(record, color=look.colored()))
        printer.say(f"{some(counts['fault'], 'fault')}, {some(counts['warn'], 'warning')}")
    return {level for level, count in counts.items() if count}


def _lines(record: Record, *, color: bool) -> list[str]:
    """Return the line of one finding, and what mends it below."""
    level = record["level"]
    mark = f"{level:<5}"
    if color:
        mark = f"\x1b[{MARKS[level]}m{mark}\x1b[0m"
    lines = [f"{mark}  {record['part']:<8} {record['name']:<12} {printable(record['text'])}"]
    if level != "ok":
        lines += [f"       {printable(line)}" for line in record["fix"].split("\n") if line]
    return lines
