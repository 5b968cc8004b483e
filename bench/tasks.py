"""The history: how fast it follows the journal, and how soon `flowlord tasks` answers from it, as a whole process.

    PYTHONPATH=src python bench/tasks.py [--rows 100000] [--batch 200] [--lag 500]

The journal is that of chains: each parent's result comes together with the child's publication. `--lag` is how many
tasks lie between a publication and its result. The floor writes the same rows by hand: one index, no facts.
"""

from __future__ import annotations

import argparse
import os
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from hashlib import blake2b
from pathlib import Path
from statistics import median

from table import Row, alternately, medians, table

from flowlord.bus.clock import SystemClock
from flowlord.bus.port import JournalEntry
from flowlord.cache.historian import Historian
from flowlord.cache.queries import Filter, History
from flowlord.model.message import Report
from flowlord.model.plan import Fact, FactKind
from flowlord.model.task import Task
from flowlord.taskmaster.follower import BATCH as TAKEN
from flowlord.taskmaster.follower import MOST

ROWS = 100_000
BATCH = 200
LAG = 500
TIMES = 15
BEGIN_US = 1_785_542_400_000_000
RATE_GOAL = 20_000
RATE_GOAL_BEHIND = 30_000
"""With steps as a history takes them that is behind."""
ROOT = Path(__file__).resolve().parents[1]


def rows(count: int = ROWS, batch: int = BATCH, lag: int = LAG) -> list[Row]:
    """Measure following in portions as the daemon takes them, and large ones; then the commands on what was written."""
    found = []
    few = min(count, 20_000)
    sizes = (
        (batch, RATE_GOAL),
        (1_000, RATE_GOAL),
        (TAKEN, RATE_GOAL_BEHIND),
        (MOST, RATE_GOAL_BEHIND),
    )
    for size, goal in sizes:
        ours, floor, ratio = medians(
            alternately(lambda size=size: follow(few, size, lag), lambda size=size: by_hand(few, size, lag))
        )
        found.append(
            Row(f"history, {size} entries a step", f"{ours:,.0f} facts/s", f"{floor:,.0f}/s", f"{ratio:.2f}",
                f">= {goal:,}/s", ours >= goal)
        )  # fmt: skip
    with tempfile.TemporaryDirectory(prefix="flowlord-bench-") as folder:
        where = Path(folder)
        follow(count, 1_000, lag, keep=where)
        for name, arguments, goal_ms in (
            ("tasks --limit 50", ["tasks", "--limit", "50"], 100),
            ("tasks --failed --limit 50", ["tasks", "--failed", "--limit", "50"], 100),
            ("task @failed", ["task", "@failed"], 100),
        ):
            found.append(_process(f"{name}, {count:,} rows", arguments, where, goal_ms))
        found += list(_inside(where))
    return found


