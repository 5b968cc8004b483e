"""What a fact writes into an attempt: who it is, that it waits, how it ended."""

from __future__ import annotations

from typing import Final, TypeAlias

from flowlord.cache.attempt import RESULTS, Attempt, State, microseconds, told_by
from flowlord.model.plan import PUT_BACK, Fact, FactKind

Fresh: TypeAlias = tuple[Fact, int]
"""The fact, and when it was told: microseconds since 1970 UTC, by the clock of the bus."""
OWN_TOPICS: Final = {"done", "quarantine"}
"""Topics of flowlord itself: what is published there is no attempt of a task."""
# Looked up once: in Python 3.11 it takes longer to find a member in its class than to take in half a fact.
_PUBLISHED, _DONE = FactKind.PUBLISHED, FactKind.DONE
_DECIDED: Final = {State.RETRIED.value, State.DEAD.value}


def is_usual(fact: Fact) -> bool:
    """Return whether a fact makes a row in one of the forms of `cache.fresh`, should nothing be known of its key."""
    task = fact.task
    if task is None or not fact.key:
        return False
    if fact.kind is _DONE:
        report = fact.report
        return not task.msg and (report is None or not report.output)
    # A result on its way to us and the copy of a dead task lie on topics too, and are no attempts.
    return (
        fact.kind is _PUBLISHED
        and not fact.due
        and not task.result
        and fact.topic not in OWN_TOPICS
        and not fact.cause.startswith("dead:")
    )


def opens(attempt: Attempt, fact: Fact, at: int) -> None:
    """Write down that it waits."""
    attempt.state = "later" if fact.due > at else "waiting"
    attempt.published_us = attempt.published_us or at
    attempt.due_us = fact.due
    attempt.happened_us = at


def ends(attempt: Attempt, fact: Fact, at: int) -> None:
    """Write down what the worker handed back."""
    task, report = fact.task, fact.report
    if task is not None:
        attempt.meta = task.meta
        attempt.result = task.result
        attempt.msg = task.msg
        attempt.started_us = microseconds(task.started)
        attempt.ended_us = microseconds(task.ended) or at
    if report is not None:
        attempt.worker = report.worker
        attempt.deliveries = report.deliveries
        attempt.output = report.output
    attempt.happened_us = at
    if attempt.reason.startswith(PUT_BACK):
        attempt.reason = ""
    if attempt.state not in _DECIDED or attempt.result != "error":
        attempt.state = RESULTS.get(attempt.result, "error")


def first_of(fact: Fact, at: int) -> Attempt:
    """Return an attempt of which nothing was known; in one step, since there is one for each task."""
    task, phase = fact.task, fact.phase
    if task is None:
        attempt = Attempt(None, fact.key, happened_us=at)
        identify(attempt, fact)
        return attempt
    number, moment = told_by(task)
    return Attempt(
        None, fact.key, task.id, task.info, task.meta, task.created, fact.cause, 0, 0, 0, 0, at,
        fact.topic, task.type, task.job, phase, phase.partition(":")[0], fact.revision, fact.batch, fact.priority,
        number, moment,
    )  # fmt: skip


def identify(attempt: Attempt, fact: Fact) -> None:
    """Write down which task this is and where it comes from."""
    task = fact.task
    attempt.topic = attempt.type = fact.topic
    if task is not None:
        attempt.type = task.type
        attempt.job = task.job
        attempt.id = task.id
        attempt.info = task.info
        attempt.meta = task.meta
        attempt.created = task.created
        attempt.number, attempt.moment = told_by(task)
    attempt.phase = fact.phase
    attempt.workflow = fact.phase.partition(":")[0]
    attempt.revision = fact.revision
    attempt.cause = fact.cause
    attempt.batch = fact.batch
    attempt.priority = fact.priority
