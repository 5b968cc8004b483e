"""Runs in a process of its own, one of several daemons on one schedule. Arguments: game, bus, namespace, name, size.

Says `ready`, starts at the first line of its input. `bus`: decides `size` ticks of PHASES phases, in order, as quickly
as it can, and tells how many it won and how many another one had. `daemon`: schedules by a clock that runs SPEED times
as fast and goes `size` seconds wrong, until its input ends; then it tells what it published, and how often another
one was quicker.
"""

from __future__ import annotations

import logging
import sys
import threading
from datetime import UTC, datetime, timedelta

from flowlord.bus.clock import SystemClock
from flowlord.bus.open import open_bus
from flowlord.bus.port import Bus
from flowlord.model.message import Message
from flowlord.model.plan import Commit, Committed, Mark, Plan
from flowlord.model.task import Task
from flowlord.taskmaster.chance import Chance, Stamps
from flowlord.taskmaster.scheduler import Scheduler
from flowlord.taskmaster.surroundings import Surroundings
from support.flows import flows_of

PHASES = 10
SPEED = 40
AT_ONCE = 100
FILES = {
    "all.toml": [
        {"task": f"tick:{n}", "rule": "cron=* * * * * *&catchup=all", "template": "{timestamp}"}
        for n in range(PHASES)
    ]
}


class FastClock(SystemClock):
    """Wall time that runs SPEED times as fast from a moment that all processes of this machine agree on.

    `ahead` is by how much this daemon's clock is wrong.
    """

    def __init__(self, ahead_s: float = 0.0) -> None:
        self._ahead = timedelta(seconds=ahead_s)

    def now(self) -> datetime:
        """Aware, UTC."""
        passed = timedelta(microseconds=self.boottime_ns() * SPEED // 1_000)
        return datetime(2026, 1, 1, tzinfo=UTC) + passed + self._ahead


def race(bus: Bus, name: str, ticks: int) -> tuple[int, int]:
    """Decide every tick that another one has not decided; returns how many were won and how many were taken."""
    won = taken = 0
    for start in range(0, ticks, AT_ONCE):
        commits = [
            Commit(
                Plan(
                    publish=(
                        Message("tick", Task(type="tick", info=str(tick)), f"tick-{tick}", cause=f"{tick}"),
                    )
                ),
                marks=(
                    Mark(
                        f"tick:{tick % PHASES}",
                        str(tick - PHASES) if tick >= PHASES else None,
                        str(tick),
                    ),
                ),
            )
            for tick in range(start, min(start + AT_ONCE, ticks))
        ]
        landed = sum(isinstance(answer, Committed) for answer in bus.commit_many(commits))
        won, taken = won + landed, taken + len(commits) - landed
    return won, taken


def schedule(bus: Bus, name: str, ahead_s: float) -> tuple[int, int]:
    """Be a daemon until the input ends; returns how many ticks it published and how many another one had."""
    clock = FastClock(ahead_s)
    around = Surroundings(bus, clock, Chance(), Stamps(clock, int(name)), name, workflows=flows_of(FILES))
    scheduler = Scheduler(around, threading.Event())
    stop, step = threading.Event(), threading.Event()

    def listen() -> None:
        sys.stdin.read()
        stop.set()

    threading.Thread(target=listen, daemon=True).start()
    while not stop.is_set():
        scheduler.decide_due()
        step.wait(0.001)
    return around.counters.published, around.counters.contested


def main(game: str, address: str, namespace: str, name: str, size: str) -> None:
    """Take part."""
    bus = open_bus(address, by=name, namespace=namespace, accept_loss=True)
    logging.disable(logging.WARNING)  # to a clock as fast as ours the wall clock jumps all the time
    print("ready", flush=True)
    sys.stdin.readline()
    told = race(bus, name, int(size)) if game == "bus" else schedule(bus, name, float(size))
    print(*told, flush=True)
    bus.close()


if __name__ == "__main__":
    main(*sys.argv[1:])
