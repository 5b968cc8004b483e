"""What follows when a consumer died with a task in its hands."""

from __future__ import annotations

import msgspec

from flowlord.decide.context import Context
from flowlord.decide.done import Done, on_done
from flowlord.model.errors import InvalidTask
from flowlord.model.message import Delivery
from flowlord.model.plan import Fact, FactKind, Plan, Quarantined
from flowlord.model.task import Result
from flowlord.model.workflow import Workflows


def on_lapse(lapsed: Delivery, flows: Workflows, ctx: Context) -> Plan | None:
    """Return what becomes of a task whose consumer crashed; None when it is simply offered again.

    After `max_deliveries` crashes it is poison: no retry is tried, it becomes a dead letter and an alert.
    Source: docs/reference.md, "Retries".
    """
    if lapsed.deliveries < ctx.max_deliveries:
        return None
    reason = f"{lapsed.deliveries} workers died with this task; it will not be offered again"
    try:
        task = lapsed.task()
    except InvalidTask:
        return Plan(
            quarantine=(Quarantined(lapsed.topic, lapsed.payload, reason),),
            facts=(Fact(FactKind.QUARANTINED, key=lapsed.key, topic=lapsed.topic, text=reason),),
        )
    failed = msgspec.structs.replace(task, result=str(Result.ERROR), msg=reason)
    done = Done(
        task=failed,
        key=lapsed.key,
        phase=lapsed.phase,
        revision=lapsed.revision,
        cause=lapsed.cause,
        batch=lapsed.batch,
        priority=lapsed.priority,
    )
    return on_done(done, Workflows(), ctx)  # no workflow, no retry: a poison task is not tried again
