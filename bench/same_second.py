"""10,000 phases that are due in the same second: from that second to the landing of the last of their tasks."""

from __future__ import annotations

import tempfile
import threading
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING

from table import Row

from flowlord.bus.clock import SystemClock
from flowlord.bus.open import open_bus
from flowlord.bus.port import Bus
from flowlord.cli.lasting import rarely_look_for_garbage
from flowlord.model.workflow import Phase, Rule, Workflow, Workflows
from flowlord.taskmaster.chance import Chance, Stamps
from flowlord.taskmaster.scheduler import Scheduler
from flowlord.taskmaster.surroundings import Surroundings

if TYPE_CHECKING:
    from server import Server

PHASES = 10_000
EACH_S = 20
ROUNDS = 3
GOAL_S = 1.0


def rows() -> list[Row]:
    """Measure on the embedded bus; what it comes to there is told and no goal."""
    with (
        tempfile.TemporaryDirectory(prefix="flowlord-bench-") as folder,
        closing(open_bus(f"sqlite:///{Path(folder) / 'bus.db'}", by="bench")) as bus,
    ):
        return measured(bus, "", None)


def redis_rows(server: Server) -> list[Row]:
    """Measure on Redis."""
    with closing(open_bus(server.url, by="bench", accept_loss=True)) as bus:
        return measured(bus, " on Redis", GOAL_S)


def measured(bus: Bus, where: str, goal_s: float | None) -> list[Row]:
    """Run a scheduler through some such seconds; Python looks for garbage as it does in the daemon."""
    rarely_look_for_garbage()
    clock = SystemClock()
    around = Surroundings(bus, clock, Chance(1), Stamps(clock, 1), "bench", workflows=flows())
    scheduler = Scheduler(around, threading.Event())
    begin = clock.monotonic_ns()
    while scheduler.decide_due():  # new phases: their marks are set
        pass
    first_s = (clock.monotonic_ns() - begin) / 1e9
    idle = Idle()
    again = Scheduler(around, idle)
    begin = clock.monotonic_ns()
    again.decide_due()
    built_s = (clock.monotonic_ns() - begin) / 1e9
    took = [_one(again, idle, around) for _ in range(ROUNDS)]
    name = f"{PHASES:,} phases due in one second{where}"
    worst = max(took)
    goal = f"<= {goal_s:g} s" if goal_s else ""
    met = worst <= goal_s if goal_s else None
    return [
        Row(f"{name}, until the last task has landed, median", f"{median(took):.2f} s"),
        Row(f"{name}, the slowest of {ROUNDS}", f"{worst:.2f} s", goal=goal, met=met),
        Row(
            f"{PHASES:,} phases scheduled{where}: at first, after a restart",
            f"{first_s:.2f} s, {built_s:.2f} s",
        ),
    ]


class Idle(threading.Event):
    """What the scheduler waits for; notes since when, since a step ends with a wait that is no part of a landing."""

    since_s = 0.0

    def wait(self, timeout: float | None = None) -> bool:
        """Wait as any event does."""
        self.since_s = datetime.now(UTC).timestamp()
        return super().wait(timeout)


def _one(scheduler: Scheduler, idle: Idle, around: Surroundings) -> float:
    before = around.counters.published
    while around.counters.published == before:
        scheduler.step()
    landed = idle.since_s
    made = around.counters.published - before
    assert made == PHASES, f"{made} starts: the machine is too busy to measure"
    return landed % EACH_S


def flows() -> Workflows:
    """Return one workflow with as many phases as are asked for."""
    template = "s3://lake/{yyyy}/{mm}/{dd}/{hh}/source.json?at={ts}"
    rule = Rule(cron=f"*/{EACH_S} * * * * *", offset_ns=-3_600_000_000_000, catchup="all")
    phases = tuple(
        Phase("all.toml", "load", f"source{n}", f"load:source{n}", rule=rule, template=template)
        for n in range(PHASES)
    )
    return Workflows({"all.toml": Workflow("all.toml", phases, "r1")})


if __name__ == "__main__":
    for row in rows():
        print(row)
