"""Tasks and messages as phases make them: what every part measures with."""

from __future__ import annotations

from msgspec.structs import replace

from flowlord.bus.port import Bus
from flowlord.model.message import Message, Report
from flowlord.model.task import Task, encode

BATCH = 500
INFO = "s3://bucket-name/data/2026/01/01/00/input.json?dest=s3://bucket-name/out.json"
META = "workflow=bench.toml&job=hourly&phase=1"
TIMES = {"started": "2026-01-01T00:00:01.000000Z", "ended": "2026-01-01T00:00:02.000000Z"}


def task(number: int, type_: str = "load", meta: str = META) -> Task:
    """Return an open task; 234 bytes of JSON."""
    return Task(type=type_, info=INFO, created="2026-01-01T00:00:00.000000Z", id=f"{number:036}", meta=meta)


def message(number: int, topic: str = "load") -> Message:
    """Return a message as a phase makes it."""
    return Message(topic=topic, task=task(number, topic), key=f"{number:032x}", phase=f"bench.toml:{topic}")


def result(number: int, revision: str = "") -> Message:
    """Return what a worker tells of a parent of the chain."""
    ended = replace(task(number, "first", f"workflow=chain.toml&n={number}"), result="complete", **TIMES)
    return Message(
        topic="done",
        task=ended,
        key=f"{number:032x}",
        phase="chain.toml:first",
        revision=revision,
        cause=f"file:{number}",
        report=Report("bench-1", 1),
    )


def lists(messages: list[Message]) -> list[list[Message]]:
    """Return them in lists of BATCH."""
    return [messages[first : first + BATCH] for first in range(0, len(messages), BATCH)]


def fill(bus: Bus, messages: list[Message]) -> None:
    """Publish them."""
    for some in lists(messages):
        bus.publish(some)


WAITING = encode(task(0))
ENDED = encode(result(0).task)
