"""Runs in a process of its own, beside another one: arguments are the game, the address, the namespace, a name.

Says `ready`, starts at the first line of its input, ends when its input ends. Who did what is told by the journal.

`marks`: sets MARKS marks in an order of its own, each with a message. `daemon`: starts the phases of FILES by a clock
that runs SPEED times as fast, and decides the results that come in.
"""

from __future__ import annotations

import logging
import random
import sys
import threading
from datetime import UTC, datetime, timedelta

from flowlord.bus.clock import SystemClock
from flowlord.bus.redis import RedisBus
from flowlord.model.message import Message
from flowlord.model.plan import Commit, Mark, Plan
from flowlord.model.task import Task
from flowlord.taskmaster.chance import Chance, Stamps
from flowlord.taskmaster.router import Router
from flowlord.taskmaster.scheduler import Scheduler
from flowlord.taskmaster.surroundings import Surroundings
from support.flows import flows_of

MARKS = 10_000
AT_ONCE = 50
PHASES = 10
SPEED = 60
FILES = {
    f"{n}.toml": [
        {"task": f"tick{n}", "rule": "cron=* * * * * *&catchup=all", "template": "{timestamp}"},
        {"task": "kid", "dependsOn": f"tick{n}", "template": "{meta:at}"},
    ]
    for n in range(PHASES)
}


class FastClock(SystemClock):
    """Wall time that runs SPEED times as fast from a moment that all processes of this machine agree on."""

    def now(self) -> datetime:
        """Aware, UTC."""
        return datetime(2026, 1, 1, tzinfo=UTC) + timedelta(microseconds=self.boottime_ns() * SPEED // 1_000)


def race_for_marks(bus: RedisBus, name: str) -> None:
    """Try to set every mark, in an order that no other process has."""
    order = list(range(MARKS))
    random.Random(name).shuffle(order)
    for start in range(0, MARKS, AT_ONCE):
        bus.commit_many(
            [
                Commit(
                    Plan(publish=(Message("won", Task(type="won", info=str(n), job=name), f"{n}-{name}"),)),
                    marks=(Mark(f"slot:{n}", None, name),),
                )
                for n in order[start : start + AT_ONCE]
            ]
        )


def be_daemon(bus: RedisBus, name: str, stop: threading.Event) -> None:
    """Tick and route until told to stop."""
    clock = FastClock()
    flows = flows_of(FILES)
    step = threading.Event()

    def around(digit: int) -> Surroundings:
        stamps = Stamps(clock, digit + (name == "two"))
        return Surroundings(bus, clock, Chance(), stamps, f"{name}-{digit}", workflows=flows)

    def tick() -> None:
        scheduler = Scheduler(around(2), threading.Event())
        while not stop.is_set():
            scheduler.decide_due()
            step.wait(0.001)

    def route() -> None:
        router = Router(around(4))
        while not stop.is_set():
            router.step(0.1)

    threads = [threading.Thread(target=each) for each in (tick, route)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def main(game: str, address: str, namespace: str, name: str) -> None:
    """Take part."""
    bus = RedisBus(address, by=name, namespace=namespace)
    logging.disable(logging.WARNING)  # to a clock as fast as ours the wall clock jumps all the time
    print("ready", flush=True)
    sys.stdin.readline()
    if game == "marks":
        race_for_marks(bus, name)
    else:
        stop = threading.Event()

        def listen() -> None:
            sys.stdin.read()
            stop.set()

        threading.Thread(target=listen, daemon=True).start()
        be_daemon(bus, name, stop)
    bus.close()


if __name__ == "__main__":
    main(*sys.argv[1:])
