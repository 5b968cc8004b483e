"""Takes over what dead consumers held, and moves what has become due."""

from __future__ import annotations

import logging
import threading

from flowlord.decide.keys import outcome_identities
from flowlord.decide.lapse import on_lapse, on_lost
from flowlord.model.crashpoint import crashpoint
from flowlord.model.errors import InvalidTask
from flowlord.model.message import Delivery
from flowlord.model.plan import Commit, Committed, FactKind, Plan
from flowlord.taskmaster.landing import land
from flowlord.taskmaster.surroundings import Surroundings

log = logging.getLogger("flowlord.reaper")

BATCH = 500
MUCH = 10_000


def reap(around: Surroundings) -> int:
    """Offer lapsed tasks again, or set them aside as poison; returns how many leases had lapsed."""
    lapsed = around.bus.reclaim(around.consumer, BATCH, lease_ns=around.lease_ns)
    again, commits, ctx = [], [], around.context()
    for delivery in lapsed:
        plan = on_lapse(delivery, around.workflows, around.context())
        if plan is None:
            again.append(delivery)
        else:
            # A result that is set aside has no outcome: it may be put back and decided.
            ends = delivery.topic != around.done_topic
            commits.append(
                Commit(plan, acknowledge=(delivery,), outcomes=_identities(delivery) if ends else ())
            )
    # Told before it is offered again: a reaper that dies in between finds the same lapse, and tells it no second time.
    lost = [
        Commit(
            Plan(facts=(on_lost(each, ctx),)), outcomes=(f"lost:{each.key or each.entry}:{each.deliveries}",)
        )
        for each in lapsed
        if each.deliveries and each.topic != around.done_topic
    ]
    if lost:
        around.bus.commit_many(lost)
        crashpoint("reaper.told")
    if again:
        around.bus.release(again)
        log.warning(
            "%d %s offered again",
            len(again),
            "task of dead workers is" if len(again) == 1 else "tasks of dead workers are",
            extra={"action": "lease.lapsed"},
        )
    for commit, answer in land(around.bus, commits):
        if isinstance(answer, Committed) and not answer.duplicate:
            around.counters.dead += any(fact.kind is FactKind.DEAD for fact in commit.plan.facts)
            for fact in commit.plan.facts:
                log.error("%s", fact.text, extra={"action": f"lapse.{fact.kind}", "key": fact.key})
    return len(lapsed)


def _identities(delivery: Delivery) -> tuple[str, ...]:
    """Return under what the end of a task is remembered; of one that cannot be read its key is all that is known."""
    try:
        task = delivery.task()
    except InvalidTask:
        return outcome_identities(delivery.key, "", "", "", "")
    return outcome_identities(delivery.key, task.type, task.job, task.id, task.created)


def move_due(around: Surroundings) -> int:
    """Move due messages and the next chunk of open batches to their topics; returns how many moved."""
    return around.bus.promote(BATCH) + around.bus.advance(BATCH)


def sweep(around: Surroundings, stop: threading.Event) -> None:
    """Drop what has outlived its lifetime; again at once while there is much of it, so that it cannot pile up."""
    while max(around.bus.sweep().values(), default=0) >= MUCH and not stop.is_set():
        pass
