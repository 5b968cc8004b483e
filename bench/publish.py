"""Publishing on Redis: in lists and one at a time, against XADD; and why one script call carries many messages."""

from __future__ import annotations

import gc
import time
from collections.abc import Callable

from given import BATCH, lists, message
from raw_redis import publish_one, publish_packed, publish_pipeline, publish_script
from server import Server, emptied
from table import Row, alternately, medians

from flowlord.bus.open import open_bus

TASKS = 20_000
SINGLE = 3_000
PAIRS, FEW_PAIRS = 9, 5
BULK_GOAL, BULK_STRETCH, SINGLE_GOAL = 0.5, 0.8, 0.9


def rows(server: Server) -> list[Row]:
    """Measure ours against the floor, then three ways in which redis-py can carry the same."""
    port, address = server.port, server.url
    bulk = beside(
        f"publish, {BATCH} in a list",
        lambda: publish(address, port, TASKS, BATCH),
        lambda: publish_pipeline(port, TASKS),
        f">= {BULK_GOAL} ({BULK_STRETCH})",
        BULK_GOAL,
        PAIRS,
    )
    single = beside(
        "publish, one at a time",
        lambda: publish(address, port, SINGLE, 1),
        lambda: publish_one(port, SINGLE),
        f">= {SINGLE_GOAL}",
        SINGLE_GOAL,
        PAIRS,
    )
    ways = [
        beside(f"raw: {name}", lambda way=way: way(port, TASKS), lambda: publish_pipeline(port, TASKS))
        for name, way in (
            (f"{BATCH} XADD packed by hand", publish_packed),
            (f"one script call for {BATCH} XADD", publish_script),
        )
    ]
    return [bulk, single, *ways]


def publish(address: str, port: int, tasks: int, size: int) -> float:
    """Return messages per second; they are made before."""
    messages = [message(number) for number in range(tasks)]
    some = lists(messages) if size == BATCH else [[each] for each in messages]
    with emptied(port):
        bus = open_bus(address, by="bench", accept_loss=True)
        try:
            gc.collect()
            begin = time.perf_counter()
            for each in some:
                bus.publish(each)
            return tasks / (time.perf_counter() - begin)
        finally:
            bus.close()


def beside(
    name: str,
    ours: Callable[[], float],
    floor: Callable[[], float],
    goal: str = "",
    least: float | None = None,
    pairs: int = FEW_PAIRS,
) -> Row:
    """Measure two rates in turn; `least` is the ratio to reach."""
    mine, bare, ratio = medians(alternately(ours, floor, pairs))
    met = None if least is None else ratio >= least
    return Row(name, f"{mine:,.0f}/s", f"{bare:,.0f}/s", f"{ratio:.2f}", goal, met)
