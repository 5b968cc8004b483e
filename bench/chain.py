"""Chains with history: the shipped commands in processes of their own, against bare SQLite or bare Redis."""

from __future__ import annotations

import json
import os
import signal
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING

from table import Row, alternately, medians

if TYPE_CHECKING:
    from server import Server

PARENTS = 10_000
BATCH = 500
GOAL = 4_000
REDIS_GOAL, REDIS_STRETCH = 0.4, 0.6
LIMIT_S = 120.0
LOOK_S = 0.05
"""Each look reads every row on a core that the measured processes need, so they are few."""
FLOW = """\
[[phase]]
task = "first"

[[phase]]
task = "second"
dependsOn = "first"
template = "{meta:n}"
"""
INFO = "s3://bucket-name/data/2026/01/01/00/input-{n:06}.json?dest=s3://bucket-name/out/{n:06}.json"
HISTORY = """CREATE TABLE tasks(key TEXT PRIMARY KEY, id TEXT, type TEXT, job TEXT, info TEXT, meta TEXT, result TEXT,
  created TEXT, started TEXT, ended TEXT)"""


def flowlord(*arguments: str) -> list[str]:
    """Return the command line of the installed program."""
    return [sys.executable, "-m", "flowlord", *arguments]


def rows(parents: int = PARENTS) -> list[Row]:
    """Measure both ways of hosting workers."""
    found = []
    for name, split in (("chain, one daemon with workers", False), ("chain, worker and daemon apart", True)):
        ours, floor, ratio = medians(
            alternately(lambda split=split: chain(parents, split), lambda: raw(parents))
        )
        found.append(
            Row(name, f"{ours:,.0f}/s", f"{floor:,.0f}/s", f"{ratio:.2f}", f">= {GOAL:,}/s", ours >= GOAL)
        )
    return found


def redis_rows(
    server: Server, name: str = "chain on Redis, worker and daemon apart", parents: int = PARENTS
) -> list[Row]:
    """Measure against two bare processes on the same server, one of which writes rows of history."""
    from raw_pipeline import chain as bare_chain
    from server import emptied

    def ours() -> float:
        with emptied(server.port):
            return chain(parents, True, address=server.url)

    mine, bare, ratio = medians(alternately(ours, lambda: bare_chain(server.port, parents)))
    goal = f">= {REDIS_GOAL} ({REDIS_STRETCH})"
    return [Row(name, f"{mine:,.0f}/s", f"{bare:,.0f}/s", f"{ratio:.2f}", goal, ratio >= REDIS_GOAL)]


def chain(parents: int, split: bool, *, keep: Path | None = None, address: str = "") -> float:
    """Return tasks per second from the first start to the last row of history; the bus is a file without an address."""
    with tempfile.TemporaryDirectory(prefix="flowlord-bench-") as folder:
        where = keep or Path(folder)
        places = ["--bus", address or f"sqlite:///{where / 'bus.db'}"]
        _load(where, parents, places)
        hosted = [] if split else ["--worker", "first=builtin:noop", "--worker", "second=builtin:noop"]
        commands = [flowlord("run", "flow", *places, "--cache", "tasks.db", "-q", *hosted)]
        if split:
            both = ["--worker", "first=builtin:noop", "--worker", "second=builtin:noop"]
            commands.append(flowlord("worker", *both, *places, "-q"))
        with running(commands, where):
            first, last = _watch(where / "tasks.db", 2 * parents)
        return 2 * parents / (last - first)


def _load(where: Path, parents: int, places: list[str]) -> None:
    (where / "flow").mkdir()
    (where / "flow" / "chain.toml").write_text(FLOW, "utf-8")
    with (where / "rows.jsonl").open("w", encoding="utf-8") as file:
        for n in range(parents):
            file.write(json.dumps({"info": INFO.format(n=n), "meta": {"n": str(n)}}) + "\n")
    what = ["send", "first", "--workflow", "chain.toml", "--workflows", "flow", "--from-file", "rows.jsonl"]
    quiet = subprocess.DEVNULL
    subprocess.run(flowlord(*what, *places), cwd=where, check=True, stdout=quiet, stderr=quiet)


@contextmanager
def running(commands: Sequence[list[str]], where: Path) -> Iterator[list[subprocess.Popen[bytes]]]:
    """Keep processes running; ends them by SIGTERM, and by force when they do not heed it."""
    errors = (where / "errors.log").open("ab")
    alive = [subprocess.Popen(each, cwd=where, stdout=errors, stderr=errors) for each in commands]
    try:
        yield alive
    finally:
        for each in alive:
            each.send_signal(signal.SIGTERM)
        for each in alive:
            try:
                each.wait(15)
            except subprocess.TimeoutExpired:
                each.kill()
                each.wait()
        errors.close()


