"""What a run of the kill test proves: its figures, the floors below which it proves nothing, the page of the docs."""

from __future__ import annotations

import platform
import sqlite3
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from fault.kill_check import Verdict
from fault.kill_run import Figures, Size

ROOT = Path(__file__).resolve().parents[2]


@dataclass(frozen=True, slots=True)
class Proof:
    """One finished run."""

    size: Size
    verdict: Verdict
    figures: Figures
    integrity: str
    again: str


def figures_of(proof: Proof) -> Iterator[tuple[str, str]]:
    """Yield what is worth knowing, as name and value."""
    verdict, seen, size = proof.verdict, proof.figures, proof.size
    of_workers = max(1, seen.kills["worker"])
    yield "lost", f"{len(verdict.lost)}"
    yield "children or retries doubled", f"{len(verdict.doubled)}"
    yield "tasks that should not be", f"{len(verdict.strange) + len(verdict.torn)}"
    yield "begun before their parent had ended", f"{len(verdict.early)}"
    yield "integrity check of the bus", proof.integrity
    yield "tasks", f"{verdict.tasks:,} from {verdict.roots:,} roots, {verdict.retries:,} of them retries"
    yield "random kills", f"{seen.random_kills:,} (wait status 9)"
    yield "kills at named places", f"{seen.trapped:,}"
    yield "killed", ", ".join(f"{count:,} {kind}s" for kind, count in sorted(seen.kills.items()))
    yield "of them cold `python -m flowlord`", f"{seen.cold:,}"
    yield "worker kills that hit work in hand", f"{seen.in_flight:,} ({seen.in_flight / of_workers:.0%})"
    yield "leases of the dead taken over", f"{seen.lapsed:,}"
    yield "tasks run again after a crash", f"{verdict.again:,} ({verdict.again / max(1, verdict.tasks):.1%})"
    yield "sends killed and repeated", f"{seen.resent:,}"
    contested = seen.actions["taskmaster.done.lost"] + seen.actions["taskmaster.done.duplicate"]
    yield "results contested by taskmasters", f"{contested:,}"
    yield "results dropped by fencing", f"{seen.actions['worker.fenced'] + seen.actions['worker.lost']:,}"
    yield "results decided by each taskmaster", " / ".join(f"{count:,}" for count in _shares(proof))
    yield "left on the bus", f"{sum(seen.left.values())}"
    yield "time", f"{seen.storm_s:.0f} s of kills, {seen.drain_s:.1f} s until all was done"
    yield (
        "rate of kills",
        f"{seen.kills.total() / max(seen.storm_s, 0.1):.1f}/s, {size.workers} workers, {size.taskmasters} taskmasters",
    )
    for line in (*seen.spoilt[:10], *dict.fromkeys(seen.faults[:10])):
        yield "!", line


def shortfalls(proof: Proof) -> list[str]:
    """Tell what was too little for the run to prove anything, or went wrong beside the counting."""
    seen, size, verdict = proof.figures, proof.size, proof.verdict
    floors = {
        "random kills": (seen.random_kills, size.kills),
        "kills of workers": (seen.kills["worker"], size.kills // 3),
        "kills of taskmasters": (seen.kills["taskmaster"], size.kills // 5),
        "restarts": (seen.restarts, size.kills * 4 // 5),  # the last victims have no successor
        "worker kills that hit work in hand": (seen.in_flight, seen.kills["worker"] // 10),
        "leases taken over": (seen.lapsed, size.kills // 20),
        "tasks run again": (verdict.again, size.kills // 20),
        "kills at named places": (seen.trapped, size.kills // 50),
        "cold victims": (seen.cold, 0 if size.plant or size.journal else size.kills // 50),
        "results decided by the lesser taskmaster": (min(_shares(proof)), sum(_shares(proof)) // 20),
    }
    told = [f"{name}: {found}, floor {floor}" for name, (found, floor) in floors.items() if found < floor]
    told += [f"exit: {line}" for line in seen.spoilt]
    if not verdict.lost and any(seen.left.values()):
        told.append(f"left on the bus: {seen.left}")
    return told


def _shares(proof: Proof) -> list[int]:
    return [proof.figures.decided[place] for place in range(proof.size.taskmasters)]


def write_page(page: Path, proof: Proof) -> None:
    """Write the page of the docs that these figures belong to."""
    commit = subprocess.run(
        ["git", "describe", "--always", "--dirty"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
        timeout=10,
    ).stdout.strip()
    rows = "\n".join(f"| {name} | {value} |" for name, value in figures_of(proof) if name != "!")
    mode = proof.size.journal or "the one that flowlord chooses for this engine"
    page.write_text(
        TEXT.format(
            date=datetime.now(UTC).date().isoformat(),
            commit=commit or "not committed yet",
            machine=f"{platform.system()} {platform.machine()}, Python {platform.python_version()}",
            engine=f"SQLite {sqlite3.sqlite_version}, journal mode: {mode}",
            rows=rows,
            again=proof.again,
        ),
        "utf-8",
    )


TEXT = """\
# Proof: killed a thousand times

This page is written by the run that it tells of. Date {date}, commit {commit}; {machine}; {engine}.

| what | found |
|---|---|
{rows}

The same sequence of choices again (the operating system's own timing differs):

```sh
{again}
```

## What is done

Several workers and two taskmasters work on one SQLite bus, all of them the shipped commands in processes of their own.
At random times one of them gets signal 9, at random moments of its work, and its successor starts at once; some more
kill themselves at a named place inside a hand-over, such as between the decision and the commit. Most victims are
forked from a process that has everything imported but has opened nothing, because that makes a start cheap; the cold
ones are started as `python -m flowlord`. `flowlord send` is killed as well and repeated with the same `--key`.

Each root task has two children by a meta list, each child a grandchild; a part of all of them fails the first time
and is retried through a delay. Leases last one second, so work of the dead is taken over all the time.

## How it is judged

The judge reads two things only: a log to which every task appends a line when it begins and when it ends, and the list
of what was submitted. It never asks flowlord. What must happen follows from the number of each root by plain
arithmetic.

- **lost**: a task that had to run to its end and did not.
- **doubled**: one child or retry that was dispatched twice, told by two identities (type, job, run, info, created).
  Running the *same* dispatch again after a crash is what "at least once" means; it is counted as "run again".
- A run in which too few kills hit work, too few leases lapsed, or one taskmaster did everything, is no proof: it fails.

## That it can fail

Bugs are planted around the bus of the victims, one at a time, and the run must find each: acknowledging before what
follows is published (loses tasks), publishing before acknowledging and remembering no outcome (doubles children),
retries that wait in memory (loses them). `tests/fault/test_kill.py` runs these with every change, in a small size.
"""
