"""What follows when the clock reaches a planned instant of a phase."""

from __future__ import annotations

from datetime import datetime

from flowlord.decide.alert import alert_of
from flowlord.decide.context import Context
from flowlord.decide.expand import Start, as_plan, later, root_messages, single_message, utc_text
from flowlord.decide.recipe import PHASE
from flowlord.decide.schedule import Missed
from flowlord.model.message import Message
from flowlord.model.plan import Fact, FactKind, Plan
from flowlord.model.task import Task
from flowlord.model.workflow import Phase
from flowlord.rules.batch import truncate_hour
from flowlord.rules.stamps import micros_of


def slot_of(phase: Phase, instant: datetime) -> str:
    """Return the identity of a tick, the same for every daemon and for ever."""
    return f"{slots_of(phase)}{utc_text(instant)}"


def slots_of(phase: Phase) -> str:
    """Return how the identities of all ticks of a phase begin."""
    return f"tick:{phase.identity}:"


def on_tick(phase: Phase, instant: datetime, ctx: Context, revision: str = "") -> Plan:
    """Return the tasks of one tick.

    Args:
        instant: the planned instant, aware, in the zone of the rule: it, not the time of firing, feeds the template.
    Returns:
        One message, a batch, or the recorded reason why nothing can be made; equal for every daemon but for `created`.
    Source:
        docs/reference.md, "Ticks" and "Batches".
    """
    slot = slot_of(phase, instant)
    try:
        time = later(instant, phase.rule.offset_ns)
        start = Start(slot, holds="" if phase.rule.overlap == "allow" else group_of(phase))
        if not phase.rule.is_batch:
            return Plan(publish=(single_message(phase, start, time, ctx, revision),))
        return as_plan(root_messages(phase, start, truncate_hour(time), ctx, revision), slot)
    except (ValueError, OverflowError) as error:
        return Plan(facts=(failed(phase, slot, f"{phase.base_name} could not start: {error}", revision),))


def stamped(message: Message, created: str) -> Message:
    """Return the only message of a plan of `on_tick`, made ahead of its time, as it is made at `created`."""
    task = message.task
    # Thousands are due at once: `replace` would take four times as long.
    return Message(
        message.topic,
        Task(type=task.type, job=task.job, info=task.info, created=created, id=task.id, meta=task.meta),
        message.key,
        message.priority,
        None,
        message.timeout_ns,
        message.phase,
        message.revision,
        message.cause,
    )


def group_of(phase: Phase) -> str:
    """Return the group that the tasks of a phase hold open, by which its next start is told whether it overlaps."""
    return f"{PHASE}{phase.identity}"


def on_missed(phase: Phase, missed: Missed, revision: str = "") -> Plan:
    """Return the record that ticks were not started; nothing missed is silent, but what was wanted alerts nobody."""
    first, last = utc_text(missed.first), utc_text(missed.last)
    count = f"more than {missed.count}" if missed.more else str(missed.count)
    span = first if missed.count == 1 else f"{first} to {last} ({count} starts)"
    text = f"{phase.base_name} did not start at {span}: {missed.reason}"
    fact = Fact(
        FactKind.SKIPPED if missed.wanted else FactKind.MISSED,
        phase=phase.identity,
        topic=phase.topic,
        revision=revision,
        cause=slot_of(phase, missed.first),
        due=micros_of(missed.last),
        text=text,
    )
    alert = () if phase.rule.no_alert or missed.wanted else (failed(phase, fact.cause, text, revision),)
    return Plan(facts=(fact, *alert))


def failed(phase: Phase, cause: str, text: str, revision: str = "") -> Fact:
    """Return the alert that a phase could not do what its event asked for."""
    told = Fact(
        FactKind.ALERT, topic=phase.topic, phase=phase.identity, revision=revision, cause=cause, text=text
    )
    return alert_of(told, phase.rule)