def _watch(cache: Path, tasks: int) -> tuple[float, float]:
    """Wait until the history has that many finished tasks; return when the first began and when that was seen."""
    begin = time.monotonic()
    db: sqlite3.Connection | None = None
    while time.monotonic() - begin < LIMIT_S:
        time.sleep(LOOK_S)
        try:
            if db is None:
                if not cache.exists():
                    continue
                db = sqlite3.connect(f"file:{cache}?mode=ro", uri=True)
            # The sums of days are few rows; to count the tasks would read the whole file each time.
            [ended] = db.execute("SELECT ifnull(sum(attempts), 0) FROM days").fetchone()
        except sqlite3.OperationalError:
            continue  # the tables are still being made
        if ended >= tasks:
            until = time.time()
            count, first = db.execute(
                "SELECT count(*), min(started_us) FROM tasks WHERE ended_us > 0"
            ).fetchone()
            db.close()
            assert count == tasks, f"{count:,} of {tasks:,} tasks have ended"
            return first / 1e6, until
    raise SystemExit(f"the chain did not end within {LIMIT_S:.0f} s")


def raw(parents: int) -> float:
    """The floor: the same rows in and out of one file, by one process that does nothing else."""
    with tempfile.TemporaryDirectory(prefix="flowlord-bench-") as folder:
        bus, history = _raw_files(Path(folder))
        payload = json.dumps(
            {"type": "first", "info": INFO.format(n=0), "id": "0" * 36, "meta": "workflow=chain.toml&n=0"}
        )
        _insert(bus, "first", [payload] * parents)
        begin = time.perf_counter()
        serial = count()
        for topic, child in (("first", "second"), ("second", "")):
            for _ in range(0, parents, BATCH):
                _hand_over(bus, topic, "done")
                told = _hand_over(bus, "done", child)
                history.execute("BEGIN IMMEDIATE")
                history.executemany(
                    "INSERT INTO tasks VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
                    [
                        (f"{next(serial):032}", "0" * 36, topic, "", body, "", "complete", "", "", "")
                        for _, body in told
                    ],
                )
                history.execute("COMMIT")
        took = time.perf_counter() - begin
        bus.close()
        history.close()
        return 2 * parents / took


def _raw_files(folder: Path) -> tuple[sqlite3.Connection, sqlite3.Connection]:
    bus = sqlite3.connect(folder / "bus.db", isolation_level=None)
    bus.execute("PRAGMA journal_mode = WAL")
    bus.execute("PRAGMA synchronous = FULL")
    bus.execute("CREATE TABLE q(id INTEGER PRIMARY KEY, topic TEXT, body TEXT, lease INTEGER)")
    bus.execute("CREATE INDEX q_topic ON q(topic, lease, id)")
    history = sqlite3.connect(folder / "tasks.db", isolation_level=None)
    history.execute("PRAGMA journal_mode = WAL")
    history.execute("PRAGMA synchronous = NORMAL")
    history.execute(HISTORY)
    return bus, history


def _insert(db: sqlite3.Connection, topic: str, bodies: Sequence[str]) -> None:
    db.execute("BEGIN IMMEDIATE")
    db.executemany("INSERT INTO q(topic, body, lease) VALUES (?, ?, 0)", [(topic, body) for body in bodies])
    db.execute("COMMIT")


def _hand_over(db: sqlite3.Connection, topic: str, to: str) -> list[tuple[int, str]]:
    """Claim a batch in one step; drop it and put what follows on its topic in another, which waits for the disk."""
    db.execute("PRAGMA synchronous = NORMAL")
    db.execute("BEGIN IMMEDIATE")
    taken = db.execute(
        "SELECT id, body FROM q WHERE topic = ? AND lease = 0 ORDER BY id LIMIT ?", (topic, BATCH)
    ).fetchall()
    db.executemany("UPDATE q SET lease = 1 WHERE id = ?", [(n,) for n, _ in taken])
    db.execute("COMMIT")
    db.execute("PRAGMA synchronous = FULL")
    db.execute("BEGIN IMMEDIATE")
    db.executemany("DELETE FROM q WHERE id = ?", [(n,) for n, _ in taken])
    if to:
        db.executemany(
            "INSERT INTO q(topic, body, lease) VALUES (?, ?, 0)", [(to, body) for _, body in taken]
        )
    db.execute("COMMIT")
    return taken


if __name__ == "__main__":
    os.environ.pop("FLOWLORD_CONFIG", None)
    print(
        f"one daemon {chain(PARENTS, False):,.0f}/s   apart {chain(PARENTS, True):,.0f}/s   floor {raw(PARENTS):,.0f}/s"
    )
