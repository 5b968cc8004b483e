"""What is going to start: the planned instants of all phases in one time line, with what each would send.

Nothing is decided here and nothing sent; infos and counts come from the functions that make the real tasks.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, tzinfo

from flowlord.decide.context import Context
from flowlord.decide.expand import HELD, count_of, info_of, later, own_values, rows_of, span_of
from flowlord.decide.recipe import NO_ROW, compiled
from flowlord.decide.tick import slot_of
from flowlord.model.workflow import Phase, Workflows
from flowlord.rules.batch import truncate_hour
from flowlord.rules.bounds import first_instant, last_instant
from flowlord.rules.cron import Cron
from flowlord.rules.daylight import daylight_note
from flowlord.rules.durations import short_duration

_INSTANT = timedelta(microseconds=1)


@dataclass(frozen=True, slots=True)
class Scheduled:
    """A phase with a schedule. `path` is its file, `mark` the last instant decided for it, None when nobody knows."""

    phase: Phase
    cron: Cron
    path: str
    mark: datetime | None = None

    @property
    def zone(self) -> tzinfo:
        """The zone in which its times are meant."""
        return self.cron.tz

    @property
    def last(self) -> datetime | None:
        """The last instant that its `until` allows."""
        until = self.phase.rule.until
        return last_instant(until, self.zone) if until else None


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
    that of the first one. `fault` tells why it could not send anything.
    """

    instant: datetime
    of: Scheduled
    info: str = ""
    tasks: int = 0
    notes: tuple[str, ...] = ()
    fault: str = ""


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
            phase, Cron.parse(phase.rule.cron, phase.rule.tz or zone), flow.path, known.get(phase.identity)
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
    phase = planned.of.phase
    notes = _notes(planned)
    if phase.rule.files:
        return Coming(planned.instant, planned.of, notes=("starts on the files that arrived by then", *notes))
    try:
        info, tasks = _first(phase, planned.instant, ctx)
    except (ValueError, OverflowError) as error:
        return Coming(planned.instant, planned.of, notes=notes, fault=str(error))
    if not tasks:
        notes = ("no rows: it sends nothing", *notes)
    return Coming(planned.instant, planned.of, info, tasks, notes)


def is_over(entry: Scheduled, first: datetime) -> bool:
    """Tell whether the phase has its last start before `first`, because of its `until`."""
    last = entry.last
    return last is not None and last < first


def _notes(planned: Planned) -> tuple[str, ...]:
    rule, cron = planned.of.phase.rule, planned.of.cron
    found = []
    if note := "" if cron.tz is UTC else daylight_note(cron, planned.instant):
        found.append(note)
    if rule.jitter_ns:
        found.append(f"up to {short_duration(rule.jitter_ns)} later (jitter)")
    if cron.every_ns is not None and planned.of.mark is None:
        found.append("counted from here; @every counts from the phase's first start")
    if planned.ends:
        found.append(f"the last start: until={rule.until}")
    return tuple(found)


def _instants(
    entry: Scheduled, number: int, first: datetime, last: datetime | None
) -> Iterator[tuple[datetime, int, Planned]]:
    ends = entry.last
    bound = ends if last is None else last if ends is None else min(last, ends)
    start = first
    if entry.phase.rule.first:
        start = max(start, first_instant(entry.phase.rule.first, entry.zone))
    times = entry.cron.upcoming(_before(entry, start))
    instant = next(times, None)
    while instant is not None and (bound is None or instant <= bound):
        following = next(times, None) if ends is not None else None
        is_last = ends is not None and (following is None or following > ends)
        yield instant.astimezone(UTC), number, Planned(instant, entry, is_last)
        instant = following if ends is not None else next(times, None)


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


def _first(phase: Phase, instant: datetime, ctx: Context) -> tuple[str, int]:
    """Return the info of the first task of a start, and how many there are.

    Raises:
        ValueError, OverflowError: as the start itself would fail.
    """
    template = compiled(phase.template)
    slot = slot_of(phase, instant) if template.has_unique else ""  # only a task's own token needs it
    time = later(instant, phase.rule.offset_ns) if phase.rule.offset_ns else instant
    if not phase.rule.is_batch:
        values = own_values(phase, time) if template.meta_names else {}
        return info_of(phase, slot, 0, values, time, ctx), 1
    begin = truncate_hour(time)
    rows = rows_of(phase, ctx)
    count = count_of(span_of(phase, begin), rows, phase.rule.batch_limit)
    if count == 0:
        return "", 0
    row = rows.first if rows else NO_ROW
    info = info_of(phase, slot, 0, {**own_values(phase, begin), **row}, begin, ctx)
    return info, HELD + 1 if count is None else count  # of a large meta-file: at least so many
