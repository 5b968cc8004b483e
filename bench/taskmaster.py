"""Results to children on Redis: the shipped router and follower in two threads, as the daemon runs them."""

from __future__ import annotations

import gc
import threading
import time
from datetime import timedelta
from pathlib import Path
from tempfile import TemporaryDirectory

from chain import FLOW
from given import fill, result
from publish import beside
from raw_redis import loop
from server import Server, emptied
from table import Row

from flowlord.bus.clock import SystemClock
from flowlord.bus.open import open_bus
from flowlord.bus.port import Bus
from flowlord.cache.historian import Historian
from flowlord.taskmaster.chance import Chance, Stamps
from flowlord.taskmaster.follower import Follower
from flowlord.taskmaster.reload import Reloader
from flowlord.taskmaster.router import Router
from flowlord.taskmaster.surroundings import Surroundings

TASKS = 20_000
GOAL, STRETCH = 0.5, 0.8
LIMIT_S = 60.0
SEED = 1


def rows(server: Server) -> list[Row]:
    """Measure ours against a loop that reads, decodes, starts a child of each, and writes a row of history."""
    row = beside(
        "taskmaster, done to child with history",
        lambda: decide(server.url, server.port, TASKS),
        lambda: loop(server.port, TASKS, history=True),
        f">= {GOAL} ({STRETCH})",
        GOAL,
    )
    return [row]


def decide(address: str, port: int, results: int) -> float:
    """Return results per second, from the first claim until the history has the last child."""
    with emptied(port), TemporaryDirectory(prefix="flowlord-bench-") as folder:
        where = Path(folder)
        (where / "flow").mkdir()
        (where / "flow" / "chain.toml").write_text(FLOW, "utf-8")
        bus = open_bus(address, by="bench", accept_loss=True)
        try:
            return follow(bus, where, results)
        finally:
            bus.close()


def follow(bus: Bus, where: Path, results: int) -> float:
    """Decide in this thread, write history in another."""
    clock = SystemClock()
    chance = Chance(SEED)
    around = Surroundings(bus, clock, chance, Stamps(clock, chance.digit()), "bench")
    Reloader(around, str(where / "flow")).start()
    revision = around.workflows.by_name["chain.toml"].revision
    fill(bus, [result(number, revision) for number in range(results)])
    router = Router(around)
    historian = Historian(where / "tasks.db", clock)
    follower = Follower(bus, clock, lambda: historian, timedelta(days=30))
    routed = threading.Event()

    def copy() -> None:
        while follower.step(0.0 if routed.is_set() else 0.2) or not routed.is_set():
            pass

    thread = threading.Thread(target=copy)
    gc.collect()
    begin = time.perf_counter()
    thread.start()
    try:
        heard = 0
        while heard < results:
            heard += router.step(0.0)
            assert time.perf_counter() - begin < LIMIT_S, f"only {heard:,} of {results:,} were heard"
    finally:
        routed.set()
        thread.join()
    took = time.perf_counter() - begin
    count, ended = historian.connection.execute("SELECT count(*), sum(ended_us > 0) FROM tasks").fetchone()
    historian.close()
    assert (count, ended) == (2 * results, results), f"{count:,} rows, {ended:,} of them ended"
    return results / took
