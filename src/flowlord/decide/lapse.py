"""What follows when a consumer died with a message in its hands."""

from __future__ import annotations

import msgspec

from flowlord.decide.alert import alert_of
from flowlord.decide.context import Context
from flowlord.decide.done import Done, on_poison
from flowlord.decide.late import brief
from flowlord.model.errors import InvalidTask
from flowlord.model.message import Delivery
from flowlord.model.plan import Fact, FactKind, Plan, Quarantined
from flowlord.model.task import Result
from flowlord.model.workflow import Workflows

RESULT_DELIVERIES = 10
"""Daemons that may die with a result before it is set aside: what follows from it would be lost to its chain."""


def on_lapse(lapsed: Delivery, flows: Workflows, ctx: Context) -> Plan | None:
    """Return what becomes of a message whose consumer crashed; None when it is simply offered again.

    After `max_deliveries` crashes a task is poison: no retry is tried, it becomes a dead letter and an alert. A result
    is never turned into another one: after RESULT_DELIVERIES it is set aside as it is, with an alert.
    Source: docs/reference.md, "Retries".
    """
    if lapsed.topic == ctx.done_topic:
        most = max(RESULT_DELIVERIES, ctx.max_deliveries)
        reason = (
            f"{lapsed.deliveries} taskmasters died with this result; what follows from it was not started"
        )
        return _set_aside(lapsed, reason, flows) if lapsed.deliveries >= most else None
    if lapsed.deliveries < ctx.max_deliveries:
        return None
    reason = f"{lapsed.deliveries} workers died with this task; it will not be offered again"
    try:
        task = lapsed.task()
    except InvalidTask:
        return _set_aside(lapsed, reason, flows)
    done = Done(
        task=msgspec.structs.replace(task, result=str(Result.ERROR), msg=reason),
        key=lapsed.key,
        phase=lapsed.phase,
        revision=lapsed.revision,
        cause=lapsed.cause,
        batch=lapsed.batch,
        priority=lapsed.priority,
    )
    return on_poison(done, flows, ctx)


def on_lost(lapsed: Delivery, ctx: Context) -> Fact:
    """Return the record that a worker vanished with a task in its hands."""
    try:
        task = lapsed.task()
    except InvalidTask:
        task = None
    name = task.name if task else f"a message on {lapsed.topic}"
    worker = f"worker {lapsed.before}" if lapsed.before else "worker"
    what = "it is offered again" if lapsed.deliveries < ctx.max_deliveries else "it is not offered again"
    text = (
        f"{name} lost its {worker}, {lapsed.deliveries} of {ctx.max_deliveries} that may die with it; {what}"
    )
    return Fact(
        FactKind.LOST,
        key=lapsed.key,
        topic=lapsed.topic,
        phase=lapsed.phase,
        revision=lapsed.revision,
        cause="lost",
        text=text,
        task=task and brief(task),
    )


def _set_aside(lapsed: Delivery, reason: str, flows: Workflows) -> Plan:
    told = Fact(FactKind.QUARANTINED, key=lapsed.key, topic=lapsed.topic, phase=lapsed.phase, text=reason)
    alert = alert_of(told, flows.rule_of(lapsed.phase))
    return Plan(quarantine=(Quarantined(lapsed.topic, lapsed.payload, reason),), facts=(told, alert))
