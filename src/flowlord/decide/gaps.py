"""Starts that should have been and were not, each with its reason, joined into ranges. Pure: evidence in, gaps out."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime

from flowlord.decide.context import Context
from flowlord.decide.expand import info_of, own_values
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
BACKLOADED = "backloaded"  # did not start, and a backload made up for it
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
    tasks were made, with how many; `backloaded` how many tasks backloads made, by phase and data time; `infos` which
    ones those were, of phases that start several times in an hour. `marks` are the
    last decided instants, `held` how many open tasks hold back the next start of a phase, `alive` whether a scheduler
    runs: None when nobody could be asked.
    """

    told: Mapping[str, Sequence[Told]] = field(default_factory=dict)
    alerts: Mapping[str, str] = field(default_factory=dict)
    batches: Mapping[str, str] = field(default_factory=dict)
    made: Mapping[str, int] = field(default_factory=dict)
    backloaded: Mapping[tuple[str, str], int] = field(default_factory=dict)
    infos: Mapping[tuple[str, str], Counter[str]] = field(default_factory=dict)
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
    phase: Phase | None = None
    for start in starts:
        number += 1
        if start.phase is not phase:
            phase = start.phase
            if phase.identity != identity:
                number, identity = 0, phase.identity
        if start.slot in rows:
            yield number, start, tuple(rows[start.slot])
        elif not known(start):
            yield number, start, _times(start)


def unfilled(found: Iterable[Lacking], evidence: Evidence) -> Iterator[Lacking]:
    """Yield what no backload has made up for: as many of its tasks as lack must be there for a data time."""
    left = dict(evidence.backloaded)
    infos = {place: Counter(some) for place, some in evidence.infos.items()}
    helped = {identity for identity, _ in left}
    rows: dict[str, int] = {}
    for number, start, times in found:
        phase = start.phase
        identity = phase.identity
        if identity not in helped:
            yield number, start, times
            continue
        need = rows.setdefault(identity, rows_at_once(phase) or 1)
        still = []
        for time in times:
            place = (identity, format_hour(time))
            if (
                place in infos
            ):  # several starts share the hour: which of them is told by what the task is about
                info = info_of(
                    phase, start.slot, 0, own_values(phase, time), time, Context(now=start.instant)
                )
                if infos[place][info]:
                    infos[place][info] -= 1
                else:
                    still.append(time)
            elif left.get(place, 0) >= need:
                left[place] -= need
            else:
                still.append(time)
        if still or not times:
            yield number, start, tuple(still)


def gaps(found: Iterable[Lacking], evidence: Evidence) -> list[Gap]:
    """Return the gaps, in the order of phases and times; neighbours with one reason are one gap."""
    joined: list[list[Lacking]] = []
    reasons: list[tuple[str, str]] = []
    about: _About | None = None
    number, identity = -1, ""
    for each in found:
        phase = each[1].phase
        if about is None or phase is not about.phase:  # a phase that was changed is one of the same name
            about = _About.of(phase, evidence)
        reason = _reason(each[1], about, evidence)
        if joined and reasons[-1] == reason and number + 1 == each[0] and identity == about.identity:
            joined[-1].append(each)
        else:
            joined.append([each])
            reasons.append(reason)
        number, identity = each[0], about.identity
    return [_gap(some, *reason) for some, reason in zip(joined, reasons, strict=True)]


def joined(starts: Iterable[Expected], kinds: Mapping[str, str]) -> list[Gap]:
    """Return the starts whose slots have a kind, neighbours of one kind as one."""
    found: list[tuple[str, list[Lacking]]] = []
    identity, number = "", -1
    for at, start in enumerate(starts):
        kind = kinds.get(start.slot)
        if kind is None:
            continue
        each = (at, start, _times(start))
        if found and found[-1][0] == kind and (identity, number + 1) == (start.phase.identity, at):
            found[-1][1].append(each)
        else:
            found.append((kind, [each]))
        identity, number = start.phase.identity, at
    return [_gap(some, kind, "") for kind, some in found]


def _gap(some: Sequence[Lacking], kind: str, why: str) -> Gap:
    first, last = some[0][1], some[-1][1]
    times = tuple(sorted({time for _, _, times in some for time in times}))
    return Gap(first.phase, kind, why, first.instant, last.instant, len(some), times, first.slot)


def batch_of(start: Expected) -> str:
    """Return the batch that the tasks of a start belong to, when it makes several."""
    return run_id(start.slot)


def reason_of(start: Expected, evidence: Evidence) -> tuple[str, str]:
    """Return the kind of a start that is not there, and why it is not."""
    return _reason(start, _About.of(start.phase, evidence), evidence)


@dataclass(frozen=True, slots=True)
class _About:
    """What the evidence says of one phase, made ready for many of its starts.

    `told` is what is recorded of a single instant, `spans` of several, both with their place in the order of telling.
    """

    phase: Phase
    identity: str
    told: Mapping[datetime, tuple[int, Told]]
    spans: Sequence[tuple[int, Told]]

    @classmethod
    def of(cls, phase: Phase, evidence: Evidence) -> _About:
        identity = phase.identity
        every = list(enumerate(evidence.told.get(identity, ())))
        told: dict[datetime, tuple[int, Told]] = {}
        for at, each in every:
            if each.first == each.last:
                told.setdefault(each.first.astimezone(UTC), (at, each))
        spans = [(at, each) for at, each in every if each.first != each.last]
        return cls(phase, identity, told, spans)

    def at(self, instant: datetime) -> Told | None:
        """Return what was told first of the starts at an instant."""
        found = self.told.get(instant.astimezone(UTC))  # a time that its zone has twice equals none elsewhere
        for at, each in self.spans:
            if found is not None and found[0] < at:
                break
            if each.first <= instant <= each.last:
                return each
        return found[1] if found else None


def _reason(start: Expected, about: _About, evidence: Evidence) -> tuple[str, str]:
    told = about.at(start.instant) if about.told or about.spans else None
    if told is None and (text := evidence.alerts.get(start.slot)):
        return FAILED, text
    if start.slot in evidence.made:
        said = evidence.batches.get(start.slot, "its batch has not come to its end")
        return PARTIAL, said
    if told:
        return (SKIPPED, told.reason) if told.wanted else (MISSED, f"{LATE}: {told.reason}")
    mark = evidence.marks.get(about.identity)
    if mark is not None and start.instant <= mark:
        return MISSING, _unrecorded(start, evidence)
    if pause := evidence.paused.phase(about.phase, start.instant):
        return SKIPPED if not pause.catchup else WAITS, pause.words
    if open_tasks := evidence.held.get(about.identity, 0):
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


def _times(start: Expected) -> tuple[datetime, ...]:
    try:
        return tuple(times_of(start))
    except (ValueError, OverflowError):
        return ()
