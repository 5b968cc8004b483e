"""Pick-up latency: from just before `publish` in one process to the first line of the task in another that waits."""

from __future__ import annotations

import os
import random
import socket
import sqlite3
import struct
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from chain import flowlord, running
from table import Row

SAMPLES = 200
ROUNDS = 3
GAP_S = 0.02
GOAL_P50_MS, GOAL_P99_MS = 5.0, 15.0
STAMP = struct.Struct("<q")
HERE = Path(__file__).resolve().parent


def rows() -> list[Row]:
    """Measure ours and two bare processes alternately, and pool the samples of each."""
    ours: list[float] = []
    floor: list[float] = []
    for _ in range(ROUNDS):
        ours += latencies(SAMPLES)
        floor += raw_latencies(SAMPLES)
    found = []
    for name, share, goal_ms in (("median", 0.5, GOAL_P50_MS), ("99 of 100", 0.99, GOAL_P99_MS)):
        mine, bare = at(ours, share), at(floor, share)
        figures = f"{mine:.2f} ms", f"{bare:.2f} ms", f"{mine / bare:.2f}", f"<= {goal_ms:g} ms"
        found.append(Row(f"pick-up, {name}", *figures, mine <= goal_ms))
    return found


def at(found: list[float], share: float) -> float:
    """Return the value below which that share lies."""
    return sorted(found)[min(len(found) - 1, int(share * len(found)))]


def latencies(samples: int) -> list[float]:
    """Milliseconds from publish to the task's first line, one task at a time."""
    from flowlord.bus.open import open_bus
    from flowlord.model.message import Message
    from flowlord.model.task import Task

    with tempfile.TemporaryDirectory(prefix="flowlord-bench-") as folder:
        where = Path(folder)
        stamps = where / "stamps"
        stamps.touch()
        os.environ["BENCH_STAMPS"] = str(stamps)
        os.environ["PYTHONPATH"] = str(HERE)
        address = f"sqlite:///{where / 'bus.db'}"
        with running([flowlord("worker", "--app", "pickup_task", "--bus", address, "-q")], where):
            bus = open_bus(address, by="bench")

            def once(n: int) -> float:
                message = Message("pickup", Task(type="pickup", info=f"{n}", id=f"{n}"), key=f"{n:032}")
                begin = time.monotonic_ns()
                bus.publish([message])
                return (_stamp(stamps, n) - begin) / 1e6

            once(0)  # the worker is up after this one
            found = []
            for n in range(1, samples + 1):
                time.sleep(GAP_S * random.uniform(0.5, 1.5))
                found.append(once(n))
            bus.close()
        return found


def _stamp(file: Path, n: int) -> int:
    """Wait for the nth line of the log; looking at its length costs a microsecond."""
    limit = time.monotonic() + 30
    while file.stat().st_size < (n + 1) * STAMP.size:
        time.sleep(0.0002)
        if time.monotonic() > limit:
            raise SystemExit(f"task {n} was not begun within 30 s")
    with file.open("rb") as opened:
        opened.seek(n * STAMP.size)
        return int(STAMP.unpack(opened.read(STAMP.size))[0])


def raw_latencies(samples: int) -> list[float]:
    """The floor: insert, commit, ring; the other process wakes, marks the row, commits, stamps."""
    with tempfile.TemporaryDirectory(prefix="flowlord-bench-") as folder:
        where = Path(folder)
        db = _raw_open(where)
        db.execute("CREATE TABLE q(id INTEGER PRIMARY KEY, body TEXT, lease INTEGER)")
        stamps = where / "stamps"
        stamps.touch()
        waiter = subprocess.Popen([sys.executable, __file__, str(where)])
        bell = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        while not (where / "bell").exists():
            time.sleep(0.01)
        found = []
        for n in range(samples):
            time.sleep(GAP_S * random.uniform(0.5, 1.5))
            begin = time.monotonic_ns()
            db.execute("BEGIN IMMEDIATE")
            db.execute("INSERT INTO q VALUES (?, ?, 0)", (n, "x" * 200))
            db.execute("COMMIT")
            bell.sendto(b"1", str(where / "bell"))
            found.append((_stamp(stamps, n) - begin) / 1e6)
        bell.sendto(b"end", str(where / "bell"))
        waiter.wait(10)
        db.close()
        return found


def _raw_open(where: Path) -> sqlite3.Connection:
    db = sqlite3.connect(where / "raw.db", isolation_level=None, timeout=10)
    db.execute("PRAGMA journal_mode = TRUNCATE")
    db.execute("PRAGMA synchronous = FULL")
    return db


def _raw_waiter(where: Path) -> None:
    db = _raw_open(where)
    bell = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    bell.bind(str(where / "bell"))
    file = os.open(where / "stamps", os.O_WRONLY | os.O_APPEND)
    while bell.recv(16) != b"end":
        db.execute("BEGIN IMMEDIATE")
        [entry] = db.execute("SELECT min(id) FROM q WHERE lease = 0").fetchone()
        db.execute("UPDATE q SET lease = 1 WHERE id = ?", (entry,))
        db.execute("COMMIT")
        os.write(file, STAMP.pack(time.monotonic_ns()))
    db.close()


if __name__ == "__main__":
    if len(sys.argv) > 1:
        _raw_waiter(Path(sys.argv[1]))
    else:
        for row in rows():
            print(row)
