"""Landing many decisions so that one which cannot land hinders none of the others."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from datetime import timedelta

import msgspec

from flowlord.bus.clock import micros
from flowlord.bus.port import Bus
from flowlord.decide.alert import PLAIN, alert_of
from flowlord.model.clock import Clock
from flowlord.model.errors import BusError, LeaseLost, Refused
from flowlord.model.message import Delivery
from flowlord.model.plan import Commit, Committed, Fact, FactKind, Plan, Quarantined
from flowlord.model.workflow import Rule

log = logging.getLogger("flowlord.taskmaster")

WRONG_US = 1_000_000
"""By how much our clock must differ from that of the bus to matter: what waits here waits for longer, as a rule."""


def land(bus: Bus, commits: Sequence[Commit]) -> list[tuple[Commit, Committed | Refused | LeaseLost]]:
    """Land commits, each of which acknowledges what caused it; returns what landed with its answer.

    A plan that no bus can carry, such as a dead letter that outgrew the limit of a message, is replaced by setting
    aside what caused it. Errors of the bus itself are raised.
    """
    if not commits:
        return []
    try:
        return list(zip(commits, bus.commit_many(commits), strict=True))
    except BusError:
        raise
    except Exception as error:
        if len(commits) > 1:
            return [pair for commit in commits for pair in land(bus, [commit])]
        [commit] = commits
        if not commit.acknowledge:
            raise
        delivery = commit.acknowledge[0]
        log.error("a plan cannot land: %s", error, extra={"action": "land.failed", "key": delivery.key})
        instead = Commit(
            quarantine(delivery, f"what follows from it cannot land: {error}"), commit.acknowledge
        )
        [answer] = bus.commit_many([instead])
        return [(instead, answer)]


def due_by_bus(bus: Bus, clock: Clock, commits: Sequence[Commit]) -> Sequence[Commit]:
    """Let what waits be due by the clock of the bus, which judges it, and not by ours, by which it was decided.

    Of several daemons one may have a wrong clock: its retries would come at once, or in a year.
    """
    if not any(commit.plan.later for commit in commits):
        return commits
    ahead_us = micros(clock.now()) - bus.now_us()
    if abs(ahead_us) < WRONG_US:
        return commits
    return [_shifted(commit, timedelta(microseconds=-ahead_us)) for commit in commits]


def _shifted(commit: Commit, by: timedelta) -> Commit:
    later = tuple(msgspec.structs.replace(each, due=each.due and each.due + by) for each in commit.plan.later)
    return msgspec.structs.replace(commit, plan=msgspec.structs.replace(commit.plan, later=later))


def quarantine(delivery: Delivery, reason: str, rule: Rule = PLAIN) -> Plan:
    """Return the plan that sets a message aside byte for byte, with the reason and an alert as its phase wants it."""
    told = Fact(
        FactKind.QUARANTINED,
        key=delivery.key,
        topic=delivery.topic,
        phase=delivery.phase,
        text=reason,
    )
    return Plan(
        quarantine=(Quarantined(delivery.topic, delivery.payload, reason),),
        facts=(told, alert_of(told, rule)),
    )