def chains(tasks: int, lag: int) -> Iterator[JournalEntry]:
    """Yield the journal of parents with a child each; one in a hundred children dies."""
    pending: list[list[tuple[Fact, ...]]] = [[] for _ in range(2 * lag + 1)]
    seq = 0
    for n in range(tasks // 2 + 2 * lag):
        now = pending[n % len(pending)]
        if n < tasks // 2:
            parent, result, child, end = _chain(n)
            now.insert(0, parent)
            pending[(n + lag) % len(pending)].append((*result, *child))
            pending[(n + 2 * lag) % len(pending)].append(end)
        for facts in now:
            seq += 1
            yield JournalEntry(seq, BEGIN_US + seq * 200, "bench", f"c{seq}", facts)
        now.clear()


def follow(tasks: int, batch: int, lag: int, *, keep: Path | None = None) -> float:
    """Return facts per second."""
    with tempfile.TemporaryDirectory(prefix="flowlord-bench-") as folder:
        historian = Historian((keep or Path(folder)) / "tasks.db", SystemClock())
        facts, seconds = 0, 0.0
        for some in _portions(tasks, batch, lag):
            facts += sum(len(entry.facts) for entry in some)
            begin = time.perf_counter()
            historian.follow(some)
            seconds += time.perf_counter() - begin
        historian.close()
        return facts / seconds


def by_hand(tasks: int, batch: int, lag: int) -> float:
    """Return rows inserted and updated per second, without knowing what they mean."""
    with tempfile.TemporaryDirectory(prefix="flowlord-bench-") as folder:
        db = sqlite3.connect(Path(folder) / "tasks.db", isolation_level=None)
        db.execute("PRAGMA journal_mode = WAL")
        db.execute("PRAGMA synchronous = NORMAL")
        db.execute("CREATE TABLE tasks (key TEXT PRIMARY KEY, type, info, id, meta, result, ended)")
        facts, seconds = 0, 0.0
        for some in _portions(tasks, batch, lag):
            told = [fact for entry in some for fact in entry.facts if fact.task]
            facts += len(told)
            begin = time.perf_counter()
            db.execute("BEGIN IMMEDIATE")
            db.executemany(
                "INSERT INTO tasks VALUES (?, ?, ?, ?, ?, '', '')",
                [
                    (f.key, f.task.type, f.task.info, f.task.id, f.task.meta)
                    for f in told
                    if f.kind is FactKind.PUBLISHED
                ],
            )
            db.executemany(
                "UPDATE tasks SET result = ?, ended = ? WHERE key = ?",
                [(f.task.result, f.task.ended, f.key) for f in told if f.kind is FactKind.DONE],
            )
            db.execute("COMMIT")
            seconds += time.perf_counter() - begin
        db.close()
        return facts / seconds


def _portions(tasks: int, batch: int, lag: int) -> Iterator[list[JournalEntry]]:
    some: list[JournalEntry] = []
    for entry in chains(tasks, lag):
        some.append(entry)
        if len(some) == batch:
            yield some
            some = []
    if some:
        yield some


def _chain(n: int) -> tuple[tuple[Fact, ...], tuple[Fact, ...], tuple[Fact, ...], tuple[Fact, ...]]:
    one, two = _key(f"parent {n}"), _key(f"child {n}")
    meta = "workflow=bench.toml&cron=2026-08-01T00&job=hourly"
    about = {
        "job": "hourly",
        "id": f"{_key(f'run {n}')[:8]}-0000-5000-8000-{n:012}",
        "meta": meta,
        "created": "2026-08-01T00:00:00.123456Z",
    }
    info = f"s3://bucket-name/data/2026/08/01/00/input-{n:06}.json?dest=s3://bucket-name/out/{n:06}.json"
    times = {"started": "2026-08-01T00:00:01Z", "ended": "2026-08-01T00:00:02.5Z"}
    failed = n % 100 == 0
    facts = []
    for type_, key, result in (
        ("extract", one, "complete"),
        ("load", two, "error" if failed else "complete"),
    ):
        phase = f"bench.toml:{type_}:hourly"
        cause = f"done:{one}" if type_ == "load" else f"tick:{phase}:{n}"
        open_ = Task(type=type_, info=info, **about)
        ended = Task(type=type_, info=info, result=result, **about, **times)
        facts.append((Fact(FactKind.PUBLISHED, key, type_, phase, "4f1c2ab", cause, task=open_),))
        facts.append(
            (Fact(FactKind.DONE, key, type_, phase, "4f1c2ab", cause, task=ended, report=Report("w1", 1)),)
        )
    end = (*facts[3], Fact(FactKind.DEAD, two, "load", text="no tries left")) if failed else facts[3]
    return facts[0], facts[1], facts[2], end


def _key(text: str) -> str:
    return blake2b(text.encode(), digest_size=16).hexdigest()


def _process(name: str, arguments: Sequence[str], where: Path, goal_ms: float) -> Row:
    command = [
        sys.executable,
        "-m",
        "flowlord",
        *arguments,
        "--bus",
        f"sqlite:///{where}/bus.db",
        "--cache",
        f"{where}/tasks.db",
    ]
    found = [(_took(command), _took([sys.executable, "-c", "pass"])) for _ in range(TIMES)]
    ours, floor = median(a for a, _ in found), median(b for _, b in found)
    return Row(
        name, f"{ours:.0f} ms", f"{floor:.0f} ms", f"{ours / floor:.1f}", f"<= {goal_ms} ms", ours <= goal_ms
    )


def _took(command: Sequence[str]) -> float:
    begin = time.perf_counter()
    environment = os.environ | {"PYTHONPATH": str(ROOT / "src")}
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL, cwd="/", env=environment)
    return (time.perf_counter() - begin) * 1000


def _inside(where: Path) -> Iterator[Row]:
    """How long the questions themselves take, on the worst filters too."""
    history = History.open(str(where / "tasks.db"))
    now_us = BEGIN_US * 2
    for name, wanted in (
        ("newest 50", Filter()),
        ("of a topic that is not there", Filter(topic="nobody")),
        ("of a job that is not there", Filter(job="nobody")),
    ):
        begin = time.perf_counter()
        history.page(wanted, now_us, 50)
        yield Row(f"query: {name}", f"{(time.perf_counter() - begin) * 1000:.1f} ms")
    begin = time.perf_counter()
    count = history.count(Filter(), now_us)
    yield Row(f"query: count of {count:,}", f"{(time.perf_counter() - begin) * 1000:.1f} ms")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="Measure the history.")
    parser.add_argument("--rows", type=int, default=ROWS)
    parser.add_argument("--batch", type=int, default=BATCH)
    parser.add_argument("--lag", type=int, default=LAG)
    asked = parser.parse_args()
    print(table(rows(asked.rows, asked.batch, asked.lag)))
