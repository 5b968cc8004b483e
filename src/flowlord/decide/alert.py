"""The alert that goes with a fact: told in the way and to the channel that its phase asks for."""

from __future__ import annotations

from msgspec.structs import replace

from flowlord.model.plan import Fact, FactKind
from flowlord.model.workflow import Rule

PLAIN = Rule()
"""Of a phase that nobody knows: told as soon as it is news, to whom the configuration says."""


def alert_of(fact: Fact, rule: Rule = PLAIN) -> Fact:
    """Return a fact as the alert of a phase with that rule (`alert=`, `alert_to=`).

    Whether there is to be one is decided before: what is told in spite of `alert=none` is told as soon as it is news.
    """
    return replace(fact, kind=FactKind.ALERT, mode=manner_of(rule), to=rule.alert_to)


def manner_of(rule: Rule) -> str:
    """Return how an alert of a phase is told, as facts carry it: empty for the usual way, as soon as it is news."""
    return "" if rule.no_alert or rule.alert == "edge" else rule.alert
