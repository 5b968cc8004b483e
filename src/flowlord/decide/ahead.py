"""What is going to start: the planned instants of all phases in one time line, with what each would send.

Nothing is decided here and nothing sent; infos and counts come from the functions that make the real tasks.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from flowlord.decide.context import Context
from flowlord.decide.expand import HELD, count_of, info_of, later, own_values, rows_of, span_of
from flowlord.decide.recipe import NO_ROW, compiled
from flowlord.decide.tick import slot_of
from flowlord.model.workflow import Phase, Workflows
from flowlord.rules.batch import truncate_hour
from flowlord.rules.cron import Cron
from flowlord.rules.daylight import daylight_note
from flowlord.rules.durations import short_duration
from flowlord.rules.timetable import Timetable

_INSTANT = timedelta(microseconds=1)


@dataclass(frozen=True, slots=True)
class Scheduled:
    """A phase with a schedule. `path` is its file, `mark` the last instant decided for it, None when nobody knows."""

    phase: Phase
    table: Timetable
    path: str
    mark: datetime | None = None

    @property
    def cron(self) -> Cron:
        """Its schedule."""
        return self.table.cron


@dataclass(frozen=True, slots=True)
class Planned:
    """An instant of a phase, before anybody asked what it sends; `ends` when none comes after it."""

    instant: datetime
    of: Scheduled
    ends: bool = False


@dataclass(frozen=True, slots=True)
class Coming:
    """One start to be.

    `instant` is aware, in the zone of the rule; `tasks` how many it sends, 0 when that depends on what arrives; `info`
    that of the first one. `fault` tells why it could not send anything; what is `paused` sends nothing either.
    """

    instant: datetime
    of: Scheduled
    info: str = ""
    tasks: int = 0
    notes: tuple[str, ...] = ()
    fault: str = ""
    paused: bool = False


def scheduled(
    flows: Workflows, zone: str = "", topic: str = "", marks: Mapping[str, datetime] | None = None
) -> list[Scheduled]:
    """Return the phases that have a schedule, in the order of files and lines.

    Args:
        zone: that of rules which name none; empty is UTC.
        topic: only phases of this topic, or of this `topic:job`.
        marks: the last instant decided of each phase, by its identity.
    """
    known = marks or {}
    return [
        Scheduled(
            phase,
            Timetable.of(phase.rule, phase.identity, zone),
            flow.path,
            known.get(phase.identity),
        )
        for _, flow in sorted(flows.by_name.items())
        for phase in flow.phases
        if phase.rule.cron and (not topic or topic in (phase.topic, phase.base_name, phase.name))
    ]


def ahead(entries: Iterable[Scheduled], first: datetime, last: datetime | None) -> Iterator[Planned]:
    """Yield the planned instants of all phases from `first` to `last` (aware, both count) in their order, lazily.

    Without `last` it goes on for as long as any phase starts again.
    """
    # No two are at one instant and of one number, so nothing behind these is compared.
    streams = [_instants(entry, number, first, last) for number, entry in enumerate(entries)]
    for _, _, planned in heapq.merge(*streams):
        yield planned


def coming(planned: Planned, ctx: Context) -> Coming:
    """Return what the phase sends at that instant, as `decide.tick.on_tick` would make it."""
    phase, instant = planned.of.phase, planned.instant
    notes = _notes(planned)
    pause = ctx.paused.phase(phase, instant)
    waits = ctx.paused.topic(phase.topic, instant)
    notes += tuple(each.words for each in (pause, waits) if each)
    paused = pause is not None
    if phase.rule.files:
        notes = ("starts on the files that arrived by then", *notes)
        return Coming(instant, planned.of, notes=notes, paused=paused)
    try:
        info, tasks, more = _first(phase, instant, ctx)
    except (ValueError, OverflowError) as error:
        return Coming(instant, planned.of, notes=notes, fault=str(error), paused=paused)
    if not tasks:
        notes = ("no rows: it sends nothing", *notes)
    elif more:
        notes = ("a large meta-file: at least so many", *notes)
    return Coming(instant, planned.of, info, tasks, notes, paused=paused)


def is_over(entry: Scheduled, first: datetime) -> bool:
    """Tell whether the phase has no start from `first` on, because of its `until`."""
    try:
        return entry.table.is_over(first - _INSTANT)
    except OverflowError:  # nothing was before the very beginning of the calendar
        return False


def _notes(planned: Planned) -> tuple[str, ...]:
    rule, cron = planned.of.phase.rule, planned.of.cron
    found = []
    if note := "" if cron.tz is UTC else daylight_note(cron, planned.instant):
        found.append(note)
    if delay := planned.of.table.delay:
        found.append(f"starts {short_duration(delay // _INSTANT * 1000)} later (jitter)")
    if cron.every_ns is not None and planned.of.mark is None and not rule.first:
        found.append("counted from here; @every counts from the phase's first start")
    if planned.ends:
        found.append(f"the last start: until={rule.until}")
    return tuple(found)


def _instants(
    entry: Scheduled, number: int, first: datetime, last: datetime | None
) -> Iterator[tuple[datetime, int, Planned]]:
    bounded = entry.table.last is not None
    times = entry.table.upcoming(_before(entry, first))
    instant = next(times, None)
    while instant is not None and (last is None or instant <= last):
        following = next(times, None) if bounded else None
        at = instant if instant.tzinfo is UTC else instant.astimezone(UTC)
        yield at, number, Planned(instant, entry, bounded and following is None)
        instant = following if bounded else next(times, None)


def _before(entry: Scheduled, start: datetime) -> datetime:
    """Return from where to ask for the next instant, so that `start` itself counts; `@every` keeps its beat."""
    every = entry.cron.every_ns
    try:
        if every is None:
            return start - _INSTANT
        if entry.mark is None:
            return start
        beat = timedelta(microseconds=every // 1000)
        turns = (start - entry.mark - _INSTANT) // beat
        return entry.mark + max(turns, 0) * beat
    except OverflowError:  # at the very beginning of the calendar
        return start


def _first(phase: Phase, instant: datetime, ctx: Context) -> tuple[str, int, bool]:
    """Return the info of the first task of a start, how many there are, and whether that is only the least.

    Raises:
        ValueError, OverflowError: as the start itself would fail.
    """
    template = compiled(phase.template)
    slot = slot_of(phase, instant) if template.has_unique else ""  # only a task's own token needs it
    time = later(instant, phase.rule.offset_ns) if phase.rule.offset_ns else instant
    if not phase.rule.is_batch:
        values = own_values(phase, time) if template.meta_names else {}
        return info_of(phase, slot, 0, values, time, ctx), 1, False
    begin = truncate_hour(time)
    rows = rows_of(phase, ctx)
    count = count_of(span_of(phase, begin), rows, phase.rule.batch_limit)
    if count == 0:
        return "", 0, False
    row = rows.first if rows else NO_ROW
    info = info_of(phase, slot, 0, {**own_values(phase, begin), **row}, begin, ctx)
    return info, count or HELD + 1, count is None
