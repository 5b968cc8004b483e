"""What follows when a person, or a program of theirs, asks for a task."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from flowlord.decide.context import Context
from flowlord.decide.keys import created, dispatch_key, run_id
from flowlord.model.message import DEFAULT_PRIORITY, Message
from flowlord.model.plan import Plan
from flowlord.model.task import Task
from flowlord.model.workflow import Workflows
from flowlord.rules.metastring import format_meta


@dataclass(frozen=True, slots=True)
class Ask:
    """One task that is asked for.

    `request` names the request: the same request makes the same task. `due` is aware, None for now; `priority` and
    `timeout_ns` None take those of the phase.
    """

    topic: str
    request: str
    job: str = ""
    info: str = ""
    meta: tuple[tuple[str, str], ...] = ()
    workflow: str = ""
    priority: int | None = None
    due: datetime | None = None
    timeout_ns: int | None = None


def workflows_with(ask: Ask, flows: Workflows) -> tuple[str, ...]:
    """Return the names of the workflows that have a phase for this task, in order."""
    return tuple(
        name for name in sorted(flows.by_name) if flows.phase_of(name, ask.topic, ask.job) is not None
    )


def on_ask(asks: Iterable[Ask], flows: Workflows, ctx: Context) -> Plan:
    """Return the plan that publishes what was asked for, one run for each.

    The workflow, when known, is written into the meta so that children follow and failures are retried.
    """
    out = []
    for n, ask in enumerate(asks):
        slot = f"ask:{ask.request}"
        phase = flows.phase_of(ask.workflow, ask.topic, ask.job) if ask.workflow else None
        given = dict(ask.meta)
        own = [("workflow", ask.workflow)] if ask.workflow and "workflow" not in given else []
        job = [("job", ask.job)] if ask.job and "job" not in given else []
        task = Task(
            type=ask.topic,
            job=ask.job,
            info=ask.info,
            created=created(ctx.now, n),
            id=run_id(slot),
            meta=format_meta([*own, *job, *ask.meta]),
        )
        default = phase.rule.priority if phase else DEFAULT_PRIORITY
        out.append(
            Message(
                topic=ask.topic,
                task=task,
                key=dispatch_key(slot),
                priority=default if ask.priority is None else ask.priority,
                due=ask.due,
                timeout_ns=(phase.rule.timeout_ns if phase else 0)
                if ask.timeout_ns is None
                else ask.timeout_ns,
                phase=phase.identity if phase else "",
                revision=flows.by_name[ask.workflow].revision if phase else "",
                cause=slot,
            )
        )
    return Plan(
        publish=tuple(m for m in out if m.due is None), later=tuple(m for m in out if m.due is not None)
    )
