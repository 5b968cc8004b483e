"""What the history tells after a storm, asked for by the shipped commands and held against the log of the tasks.

Three invariants of RELIABILITY: every dispatch came to exactly one end (INV-1), what did not start has a record
(INV-6), and the history agrees with the bus (INV-10). The log says which dispatches there were, whose attempt was
accepted and what followed from it; the arithmetic of the workflow says how each must have ended. `cache export`, `gaps`
and `trace` must tell just that, no more and no less; and the sums of days must be those of the rows.
"""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from fault.kill_check import Log, told
from fault.kill_flow import CLOCK, STAMP, TICK, Slot, fails_once, parent_of, slots_of
from flowlord.model.plan import Fact

Row = Mapping[str, Any]
Ask = Callable[[Sequence[str]], str]
"""Runs `flowlord ARGV` and returns what it printed."""
TRACES = 12
"""Runs that are drawn: each costs a command."""
SUMMED = ("attempts", "ran", "ran_us", "waited", "waited_us")
RECORDS = ("skipped", "missed", "paused", "vanished", "lost", "quarantined")
"""Facts that leave a row among the decisions."""
WANTED = ("skipped", "waits")
"""Kinds of gaps that somebody asked for."""


@dataclass(slots=True)
class Told:
    """What the commands printed: rows of `tasks`, `days` and `gaps`, drawings by root, how far it follows the bus."""

    tasks: list[Row] = field(default_factory=list)
    days: list[Row] = field(default_factory=list)
    gaps: list[Row] = field(default_factory=list)
    traces: dict[int, list[Row]] = field(default_factory=dict)
    holes: list[Row] = field(default_factory=list)
    decisions: list[Row] = field(default_factory=list)
    behind: int = 0
    """Entries of the journal that it lacks."""
    facts: Counter[str] = field(default_factory=Counter)
    """What the journal of the bus holds, by kind."""

    def held_up(self) -> Iterator[str]:
        """Yield the seconds that somebody wanted no tick of, as they are recorded."""
        for gap in self.gaps:
            if gap["kind"] in WANTED:
                yield from _seconds(gap)


