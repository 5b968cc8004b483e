"""What is measured, beside its floor and its goal, as an aligned table for the terminal and as a page of the docs."""

from __future__ import annotations

import os
import platform
import sqlite3
import subprocess
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path
from statistics import median

from server import version

ROOT = Path(__file__).resolve().parents[1]
PAIRS = 5


@dataclass(frozen=True, slots=True)
class Row:
    """One measure. `met` is None when it has no goal of its own."""

    name: str
    ours: str
    floor: str = ""
    ratio: str = ""
    goal: str = ""
    met: bool | None = None

    @property
    def verdict(self) -> str:
        """`met`, `missed` or nothing."""
        return "" if self.met is None else "met" if self.met else "missed"


def alternately(
    ours: Callable[[], float], floor: Callable[[], float], pairs: int = PAIRS
) -> list[tuple[float, float]]:
    """Measure ours, floor, ours, floor, ...: what else the machine does hits both alike."""
    return [(ours(), floor()) for _ in range(pairs)]


def medians(found: Sequence[tuple[float, float]]) -> tuple[float, float, float]:
    """Return the median of ours, of the floor, and of the ratios pair by pair."""
    return median(a for a, _ in found), median(b for _, b in found), median(a / b for a, b in found)


def table(rows: Iterable[Row]) -> str:
    """Return the rows in columns."""
    head = Row("measure", "flowlord", "floor", "ratio", "goal")
    lines = [(row.name, row.ours, row.floor, row.ratio, row.goal, row.verdict) for row in (head, *rows)]
    widths = [max(len(line[n]) for line in lines) for n in range(6)]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip()
        for line in lines
    )


