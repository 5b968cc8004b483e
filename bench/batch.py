"""A large batch on its way to the bus: how fast it goes, and that a hundred times the rows take no more memory.

`python bench/batch.py [--rows 1000000] [--bus redis|sqlite]` prints a line for 10,000 rows more than are made at once,
and one for all of them: each in a process of its own, whose peak of memory is told.
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import time
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory

from server import emptied, redis_server

from flowlord.bus.clock import SystemClock
from flowlord.bus.open import open_bus
from flowlord.decide.tick import on_tick
from flowlord.model.workflow import Phase, Rule
from flowlord.taskmaster.batches import Batches
from flowlord.taskmaster.chance import Chance, Stamps
from flowlord.taskmaster.surroundings import Surroundings

FEW = 20_000
GOAL_PER_S = 30_000


def main() -> int:
    """Measure; 1 when memory grows with the rows or the goal is missed."""
    parser = argparse.ArgumentParser(prog="batch.py", description=__doc__)
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--bus", choices=("redis", "sqlite"), default="redis")
    parser.add_argument("--kind", choices=("json", "csv"), default="json")
    parser.add_argument("--publish", nargs=2, metavar=("BUS", "FILE"), help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.publish:
        print(json.dumps(publish(*asked.publish, asked.rows)))
        return 0
    with TemporaryDirectory() as name:
        folder = Path(name)
        found = [measured(asked.bus, folder, rows, asked.kind) for rows in (FEW, asked.rows)]
    few, many = found
    grown = many["peak_mb"] - few["peak_mb"]
    print(f"{grown:+.1f} MB for {asked.rows // FEW} times the rows")
    return int(grown > 16 or (asked.bus == "redis" and many["per_s"] < GOAL_PER_S))


def measured(bus: str, folder: Path, rows: int, kind: str) -> dict[str, float]:
    """Publish a meta-file of so many rows in a process of its own; print and return what it took."""
    file = folder / f"rows-{rows}.{kind}"
    with file.open("w") as out:
        if kind == "csv":
            out.write("customer,region\n")
        for n in range(rows):
            line = (
                f"customer-{n},eu-{n % 7}"
                if kind == "csv"
                else f'{{"customer": {n}, "region": "eu-{n % 7}"}}'
            )
            out.write(line + "\n")
    if bus == "sqlite":
        found = in_a_process(f"sqlite:///{folder}/bus-{rows}.db", file, rows)
    else:
        with redis_server() as server, emptied(server.port):
            found = in_a_process(server.url, file, rows)
    print(
        f"{bus} {kind} {rows:>9,} rows: {found['per_s']:>8,.0f} tasks/s, {found['cpu_us']:.1f} us of our CPU each, "
        f"peak {found['peak_mb']:.1f} MB"
    )
    return found


def in_a_process(address: str, file: Path, rows: int) -> dict[str, float]:
    """Run ourselves with a bus and a file."""
    words = [sys.executable, __file__, "--rows", str(rows), "--publish", address, str(file)]
    told = subprocess.run(words, check=True, capture_output=True, text=True)
    return dict(json.loads(told.stdout))


def publish(address: str, file: str, rows: int) -> dict[str, float]:
    """Decide one start of the phase and publish all of it."""
    rule = Rule(meta_file=file, batch_limit=rows)
    phase = Phase(
        "bench.toml",
        "load",
        name="load",
        rule=rule,
        template="?day={yyyy}-{mm}-{dd}&customer={meta:customer}",
    )
    bus = open_bus(address, by="bench", accept_loss=True)
    clock = SystemClock()
    around = Surroundings(bus, clock, Chance(), Stamps(clock, 1), "bench")
    batches = Batches(around)
    begin, cpu = time.perf_counter(), time.process_time()
    bus.commit(on_tick(phase, datetime(2026, 1, 1, tzinfo=UTC), around.context([file])))
    sent = 0
    while some := batches.step():
        sent += some
    took, used = time.perf_counter() - begin, time.process_time() - cpu
    waiting = {state.topic: state.waiting for state in bus.topics()}
    bus.close()
    if (sent, waiting.get("load")) != (rows, rows):
        raise SystemExit(f"{sent} sent and {waiting} waiting of {rows}")
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return {"per_s": rows / took, "cpu_us": used / rows * 1e6, "peak_mb": peak}


if __name__ == "__main__":
    sys.exit(main())
