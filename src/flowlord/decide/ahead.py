"""What is going to start: the planned instants of all phases in one time line, with what each would send.

Nothing is decided here and nothing sent; infos and counts come from the functions that make the real tasks.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from operator import itemgetter

import msgspec

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

_TICK = timedelta(microseconds=1)
_FIRST_LOOK = timedelta(seconds=1)
_LONGEST_LOOK = timedelta(days=64)
_LAST = datetime.max.replace(tzinfo=UTC)
_NO_VALUES: Mapping[str, str] = {}
_Instant = tuple[datetime, datetime, bool]
_ENOUGH = 8_000
"""Starts that one look ahead gathers at least, where there are so many: each puts its own into order."""
_MOST = 5_000
"""Instants of one schedule that it gathers at most."""


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


class Planned(msgspec.Struct, frozen=True):
    """An instant of a phase, before anybody asked what it sends; `ends` when none comes after it."""

    instant: datetime
    of: Scheduled
    ends: bool = False


class Coming(msgspec.Struct, frozen=True):
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
    waiting = [line for line in _lines(entries, first) if line.at is not None]
    found: list[tuple[datetime, int, Planned]] = []
    begin, length = first.astimezone(UTC), _FIRST_LOOK
    while waiting or found:
        end = _end(begin, length, [line.at for line in waiting if line.at] or [found[0][0]])
        end = end if last is None else min(end, last)
        for line in waiting:
            instants = line.until(end)
            if (
                len(instants) == _MOST
            ):  # a schedule that begins to be dense: what lies behind is for later looks
                end = instants[-1][0]
            for number, of in line.members:
                found += [(at, number, Planned(instant, of, ends)) for at, instant, ends in instants]
        found.sort(key=itemgetter(0, 1))
        now = bisect_right(found, end, key=itemgetter(0))
        for _, _, planned in found[:now]:
            yield planned
        del found[:now]
        length = min((end - begin) * 2 if now < _ENOUGH else end - begin, _LONGEST_LOOK)
        begin, length = end, max(length, _FIRST_LOOK)
        waiting = [line for line in waiting if line.at and (last is None or line.at <= last)]


def _end(begin: datetime, length: timedelta, comings: Sequence[datetime]) -> datetime:
    """Return up to when to look next: there is something to be found."""
    try:
        return max(begin + length, min(comings))
    except OverflowError:  # the end of the calendar
        return _LAST


def teller(entry: Scheduled, ctx: Context) -> Callable[[Planned], Coming]:
    """Return what `coming` is for one phase, from what all its starts have in common; sooner for the usual phase."""
    usual = info_alone(entry, ctx)
    if usual is None:
        return lambda planned: coming(planned, ctx)

    def told(planned: Planned) -> Coming:
        info = usual(planned.instant)
        return coming(planned, ctx) if info is None else Coming(planned.instant, entry, info, 1)

    return told


def info_alone(entry: Scheduled, ctx: Context) -> Callable[[datetime], str | None] | None:
    """Return what makes the info of a start out of its instant, when that is all there is to tell of each: one task.

    None for a phase of which there is more to tell; the function returns None for a start that fails.
    """
    rule, template = entry.phase.rule, compiled(entry.phase.template)
    is_usual = not (
        rule.files
        or rule.is_batch
        or rule.until
        or ctx.paused.pauses
        or template.meta_names
        or template.has_unique
        or entry.table.delay
        or entry.cron.tz is not UTC
        or entry.cron.every_ns is not None
    )
    if not is_usual:
        return None
    moved, render, host = timedelta(microseconds=rule.offset_ns // 1000), template.render, ctx.host

    def info(instant: datetime) -> str | None:
        try:
            return render(instant + moved, _NO_VALUES, host=host)
        except (ValueError, OverflowError):
            return None

    return info


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
        return entry.table.is_over(first - _TICK)
    except OverflowError:  # nothing was before the very beginning of the calendar
        return False


def _notes(planned: Planned) -> tuple[str, ...]:
    rule, cron = planned.of.phase.rule, planned.of.cron
    found = []
    if note := "" if cron.tz is UTC else daylight_note(cron, planned.instant):
        found.append(note)
    if delay := planned.of.table.delay:
        found.append(f"starts {short_duration(delay // _TICK * 1000)} later (jitter)")
    if cron.every_ns is not None and planned.of.mark is None and not rule.first:
        found.append("counted from here; @every counts from the phase's first start")
    if planned.ends:
        found.append(f"the last start: until={rule.until}")
    return tuple(found)


class _Line:
    """The instants of phases that have the same schedule; `members` are these with their numbers.

    `at` is the next instant in UTC, None when there is none any more.
    """

    def __init__(self, entry: Scheduled, first: datetime) -> None:
        self.members: list[tuple[int, Scheduled]] = []
        self._bounded = entry.table.last is not None
        self._utc = entry.cron.tz is UTC
        self._times = entry.table.upcoming(_before(entry, first))
        self._instant = next(self._times, None)
        self.at = self._at(self._instant)

    def until(self, end: datetime) -> list[_Instant]:
        """Take some instants up to `end`: each in UTC, in the zone of the rule, and whether it is the last."""
        found: list[_Instant] = []
        at, instant = self.at, self._instant
        while at is not None and instant is not None and at <= end and len(found) < _MOST:
            following = next(self._times, None)
            found.append((at, instant, self._bounded and following is None))
            instant = following
            at = instant if self._utc else self._at(instant)
        self.at, self._instant = at, instant
        return found

    def _at(self, instant: datetime | None) -> datetime | None:
        return instant and (instant if instant.tzinfo is UTC else instant.astimezone(UTC))


def _lines(entries: Iterable[Scheduled], first: datetime) -> Iterable[_Line]:
    """Return the lines of all phases: thousands of them have the same few schedules."""
    lines: dict[object, _Line] = {}
    for number, entry in enumerate(entries):
        cron, table = entry.cron, entry.table
        key = (
            cron.text,
            cron.zone,
            table.first,
            table.last,
            entry.mark if cron.every_ns is not None else None,
        )
        line = lines.get(key)
        if line is None:
            line = lines[key] = _Line(entry, first)
        line.members.append((number, entry))
    return lines.values()


def _before(entry: Scheduled, start: datetime) -> datetime:
    """Return from where to ask for the next instant, so that `start` itself counts; `@every` keeps its beat."""
    every = entry.cron.every_ns
    try:
        if every is None:
            return start - _TICK
        if entry.mark is None:
            return start
        beat = timedelta(microseconds=every // 1000)
        turns = (start - entry.mark - _TICK) // beat
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
