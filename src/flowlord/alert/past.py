"""Incidents that came to their end, as facts for those who follow the journal: the history keeps them. Pure."""

from __future__ import annotations

from flowlord.alert.policy import Policy
from flowlord.alert.state import Incident, State
from flowlord.alert.words import dates_of
from flowlord.model.plan import Fact, FactKind, Past


def ended(before: State, after: State, policy: Policy) -> tuple[Fact, ...]:
    """Return a fact for each incident that was open, or not known, `before` and is over `after`."""
    return tuple(
        _fact(each, policy)
        for id_, each in after.incidents.items()
        if not each.is_open and ((known := before.incidents.get(id_)) is None or known.is_open)
    )


def _fact(incident: Incident, policy: Policy) -> Fact:
    past = Past(
        incident.kind.value,
        incident.name,
        incident.stage.value,
        incident.first_us,
        incident.last_us,
        incident.ended_us,
        incident.total,
        incident.told,
        incident.told_us,
        policy.channel(incident.to),
        dates_of(incident, {*incident.before, *incident.hours}),
        incident.acked_by,
        incident.acked_us,
        incident.reason,
    )
    return Fact(FactKind.INCIDENT, key=incident.id, phase=incident.phase, text=incident.error, incident=past)
