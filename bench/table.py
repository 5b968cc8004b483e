"""What is measured, beside its floor and its goal, as an aligned table for the terminal and as a page of the docs."""

from __future__ import annotations

import os
import platform
import sqlite3
import subprocess
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from statistics import median

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
    system = f"{platform.system()} {platform.machine()}"
    return f"{cores} cores, {system}, Python {platform.python_version()}, SQLite {sqlite3.sqlite_version}"


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

- **Chain**: 10,000 parents are on the bus before anything starts; each starts a child, all tasks do nothing. The rate
  counts parents and children, from the first start until the history has the last one. Every task is a publish, a
  claim, a completion and a decision, each landed on disk (`synchronous=FULL`) before it counts. The floor is one
  process that inserts, marks as claimed and deletes the same rows in batches of 500 with the same pragmas, and writes
  the history rows, and does nothing else: no JSON is read, nothing is decided, nobody waits for anybody.
- **Pick-up**: from just before a process calls `publish` to the first line of the task in a worker process that was
  waiting, one task at a time. The floor is the same with two bare processes: insert and commit, a datagram as a bell,
  mark as claimed and commit.
- **Commands**: a command worker that runs `/bin/true`, against `subprocess.run` with pipes and the same bytes on stdin.
- **Start-up**: whole processes, from start to exit; the floor is a bare interpreter.
- **Loading**: 1,000 phases from TOML to checked workflows, against `tomllib.loads` of the same text.
- **History**: facts of the journal written into the cache, against the same rows inserted and updated by hand; then
  commands that read it.
"""
