"""The workflow of the kill test of triggers, told twice: as flowlord reads it, and as what must come of it.

The second telling imports nothing of flowlord and never asks it.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import NamedTuple

FILE = "triggers.toml"
STAMP = "%Y%m%dT%H%M%S"
LINES = 3
"""Phases whose starts stand in line, each two seconds another one."""
EVERY_S = 2
COUNT = 3
"""Files of a group that counts."""
RATE = 10
"""Tasks a second of the backload that keeps a pace; at most ACTIVE of them are open."""
ACTIVE = 60
HOURS, DAYS = 72, 12
TOPICS = ("line", "skip", "file", "group", "still", "row", "paced", "serial", "done")
PATTERNS = 4
_BEGIN = datetime(2026, 1, 1, tzinfo=UTC)


def text_of(folder: str, end: datetime | None) -> str:
    """The workflow; schedules go up to `end`."""
    cron = f"cron=*/{EVERY_S} * * * * *&catchup=all" + (f"&until={end:%Y-%m-%dT%H:%M:%SZ}" if end else "")
    rules = [(f"line:{n}", f"{cron}&overlap=queue", "{ts}") for n in range(LINES)]
    rules += [
        ("skip", f"{cron}&overlap=skip", "{ts}"),
        ("file", f"files={folder}/plain/*.csv&settle=200ms", "{meta:file}"),
        ("group", f"files={folder}/groups/*/*.csv&settle=200ms&count={COUNT}", "{meta:dir}?n={meta:count}"),
        (
            "still",
            f"files={folder}/still/*/*/*/*.csv&settle=700ms&group={{yyyy}}-{{mm}}-{{dd}}",
            "{yyyy}-{mm}-{dd}?n={meta:count}",
        ),
        (
            "row",
            f"files={folder}/go/*.csv&settle=200ms&meta-file=rows.csv&batch_limit=1000000",
            "{meta:n}",
        ),
        ("paced", "", "{yyyy}-{mm}-{dd}T{hh}"),
        ("serial", "", "{yyyy}-{mm}-{dd}"),
    ]
    return "".join(
        f'[[phase]]\ntask = "{task}"\nrule = "{rule}"\ntemplate = "{template}"\n\n'
        for task, rule, template in rules
    )


class Place(NamedTuple):
    """One thing that must happen once: the name of a phase, and the info of its task without what follows `?`."""

    phase: str
    info: str


@dataclass(slots=True)
class Asked:
    """What the driver has done, and so what must come of it."""

    folder: str
    begin: datetime
    """All schedules were looked at by then; what is planned later must start."""
    end: datetime | None = None
    files: int = 0
    groups: int = 0
    days: int = 0
    rows: int = 0
    has_paced: bool = False
    has_serial: bool = False
    last: dict[str, str] = field(default_factory=dict)
    """The last instant that was seen of each schedule: it may lie behind `end`, which daemons read some time later."""

    def instants(self, phase: str) -> list[str]:
        """The planned instants of a schedule: up to its end, or to what was seen of it."""
        assert self.end is not None
        seen = datetime.strptime(self.last.get(phase, "20000101T000000"), STAMP).replace(tzinfo=UTC)
        begin = self.begin.replace(microsecond=0) + timedelta(seconds=1)
        begin += timedelta(seconds=-begin.second % EVERY_S)
        count = int((max(self.end, seen) - begin) / timedelta(seconds=EVERY_S)) + 1
        return [f"{begin + timedelta(seconds=EVERY_S * n):{STAMP}}" for n in range(count)]

    def once(self) -> Iterator[Place]:
        """Yield everything that must be dispatched exactly once."""
        for n in range(LINES):
            yield from (Place(f"line:{n}", info) for info in self.instants(f"line:{n}"))
        yield from (Place("file", f"{self.folder}/plain/{n}.csv") for n in range(self.files))
        yield from (Place("group", f"{self.folder}/groups/{n}") for n in range(self.groups))
        yield from (Place("row", f"{n}") for n in range(self.rows))
        if self.has_paced:
            yield from (Place("paced", f"{_BEGIN + timedelta(hours=n):%Y-%m-%dT%H}") for n in range(HOURS))
        if self.has_serial:
            yield from (Place("serial", f"{_BEGIN + timedelta(days=n):%Y-%m-%d}") for n in range(DAYS))

    def knows(self, place: Place, once: Collection[Place]) -> bool:
        """Tell whether a place may be: one of `once`, a day, or an instant of which only its number is not known."""
        match place.phase.partition(":")[0]:
            case "still":
                return place.info in self.still()
            case "skip":
                return True
            case (
                "line"
            ):  # those before `begin` were planned while the phases were looked at for the first time
                return place in once or place.info <= f"{self.begin:{STAMP}}"
            case _:
                return place in once

    def still(self) -> dict[str, int]:
        """How many files each day has that starts when none comes any more."""
        return {day_of(n): files_of(n) for n in range(self.days)}


def day_of(n: int) -> str:
    """The nth day of files that start when none comes any more."""
    return f"{_BEGIN + timedelta(days=n):%Y-%m-%d}"


def files_of(n: int) -> int:
    """How many files that day has."""
    return 2 + n % 4


def command(kind: str) -> list[str]:
    """How a person asks for a backload."""
    if kind == "paced":
        last = _BEGIN + timedelta(hours=HOURS - 1)
        words = [
            "--to",
            f"{last:%Y-%m-%dT%H}",
            "--by",
            "hour",
            "--rate",
            f"{RATE}/s",
            "--max-active",
            f"{ACTIVE}",
        ]
    else:
        words = ["--to", f"{_BEGIN + timedelta(days=DAYS - 1):%Y-%m-%d}", "--serial"]
    words = ["--from", "2026-01-01", *words, "--order", "oldest", "--workflow", FILE, "--workflows", "flow"]
    return ["backload", kind, *words, "-y"]
