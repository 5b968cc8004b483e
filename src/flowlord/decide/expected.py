"""What should have started: every planned instant between two times, by the rules that were in force then. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from flowlord.decide.context import Context
from flowlord.decide.expand import count_of, later, rows_of, span_of, utc_text
from flowlord.decide.tick import slots_of
from flowlord.model.workflow import Phase
from flowlord.rules.batch import truncate_hour
from flowlord.rules.timetable import Timetable

_INSTANT = timedelta(microseconds=1)


@dataclass(frozen=True, slots=True)
class Term:
    """A phase as it was in force from `since` on until before `until` (aware); None is for ever."""

    phase: Phase
    since: datetime
    until: datetime | None = None


@dataclass(frozen=True, slots=True)
class Expected:
    """One start that should have been; `instant` is the planned one, aware, in the zone of the rule."""

    phase: Phase
    instant: datetime
    slot: str


def expected(
    terms: Iterable[Term],
    first: datetime,
    last: datetime,
    *,
    zone: str = "",
    marks: Mapping[str, datetime] | None = None,
) -> Iterator[Expected]:
    """Yield the starts that were due from `first` to `last` (aware, both count), term by term, in order of time.

    Args:
        zone: of rules that name none.
        marks: the last instant decided of phases by identity: `@every` keeps its beat from there, and without one
            nobody can tell its instants, so none are yielded.
    """
    known = marks or {}
    for term in terms:
        phase = term.phase
        if not phase.rule.cron or phase.rule.files:
            continue
        table = Timetable.of(phase.rule, phase.identity, zone)
        begin = max(first, term.since)
        end = last - table.delay
        if term.until is not None:
            end = min(end, term.until - _INSTANT)
        after = _before(table, begin, known.get(phase.identity))
        if after is None or begin > end:
            continue
        slots = slots_of(phase)
        for instant in table.upcoming(after):
            if instant > end:
                break
            if instant >= begin:
                yield Expected(phase, instant, f"{slots}{utc_text(instant)}")


def times_of(start: Expected) -> list[datetime]:
    """Return the data times of a start; raises ValueError or OverflowError as the start itself would fail."""
    phase = start.phase
    time = later(start.instant, phase.rule.offset_ns) if phase.rule.offset_ns else start.instant
    if not phase.rule.is_batch:
        return [time]
    return [each for each in span_of(phase, truncate_hour(time)).times() if each is not None]


def rows_at_once(phase: Phase) -> int | None:
    """Return how many rows each data time of a start has; None when only a meta-file can tell."""
    if phase.rule.meta_file:
        return None
    rows = rows_of(phase, Context())
    return 1 if rows is None else len(rows.all)


def count(start: Expected) -> int | None:
    """Return how many tasks a start makes; None when only a meta-file can tell. Raises as `times_of` does."""
    phase = start.phase
    if not phase.rule.is_batch:
        return 1
    if phase.rule.meta_file:
        return None
    time = later(start.instant, phase.rule.offset_ns)
    rows = rows_of(phase, Context())
    return count_of(span_of(phase, truncate_hour(time)), rows, phase.rule.batch_limit)


def _before(table: Timetable, begin: datetime, mark: datetime | None) -> datetime | None:
    """Return from where to ask for the next instant, so that `begin` itself counts; None when nobody can tell."""
    every = table.cron.every_ns
    if every is None:
        return begin - _INSTANT
    if mark is None:
        return begin - _INSTANT if table.first is not None and begin <= table.first else None
    beat = timedelta(microseconds=every // 1000)
    return mark + ((begin - mark - _INSTANT) // beat) * beat
