"""`/bin/true` as a command worker beside a loop of subprocess.run with pipes; how many noops a worker does in a second.

The worker claims, feeds, drains, judges and reports each task through the embedded bus on this disk; the loop does none
of that. The machine's speed moves, so the two run one after the other and the ratio is the median of the pairs.

    PYTHONPATH=src python bench/exec_worker.py
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path
from statistics import median

from table import Row, alternately, medians, table

from flowlord.bus.open import open_bus
from flowlord.model.message import Message
from flowlord.model.task import Task, encode
from flowlord.worker.builtin import Noop
from flowlord.worker.command import Command
from flowlord.worker.handler import Handler
from flowlord.worker.runtime import Worker

TASKS = 1_000
PAIRS = 7
FLOOR = 0.85
NOOP_TASKS = 20_000
NOOP_ROUNDS = 5
NOOP_FLOOR = 4_000
INFO = "s3://bucket-name/data/2026/01/01/00/input.json?dest=s3://bucket-name/out.json"
META = "workflow=bench.toml&job=hourly&phase=1"


def rows(tasks: int = TASKS, pairs: int = PAIRS) -> list[Row]:
    """Measure commands by one slot and by four, then tasks that do nothing."""
    found = []
    command = Command("/bin/true")
    for slots in (1, 4):
        ours, floor, ratio = medians(
            alternately(
                lambda slots=slots: worker_rate(tasks, command, slots), lambda: loop_rate(tasks), pairs
            )
        )
        name = f"/bin/true as command worker, {slots} {'slot' if slots == 1 else 'slots'}"
        goal = (f">= {FLOOR} of floor", ratio >= FLOOR) if slots == 1 else ("", None)
        found.append(Row(name, f"{ours:,.0f}/s", f"{floor:,.0f}/s", f"{ratio:.2f}", *goal))
    noop = median(worker_rate(NOOP_TASKS, Noop(), 1) for _ in range(NOOP_ROUNDS))
    found.append(
        Row("noop in one worker", f"{noop:,.0f}/s", "", "", f">= {NOOP_FLOOR:,}/s", noop >= NOOP_FLOOR)
    )
    return found


def loop_rate(tasks: int) -> float:
    """Commands per second of a loop without any bus."""
    stdin = encode(message(0).task)
    begin = time.perf_counter()
    for _ in range(tasks):
        subprocess.run(["/bin/true"], input=stdin, capture_output=True)
    return tasks / (time.perf_counter() - begin)


def worker_rate(tasks: int, handler: Handler, slots: int) -> float:
    """Tasks per second of a worker, from its start until it has left."""
    with tempfile.TemporaryDirectory(prefix="flowlord-bench-") as folder:
        bus = open_bus(f"sqlite:///{Path(folder) / 'bus.db'}", by="bench")
        try:
            for first in range(0, tasks, 500):
                bus.publish([message(number) for number in range(first, min(first + 500, tasks))])
            worker = Worker(bus, {"load": handler}, concurrency=slots, drain=True)
            begin = time.perf_counter()
            left = worker.run(threading.Event())
            took = time.perf_counter() - begin
            assert left.completed == tasks, left
            return tasks / took
        finally:
            bus.close()


def message(number: int) -> Message:
    """A message as a phase makes it."""
    task = Task(type="load", info=INFO, created="2026-01-01T00:00:00Z", id=f"{number:036}", meta=META)
    return Message(topic="load", task=task, key=f"bench/{number}", phase="bench.toml:load")


if __name__ == "__main__":
    found = rows()
    print(table(found))
    sys.exit(any(row.met is False for row in found))
