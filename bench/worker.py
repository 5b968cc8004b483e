"""A worker process on Redis with a task that does nothing: each is claimed, run, and told together with its end."""

from __future__ import annotations

import sys
import time
from datetime import datetime
from pathlib import Path
from tempfile import TemporaryDirectory

from chain import flowlord, running
from given import fill, message
from publish import beside
from raw_redis import loop
from server import Server, emptied
from table import Row

from flowlord.bus.open import open_bus
from flowlord.bus.port import Bus
from flowlord.model.task import decode

TASKS = 20_000
GOAL, STRETCH = 0.3, 0.5
LIMIT_S = 60.0


def rows(server: Server) -> list[Row]:
    """Measure the shipped command against a loop that does as much with Redis, and knows nothing of tasks."""
    row = beside(
        "noop in one worker process",
        lambda: work(server.url, server.port, TASKS),
        lambda: loop(server.port, TASKS),
        f">= {GOAL} ({STRETCH})",
        GOAL,
    )
    return [row]


def work(address: str, port: int, tasks: int) -> float:
    """Return tasks per second from the first start to the landing of the last end."""
    with emptied(port), TemporaryDirectory(prefix="flowlord-bench-") as folder:
        bus = open_bus(address, by="bench", accept_loss=True)
        try:
            fill(bus, [message(number) for number in range(tasks)])
            command = flowlord("worker", "--worker", "load=builtin:noop", "--bus", address, "-q")
            with running([command], Path(folder)):
                await_results(bus, tasks)
            [first] = bus.peek("done", 1)
            [last] = bus.peek("done", 1, newest=True)
        finally:
            bus.close()
    begin = datetime.fromisoformat(decode(first.payload).started).timestamp()
    return tasks / (last.at_us / 1e6 - begin)


def await_results(bus: Bus, tasks: int) -> None:
    """Wait until that many lie on `done`."""
    limit = time.monotonic() + LIMIT_S
    while sum(state.waiting for state in bus.topics() if state.topic == "done") < tasks:
        time.sleep(0.05)
        if time.monotonic() > limit:
            sys.exit(f"the worker did not do {tasks:,} tasks within {LIMIT_S:.0f} s")
