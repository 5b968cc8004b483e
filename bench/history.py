"""A large history: its backup beside a writer, forgetting in steps, and the commands that people ask most.

    PYTHONPATH=src python bench/history.py [FOLDER]      # of bench/million.py; without it, a small one is made

The file is copied first, so that FOLDER stays as it is. The floor of a backup is SQLite's copy alone, that of commands
a bare interpreter. Forgetting tells processor time too: on a busy machine the clock on the wall tells of the others.
Of commands and of the writer beside a backup the same holds: compare their ratios. `--only backup` measures one part.
"""

from __future__ import annotations

import argparse
import os
import shutil
import sqlite3
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterable, Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from statistics import median
from typing import NamedTuple

from million import make
from table import ROOT, Row, table

from flowlord.bus.clock import SystemClock
from flowlord.cache.alone import alone
from flowlord.cache.backup import Place
from flowlord.cache.historian import Historian
from flowlord.cache.snapshot import copied
from flowlord.storage.open import Storage

SMALL = 100_000
TIMES = 7
STEPS = 1_000
LONGEST_MS = 50
PARTS = ("commands", "backup", "forget")
COMMANDS = (
    ("tasks --failed", ["tasks", "--failed", "--limit", "50"], 250),
    ("task ID", ["task", "@failed"], 150),
    ("tasks --failed --group-by error", ["tasks", "--failed", "--group-by", "error"], 250),
    ("tasks --group-by topic", ["tasks", "--group-by", "topic"], 1_000),
    ("tasks --group-by state", ["tasks", "--group-by", "state"], 1_000),
    ("why ID", ["why", "@failed"], 300),
    ("why PHASE", ["why", "extract:job00"], 300),
    ("why START", ["why", "extract:job00 yesterday"], 300),
    ("trace ID", ["trace", "@failed"], 300),
    ("recap --day yesterday", ["recap", "--day", "yesterday"], 1_000),
    ("gaps --since 7d", ["gaps", "--since", "7d"], 2_000),
)
WRITER = """
import sys, time
from million import entries
from flowlord.bus.clock import SystemClock
from flowlord.cache.historian import Historian
historian = Historian(sys.argv[1], SystemClock())
begin, some, written = historian.cursor(), [], 0
print("writes", flush=True)
for entry in entries(10_000_000, int(SystemClock().now().timestamp() * 1e6)):
    some.append(type(entry)(begin + entry.seq, entry.at_us, entry.by, entry.commit, entry.facts))
    if len(some) == 200:
        begin_s = time.perf_counter()
        written += historian.follow(some)
        some = []
        print(time.perf_counter(), time.perf_counter() - begin_s, written, flush=True)
"""
ALONE_S = 5.0
"""For how long the writer is watched before the backup begins."""


def rows(folder: Path | None = None, only: str | None = None) -> Iterator[Row]:
    """Measure on a copy of the history in `folder`, or on one that is made for it; `only` is one of PARTS."""
    with tempfile.TemporaryDirectory(prefix="flowlord-bench-") as own:
        path = Path(own, "tasks.db")
        if folder is None:
            make(Path(own), SMALL, int(datetime.now(UTC).timestamp() * 1e6))
        else:
            shutil.copy(folder / "tasks.db", path)
            path.chmod(0o600)
        with closing(sqlite3.connect(path)) as db:
            [attempts] = db.execute("SELECT count(*) FROM tasks").fetchone()
        told = f"{attempts:,} attempts, {path.stat().st_size / 1e6:,.0f} MB"
        if only in (None, "commands"):
            yield from _commands(path, told)
        if only in (None, "backup"):
            yield _backup(path, told)
        if only in (None, "forget"):
            yield _forget(path, told)


