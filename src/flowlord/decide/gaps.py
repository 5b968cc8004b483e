"""Starts that should have been and were not, each with its reason, joined into ranges. Pure: evidence in, gaps out."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from flowlord.decide.expected import Expected, rows_at_once, times_of
from flowlord.decide.keys import run_id
from flowlord.model.paused import NOTHING, Paused
from flowlord.model.workflow import Phase
from flowlord.rules.moments import format_hour

MISSING = "missing"  # nothing tells of it
MISSED = "missed"  # recorded as not started
SKIPPED = "skipped"  # left out because a rule or a person wanted it so
WAITS = "waits"  # held back, and will start
FAILED = "failed"  # could not be made
PARTIAL = "partial"  # some of its tasks were made
WANTED = frozenset({SKIPPED, WAITS})
"""Kinds that are as somebody wanted it."""
LATE = "no scheduler was running"


@dataclass(frozen=True, slots=True)
class Told:
    """What was recorded of the starts of a phase from `first` to `last`: `wanted` when somebody asked for it."""

    first: datetime
    last: datetime
    wanted: bool
    reason: str


@dataclass(frozen=True, slots=True)
class Evidence:
    """What history and the bus know.

    `told` is by phase; `alerts` and `batches` (what was last said of a batch) by slot; `made` are slots of which some
    tasks were made, with how many; `backloaded` how many tasks backloads made, by phase and data time. `marks` are the
    last decided instants, `held` how many open tasks hold back the next start of a phase, `alive` whether a scheduler
    runs: None when nobody could be asked.
    """

    told: Mapping[str, Sequence[Told]] = field(default_factory=dict)
    alerts: Mapping[str, str] = field(default_factory=dict)
    batches: Mapping[str, str] = field(default_factory=dict)
    made: Mapping[str, int] = field(default_factory=dict)
    backloaded: Mapping[tuple[str, str], int] = field(default_factory=dict)
    marks: Mapping[str, datetime] = field(default_factory=dict)
    held: Mapping[str, int] = field(default_factory=dict)
    paused: Paused = NOTHING
    alive: bool | None = None
    holes: Sequence[tuple[datetime, datetime]] = ()


@dataclass(frozen=True, slots=True)
class Gap:
    """Starts of one phase that follow each other and lack for one reason; `times` are their data times, in order.

    `starts` counts planned instants, from `first` to `last`.
    """

    phase: Phase
    kind: str
    why: str
    first: datetime
    last: datetime
    starts: int
    times: tuple[datetime, ...]
    slot: str = ""

    @property
    def is_wanted(self) -> bool:
        """Whether it is as somebody wanted it."""
        return self.kind in WANTED


Lacking = tuple[int, Expected, tuple[datetime, ...]]
"""A start with its number among those of its phase, and the data times that lack."""


def lacking(
    starts: Iterable[Expected],
    known: Callable[[Expected], bool],
    rows: Mapping[str, Sequence[datetime]],
) -> Iterator[Lacking]:
    """Yield the starts that left no task behind, and those of which some tasks lack.

    Args:
        known: whether history has the task of a start, or all it could say of its batch.
        rows: the data times that lack of a batch that was made in part, by slot.
    """
    number, identity = 0, ""
    for start in starts:
        number = number + 1 if start.phase.identity == identity else 0
        identity = start.phase.identity
        if start.slot in rows:
            yield number, start, tuple(rows[start.slot])
        elif not known(start):
            yield number, start, _times(start)


def unfilled(found: Iterable[Lacking], evidence: Evidence) -> Iterator[Lacking]:
    """Yield what no backload has made up for: as many of its tasks as lack must be there for a data time."""
    left = dict(evidence.backloaded)
    rows: dict[str, int] = {}
    for number, start, times in found:
        phase = start.phase
        need = rows.setdefault(phase.identity, rows_at_once(phase) or 1)
        still = []
        for time in times:
            place = (phase.identity, format_hour(time))
            if left.get(place, 0) >= need:
                left[place] -= need
            else:
                still.append(time)
        if still or not times:
            yield number, start, tuple(still)


def gaps(found: Iterable[Lacking], evidence: Evidence) -> list[Gap]:
    """Return the gaps, in the order of phases and times; neighbours with one reason are one gap."""
    joined: list[list[Lacking]] = []
    reasons: list[tuple[str, str]] = []
    for each in found:
        reason = reason_of(each[1], evidence)
        before = joined[-1][-1] if joined else None
        if (
            before is not None
            and reasons[-1] == reason
            and before[0] + 1 == each[0]
            and before[1].phase.identity == each[1].phase.identity
        ):
            joined[-1].append(each)
        else:
            joined.append([each])
            reasons.append(reason)
    return [_gap(some, *reason) for some, reason in zip(joined, reasons, strict=True)]


def _gap(some: Sequence[Lacking], kind: str, why: str) -> Gap:
    first, last = some[0][1], some[-1][1]
    times = tuple(sorted({time for _, _, times in some for time in times}))
    return Gap(first.phase, kind, why, first.instant, last.instant, len(some), times, first.slot)


def batch_of(start: Expected) -> str:
    """Return the batch that the tasks of a start belong to, when it makes several."""
    return run_id(start.slot)


def reason_of(start: Expected, evidence: Evidence) -> tuple[str, str]:
    """Return the kind of a start that is not there, and why it is not."""
    phase = start.phase
    if text := evidence.alerts.get(start.slot):
        told = _span_of(start, evidence)
        if told is None:
            return FAILED, text
    if start.slot in evidence.made:
        said = evidence.batches.get(start.slot, "its batch has not come to its end")
        return PARTIAL, said
    if told := _span_of(start, evidence):
        return (SKIPPED, told.reason) if told.wanted else (MISSED, f"{LATE}: {told.reason}")
    mark = evidence.marks.get(phase.identity)
    if mark is not None and start.instant <= mark:
        return MISSING, _unrecorded(start, evidence)
    if pause := evidence.paused.phase(phase, start.instant):
        return SKIPPED if not pause.catchup else WAITS, pause.words
    if open_tasks := evidence.held.get(phase.identity, 0):
        return WAITS, f"overlap=queue, and {open_tasks} open tasks of an earlier start come first"
    if evidence.alive is None:
        return MISSING, "history tells of no start and of no reason, and the bus could not be asked"
    if not evidence.alive:
        return MISSING, f"{LATE}, and none runs now"
    if mark is None:
        return MISSING, _unrecorded(start, evidence)
    return MISSING, "it was not decided yet, though a scheduler runs: flowlord doctor"


def _unrecorded(start: Expected, evidence: Evidence) -> str:
    for first, last in evidence.holes:
        if first <= start.instant <= last:
            return "history has a hole there: what the journal told was trimmed before it was read"
    return "no record tells why"


def _span_of(start: Expected, evidence: Evidence) -> Told | None:
    for told in evidence.told.get(start.phase.identity, ()):
        if told.first <= start.instant <= told.last:
            return told
    return None


def _times(start: Expected) -> tuple[datetime, ...]:
    try:
        return tuple(times_of(start))
    except (ValueError, OverflowError):
        return ()
