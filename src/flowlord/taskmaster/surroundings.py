"""What the loops of one daemon share: the bus, time and chance, and the workflows as they are now."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import TypeVar

import msgspec

from flowlord.bus.pauses import PauseWatch
from flowlord.bus.port import Bus
from flowlord.decide.context import Context, Source
from flowlord.decide.expand import HELD
from flowlord.decide.recipe import File
from flowlord.model.clock import Clock
from flowlord.model.paused import NOTHING, Paused
from flowlord.model.plan import Commit, Plan
from flowlord.model.workflow import Workflows
from flowlord.storage.open import Storage
from flowlord.storage.port import Unavailable
from flowlord.taskmaster.chance import Chance, Stamps
from flowlord.taskmaster.health import Health
from flowlord.taskmaster.meta_files import rows_of_file

Decided = TypeVar("Decided", bound=Plan | Commit | None)
HELD_BYTES = 32 << 20
"""Text of meta-files that is held at most: rows may have a mebibyte each."""


@dataclass(slots=True)
class Counters:
    """What this daemon did since it started."""

    published: int = 0
    done: int = 0
    retried: int = 0
    dead: int = 0
    quarantined: int = 0
    halted: int = 0  # batches that stopped
    contested: int = 0  # starts that another daemon decided first


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
    task_ttl_ns: int = 4 * 3_600_000_000_000
    workflows: Workflows = field(default_factory=Workflows)
    changed: threading.Event = field(default_factory=threading.Event)
    counters: Counters = field(default_factory=Counters)
    health: Health = field(default_factory=Health)
    storage: Storage = field(default_factory=Storage)
    channels: tuple[str, ...] = ()  # those that can be told; the first is the one for all that names none
    paused: Paused | None = None  # None: not looked at yet
    _pauses: PauseWatch | None = None

    def look_at_pauses(self) -> None:
        """Learn what people have paused."""
        if self._pauses is None:
            self._pauses = PauseWatch(self.bus)
        self.paused = self._pauses.look()

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
            paused=self.paused or NOTHING,
        )

    def decide(self, ctx: Context, decide: Callable[[Context], Decided]) -> Decided:
        """Return what `decide` says in this context of one decision, with stamps that nobody else has.

        It is asked again, with a later `now`, while other threads took stamps that it needs; so it must be pure.
        """
        room = 1
        while True:
            found = decide(ctx)
            plan = found.plan if isinstance(found, Commit) else found
            if plan is None or self.stamps.widen(ctx.now, plan.stamps, room):
                return found
            room = plan.stamps
            ctx = msgspec.structs.replace(ctx, now=self.stamps.take(room))

    def now(self) -> datetime:
        """Wall time, aware, UTC."""
        return self.clock.now()


def read_sources(patterns: Iterable[str], storage: Storage | None = None) -> Mapping[str, Source | str]:
    """Return what each meta-file holds, as far as it is held in memory, or the reason why it cannot be read."""
    chosen = storage or Storage()
    return {pattern: _read(chosen, pattern) for pattern in patterns}


def _read(storage: Storage, pattern: str) -> Source | str:
    try:
        files = tuple(File(found.path, found.version) for found in storage.paths(pattern))
        return _source(storage, files)
    except ValueError as error:
        return f"meta-file {error}"
    except Unavailable as error:
        text = str(error)
        return f"meta-file {text}" if text.startswith(pattern) else f"meta-file {pattern}: {text}"


def _source(storage: Storage, files: tuple[File, ...]) -> Source:
    rows: list[Mapping[str, str]] = []
    before = 0
    for file in files:
        end = 0
        for row, end, _ in rows_of_file(storage, file):
            rows.append(row)
            if len(rows) > HELD or before + end > HELD_BYTES:
                return Source(rows[:HELD], files, is_whole=False)
        before += end
    return Source(rows, files)
