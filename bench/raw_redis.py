"""The floors on Redis: the least that redis-py, hiredis, msgspec and SQLite do for the same, without flowlord.

They keep no leases, no retries, no keys and no journal. All take the port of a server of their own and return tasks
per second of one pass.
"""

from __future__ import annotations

import gc
import sqlite3
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import msgspec
import redis
from given import BATCH, ENDED, WAITING
from server import emptied

GROUP = "workers"
SCHEMA = """CREATE TABLE tasks(key TEXT PRIMARY KEY, id TEXT, type TEXT, job TEXT, info TEXT, meta TEXT, result TEXT,
  created TEXT, started TEXT, ended TEXT)"""
INSERT = "INSERT INTO tasks VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
SCRIPT = "for n = 1, #ARGV do redis.call('XADD', KEYS[1], '*', 'task', ARGV[n]) end return #ARGV"


class Raw(msgspec.Struct, omit_defaults=True):
    """A task that may be changed in place."""

    type: str
    job: str = ""
    info: str = ""
    created: str = ""
    id: str = ""
    meta: str = ""
    result: str = ""
    msg: str = ""
    started: str = ""
    ended: str = ""


Entries = Sequence[tuple[bytes, dict[bytes, bytes]]]
Record = tuple[str, ...]
decode = msgspec.json.Decoder(Raw).decode
encode = msgspec.json.Encoder().encode


# --- publish ------------------------------------------------------------------------------------------------------


def publish_one(port: int, tasks: int) -> float:
    """XADD, one at a time."""
    with emptied(port) as client:

        def body() -> None:
            for _ in range(tasks):
                client.xadd("load", {"task": WAITING})

        return rate(tasks, body)


def publish_pipeline(port: int, tasks: int) -> float:
    """XADD in pipelines of redis-py, BATCH at a time."""
    with emptied(port) as client:

        def body() -> None:
            for _ in range(tasks // BATCH):
                pipeline = client.pipeline(transaction=False)
                for _ in range(BATCH):
                    pipeline.xadd("load", {"task": WAITING})
                pipeline.execute()

        return rate(tasks, body)


def publish_packed(port: int, tasks: int) -> float:
    """The same commands packed without pipeline objects, over the same kind of connection."""
    with emptied(port) as client:
        connection = client.connection_pool.get_connection()

        def body() -> None:
            for _ in range(tasks // BATCH):
                commands = [("XADD", "load", "*", "task", WAITING)] * BATCH
                connection.send_packed_command(connection.pack_commands(commands))
                for _ in range(BATCH):
                    connection.read_response()

        try:
            return rate(tasks, body)
        finally:
            client.connection_pool.release(connection)


def publish_script(port: int, tasks: int) -> float:
    """One call of a script for every BATCH."""
    with emptied(port) as client:
        sha = client.script_load(SCRIPT)

        def body() -> None:
            for _ in range(tasks // BATCH):
                client.evalsha(sha, 1, "load", *[WAITING] * BATCH)

        return rate(tasks, body)


# --- read, work, write --------------------------------------------------------------------------------------------


def fill(client: redis.Redis, stream: str, tasks: int, payload: bytes) -> None:
    """Put tasks on a stream that has a group."""
    client.xgroup_create(stream, GROUP, id="0", mkstream=True)
    sha = client.script_load(SCRIPT)
    for first in range(0, tasks, BATCH):
        client.evalsha(sha, 1, stream, *[payload] * min(BATCH, tasks - first))


def take(client: redis.Redis, stream: str, block_ms: int | None = None) -> Entries:
    """Read what is new, BATCH at most."""
    reply = client.xreadgroup(GROUP, "bench", {stream: ">"}, count=BATCH, block=block_ms)
    return reply[0][1] if reply else ()


def loop(port: int, tasks: int, *, history: bool = False) -> float:
    """The taskmaster loop: read BATCH, decode, a child each, encode, and one transaction of XADD, XACK and XDEL."""
    with emptied(port) as client, opened_history() as db:
        fill(client, "done", tasks, ENDED)

        def body() -> None:
            seen = 0
            while seen < tasks:
                found = take(client, "done")
                hand_over(client, found, seen, lambda ended: True, db if history else None)
                seen += len(found)

        return rate(tasks, body)


def hand_over(
    client: redis.Redis,
    found: Entries,
    serial: int,
    has_child: Callable[[Raw], bool],
    db: sqlite3.Connection | None,
) -> None:
    """Start the children of some results, record the results, and let go of them."""
    records: list[Record] = []
    pipeline = client.pipeline(transaction=True)
    for number, (_, fields) in enumerate(found, serial):
        ended = decode(fields[b"task"])
        if has_child(ended):
            child = Raw(
                type="load", info=ended.info, created=ended.ended, id=f"{number:036}", meta=ended.meta
            )
            pipeline.xadd("load", {"task": encode(child)})
        if db is not None:
            records.append(
                (f"{number:032x}", ended.id, ended.type, ended.job, ended.info, ended.meta, ended.result,
                 ended.created, ended.started, ended.ended)
            )  # fmt: skip
    if db is not None:
        db.execute("BEGIN IMMEDIATE")
        db.executemany(INSERT, records)
        db.execute("COMMIT")
    let_go(pipeline, "done", found)


def let_go(pipeline: redis.client.Pipeline, stream: str, found: Entries) -> None:
    """Acknowledge, delete, and send everything."""
    ids = [entry for entry, _ in found]
    pipeline.xack(stream, GROUP, *ids)
    pipeline.xdel(stream, *ids)
    pipeline.execute()


@contextmanager
def opened_history() -> Iterator[sqlite3.Connection]:
    """Open a history of rows and nothing else, with the pragmas of ours."""
    with tempfile.TemporaryDirectory(prefix="flowlord-bench-") as folder:
        db = sqlite3.connect(Path(folder) / "tasks.db", isolation_level=None)
        db.execute("PRAGMA journal_mode = WAL")
        db.execute("PRAGMA synchronous = NORMAL")
        db.execute(SCHEMA)
        try:
            yield db
        finally:
            db.close()


def rate(tasks: int, body: Callable[[], None]) -> float:
    """Return tasks per second of one run of `body`."""
    gc.collect()
    begin = time.perf_counter()
    body()
    return tasks / (time.perf_counter() - begin)
