"""Which tasks have not come to their end in time, and what is told of them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Final

import msgspec

from flowlord.decide.alert import PLAIN, alert_of
from flowlord.decide.keys import dispatch_key
from flowlord.model.paused import Pause
from flowlord.model.plan import Fact, FactKind, Plan
from flowlord.model.task import Task
from flowlord.model.workflow import Phase, Workflows
from flowlord.rules.durations import short_duration

LEAST_NS: Final = 3_600_000_000_000
"""The shortest time for all tasks that the setting may give; a phase says for itself what it likes."""

MOST: Final = 4_000
"""Characters of each text of a task that a fact carries: one may have a megabyte, and many are told in one step."""


@dataclass(frozen=True, slots=True)
class Open:
    """A task that has not come to its end, as it lies on the bus.

    `name` tells it from all others, when it has no dispatch key (`key`) too; `since` is when it arrived on its topic
    (aware, None when nobody knows). `holder` is the worker that has it, empty while it waits; `workers` is how many
    take tasks of its topic.
    """

    name: str
    key: str
    topic: str
    phase: str
    task: Task
    since: datetime | None
    holder: str = ""
    workers: int = 0


@dataclass(frozen=True, slots=True)
class Limits:
    """How long tasks may be open: `default_ns` unless their phase, by identity in `of_phases`, says otherwise."""

    default_ns: int
    of_phases: Mapping[str, int]
    topics: Mapping[str, frozenset[int]]

    @classmethod
    def of(cls, flows: Workflows, setting_ns: int) -> Limits:
        """Return the limits that the phases and the setting make."""
        found: dict[str, int] = {}
        topics: dict[str, set[int]] = {}
        for flow in flows.by_name.values():
            for phase in flow.phases:
                if phase.rule.ttl_ns:
                    found[phase.identity] = phase.rule.ttl_ns
                    topics.setdefault(phase.topic, set()).add(phase.rule.ttl_ns)
        default_ns = max(setting_ns, LEAST_NS)
        return cls(default_ns, found, {topic: frozenset(each) for topic, each in topics.items()})

    @property
    def shortest_ns(self) -> int:
        """The shortest of all limits."""
        return min(self.of_phases.values(), default=self.default_ns)

    def on(self, topic: str) -> tuple[int, ...]:
        """Return the limits that count on a topic, the shortest first."""
        return tuple(sorted({self.default_ns, *self.topics.get(topic, ())}))

    def limit_of(self, phase: str) -> int:
        """Return how long a task of that phase may be open."""
        return self.of_phases.get(phase, self.default_ns)

    def place(self, topic: str, limit_ns: int) -> str:
        """Return the mark that tells how far the tasks of a topic were looked at with one limit.

        Another one when phases of the topic change their limit: tasks that were passed over may be late then.
        """
        own = sorted(f"{phase}={ns}" for phase, ns in self.of_phases.items())
        digest = dispatch_key("\n".join(own))[:8] if topic in self.topics else ""
        return f"late:{limit_ns}:{topic}:{digest}"


def is_late(since: datetime | None, result: str, now: datetime, limit_ns: int) -> bool:
    """Tell whether a task that is open since then should have come to its end by `now` (both aware).

    Source: docs/reference.md, "Unfinished tasks".
    """
    if since is None or result:
        return False
    return (now - since).total_seconds() * 1e9 > limit_ns


def on_late(found: Open, limit_ns: int, phase: Phase | None, pause: Pause | None = None) -> Plan:
    """Return what is told of a task that is late: a fact, and an alert unless its phase or a person wants none.

    Args:
        phase: that made it, None when none that is loaded did.
        pause: for which the tasks of its topic wait.
    """
    text = (
        f"{found.task.name} has not come to its end within {short_duration(limit_ns)}: {_why(found, pause)}"
    )
    fact = Fact(
        FactKind.LATE,
        key=found.key,
        topic=found.topic,
        phase=found.phase,
        cause="late",
        text=text,
        task=brief(found.task),
    )
    if pause is not None or (phase is not None and phase.rule.no_alert):
        return Plan(facts=(fact,))
    return Plan(facts=(fact, alert_of(fact, phase.rule if phase else PLAIN)))


def brief(task: Task) -> Task:
    """Return a task as facts of what did not happen carry it: of a huge one only the beginning."""
    if len(task.info) + len(task.meta) + len(task.msg) <= MOST:
        return task
    meta = task.meta if len(task.meta) <= MOST else ""  # half of it would mean something else
    return msgspec.structs.replace(task, info=task.info[:MOST], meta=meta, msg=task.msg[:MOST])


def outcome_of(found: Open) -> str:
    """Return under what it is remembered that a task was told to be late, so that it is told once."""
    return f"late:{found.key or found.name}"


def _why(found: Open, pause: Pause | None) -> str:
    if found.holder:
        return f"it runs on {found.holder}"
    if pause is not None:
        return f"it waits, because {pause.words}"
    if not found.workers:
        return f"it waits, and no worker takes tasks of {found.topic}"
    workers = "1 worker takes" if found.workers == 1 else f"{found.workers} workers take"
    return f"it waits, and {workers} tasks of {found.topic}"
