"""Pick-up latency: from just before `publish` in one process to the first line of the task in another that waits."""

from __future__ import annotations

import os
import random
import socket
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from chain import flowlord, running
from stamps import STAMP, await_stamp
from table import Row

if TYPE_CHECKING:
    from server import Server

SAMPLES = 200
ROUNDS = 3
GAP_S = 0.02
SEED = 1
GOALS_MS = (5.0, 15.0)
REDIS_GOALS_MS = (0.9, 1.5)
HERE = Path(__file__).resolve().parent


def rows() -> list[Row]:
    """Measure on the embedded bus, against SQLite and a datagram as a bell."""
    return pooled("pick-up", lambda: latencies(SAMPLES), lambda: raw_latencies(SAMPLES), GOALS_MS)


def redis_rows(server: Server) -> list[Row]:
    """Measure on Redis, against a process that waits by XREADGROUP BLOCK."""
    from raw_pipeline import latencies as bare
    from server import emptied

    def ours() -> list[float]:
        with emptied(server.port):
            return latencies(SAMPLES, server.url)

    def floor() -> list[float]:
        with tempfile.TemporaryDirectory(prefix="flowlord-bench-") as folder:
            return bare(server.port, SAMPLES, GAP_S, Path(folder), SEED)

    return pooled("pick-up on Redis", ours, floor, REDIS_GOALS_MS)


def pooled(
    name: str,
    ours: Callable[[], list[float]],
    floor: Callable[[], list[float]],
    goals_ms: tuple[float, float],
) -> list[Row]:
    """Measure ours and two bare processes alternately, and pool the samples of each."""
    mine: list[float] = []
    bare: list[float] = []
    for _ in range(ROUNDS):
        mine += ours()
        bare += floor()
    found = []
    for which, share, goal_ms in (("median", 0.5, goals_ms[0]), ("99 of 100", 0.99, goals_ms[1])):
        a, b = at(mine, share), at(bare, share)
        figures = f"{a:.2f} ms", f"{b:.2f} ms", f"{a / b:.2f}", f"<= {goal_ms:g} ms"
        found.append(Row(f"{name}, {which}", *figures, a <= goal_ms))
    return found


def at(found: list[float], share: float) -> float:
    """Return the value below which that share lies."""
    return sorted(found)[min(len(found) - 1, int(share * len(found)))]


def latencies(samples: int, address: str = "") -> list[float]:
    """Milliseconds from publish to the task's first line, one task at a time; without an address on a bus in a file."""
    from flowlord.bus.open import open_bus
    from flowlord.model.message import Message
    from flowlord.model.task import Task

    with tempfile.TemporaryDirectory(prefix="flowlord-bench-") as folder:
        where = Path(folder)
        stamps = where / "stamps"
        stamps.touch()
        os.environ["BENCH_STAMPS"] = str(stamps)
        os.environ["PYTHONPATH"] = str(HERE)
        place = address or f"sqlite:///{where / 'bus.db'}"
        chance = random.Random(SEED)
        with running([flowlord("worker", "--app", "pickup_task", "--bus", place, "-q")], where):
            bus = open_bus(place, by="bench", accept_loss=True)

            def once(n: int) -> float:
                message = Message("pickup", Task(type="pickup", info=f"{n}", id=f"{n}"), key=f"{n:032}")
                begin = time.monotonic_ns()
                bus.publish([message])
                return (await_stamp(stamps, n) - begin) / 1e6

            once(0)  # the worker is up after this one
            found = []
            for n in range(1, samples + 1):
                time.sleep(GAP_S * chance.uniform(0.5, 1.5))
                found.append(once(n))
            bus.close()
        return found


def raw_latencies(samples: int) -> list[float]:
    """The floor: insert, commit, ring; the other process wakes, marks the row, commits without a sync, stamps."""
    with tempfile.TemporaryDirectory(prefix="flowlord-bench-") as folder:
        where = Path(folder)
        db = _raw_open(where, "FULL")
        db.execute("CREATE TABLE q(id INTEGER PRIMARY KEY, body TEXT, lease INTEGER)")
        stamps = where / "stamps"
        stamps.touch()
        waiter = subprocess.Popen([sys.executable, __file__, str(where)])
        bell = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        while not (where / "bell").exists():
            time.sleep(0.01)
        found = []
        chance = random.Random(SEED)
        for n in range(samples):
            time.sleep(GAP_S * chance.uniform(0.5, 1.5))
            begin = time.monotonic_ns()
            db.execute("BEGIN IMMEDIATE")
            db.execute("INSERT INTO q VALUES (?, ?, 0)", (n, "x" * 200))
            db.execute("COMMIT")
            bell.sendto(b"1", str(where / "bell"))
            found.append((await_stamp(stamps, n) - begin) / 1e6)
        bell.sendto(b"end", str(where / "bell"))
        waiter.wait(10)
        db.close()
        return found


def _raw_open(where: Path, synchronous: str) -> sqlite3.Connection:
    db = sqlite3.connect(where / "raw.db", isolation_level=None, timeout=10)
    db.execute("PRAGMA journal_mode = WAL")
    db.execute(f"PRAGMA synchronous = {synchronous}")
    return db


def _raw_waiter(where: Path) -> None:
    db = _raw_open(where, "NORMAL")
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
