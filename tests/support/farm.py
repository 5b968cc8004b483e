"""A bus in memory, a clock that the test moves, and any number of daemons on them."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime

import msgspec

from flowlord.bus.memory import MemoryBus
from flowlord.model.message import Delivery, Message
from flowlord.model.plan import FactKind, Plan
from flowlord.model.workflow import Workflows
from flowlord.taskmaster.chance import Chance, Stamps
from flowlord.taskmaster.scheduler import Scheduler
from flowlord.taskmaster.surroundings import Surroundings
from support.clock import VirtualClock

START = datetime(2026, 3, 1, 12, 0, 30, tzinfo=UTC)
LEASE = 60_000_000_000

CHAIN = {
    "f.toml": [
        {"task": "root", "rule": "cron=* * * * *", "template": "?t={yyyy}-{mm}-{dd}T{hh}:{min}", "retry": 1},
        {"task": "leaf", "dependsOn": "root", "template": "{meta:n}", "rule": "meta=n:1,2"},
    ]
}


class Farm:
    """A bus, a clock and any number of daemons on them."""

    def __init__(self, fault: Callable[[str], None] | None = None) -> None:
        self.clock = VirtualClock(START)
        self.bus = MemoryBus(self.clock, fault)

    def daemon(self, flows: Workflows, name: str = "d1", digit: int = 1) -> Surroundings:
        return Surroundings(
            bus=self.bus,
            clock=self.clock,
            chance=Chance(7),
            stamps=Stamps(self.clock, digit),
            consumer=name,
            workflows=flows,
        )

    def work(self, topic: str, result: str = "complete", limit: int = 100, msg: str = "") -> list[Delivery]:
        """Do what a worker does: claim, then acknowledge together with the result."""
        found = self.bus.claim([topic], "worker", limit)
        for delivery in found:
            task = msgspec.structs.replace(delivery.task(), result=result, msg=msg)
            message = Message(
                "done",
                task,
                delivery.key,
                phase=delivery.phase,
                revision=delivery.revision,
                cause=delivery.cause,
            )
            self.bus.commit(Plan(publish=(message,)), acknowledge=[delivery])
        return found

    def facts(self, kind: FactKind) -> list[str]:
        entries = self.bus.journal(0, 10_000)
        return [fact.text or fact.key for entry in entries for fact in entry.facts if fact.kind is kind]


def scheduler_of(around: Surroundings) -> Scheduler:
    return Scheduler(around, around.changed)
