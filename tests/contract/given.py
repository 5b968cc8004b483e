"""What the contract tests are given: messages, leases, and short ways to say what they do."""

import json
from datetime import datetime
from itertools import count
from typing import Any

from flowlord.bus.port import Bus
from flowlord.model.message import Delivery, Message
from flowlord.model.plan import Fact, FactKind
from flowlord.model.task import Task

LEASE_S = 60
LEASE = LEASE_S * 1_000_000_000

_numbers = count(1)


def message(
    topic: str = "extract", info: str = "", *, key: str = "", due: datetime | None = None, **more: Any
) -> Message:
    """A message like no other, unless told what to be."""
    number = next(_numbers)
    task = Task(type=topic, info=info or f"s3://in/{number}", id=f"run-{number}")
    return Message(topic, task, key or f"key-{number}", due=due, **more)


def infos(found: list[Delivery]) -> list[str]:
    """What the tasks are about, in order."""
    return [delivery.task().info for delivery in found]


def take(bus: Bus, topic: str = "extract", limit: int = 100, consumer: str = "a") -> list[Delivery]:
    """Claim under the usual lease."""
    return bus.claim([topic], consumer, limit, lease_ns=LEASE)


def facts(bus: Bus, *kinds: FactKind) -> list[Fact]:
    """Everything the journal tells, or what it tells of these kinds."""
    found = [fact for entry in bus.journal(0, 1_000_000) for fact in entry.facts]
    return [fact for fact in found if not kinds or fact.kind in kinds]


def counts(bus: Bus, topic: str = "extract") -> tuple[int, int, int]:
    """How many messages of a topic wait, run, and come later."""
    for state in bus.topics():
        if state.topic == topic:
            return (state.waiting, state.running, state.later)
    return (0, 0, 0)


def foreign_task(info: str) -> str:
    """A task as a program writes it that knows nothing of us."""
    return json.dumps({"type": "extract", "info": info})
