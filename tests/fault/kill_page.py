"""The page of the docs that the kill test writes: a part for each bus, each by the run that it tells of."""

from __future__ import annotations

import platform
import re
import subprocess
from datetime import UTC, datetime
from pathlib import Path

from fault.kill_proof import Proof, figures_of
from fault.kill_size import REDIS, SQLITE

ROOT = Path(__file__).resolve().parents[2]
TITLES = {SQLITE: "The embedded bus", REDIS: "Redis"}


def write_page(page: Path, proof: Proof) -> None:
    """Write what this run found in the place of what the last one on the same bus did."""
    parts = parts_of(page.read_text("utf-8") if page.exists() else "")
    parts[proof.size.bus] = part_of(proof)
    page.write_text(page_of(parts), "utf-8")


def parts_of(text: str) -> dict[str, str]:
    """Return what a page tells of each bus."""
    found = {}
    for bus, title in TITLES.items():
        part = re.search(rf"(?ms)^## {re.escape(title)}\n\n(.*?)\n(?=## )", text)
        found[bus] = part[1] if part else f"Not run yet: `make kill BUS={bus}`.\n"
    return found


def page_of(parts: dict[str, str]) -> str:
    """Return the whole page."""
    told = "\n".join(f"## {title}\n\n{parts[bus]}" for bus, title in TITLES.items())
    return f"{HEAD}\n{told}\n{REST}"


def _git(*words: str) -> str:
    return subprocess.run(
        ["git", *words], cwd=ROOT, capture_output=True, text=True, check=False, timeout=10
    ).stdout.strip()


def part_of(proof: Proof) -> str:
    """Return what one run has to tell."""
    commit = _git("describe", "--always")
    # A run on the other bus has just written its part of the page: that changes nothing of what is tested.
    if _git("status", "--porcelain", "--untracked-files=no", "--", ".", ":!docs/proof.md"):
        commit += "-dirty"
    return PART.format(
        date=datetime.now(UTC).date().isoformat(),
        commit=commit or "not committed yet",
        machine=f"{platform.system()} {platform.machine()}, Python {platform.python_version()}",
        engine=proof.engine,
        rows="\n".join(f"| {name} | {value} |" for name, value in figures_of(proof) if name != "!"),
        again=proof.again,
    )


HEAD = """\
# Proof: killed thousands of times

Each table is written by the run that it tells of: `make kill` runs one on each bus.
"""

PART = """\
Date {date}, commit {commit}; {machine}; {engine}.

| what | found |
|---|---|
{rows}

The same sequence of choices again (the operating system's own timing differs):

```sh
{again}
```
"""

REST = """\
## What is done

Several workers and taskmasters work on one bus, all of them the shipped commands in processes of their own. At random
times one of them gets signal 9, at random moments of its work, and its successor starts at once; some more kill
themselves at a named place inside a hand-over, such as between the decision and the commit. Most victims are forked
from a process that has everything imported but has opened nothing, because that makes a start cheap; about a hundred
are started as `python -m flowlord`. `flowlord send` is killed as well and repeated with the same `--key`.

Others are stopped (SIGSTOP) at a named place for longer than their leases and then go on: a worker that has done its
task and not yet told so, a taskmaster between its decision and its commit. Somebody else has done their work by then.

On Redis the server is killed too, at every twenty-fifth kill, and started again on the same data, with the append-only
file synced every second and with every write in turn. It keeps its file in memory, where a sync is over at once. With
`everysec` Redis may answer before it has written, as long as a sync is under way; how often that is so depends on the
disk, and the run would measure the disk. [Guarantees](guarantees.md) says what a real disk makes of it.

Each root task has two children by a meta list, each child a grandchild; a part of all of them fails the first time
and is retried through a delay. Leases last a second or less, so work of the dead is taken over all the time. Beside it
a schedule starts a task in each second with `catchup=all`, whoever is dead at the time; it is paused when all is done.

## How it is judged

The judge of the bus reads two things only: a log to which every task appends a line when it begins and when it ends,
and the list of what was submitted. It never asks flowlord. What must happen follows from the number of each root by
plain arithmetic, and of the schedule each second must have run.

- **lost**: a task that had to run to its end and did not.
- **doubled**: one child or retry that was dispatched twice, told by two identities (type, job, run, info, created).
  Running the *same* dispatch again after a crash is what "at least once" means; it is counted as "run again".
- **accepted without a lease**: each attempt at a task has a name, which its children and retries carry on. When a later
  attempt had begun, or two attempts have children, then a result counted whose lease had passed on.
- **told otherwise by the history**: when everybody has left, what `cache export`, `gaps` and `trace` print is held
  against the log and the arithmetic: one row for each dispatch that ran and none besides, ended as it must have, done
  by the attempt that was accepted, following from what it follows from; no gap but the seconds after the pause, and
  those with who paused; the sums of days those of the rows; each record that the journal of the bus has, once; nothing
  behind the bus.
- A run in which too few kills hit work, too few leases lapsed, nobody stood still over his work, or one taskmaster did
  everything, is no proof: it fails.

## That it can fail

Bugs are planted around the bus of the victims, one at a time, and the run must find each: acknowledging before what
follows is published (loses tasks), publishing before acknowledging and remembering no outcome (doubles children),
accepting results whoever holds the lease (doubles them too), retries that wait in memory (loses them). Two lie in what
writes the history: moving its place in the journal before the rows are there, and going by its own place only.
`tests/fault/test_kill.py` runs these with every change, in a small size.
"""
