"""The judge of the kill test: reads the execution log and the list of what was submitted, and nothing else.

lost      a task that must have run to its end and did not
doubled   a task that was dispatched twice: two identities (type, job, run, info, created) for one place in the
          workflow. Running one dispatch again after a crash is allowed, and counted.
strange   a task that should not be there at all, or that belongs to another run than its root
early     a task that began before what it follows from had ended
history   what the history tells otherwise than the log (kill_history.py)
unleased  a result that was accepted although its attempt had lost the lease

How that last one is told without asking anybody: each attempt has a name, and what follows from a result (children, a
retry) carries the name of the attempt that was accepted. An attempt that counts more deliveries was claimed later, and
a claim is possible only while nothing was accepted; so once an attempt is accepted there is none after it. If the log
holds a later one, the earlier had lost its lease to it before its result was taken. And as one result is accepted for
each dispatch, all that follows from it must carry the same name. What follows from no result of its own (the last task
of a chain that went well) leaves no such trace.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import NamedTuple

from fault.kill_flow import TICK, Slot, parent_of, seconds_between, slots_of

FAULTS = ("lost", "doubled", "strange", "early", "unleased", "torn", "history")


class Line(NamedTuple):
    """One line of the execution log; `verb` is start, end, failed or left (taken away from its worker)."""

    verb: str
    who: int
    at_ns: int
    key: str
    run: str
    slot: Slot
    created: str
    deliveries: int
    name: str = ""
    """Of this attempt."""
    cause: str = ""
    """The attempt whose result brought this dispatch about; nothing for what was submitted."""


@dataclass(slots=True)
class Seen:
    """What the log tells of one place in the workflow."""

    dispatches: set[tuple[str, str]] = field(default_factory=set)  # run, created
    starts: int = 0
    begun_ns: int = 0
    ended_ns: int = 0
    attempts: dict[str, tuple[str, int]] = field(default_factory=dict)  # name: created, deliveries
    causes: set[str] = field(default_factory=set)
    keys: set[str] = field(default_factory=set)


class Log:
    """The execution log as far as it was read."""

    def __init__(self) -> None:
        self.seen: dict[Slot, Seen] = defaultdict(Seen)
        self.ticks: dict[str, Seen] = defaultdict(Seen)
        """What the clock started, by its second: not a part of the work that has an end."""
        self.ended = 0
        self.lines = self.ticked = 0  # lines of the chain, and of the clock
        self.torn: list[str] = []
        self.open: dict[int, int] = defaultdict(int)
        """How many tasks each process had begun and not ended when it wrote its last line."""
        self.bereft: set[int] = set()
        """Processes of whose tasks some was begun again by another: what they had done did not count any more."""
        self._last: dict[tuple[Slot, str], int] = {}
        self.redelivered = 0
        self._rest = ""

    def take(self, text: str) -> None:
        """Read on; the last piece may be half a line."""
        *lines, self._rest = (self._rest + text).split("\n")
        for line in lines:
            try:
                self._take(parse(line))
            except ValueError:
                self.torn.append(line)

    def _take(self, line: Line) -> None:
        is_tick = line.slot.type == TICK
        self.lines += not is_tick
        self.ticked += is_tick
        seen = self.ticks[line.slot.info] if is_tick else self.seen[line.slot]
        seen.dispatches.add((line.run, line.created))
        seen.keys.add(line.key)
        if line.verb == "start":
            seen.starts += 1
            seen.attempts[line.name] = (line.created, line.deliveries)
            seen.causes.add(line.cause)
            seen.begun_ns = seen.begun_ns or line.at_ns
            self.open[line.who] += 1
            dispatch = (line.slot, line.created)
            before = self._last.get(dispatch, line.who)
            if before != line.who:
                self.bereft.add(before)
            self._last[dispatch] = line.who
            self.redelivered += line.deliveries > 1
        else:
            self.open[line.who] -= 1
            if line.verb != "left" and not seen.ended_ns:
                seen.ended_ns = line.at_ns
                self.ended += not is_tick


@dataclass(slots=True)
class Verdict:
    """What was found; the lists name places in the workflow."""

    tasks: int = 0
    roots: int = 0
    retries: int = 0
    executions: int = 0
    lost: list[str] = field(default_factory=list)
    doubled: list[str] = field(default_factory=list)
    strange: list[str] = field(default_factory=list)
    early: list[str] = field(default_factory=list)
    unleased: list[str] = field(default_factory=list)
    torn: list[str] = field(default_factory=list)
    history: list[str] = field(default_factory=list)
    ticks: int = 0
    traced: int = 0
    """Dispatches whose accepted attempt is known."""
    outlived: int = 0
    """Those of them that had more than one attempt: where an old one could have been accepted."""

    @property
    def is_clean(self) -> bool:
        """Nothing lost, nothing doubled, nothing that should not be."""
        return not any(getattr(self, name) for name in FAULTS)

    @property
    def again(self) -> int:
        """Executions beyond the first of each task."""
        return max(0, self.executions - self.tasks)


def parse(line: str) -> Line:
    """Read one line of the log; raises ValueError when it is none."""
    verb, who, at_ns, key, run, type_, job, info, created, attempt, deliveries, name, cause = line.split("\t")
    if verb not in {"start", "end", "failed", "left"}:
        raise ValueError(verb)
    slot = Slot(type_, job, info, int(attempt))
    return Line(verb, int(who), int(at_ns), key, run, slot, created, int(deliveries), name, cause)


def judge(log: Log, submitted: Iterable[int], held_up: Iterable[str] = ()) -> Verdict:
    """Compare what ran with what must have run; `held_up` are the seconds that a person wanted no task of."""
    verdict = Verdict(torn=list(log.torn))
    expected: set[Slot] = set()
    accepted: dict[Slot, set[str]] = defaultdict(set)
    for n in submitted:
        verdict.roots += 1
        runs: set[str] = set()
        for slot in slots_of(n):
            expected.add(slot)
            verdict.tasks += 1
            verdict.retries += bool(slot.attempt)
            seen = log.seen.get(slot)
            if seen is None or not seen.ended_ns:
                verdict.lost.append(f"{told(slot)}: {'never ran' if seen is None else 'never ended'}")
                continue
            verdict.executions += seen.starts
            runs.update(run for run, _ in seen.dispatches)
            if len(seen.dispatches) > 1:
                verdict.doubled.append(f"{told(slot)}: {sorted(created for _, created in seen.dispatches)}")
            parent = parent_of(slot)
            before = log.seen.get(parent) if parent else None
            if parent:
                accepted[parent] |= seen.causes
            if parent and (before is None or not 0 < before.ended_ns < seen.begun_ns):
                verdict.early.append(f"{told(slot)} began before {told(parent)} had ended")
        if len(runs) > 1:
            verdict.strange.append(f"root {n} is spread over {len(runs)} runs")
    for slot, names in accepted.items():
        _judge_accepted(verdict, slot, names, log.seen[slot])
    verdict.strange += [f"{told(slot)} should not be" for slot in log.seen if slot not in expected]
    _judge_ticks(verdict, log.ticks, frozenset(held_up))
    return verdict


def _judge_ticks(verdict: Verdict, ticks: dict[str, Seen], held_up: frozenset[str]) -> None:
    """Tell which seconds between the first and the last that ran did not run, or ran as two tasks."""
    if not ticks:
        return
    for info in seconds_between(min(ticks), max(ticks)):
        verdict.ticks += 1
        seen = ticks.get(info)
        if seen is None and info in held_up:
            continue
        if seen is None or not seen.ended_ns:
            verdict.lost.append(f"tick {info}: {'never ran' if seen is None else 'never ended'}")
        elif len(seen.dispatches) > 1:
            verdict.doubled.append(f"tick {info}: {sorted(created for _, created in seen.dispatches)}")


def _judge_accepted(verdict: Verdict, slot: Slot, names: set[str], seen: Seen) -> None:
    """Tell whether `names`, which what follows from `slot` carries, can have held the lease when they were accepted."""
    verdict.traced += 1
    verdict.outlived += len(seen.attempts) > 1
    if len(names) > 1:
        verdict.unleased.append(
            f"{told(slot)}: results of {len(names)} attempts were accepted, {sorted(names)}"
        )
    for name in sorted(names):
        if name not in seen.attempts:
            verdict.strange.append(f"what follows from {told(slot)} names {name!r}, which never ran it")
            continue
        created, deliveries = seen.attempts[name]
        later = [
            other for other, (of, count) in seen.attempts.items() if of == created and count > deliveries
        ]
        if later:
            verdict.unleased.append(
                f"{told(slot)}: {name} was accepted after {', '.join(later)} had taken it over"
            )


def told(slot: Slot) -> str:
    """Name a place in the workflow for people."""
    name = f"{slot.type}:{slot.job}" if slot.job else slot.type
    return f"{name} {slot.info}" + (f" (attempt {slot.attempt + 1})" if slot.attempt else "")
