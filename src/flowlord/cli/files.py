"""`flowlord files`: the files that were seen, and what each started or why it did not."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import islice
from typing import TYPE_CHECKING

import msgspec

from flowlord.bus.clock import SystemClock
from flowlord.cache.seen import FileFilter, SeenFile, files
from flowlord.cli import printer
from flowlord.cli.exits import DONE
from flowlord.cli.printer import Column, Look, Sheet
from flowlord.cli.sources import opened
from flowlord.cli.table import GREEN, RED, YELLOW
from flowlord.cli.times import iso, parse_time, relative, to_us
from flowlord.model.clock import Clock
from flowlord.model.errors import FlowlordError

if TYPE_CHECKING:
    from flowlord.config import BusSettings

SHOWN = 50
PAGE = 500
FIELDS = ("at", "path", "state", "size", "version", "moment", "source", "tasks", "names", "keys", "text")
_PAINTS = {"started": GREEN, "waits": YELLOW, "unmatched": RED, "vanished": RED}


class Question(msgspec.Struct, frozen=True):
    """What the command line asked; texts as typed, `limit` None for the usual one, 0 for all."""

    since: str = ""
    until: str = ""
    matched: bool = False
    unmatched: bool = False
    near_miss: bool = False
    duplicate: bool = False
    pattern: str = ""
    limit: int | None = None
    look: Look = msgspec.field(default_factory=Look)

    def wanted(self, clock: Clock) -> FileFilter:
        """Return the filter; raises FlowlordError for words that mean nothing."""
        kinds = {
            "--matched": self.matched, "--unmatched": self.unmatched,
            "--near-miss": self.near_miss, "--duplicate": self.duplicate,
        }  # fmt: skip
        given = [name for name, is_given in kinds.items() if is_given]
        if len(given) > 1:
            raise FlowlordError(f"{' and '.join(given)} exclude each other", hint="give one of them, or none")
        now = clock.now()
        fits = None
        try:
            since = to_us(parse_time(self.since, now)) if self.since else 0
            until = to_us(parse_time(self.until, now, end=True)) if self.until else 0
            if self.pattern:
                from flowlord.rules.globs import Glob

                fits = Glob.compile(self.pattern).matches
        except ValueError as error:
            raise FlowlordError(str(error)) from None
        which = True if self.matched else False if self.unmatched else None
        judged = _is_near_miss if self.near_miss else _is_duplicate if self.duplicate else None
        return FileFilter(max(since, 0), max(until, 0), which, fits, judged)


def run(where: BusSettings, cache_path: str | None, question: Question, *, clock: Clock | None = None) -> int:
    """Print the files that are asked for; returns the exit code."""
    clock = clock or SystemClock()
    wanted = question.wanted(clock)
    now_us = to_us(clock.now())

    def body() -> int:
        look = question.look
        for_people = look.resolved() == "table" and printer.on_terminal()
        limit = question.limit if question.limit is not None else SHOWN if for_people else 0
        sheet = Sheet(FIELDS, _columns(now_us), name="path", look=look)
        with opened(where, cache_path, clock) as sources:
            found = islice(files(sources.history(fresh=True), wanted), limit or None)
            while some := list(islice(found, PAGE)):
                sheet.add(record(each) for each in some)
        sheet.close()
        if for_people and not sheet.count:
            printer.say("no files" if wanted == FileFilter() else "no such files")
        elif for_people and sheet.count == limit:
            printer.say("… there may be more, --limit 0 for all")
        return DONE

    return printer.quietly(body)


def record(found: SeenFile) -> dict[str, object]:
    """Return what machines get of a file."""
    return {
        "at": iso(found.at_us),
        "at_us": found.at_us,
        "path": found.path,
        "state": found.state,
        "size": found.size,
        "version": found.version,
        "moment": found.moment,
        "source": found.source,
        "tasks": found.tasks,
        "names": [each for each in found.names.split(",") if each],
        "keys": [each for each in found.keys.split(",") if each],
        "text": found.text,
    }


def _is_near_miss(found: SeenFile) -> bool:
    """Tell whether a file started nothing only for its name or its size: its folder fits a pattern."""
    if found.state != "unmatched":
        return False
    if found.text.startswith(f"{found.path} starts nothing: "):  # it fits, and is too small
        return True
    from flowlord.rules.nearest import is_near, pattern_in

    pattern = pattern_in(found.text.removeprefix(f"no phase matches {found.path}: "))
    return bool(pattern) and is_near(found.path, pattern)


def _is_duplicate(found: SeenFile) -> bool:
    return found.state == "known"


def _columns(now_us: int) -> list[Column]:
    def came(row: Mapping[str, object], plain: bool) -> str:
        names = row["names"]
        return ", ".join(map(str, names)) if isinstance(names, list) and names else str(row["text"])

    return [
        Column("seen", lambda row, _: relative(int(str(row["at_us"])), now_us)),
        Column("state", paint=lambda row: _PAINTS.get(str(row["state"]), "")),
        Column("path", gives=True),
        Column("size", right=True),
        Column("data time", lambda row, _: str(row["moment"]).removesuffix(":00:00Z").replace("T00", "")),
        Column("started", came, gives=True),
    ]