def write_page(page: Path, rows: Sequence[Row], seconds: float) -> None:
    """Write the page of the docs."""
    commit = subprocess.run(
        ["git", "describe", "--always", "--dirty"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
        timeout=10,
    ).stdout.strip()
    body = "\n".join(
        f"| {row.name} | {row.ours} | {row.floor} | {row.ratio} | {row.goal} | {row.verdict} |"
        for row in rows
    )
    page.write_text(
        TEXT.format(
            date=datetime.now(UTC).date().isoformat(),
            commit=commit or "not committed yet",
            machine=machine(),
            pairs=PAIRS,
            body=body,
            seconds=f"{seconds:.0f}",
        ),
        "utf-8",
    )


def machine() -> str:
    """Say in a few words what this was measured on."""
    cores = len(os.sched_getaffinity(0))
    named = [
        f"{cores} cores",
        f"{platform.system()} {platform.machine()}",
        f"Python {platform.python_version()}",
        f"SQLite {sqlite3.sqlite_version}",
        version(),
        *(f"{package} {metadata.version(package)}" for package in ("redis", "hiredis", "msgspec")),
    ]
    return ", ".join(name for name in named if name)


TEXT = """\
# Benchmarks

This page is written by `make bench ARGS='--write docs/benchmarks.md'`. Date {date}, commit {commit}; {machine}.

Each figure of ours stands beside a floor: the least that any Python program would have to do for the same, written
without flowlord. Ours and the floor are measured alternately, at least {pairs} times, and medians are told; the ratio
is the median of the ratios pair by pair, which other load on the machine disturbs least. The whole took {seconds} s.

| measure | flowlord | floor | ratio | goal | |
|---|---|---|---|---|---|
{body}

## What is measured

- **Chain**: parents (10,000, with `appendfsync everysec` half of them) are on the bus before anything starts; each
  starts a child, all tasks do nothing. The rate counts parents and children, from the first start until the history
  has the last one. Every task is a publish, a claim, a completion and a decision.
  On the embedded bus each has landed on disk (`synchronous=FULL`; only claims wait for no sync) before it counts; the
  floor is one process that inserts, marks as claimed and deletes the same rows in batches of 500 with the same pragmas
  and syncs, and writes the history rows, and does nothing else: no JSON is read, nothing is decided, nobody waits for
  anybody.
  On Redis the floor is two processes with redis-py: one reads, decodes, encodes and answers, the other reads, decodes,
  starts the child and inserts the rows of history, each in transactions of 500.
- **Pick-up**: from just before a process calls `publish` to the first line of the task in a worker process that was
  waiting, one task at a time. The floor is the same with two bare processes: insert and commit, a datagram as a bell,
  mark as claimed and commit, with the pragmas and syncs of ours. On Redis it is XADD and a process that waits by
  XREADGROUP BLOCK.
- **Redis** is a server of the bench's own on loopback, without snapshots; but for one line without an append-only file.
  It is emptied before each measure, shares the cores with what is measured, and is asked by redis-py and hiredis.
- **Publish**: messages that are made already, in lists of 500 and one at a time, against XADD of one field in pipelines
  of 500 and one at a time. The lines that begin with `raw` hold no flowlord: they tell how redis-py carries the same
  500 XADD packed without its pipeline objects, and in one call of a script, which is how flowlord writes.
- **Worker**: 20,000 tasks wait when `flowlord worker` starts; the task does nothing. The rate goes from the first start
  to the landing of the last result. The floor is one process that reads 500, decodes, starts a child of each, encodes,
  and sends XADD, XACK and XDEL in one transaction; it holds no lease and answers to nobody.
- **Taskmaster**: 20,000 results wait; the router decides each and starts a child with it; a process beside it writes
  the history, as under `flowlord run`; the rate goes until that has everything. The floor is the loop above, which also
  inserts one row for each result.
- **Cost per task**: publish, claim and complete 500 at a time while that many others wait; the ratio is to the first.
- **Commands**: a command worker that runs `/bin/true`, against `subprocess.run` with pipes and the same bytes on stdin.
- **Start-up**: whole processes, from start to exit; the floor is a bare interpreter.
- **Loading**: 1,000 phases to checked workflows; TOML against `tomllib.loads` of the same text, YAML against PyYAML
  with libyaml.
- **Alerts**: 100,000 results that are failures, of 20 phases and each with a number of its own in the reason, are
  decided, and the messages that Slack gets of them are counted. What following them costs stands beside reading the
  same journal. While Slack hangs (it takes a message and says nothing), failures are decided and tasks are picked up
  beside the same without a channel.
- **History**: facts of the journal written into the cache, against the same rows inserted and updated by hand; then
  commands that read it. A large one, as a quarter of a year of 200 phases leaves it (`bench/million.py` makes one of
  any size, `bench/history.py FOLDER` measures on it): its backup while another process writes as fast as it can,
  against a copy by SQLite alone, with the longest step of that writer before and beside; steps of forgetting, by the
  wall and by processor time; commands, against a bare interpreter, with their processor time.

## Where the time goes

`python bench/count.py` counts instructions with valgrind, which other load on the machine hardly changes. Thousands for
each result that a taskmaster on Redis decides, starts a child with and records, on 2026-11-27:

| who | flowlord | floor |
|---|---|---|
| Redis: lease, then commit with marks, outcomes and journal | 91 | 35 |
| the process that decides | 110 | 111, with SQLite |
| the process beside it: history | 132 | |
| the same process: alerts | 4 | |
| together | 337 | 146 |

The floor is one process and a server that take turns, so one core is enough for it; ours are three processes that
share two with the server. While many results wait, the server works beside the process that decides, so with each
core as fast beside the other as alone half of all, 169, would count, which makes a ratio of 0.87 at best; when two
cores do no more than one, 146 / 337 makes 0.43. For 0.5 in that case 292 would have to do for all.

A single task costs the server 144 to publish, 161 to claim and 175 to complete; XADD of one field takes 14 to 18. A
script that does nothing takes 20 to 40, by the length of what it is given (Lua hashes every byte of it), each small
command in it 4 to 10, its own XREADGROUP 52, and each entry that it returns 15 to 25, for which a claim of many reads
by XRANGE instead.
"""