def _backup(path: Path, told: str) -> Row:
    environment = os.environ | {"PYTHONPATH": f"{ROOT / 'src'}:{ROOT / 'bench'}"}
    writer = subprocess.Popen(
        [sys.executable, "-c", WRITER, path], stdout=subprocess.PIPE, env=environment, text=True
    )
    assert writer.stdout is not None
    steps: list[tuple[float, float, int]] = []
    listening = threading.Thread(target=_listen, args=(writer.stdout, steps))
    writer.stdout.readline()
    listening.start()
    time.sleep(ALONE_S)
    begin, busy = time.perf_counter(), time.process_time()
    with alone(path, wait=True):
        with copied(path) as (copy, check):
            place = Place(Storage(), str(path.parent / "backups"))
            _, manifest = place.write(copy, check, datetime.now(UTC), "00000000", "bench", "0")
        end, busy = time.perf_counter(), time.process_time() - busy
    time.sleep(ALONE_S)  # what waited for the copy is brought into the file now
    writer.kill()
    listening.join()
    writer.wait()
    writer.stdout.close()
    seconds, floor = end - begin, _copied_alone(path)
    before = [(took, many) for at, took, many in steps if at < begin]
    beside = [(took, many) for at, took, many in steps if at >= begin]
    written = beside[-1][1] - before[-1][1]
    stops = f"its longest step {max(beside)[0] * 1000:.0f} ms, {max(before)[0] * 1000:.0f} ms before"
    ours = f"{seconds:.1f} s, {busy:.1f} s of it busy, to {manifest.packed / 1e6:,.0f} MB"
    ours += f"; a writer beside: {written:,} entries, {stops}"
    return Row(f"backup, {told}", ours, f"{floor:.1f} s", f"{seconds / floor:.1f}", "<= 10 s", seconds <= 10)


def _listen(said: Iterable[str], steps: list[tuple[float, float, int]]) -> None:
    for line in said:
        at, took, written = line.split()
        steps.append((float(at), float(took), int(written)))


def _copied_alone(path: Path) -> float:
    begin = time.perf_counter()
    with (
        closing(sqlite3.connect(path)) as source,
        closing(sqlite3.connect(path.parent / "floor.db")) as target,
    ):
        source.backup(target)
    return time.perf_counter() - begin


def _forget(path: Path, told: str) -> Row:
    wall, cpu = [], []
    with closing(Historian(path, SystemClock())) as historian:
        for _ in range(STEPS):
            begin, busy = time.perf_counter(), time.thread_time()
            more = historian.prune(timedelta(days=30))
            wall.append((time.perf_counter() - begin) * 1000)
            cpu.append((time.thread_time() - busy) * 1000)
            if not more:
                break
        removed = historian.removed
    wall.sort()
    most = f"99 of 100 below {wall[len(wall) * 99 // 100]:.0f} ms"
    ours = f"longest {wall[-1]:.0f} ms, {max(cpu):.0f} ms of it busy; {most}"
    name = f"forgetting {removed:,} rows in {len(wall):,} steps, {told}"
    return Row(name, ours, goal=f"<= {LONGEST_MS} ms busy", met=max(cpu) <= LONGEST_MS)


def _commands(path: Path, told: str) -> Iterator[Row]:
    known = subprocess.run(
        [sys.executable, "-m", "flowlord", "--help"],
        capture_output=True,
        text=True,
        check=True,
        env=_environment(),
    ).stdout
    for name, words, goal_ms in COMMANDS:
        if f"  {words[0]} " not in known:
            continue
        where = ["--bus", f"sqlite:///{path.parent}/bus.db", "--cache", str(path)]
        command = [sys.executable, "-m", "flowlord", *words, *where]
        pairs = [(_took(command), _took([sys.executable, "-c", "pass"])) for _ in range(TIMES)]
        ours, floor = (median(each.wall_ms for each in some) for some in zip(*pairs, strict=True))
        busy = median(mine.cpu_ms for mine, _ in pairs)
        yield Row(
            f"{name}, {told}", f"{ours:.0f} ms, {busy:.0f} of it busy", f"{floor:.0f} ms",
            f"{ours / floor:.1f}", f"<= {goal_ms} ms", ours <= goal_ms,
        )  # fmt: skip


class Took(NamedTuple):
    """What a process took."""

    wall_ms: float
    cpu_ms: float


def _took(command: list[str]) -> Took:
    begin = time.perf_counter()
    process = subprocess.Popen(
        command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, cwd="/", env=_environment()
    )
    _, status, used = os.wait4(process.pid, 0)
    wall_s = time.perf_counter() - begin
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise SystemExit(f"{' '.join(command)} ended with {process.returncode}")
    return Took(wall_s * 1000, (used.ru_utime + used.ru_stime) * 1000)


def _environment() -> dict[str, str]:
    return os.environ | {"PYTHONPATH": str(ROOT / "src")}


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="Measure what reads a large history.")
    parser.add_argument("folder", type=Path, nargs="?")
    parser.add_argument("--only", choices=PARTS, help="measure one part")
    asked = parser.parse_args()
    print(table(list(rows(asked.folder, asked.only))))
