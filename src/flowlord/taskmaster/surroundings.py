"""What the loops of one daemon share: the bus, time and chance, and the workflows as they are now."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal

from flowlord.bus.port import Bus
from flowlord.decide.context import Context, Rows
from flowlord.model.clock import Clock
from flowlord.model.workflow import Workflows
from flowlord.rules.batch import rows_of_lines
from flowlord.storage.open import Storage
from flowlord.storage.port import Unavailable
from flowlord.taskmaster.chance import Chance, Stamps
from flowlord.taskmaster.health import Health

MAX_ROWS = 1_000_000


@dataclass(slots=True)
class Counters:
    """What this daemon did since it started."""

    published: int = 0
    done: int = 0
    retried: int = 0
    dead: int = 0
    quarantined: int = 0


@dataclass(slots=True)
class Surroundings:
    """One daemon's world. `workflows` is swapped whole; readers take it once for each decision."""

    bus: Bus
    clock: Clock
    chance: Chance
    stamps: Stamps
    consumer: str
    host: str = ""
    zone: str = ""
    failed_topic: str = "retry-failed"
    done_topic: str = "done"
    max_deliveries: int = 3
    lease_ns: int = 60_000_000_000
    workflows: Workflows = field(default_factory=Workflows)
    changed: threading.Event = field(default_factory=threading.Event)
    counters: Counters = field(default_factory=Counters)
    health: Health = field(default_factory=Health)
    storage: Storage = field(default_factory=Storage)

    def context(self, sources: Iterable[str] = ()) -> Context:
        """Return the context of one decision, with the meta-files that it needs read now."""
        return Context(
            now=self.stamps.now(),
            jitter=self.chance.jitter(),
            host=self.host,
            failed_topic=self.failed_topic,
            done_topic=self.done_topic,
            max_deliveries=self.max_deliveries,
            sources=read_sources(sources, self.storage),
        )

    def now(self) -> datetime:
        """Wall time, aware, UTC."""
        return self.clock.now()


def read_sources(patterns: Iterable[str], storage: Storage | None = None) -> Mapping[str, Rows | str]:
    """Return the rows of each meta-file (CSV by its name, else JSON lines), or the reason why it cannot be read."""
    chosen = storage or Storage()
    return {pattern: _read(chosen, pattern) for pattern in patterns}


def _read(storage: Storage, pattern: str) -> Rows | str:
    rows: list[Mapping[str, str]] = []
    try:
        for file in storage.paths(pattern):
            kind: Literal["csv", "jsonl"] = (
                "csv" if file.path.removesuffix(".gz").endswith(".csv") else "jsonl"
            )
            lines = _without_mark(storage.lines(file.path, version=file.version))
            try:
                for row in rows_of_lines(lines, kind=kind):
                    rows.append(row)
                    if len(rows) > MAX_ROWS:
                        return f"meta-file {pattern} holds more than {MAX_ROWS} rows"
            except ValueError as error:
                return f"meta-file {file.path}: {error}"
    except Unavailable as error:
        text = str(error)
        return f"meta-file {text}" if text.startswith(pattern) else f"meta-file {pattern}: {text}"
    return rows


def _without_mark(lines: Iterator[tuple[str, int]]) -> Iterator[str]:
    """Drop the byte order mark that some programs begin a text file with."""
    for n, (line, _) in enumerate(lines):
        yield line if n else line.removeprefix("\ufeff")
