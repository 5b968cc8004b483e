"""`/bin/true` as a command worker, beside a plain loop of subprocess.run with pipes: pairs, run one after the other.

    PYTHONPATH=src python bench/exec_worker.py [--tasks 500] [--pairs 7] [--concurrency 1]

The worker claims, feeds, drains, judges and reports each task through the embedded bus on this disk; the loop does none
of that. The machine's speed moves, so only ratios of runs back to back are told, and their median (floor: 0.85).
With `--noop` it also tells how many tasks that do nothing one process completes in a second.
"""

import argparse
import statistics
import subprocess
import tempfile
import threading
import time
from pathlib import Path

from flowlord.bus.open import open_bus
from flowlord.model.message import Message
from flowlord.model.task import Task, encode
from flowlord.worker.builtin import Noop
from flowlord.worker.command import Command
from flowlord.worker.handler import Handler
from flowlord.worker.runtime import Worker

FLOOR = 0.85
NOOP_FLOOR = 4_000
INFO = "s3://bucket-name/data/2026/01/01/00/input.json?dest=s3://bucket-name/out.json"
META = "workflow=bench.toml&job=hourly&phase=1"


def plain_loop(tasks: int) -> float:
    """Seconds that a loop without any bus needs."""
    stdin = encode(Task(type="load", info=INFO, id="0f8fad5b-d9cb-469f-a165-70867728950e", meta=META))
    start = time.perf_counter()
    for _ in range(tasks):
        subprocess.run(["/bin/true"], input=stdin, capture_output=True)
    return time.perf_counter() - start


def worker_loop(tasks: int, handler: Handler, concurrency: int) -> float:
    """Seconds that a worker needs from its start until the last task is reported."""
    with tempfile.TemporaryDirectory(prefix="flowlord-bench-") as folder:
        bus = open_bus(f"sqlite:///{Path(folder) / 'bus.db'}", by="bench")
        try:
            for first in range(0, tasks, 500):
                numbers = range(first, min(first + 500, tasks))
                bus.publish([message(number) for number in numbers])
            worker = Worker(bus, {"load": handler}, concurrency=concurrency, drain=True)
            start = time.perf_counter()
            left = worker.run(threading.Event())
            took = time.perf_counter() - start
            assert left.completed == tasks, left
            return took
        finally:
            bus.close()


def message(number: int) -> Message:
    """A message as a phase makes it."""
    task = Task(type="load", info=INFO, created="2026-01-01T00:00:00Z", id=f"{number:036}", meta=META)
    return Message(topic="load", task=task, key=f"bench/{number}", phase="bench.toml:load")


def ratios(pairs: int, tasks: int, concurrency: int) -> list[float]:
    """How fast the worker is, beside the loop, in each pair."""
    handler = Command("/bin/true")
    found = []
    for _ in range(pairs):
        loop = plain_loop(tasks)
        worker = worker_loop(tasks, handler, concurrency)
        found.append(loop / worker)
        print(f"  loop {tasks / loop:6.0f}/s   worker {tasks / worker:6.0f}/s   ratio {loop / worker:.2f}")
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--tasks", type=int, default=500)
    parser.add_argument("--pairs", type=int, default=7)
    parser.add_argument("--concurrency", type=int, default=1)
    parser.add_argument("--noop", action="store_true")
    asked = parser.parse_args()
    found = ratios(asked.pairs, asked.tasks, asked.concurrency)
    print(f"exec worker: {statistics.median(found):.2f} of subprocess.run with pipes (floor {FLOOR})")
    if asked.noop:
        rates = [20_000 / worker_loop(20_000, Noop(), 1) for _ in range(asked.pairs)]
        print(f"noop: {statistics.median(rates):.0f} tasks/s (floor {NOOP_FLOOR})")


if __name__ == "__main__":
    main()
