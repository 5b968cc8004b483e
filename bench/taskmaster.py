"""Results to children on Redis: the shipped router, with the history in a process beside it, as in the daemon."""

from __future__ import annotations

import gc
import sqlite3
import time
from contextlib import closing
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
from flowlord.cli.historian import beside as process_beside
from flowlord.config.settings import BusSettings, CacheSettings, Settings
from flowlord.taskmaster.chance import Chance, Stamps
from flowlord.taskmaster.chronicle import SUBJECT
from flowlord.taskmaster.follower import Follower
from flowlord.taskmaster.reload import Reloader
from flowlord.taskmaster.router import Router
from flowlord.taskmaster.surroundings import Surroundings

TASKS = 20_000
GOAL, STRETCH = 0.5, 0.8
LIMIT_S = 60.0
LOOK_S = 0.01
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
        settings = Settings(BusSettings(address, accept_loss=True), CacheSettings(str(where / "tasks.db")))
        bus = open_bus(address, by="bench", accept_loss=True)
        try:
            return follow(bus, settings, where, results)
        finally:
            bus.close()


def follow(bus: Bus, settings: Settings, where: Path, results: int) -> float:
    """Decide here, while a process beside this one writes history."""
    clock = SystemClock()
    chance = Chance(SEED)
    around = Surroundings(bus, clock, chance, Stamps(clock, chance.digit()), "bench")
    Reloader(around, str(where / "flow")).start()
    here = Historian(settings.cache.path, clock)
    history = process_beside(settings, around, Follower(bus, clock, lambda: here, timedelta(days=30)))
    around.health.fault(SUBJECT, "it has not begun")
    while around.health.faults():
        history.step()
    revision = around.workflows.by_name["chain.toml"].revision
    fill(bus, [result(number, revision) for number in range(results)])
    router = Router(around)
    gc.collect()
    begin = time.perf_counter()
    try:
        heard = 0
        while heard < results:
            heard += router.step(0.0)
            assert time.perf_counter() - begin < LIMIT_S, f"only {heard:,} of {results:,} were heard"
        last = bus.journal_bounds()[1]
        while here.cursor() < last:
            time.sleep(LOOK_S)
            assert time.perf_counter() - begin < LIMIT_S, f"history has {here.cursor():,} of {last:,} entries"
        took = time.perf_counter() - begin
    finally:
        history.finish()
        here.close()
    with closing(sqlite3.connect(settings.cache.path)) as db:
        count, ended = db.execute("SELECT count(*), sum(ended_us > 0) FROM tasks").fetchone()
    assert (count, ended) == (2 * results, results), f"{count:,} rows, {ended:,} of them ended"
    return results / took
