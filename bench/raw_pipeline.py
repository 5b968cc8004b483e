"""Floors of two bare processes on Redis: a worker and a taskmaster that pass chains on, and a worker that waits.

python bench/raw_pipeline.py worker|taskmaster PORT TASKS     prints when it began and ended (monotonic seconds)
python bench/raw_pipeline.py stamp PORT FILE                  stamps the start of each task until one says `end`
"""

from __future__ import annotations

import os
import random
import subprocess
import sys
import time
from pathlib import Path

import redis
from given import WAITING
from raw_redis import decode, encode, fill, hand_over, let_go, opened_history, take
from server import emptied
from stamps import STAMP, await_stamp

STARTED, ENDED = "2026-01-01T00:00:01.000000Z", "2026-01-01T00:00:02.000000Z"
WAIT_MS = 2_000
LIMIT_S = 60


def chain(port: int, parents: int) -> float:
    """Return tasks per second: each parent is read, run and answered, its child started, and both are recorded."""
    with emptied(port) as client:
        fill(client, "done", 0, b"")
        fill(client, "load", parents, WAITING.replace(b'"type":"load"', b'"type":"first"'))
        both = [_start(part, port, str(2 * parents)) for part in ("taskmaster", "worker")]
        times = [_told(process) for process in both]
    return 2 * parents / (max(end for _, end in times) - min(begin for begin, _ in times))


def latencies(port: int, samples: int, gap_s: float, folder: Path, seed: int) -> list[float]:
    """Return milliseconds from just before XADD to the first line in a process that waits by XREADGROUP BLOCK."""
    chance = random.Random(seed)
    stamps = folder / "raw-stamps"
    stamps.touch()
    found = []
    with emptied(port) as client:
        fill(client, "load", 0, b"")
        with _start("stamp", port, str(stamps)):
            for n in range(samples + 1):
                time.sleep(gap_s * chance.uniform(0.5, 1.5))
                begin = time.monotonic_ns()
                client.xadd("load", {"task": WAITING})
                found.append((await_stamp(stamps, n) - begin) / 1e6)
            client.xadd("load", {"task": b"end"})
    stamps.unlink()
    return found[1:]  # for the first one the process had to start


def _start(part: str, port: int, more: str) -> subprocess.Popen[str]:
    command = [sys.executable, __file__, part, str(port), more]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True)


def _told(process: subprocess.Popen[str]) -> tuple[float, float]:
    said, _ = process.communicate(timeout=LIMIT_S)
    if process.returncode:
        raise SystemExit(f"a process of the floor ended with {process.returncode}")
    begin, end = map(float, said.split())
    return begin, end


def _work(client: redis.Redis, tasks: int) -> float:
    seen, begin = 0, 0.0
    while seen < tasks:
        found = take(client, "load", WAIT_MS)
        if not found:
            continue
        begin = begin or time.monotonic()
        pipeline = client.pipeline(transaction=True)
        for _, fields in found:
            task = decode(fields[b"task"])
            task.result, task.started, task.ended = "complete", STARTED, ENDED
            pipeline.xadd("done", {"task": encode(task)})
        let_go(pipeline, "load", found)
        seen += len(found)
    return begin


def _decide(client: redis.Redis, tasks: int) -> float:
    seen, begin = 0, 0.0
    with opened_history() as db:
        while seen < tasks:
            found = take(client, "done", WAIT_MS)
            if not found:
                continue
            begin = begin or time.monotonic()
            hand_over(client, found, seen, lambda ended: ended.type == "first", db)
            seen += len(found)
    return begin


def _stamp(client: redis.Redis, path: str) -> None:
    file = os.open(path, os.O_WRONLY | os.O_APPEND)
    while True:
        for entry, fields in take(client, "load", WAIT_MS):
            os.write(file, STAMP.pack(time.monotonic_ns()))
            if fields[b"task"] == b"end":
                return
            client.xack("load", "workers", entry)


if __name__ == "__main__":
    part, port, more = sys.argv[1:]
    with redis.Redis(port=int(port)) as client:
        if part == "stamp":
            _stamp(client, more)
        else:
            begin = (_work if part == "worker" else _decide)(client, int(more))
            print(begin, time.monotonic())
