"""`flowlord cancel`: take back tasks that wait, now or later."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import closing
from typing import TYPE_CHECKING

import msgspec

from flowlord.bus.clock import SystemClock
from flowlord.bus.port import CHUNK, Bus
from flowlord.cache.attempt import OPEN, Attempt, State
from flowlord.cli import printer
from flowlord.cli.buses import bus_at
from flowlord.cli.chosen import Row, foreseen, meant, nothing_chosen, told
from flowlord.cli.people import agreed, counted, who, words_of
from flowlord.cli.printer import Look
from flowlord.cli.progress import Progress
from flowlord.cli.sources import opened
from flowlord.cli.taskfilter import Chosen
from flowlord.model.clock import Clock
from flowlord.model.plan import FactKind

if TYPE_CHECKING:
    from flowlord.config import Settings

WAITING = frozenset({State.WAITING, State.LATER})


class Options(msgspec.Struct, frozen=True):
    """What the command line said."""

    reason: str = ""
    yes: bool = False
    dry_run: bool = False
    look: Look = msgspec.field(default_factory=Look)


def run(
    settings: Settings,
    cache_path: str | None,
    names: Sequence[str],
    chosen: Chosen,
    options: Options,
    *,
    clock: Clock | None = None,
) -> int:
    """Cancel what is named or chosen and still waits; returns the exit code."""
    clock = clock or SystemClock()
    if not names and chosen.is_empty:
        return nothing_chosen("cancel")
    chosen.wanted(clock.now())

    def body() -> int:
        with opened(settings.bus, cache_path, clock) as sources:
            found = meant(sources, names, chosen, WAITING, clock)
            if isinstance(found, int):
                return found
            rows = [Row(*_ended(each)) for each in found if each.state not in OPEN]
            waits = [each for each in found if each.state in OPEN]
            if (not names or options.dry_run) and waits:
                names_of = counted(Counter(each.name for each in waits))
                said = agreed(
                    f"{len(waits):,} waiting: {names_of}", "cancel?", yes=options.yes, dry_run=options.dry_run
                )
                if said is not None:
                    rows += [Row("would be cancelled", each) for each in waits]
                    foreseen(rows, options.look, name="key")
                    return said
        if waits:
            with closing(bus_at(settings.bus, by=who())) as bus:
                with Progress("tasks", len(waits), clock) as progress:
                    words = words_of("cancelled", who(), options.reason)
                    rows += _cancel(bus, waits, words, progress.at)
                _note_of_batch(bus, chosen.batch)
        return told(rows, "cancelled", options.look, name="key")

    return printer.quietly(body)


def _ended(of: Attempt) -> tuple[str, Attempt, str]:
    if of.state == State.CANCELLED:
        return "already cancelled", of, of.reason
    return "refused", of, f"it has ended: it is {of.state}"


def _cancel(bus: Bus, waits: Sequence[Attempt], words: str, told_done: Callable[[int], None]) -> list[Row]:
    """Cancel, and read in the journal which of them it was in time for."""
    rows = []
    for at in range(0, len(waits), CHUNK):
        told_done(at)
        some = waits[at : at + CHUNK]
        keys = [each.key for each in some]
        before = bus.journal_bounds()[1]
        gone: set[str] = set()
        if bus.cancel(keys, reason=words):
            gone = _gone(bus, before, set(keys))
        held = {each.key: each.consumer for each in bus.find([key for key in keys if key not in gone])}
        for of in some:
            if of.key in gone:
                rows.append(Row("cancelled", of))
            elif of.key in held:
                on = f" on {held[of.key]}" if held[of.key] else ""
                rows.append(Row("refused", of, f"it runs{on}: what runs is not stopped"))
            else:
                rows.append(Row("refused", of, "it ended just now, or somebody else took it back"))
    return rows


def _note_of_batch(bus: Bus, batch: str) -> None:
    """Say when more of a batch is going to come."""
    from flowlord.taskmaster.backloads import standing

    try:
        found = standing(bus, batch) if batch else None
    except LookupError:
        return
    if found is not None and found.state in ("running", "paused", "stopped"):
        printer.say(
            f"note: the rest of {batch} is still to be sent; flowlord backload cancel {batch} stops it"
        )


def _gone(bus: Bus, after: int, keys: set[str]) -> set[str]:
    gone: set[str] = set()
    while entries := bus.journal(after, 500):
        after = entries[-1].seq
        told = (fact for entry in entries for fact in entry.facts if fact.kind is FactKind.CANCELLED)
        gone.update(fact.key for fact in told if fact.key in keys)
    return gone
