"""The workflow of the kill test, told twice: as flowlord reads it, and as plain arithmetic for the checker.

The second telling imports nothing of flowlord and never asks it: what root `n` must bring about follows from `n`.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import NamedTuple

FILE = "chain.toml"
TEXT = """\
# root -> two children by a meta list -> a grandchild each; some tasks fail once and are retried after a delay.
# Each attempt hands back its own name as `by`, so what follows says whose result was accepted.
[[phase]]
task = "root"
retry = 2
rule = "retry_delay=30ms"

[[phase]]
task = "child"
dependsOn = "root"
retry = 2
rule = "meta=part:a,b&retry_delay=40ms"
template = "{meta:n}/{meta:part}?by={meta:by}"

[[phase]]
task = "grand:sum"
dependsOn = "child"
retry = 2
rule = "require={meta:n}&retry_delay=50ms"
template = "{meta:n}/{meta:part}/sum?by={meta:by}"
"""
PARTS = ("a", "b")
TOPICS = ("root", "child", "grand", "done")

TICK = "tick"
STAMP = "%Y%m%dT%H%M%S"
CLOCK = "clock.toml"
CLOCK_TEXT = """\
# Beside the chain, so that there are starts that nobody asked for: one each second, whoever is dead at the time.
[[phase]]
task = "tick"
rule = "cron=* * * * * *&catchup=all"
template = "{ts}"
"""


class Slot(NamedTuple):
    """One task that must be dispatched exactly once; `attempt` counts the failures before it."""

    type: str
    job: str
    info: str
    attempt: int


def fails_once(type_: str, info: str) -> bool:
    """Tell whether the first attempt of this task fails: known to the task and to the checker."""
    n, _, rest = info.partition("/")
    match type_:
        case "root":
            return int(n) % 10 == 1
        case "child":
            return int(n) % 5 == 2 and rest == "a"
        case "tick":
            return False
        case _:
            return int(n) % 3 == 0 and rest == "b/sum"


def slots_of(n: int) -> Iterator[Slot]:
    """Yield everything that must come of root `n`, itself included."""
    yield from _attempts("root", "", f"{n}")
    for part in PARTS:
        yield from _attempts("child", "", f"{n}/{part}")
        yield from _attempts("grand", "sum", f"{n}/{part}/sum")


def parent_of(slot: Slot) -> Slot | None:
    """Return the task whose end must come before this one begins; None for the first attempt of a root."""
    if slot.attempt:
        return slot._replace(attempt=slot.attempt - 1)
    n, _, rest = slot.info.partition("/")
    match slot.type:
        case "root" | "tick":
            return None
        case "child":
            return Slot("root", "", n, int(fails_once("root", n)))
        case _:
            info = f"{n}/{rest.partition('/')[0]}"
            return Slot("child", "", info, int(fails_once("child", info)))


def seconds_between(first: str, last: str) -> Iterator[str]:
    """Yield the infos of all ticks from one to another, both included."""
    at, end = (datetime.strptime(text, STAMP) for text in (first, last))
    while at <= end:
        yield f"{at:{STAMP}}"
        at += timedelta(seconds=1)


def roots_for(tasks: int) -> int:
    """Return how many roots bring about at least that many tasks."""
    made, n = 0, 0
    while made < tasks:
        made += sum(1 for _ in slots_of(n))
        n += 1
    return n


def _attempts(type_: str, job: str, info: str) -> Iterator[Slot]:
    yield Slot(type_, job, info, 0)
    if fails_once(type_, info):
        yield Slot(type_, job, info, 1)
