"""What history and the bus know of starts that should have been: gathered for `gaps` and `why`."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from itertools import islice
from typing import TYPE_CHECKING

from flowlord.cache.decided import (
    Decision,
    alerts_of,
    backloaded,
    infos_backloaded,
    known_keys,
    of_phases,
    sizes_of_batches,
)
from flowlord.cli.terms import time_of
from flowlord.cli.times import to_us
from flowlord.decide.expected import Expected, count, times_of
from flowlord.decide.gaps import Evidence, Lacking, Told, batch_of
from flowlord.decide.keys import Numbered, dispatch_key
from flowlord.decide.recipe import compiled
from flowlord.decide.tick import group_of
from flowlord.model.paused import NOTHING, Paused
from flowlord.rules.moments import format_hour
from flowlord.rules.timetable import Timetable

if TYPE_CHECKING:
    from flowlord.bus.port import Bus
    from flowlord.cache.queries import History
    from flowlord.cli.sources import Sources
    from flowlord.model.workflow import Phase

_BEGIN = datetime(1970, 1, 1, tzinfo=UTC)
MOST_HOURS = 5_000
"""Hours of which it is looked up what backloads made in them."""


@dataclass(frozen=True, slots=True)
class Present:
    """What history has of starts: `made` how many tasks by slot, `rows` the data times that lack where not all."""

    made: Mapping[str, int] = field(default_factory=dict)
    rows: Mapping[str, Sequence[datetime]] = field(default_factory=dict)


def present(history: History, starts: Sequence[Expected]) -> Present:
    """Return which of these starts left tasks behind."""
    alone: dict[str, str] = {}
    several: dict[str, Expected] = {}
    for start in starts:
        if start.phase.rule.is_batch:
            several[batch_of(start)] = start
        else:
            alone[dispatch_key(start.slot)] = start.slot
    made = {alone[key]: 1 for key in known_keys(history, alone)}
    rows: dict[str, Sequence[datetime]] = {}
    for batch, size in sizes_of_batches(history, several).items():
        start = several[batch]
        made[start.slot] = size
        try:
            whole = count(start)
        except (ValueError, OverflowError):
            continue
        if whole is not None and size != whole and (times := _lacking_times(history, start, whole)):
            rows[start.slot] = times
    for start in several.values():
        if start.slot not in made and _makes_nothing(start):
            made[start.slot] = 0
    return Present(made, rows)


def last_decided(sources: Sources, phases: Iterable[str]) -> dict[str, datetime]:
    """Return the last planned instant that was decided of each of these phases, as far as the bus tells."""
    nothing: dict[str, str] = {}
    keys = [f"tick:{each}" for each in phases]
    found = sources.ask(lambda bus: bus.marks(keys), nothing) if keys else {}
    marks = {}
    for key, value in found.items():
        try:
            time = datetime.fromisoformat(value)
        except ValueError:
            continue
        if time.tzinfo is not None:
            marks[key.removeprefix("tick:")] = time
    return marks


def gathered(
    sources: Sources, found: Sequence[Lacking], there: Present, marks: Mapping[str, datetime]
) -> Evidence:
    """Return what tells why these starts are not there."""
    from flowlord.bus.pauses import pauses_on

    history = sources.history(fresh=True)
    phases = {start.phase.identity: start.phase for _, start, _ in found}
    since_us = to_us(min(start.instant for _, start, _ in found))
    told = of_phases(history, list(phases), since_us, ("skipped", "missed", "batch"))
    queued = {group_of(each): name for name, each in phases.items() if each.rule.overlap == "queue"}
    paused: Paused = sources.ask(pauses_on, NOTHING)
    held: dict[str, int] = {}
    if queued:
        counts = sources.ask(lambda bus: dict(bus.open_counts(list(queued))), held)
        held = {queued[group]: number for group, number in counts.items()}
    gone: bool | None = None
    alive = sources.ask(_scheduler_runs, gone)
    lacking_slots = {start.slot for _, start, _ in found}
    made_up = backloaded(history)
    return Evidence(
        told=_spans(told),
        alerts=alerts_of(history, list(phases), since_us),
        batches={each.cause: each.text for each in told if each.kind == "batch"},
        made={slot: size for slot, size in there.made.items() if slot in lacking_slots},
        backloaded=made_up,
        infos={
            (name, hour): infos_backloaded(history, name, hour)
            for name, hour in _shared_hours(found, made_up)
        },
        marks=marks,
        held=held,
        paused=paused,
        alive=False if sources.bus() is None else alive,
        holes=_holes(history),
    )


def _shared_hours(
    found: Sequence[Lacking], made_up: Mapping[tuple[str, str], int]
) -> Iterator[tuple[str, str]]:
    """Yield phases and hours of which backloads made up something, and in which the phase starts several times."""
    places: dict[tuple[str, str], Phase] = {}
    for _, start, times in found:
        for time in times:
            place = (start.phase.identity, format_hour(time))
            if place in made_up and not start.phase.rule.is_batch:
                places[place] = start.phase
    often: dict[str, bool] = {}
    for place, phase in islice(places.items(), MOST_HOURS):
        if place[0] not in often:
            table = Timetable.of(phase.rule, phase.identity, "UTC")
            first = table.next(_BEGIN)
            second = None if first is None else table.next(first)
            template = compiled(phase.template)
            often[place[0]] = (
                first is not None and second is not None and second - first < timedelta(hours=1)
                and not template.has_unique and "{host" not in phase.template.lower()
            )  # fmt: skip
        if often[place[0]]:
            yield place


def _scheduler_runs(bus: Bus) -> bool | None:
    return any(each.kind == "taskmaster" and each.alive for each in bus.presences())


def _spans(told: Iterable[Decision]) -> dict[str, list[Told]]:
    spans: dict[str, list[Told]] = {}
    for each in told:
        first = instant_of_slot(each.cause, each.phase)
        if first is None or each.kind == "batch":
            continue
        last = time_of(each.last_us) if each.last_us else first
        spans.setdefault(each.phase, []).append(
            Told(first, max(first, last), each.kind == "skipped", _reason(each.text))
        )
    return spans


def instant_of_slot(slot: str, phase: str) -> datetime | None:
    """Return the planned instant of the slot of a tick of that phase; None for any other slot."""
    head = f"tick:{phase}:"
    if not slot.startswith(head):
        return None
    try:
        time = datetime.fromisoformat(slot.removeprefix(head))
    except ValueError:
        return None
    return time if time.tzinfo is not None else None


def _reason(text: str) -> str:
    """Return the reason out of the words about starts that were left out."""
    _, mark, rest = text.partition(" did not start at ")
    return rest.partition(": ")[2] or text if mark else text


def _lacking_times(history: History, start: Expected, whole: int) -> list[datetime]:
    """Return the data times of those tasks of a batch that history does not have."""
    numbered = Numbered(start.slot, _BEGIN)
    keys = [numbered.dispatch_key(n) for n in range(whole)]
    there = known_keys(history, keys)
    times = times_of(start)
    rows = max(whole // max(len(times), 1), 1)
    return sorted(
        {times[n // rows] for n, key in enumerate(keys) if key not in there and n // rows < len(times)}
    )


def _makes_nothing(start: Expected) -> bool:
    try:
        return count(start) == 0
    except (ValueError, OverflowError):
        return False


def _holes(history: History) -> list[tuple[datetime, datetime]]:
    """Return when the journal went unread: up to when it is known where it goes on, from what was known before."""
    holes = []
    for at_us, _, _ in history.gaps():
        rows = history.rows("SELECT max(happened_us) FROM tasks WHERE happened_us < ?", (at_us,))
        before = next((int(str(value)) for (value,) in rows if value is not None), 0)
        holes.append((time_of(before), time_of(at_us)))
    return holes
