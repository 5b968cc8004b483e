"""Hears results and lands what follows from each together with its acknowledgement."""

from __future__ import annotations

import logging

from flowlord.decide.done import Done, on_done, sources_of
from flowlord.decide.keys import dispatch_key, outcome_identities
from flowlord.model.crashpoint import crashpoint
from flowlord.model.errors import InvalidTask
from flowlord.model.message import Delivery
from flowlord.model.plan import Commit, Committed, Fact, FactKind, Plan, Quarantined
from flowlord.model.workflow import Workflows
from flowlord.taskmaster.surroundings import Surroundings

log = logging.getLogger("flowlord.router")

BATCH = 500
WAIT_S = 0.5


class Router:
    """One step claims the results that are there, decides each, and lands all in one round trip."""

    def __init__(self, around: Surroundings) -> None:
        self._around = around
        self._here = f"entry:{around.bus.generation()}"
        self._asked: Workflows | None = None
        self._some_read = False

    def step(self, wait_s: float = WAIT_S) -> int:
        """Handle what is there, waiting up to `wait_s` for the first result; returns how many there were."""
        around = self._around
        found = around.bus.claim(
            [around.done_topic], around.consumer, BATCH, wait_s=wait_s, lease_ns=around.lease_ns
        )
        if not found:
            return 0
        crashpoint("router.claimed")
        flows = around.workflows
        commits = [self._commit(delivery, flows) for delivery in found]
        crashpoint("router.decided")
        answers = around.bus.commit_many(commits)
        crashpoint("router.landed")
        for commit, answer in zip(commits, answers, strict=True):
            if not isinstance(answer, Committed):
                # Somebody else took the result over; what they landed is what counts.
                log.info("%s", answer, extra={"action": "done.lost"})
            elif answer.duplicate:
                log.info(
                    "a result came twice",
                    extra={"action": "done.duplicate", "key": commit.acknowledge[0].key},
                )
            else:
                self._tell(commit.plan)
        return len(found)

    def _commit(self, delivery: Delivery, flows: Workflows) -> Commit:
        try:
            task = delivery.task()
        except InvalidTask as error:
            return Commit(quarantine(delivery, str(error)), acknowledge=(delivery,))
        identities = outcome_identities(delivery.key, task.type, task.job, task.id, task.created)
        done = Done(
            task=task,
            # A foreign worker hands back no key; a hand-made task may have no identity at all but its entry.
            key=delivery.key
            or dispatch_key(identities[0] if identities else f"{self._here}:{delivery.entry}"),
            phase=delivery.phase,
            revision=delivery.revision,
            cause=delivery.cause,
            batch=delivery.batch,
            priority=delivery.priority,
            timeout_ns=delivery.timeout_ns,
            report=delivery.report,
        )
        try:
            ctx = self._around.context(sources_of(task, flows) if self._reads(flows) else ())
            plan = on_done(done, flows, ctx)
        except Exception as error:  # one hostile result must not stop the others
            log.exception("a result could not be decided", extra={"action": "done.failed", "task": task.id})
            return Commit(
                quarantine(delivery, f"it could not be decided: {error!r}"), acknowledge=(delivery,)
            )
        self._around.stamps.used(ctx.now, len(plan.messages))
        return Commit(plan, acknowledge=(delivery,), outcomes=identities)

    def _reads(self, flows: Workflows) -> bool:
        """Whether any child phase of these workflows reads a meta-file; most never do, and need not be asked."""
        if flows is not self._asked:
            self._asked = flows
            phases = (phase for flow in flows.by_name.values() for phase in flow.phases)
            self._some_read = any(phase.parent and phase.rule.meta_file for phase in phases)
        return self._some_read

    def _tell(self, plan: Plan) -> None:
        counters = self._around.counters
        counters.published += len(plan.messages)
        for fact in plan.facts:
            match fact.kind:
                case FactKind.DONE:
                    counters.done += 1
                    if log.isEnabledFor(logging.INFO) and fact.task:
                        children = len(plan.publish) or sum(len(batch.messages) for batch in plan.frozen)
                        words = f" -> {children} more" if children and fact.task.result == "complete" else ""
                        log.info(
                            "%s %s%s", fact.task.name, fact.task.result, words,
                            extra={"action": "done", "task": fact.task.id, "key": fact.key},
                        )  # fmt: skip
                case FactKind.RETRY:
                    counters.retried += 1
                    log.warning("%s", fact.text, extra={"action": "retry", "key": fact.key})
                case FactKind.DEAD:
                    counters.dead += 1
                    log.error("%s", fact.text, extra={"action": "dead", "key": fact.key})
                case FactKind.QUARANTINED:
                    counters.quarantined += 1
                    log.error("%s", fact.text, extra={"action": "quarantined", "key": fact.key})
                case FactKind.ALERT:
                    log.error("alert: %s", fact.text, extra={"action": "alert", "key": fact.key})
                case _:
                    log.info("%s", fact.text, extra={"action": str(fact.kind), "key": fact.key})


def quarantine(delivery: Delivery, reason: str) -> Plan:
    """Return the plan that sets a message aside byte for byte, with the reason."""
    return Plan(
        quarantine=(Quarantined(delivery.topic, delivery.payload, reason),),
        facts=(Fact(FactKind.QUARANTINED, key=delivery.key, topic=delivery.topic, text=reason),),
    )