def ask(run: Ask, roots: range, until: datetime, facts: Iterable[Fact]) -> Told:
    """Ask everything once everybody has left, at `until` (UTC); `facts` are those of the journal."""

    def rows(*argv: str) -> list[Row]:
        return [json.loads(line) for line in run(argv).splitlines()]

    found = Told(
        rows("cache", "export", "-o", "jsonl"),
        rows("cache", "export", "--table", "days", "-o", "jsonl"),
        rows("gaps", "--grace", "0s", "--until", f"{until:%Y-%m-%dT%H:%M:%SZ}", "-o", "jsonl"),
        holes=rows("cache", "export", "--table", "gaps", "-o", "jsonl"),
        decisions=rows("cache", "export", "--table", "decisions", "-o", "jsonl"),
        behind=json.loads(run(("cache", "status", "-o", "json")))["behind"],
        facts=Counter(str(fact.kind) for fact in facts),
    )
    by_root = {row["info"].partition("?")[0]: row["key"] for row in found.tasks if row["type"] == "root"}
    for n in roots[:: max(1, len(roots) // TRACES)]:
        if key := by_root.get(f"{n}"):
            found.traces[n] = _flat(json.loads(run(("trace", key, "-o", "json"))))
    return found


def disagreements(log: Log, roots: Iterable[int], found: Told) -> list[str]:
    """Return what the history tells otherwise than the log and the arithmetic; nothing when all is well."""
    by_slot: dict[Slot, list[Row]] = defaultdict(list)
    for row in found.tasks:
        by_slot[_slot(row)].append(row)
    wrong = [f"history is {found.behind} entries behind the bus"] * bool(found.behind)
    wrong += [f"history has a hole: {hole}" for hole in found.holes]
    expected: set[Slot] = set()
    for n in roots:
        for slot in slots_of(n):
            expected.add(slot)
            wrong += _of_slot(log, slot, by_slot)
        if n in found.traces:
            wrong += _of_trace(n, found.traces[n])
    wrong += [
        f"history tells of {told(slot)}, which should not be" for slot in by_slot if _is_odd(slot, expected)
    ]
    wrong += _of_ticks(log, by_slot, found.gaps)
    return [*wrong, *_of_days(found), *_of_records(found)]


def _of_slot(log: Log, slot: Slot, by_slot: Mapping[Slot, Sequence[Row]]) -> Iterator[str]:
    """Compare one place in the workflow: its one row, how it ended, who was accepted, and what it follows from."""
    rows, seen = by_slot.get(slot, ()), log.seen.get(slot)
    if len(rows) != 1:
        yield f"history has {len(rows)} rows of {told(slot)}"
        return
    [row] = rows
    if seen is None:
        yield f"history tells of {told(slot)}, which never ran"
        return
    again = by_slot.get(slot._replace(attempt=slot.attempt + 1), ())
    state = "retried" if fails_once(slot.type, slot.info) and not slot.attempt else "complete"
    if row["state"] != state:
        yield f"history has {told(slot)} as {row['state']}, and it is {state}"
    if state == "retried" and [each["cause"] for each in again] != [f"retry:{row['key']}"]:
        yield f"history does not tell that {told(slot)} was tried again"
    if {row["key"]} != seen.keys or {(row["id"], row["created"])} != seen.dispatches:
        yield f"history has another dispatch of {told(slot)} than ran: {row['key']}, {sorted(seen.keys)}"
    name = dict(pair.split("=", 1) for pair in row["meta"].split("&") if "=" in pair).get("by", "")
    if name not in seen.attempts:
        yield f"history says that {name!r} did {told(slot)}, and it was one of {sorted(seen.attempts)}"
    elif seen.attempts[name][1] != row["deliveries"]:
        yield f"history counts {row['deliveries']} deliveries of {told(slot)}, and {name} was {seen.attempts[name][1]}"
    parent = parent_of(slot)
    if parent is None:
        return
    before = by_slot.get(parent, ())
    cause = f"{'retry' if slot.attempt else 'done'}:{before[0]['key']}" if before else ""
    if row["cause"] != cause:
        yield f"history says that {told(slot)} follows from {row['cause']}, and it is {cause or 'nothing it knows'}"
    elif seen.causes != {_by(before[0])}:
        yield f"history has {_by(before[0])} as who did {told(parent)}, and {sorted(seen.causes)} was accepted"


def _of_ticks(log: Log, by_slot: Mapping[Slot, Sequence[Row]], gaps: Sequence[Row]) -> Iterator[str]:
    """Each second that ran has one row that is complete; a gap is a second that did not run, with a reason."""
    for info, seen in sorted(log.ticks.items()):
        rows = by_slot.get(Slot(TICK, "", info, 0), ())
        if [(row["state"], row["key"]) for row in rows] != [("complete", key) for key in seen.keys]:
            yield f"history has tick {info} as {[(row['state'], row['key']) for row in rows]}, and {seen.keys} ran"
    for gap in gaps:
        if gap["kind"] not in WANTED or not gap["why"] or gap["workflow"] != CLOCK:
            yield f"gaps: {gap['task']} {gap['first']} to {gap['last']}: {gap['kind']}, {gap['why']}"
        for info in _seconds(gap):
            if by_slot.get(Slot(TICK, "", info, 0)):
                yield f"gaps has tick {info} as {gap['kind']}, and there is a task of it"


def _of_trace(n: int, nodes: Sequence[Row]) -> Iterator[str]:
    """The drawing of a run holds each of its tasks once, with all of its tries, and nothing that waits."""
    drawn = Counter(
        (node["task"], node["info"].partition("?")[0], node["tries"]) for node in nodes if node["key"]
    )
    last = {(slot.type, slot.job, slot.info): slot.attempt + 1 for slot in slots_of(n)}
    must = Counter(
        (f"{type_}:{job}" if job else type_, info, tries) for (type_, job, info), tries in last.items()
    )
    if drawn != must:
        yield f"trace of root {n} draws {sorted((drawn - must).elements())} and not {sorted((must - drawn).elements())}"
    yield from (
        f"trace of root {n} draws {node['task']} as {node['state']}"
        for node in nodes
        if node["key"] and node["state"] != "complete"
    )
    yield from (
        f"trace of root {n}: {node['task']} {node['reason']}" for node in nodes if node["kind"] == "waits"
    )


def _of_days(found: Told) -> Iterator[str]:
    """The sums of days are those of the rows that have ended."""
    summed: dict[tuple[str, ...], Counter[str]] = defaultdict(Counter)
    for row in found.days:
        summed[row["topic"], row["type"], row["job"], row["state"]].update(
            {name: row[name] for name in SUMMED}
        )
    counted: dict[tuple[str, ...], Counter[str]] = defaultdict(Counter)
    for row in found.tasks:
        if row["state"] not in ("waiting", "later"):
            ran, waited = row["run_us"], row["queue_us"]
            counted[row["topic"], row["type"], row["job"], row["state"]].update(
                {"attempts": 1, "ran": ran > 0, "ran_us": ran, "waited": waited > 0, "waited_us": waited}
            )
    for slot in sorted(summed.keys() | counted.keys()):
        if +summed[slot] != +counted[slot]:
            yield f"days of {slot}: {dict(+summed[slot])}, and the rows make {dict(+counted[slot])}"


def _of_records(found: Told) -> Iterator[str]:
    """Whatever the bus told beside tasks is there as often as it was told."""
    counted = Counter(row["kind"] for row in found.decisions)
    for kind in RECORDS:
        if counted[kind] != found.facts[kind]:
            yield f"history has {counted[kind]} records of kind {kind}, and the journal {found.facts[kind]}"
    lost = sum(row["lost"] for row in found.tasks)
    if lost != found.facts["lost"]:
        yield f"history counts {lost} attempts as lost with their workers, and the journal {found.facts['lost']}"


def _is_odd(slot: Slot, expected: set[Slot]) -> bool:
    return slot not in expected and slot.type != TICK


def _slot(row: Row) -> Slot:
    return Slot(row["type"], row["job"], row["info"].partition("?")[0], row["number"] - 1)


def _by(row: Row) -> str:
    return dict(pair.split("=", 1) for pair in row["meta"].split("&") if "=" in pair).get("by", "")


def _seconds(gap: Row) -> Iterator[str]:
    at, last = (datetime.fromisoformat(gap[name]) for name in ("first", "last"))
    while at <= last:
        yield f"{at:{STAMP}}"
        at += timedelta(seconds=1)


def _flat(nodes: Iterable[dict[str, Any]]) -> list[Row]:
    found: list[Row] = []
    waiting = [*nodes]
    while waiting:
        node = waiting.pop()
        waiting += node.pop("children")
        found.append(node)
    return found
