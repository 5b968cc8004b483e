"""What follows when a person sends a task again that has ended."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

from flowlord.decide.context import Context
from flowlord.decide.done import Done, origin_of, phase_of
from flowlord.decide.keys import created, dispatch_key
from flowlord.decide.tick import group_of
from flowlord.model.message import Message
from flowlord.model.plan import Commit, Fact, FactKind, Mark, Plan
from flowlord.model.task import Task
from flowlord.model.workflow import Workflows
from flowlord.rules.metastring import format_sorted

KEPT_S = 9 * 86_400
"""How long it is remembered that an attempt was sent again: longer than any outcome."""


def again_key(key: str) -> str:
    """Return the dispatch key of the attempt that a person lets follow the attempt `key`: there is one only."""
    return dispatch_key(f"again:{key}")


def again_mark(key: str) -> str:
    """Return the mark that says which attempt a person let follow; whoever sets it first sends."""
    return f"again:{key}"


def on_again(
    done: Done,
    topic: str,
    flows: Workflows,
    ctx: Context,
    *,
    words: str,
    fresh: bool = False,
    due: datetime | None = None,
) -> Commit:
    """Return the commit that sends a task once more; refused by its mark when somebody did so before.

    The new attempt belongs to the same run, and its children follow when it is complete. It counts as one try more, so
    that its phase, out of tries, lets it fail for good at once; with `fresh` the tries of the phase begin anew.

    Args:
        done: the attempt that ended, as history knows it.
        topic: where it lay, which is where it goes when its phase is gone.
        words: what is told of it: who sent it again, and why.
        due: aware; None is now.
    """
    origin = origin_of(done.task)
    phase = phase_of(done, origin, flows)
    meta = {
        name: values for name, values in origin.meta.items() if name not in ("retry", "retried", "delayed")
    }
    if not fresh:
        meta["retry"] = [str(_tries(origin.first) + 1)]
    task = Task(
        type=done.task.type,
        job=done.task.job,
        info=done.task.info,
        created=created(ctx.now, 0),
        id=done.task.id,
        meta=format_sorted(meta),
    )
    holds = group_of(phase) if phase and phase.rule.overlap != "allow" and not phase.parent else ""
    message = Message(
        topic=phase.topic if phase else topic,
        task=task,
        key=again_key(done.key),
        priority=done.priority,
        due=due,
        timeout_ns=phase.rule.timeout_ns if phase else done.timeout_ns,
        phase=done.phase,
        revision=flows.by_name[phase.workflow].revision if phase else done.revision,
        cause=f"retry:{done.key}",
        batch=done.batch,
        holds=holds,
    )
    told = Fact(FactKind.RETRY, key=done.key, topic=message.topic, phase=done.phase, text=words)
    facts = (told,)
    plan = Plan(later=(message,), facts=facts) if due else Plan(publish=(message,), facts=facts)
    return Commit(plan, marks=(Mark(again_mark(done.key), None, message.key, ttl_s=KEPT_S),))


def _tries(meta: Mapping[str, str]) -> int:
    """Return how many retries there were before the attempt, by its meta."""
    text = meta.get("retried", "") if meta.get("retry") == "failed" else meta.get("retry", "")
    return int(text) if text.isascii() and text.isdecimal() and len(text) < 10 else 0
