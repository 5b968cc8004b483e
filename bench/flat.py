"""What a task costs on Redis when few or many wait: publish, claim and completion, per task."""

from __future__ import annotations

import time
from contextlib import ExitStack
from itertools import count
from statistics import median

from given import BATCH, fill, message
from msgspec.structs import replace
from server import Server, emptied
from table import Row

from flowlord.bus.open import open_bus
from flowlord.bus.port import Bus
from flowlord.model.plan import Commit, Plan

WAITING = (1_000, 10_000, 100_000)
MANY = 1_000_000
ROUNDS = 9
STEPS = 2
GOAL = 1.3


def rows(server: Server, *, many: bool = False) -> list[Row]:
    """Measure with 1,000 to 100,000 waiting tasks, and with a million when `many` are asked for (a minute more).

    All of them lie on one server, each number in a namespace of its own, and are measured in turn.
    """
    sizes = (*WAITING, MANY) if many else WAITING
    with emptied(server.port), ExitStack() as opened:
        buses = []
        for size in sizes:
            bus = open_bus(server.url, by="bench", namespace=f"flat-{size}", accept_loss=True)
            opened.callback(bus.close)
            for first in range(0, size, 10 * BATCH):
                fill(bus, [message(n) for n in range(first, min(first + 10 * BATCH, size))])
            buses.append(bus)
        serial = count(MANY)
        costs = [[cost(bus, serial) for bus in buses] for _ in range(ROUNDS + 1)][1:]
    found = []
    for place, size in enumerate(sizes):
        ours, first = median(turn[place] for turn in costs), median(turn[0] for turn in costs)
        ratio = median(turn[place] / turn[0] for turn in costs)
        found.append(
            Row(f"cost per task, {size:,} waiting", f"{ours:.1f} us")
            if place == 0
            else Row(
                f"cost per task, {size:,} waiting", f"{ours:.1f} us", f"{first:.1f} us", f"{ratio:.2f}",
                f"<= {GOAL}", ratio <= GOAL,
            )
        )  # fmt: skip
    return found


def cost(bus: Bus, serial: count[int]) -> float:
    """Return microseconds per task for publishing, claiming and completing BATCH * STEPS; as many wait as before."""
    steps = [[message(next(serial)) for _ in range(BATCH)] for _ in range(STEPS)]
    begin = time.perf_counter()
    for some in steps:
        bus.publish(some)
        found = bus.claim(["load"], "bench", BATCH)
        assert len(found) == BATCH
        commits = []
        for delivery in found:
            ended = replace(delivery.task(), result="complete")
            told = replace(message(0, "done"), task=ended, key=delivery.key)
            commits.append(Commit(Plan(publish=(told,)), (delivery,)))
        bus.commit_many(commits)
    return (time.perf_counter() - begin) / (STEPS * BATCH) * 1e6
