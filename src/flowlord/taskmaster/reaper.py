"""Takes over what dead consumers held, and moves what has become due."""

from __future__ import annotations

import logging

from flowlord.decide.lapse import on_lapse
from flowlord.model.plan import Commit, Committed, FactKind
from flowlord.taskmaster.surroundings import Surroundings

log = logging.getLogger("flowlord.reaper")

BATCH = 500


def reap(around: Surroundings) -> int:
    """Offer lapsed tasks again, or set them aside as poison; returns how many leases had lapsed."""
    lapsed = around.bus.reclaim(around.consumer, BATCH, lease_ns=around.lease_ns)
    again, commits = [], []
    for delivery in lapsed:
        plan = on_lapse(delivery, around.workflows, around.context())
        if plan is None:
            again.append(delivery)
        else:
            commits.append(
                Commit(plan, acknowledge=(delivery,), outcomes=(delivery.key,) if delivery.key else ())
            )
    if again:
        around.bus.release(again)
        log.warning(
            "%d tasks of dead workers are offered again", len(again), extra={"action": "lease.lapsed"}
        )
    for commit, answer in zip(commits, around.bus.commit_many(commits) if commits else [], strict=True):
        if isinstance(answer, Committed) and not answer.duplicate:
            around.counters.dead += any(fact.kind is FactKind.DEAD for fact in commit.plan.facts)
            for fact in commit.plan.facts:
                log.error("%s", fact.text, extra={"action": f"lapse.{fact.kind}", "key": fact.key})
    return len(lapsed)


def move_due(around: Surroundings) -> int:
    """Move due messages and the next chunk of open batches to their topics; returns how many moved."""
    return around.bus.promote(BATCH) + around.bus.advance(BATCH)
