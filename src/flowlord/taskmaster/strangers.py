"""Phases that want a channel told that the configuration does not have: said once a name, and kept in health."""

from __future__ import annotations

import logging
from typing import Final

from flowlord.model.problem import Severity
from flowlord.spec.near import nearest
from flowlord.taskmaster.surroundings import Surroundings

log = logging.getLogger("flowlord.alerts")

SUBJECT: Final = "channel "
_SHOWN: Final = 3


def tell_strangers(around: Surroundings) -> None:
    """Compare `alert_to` of all phases with the channels that there are.

    The alerts of such phases reach the default channel. Where there is no channel at all that is said elsewhere.
    """
    wanted: dict[str, list[str]] = {}
    for flow in around.workflows.by_name.values() if around.channels else ():
        for phase in flow.phases:
            if (to := phase.rule.alert_to) and to not in around.channels:
                wanted.setdefault(to, []).append(phase.identity)
    known = around.health.faults()
    for subject in known:
        if subject.startswith(SUBJECT) and subject.removeprefix(SUBJECT) not in wanted:
            around.health.mended(subject)
    for name, phases in wanted.items():
        if SUBJECT + name in known:
            continue
        more = f" and {len(phases) - _SHOWN} more" if len(phases) > _SHOWN else ""
        like = nearest(name, around.channels)
        text = (
            f"alert_to={name} of {', '.join(phases[:_SHOWN])}{more} names no channel: their alerts go to "
            f"{around.channels[0]}; "
            + (f"did you mean {like!r}?" if like else f"channels are {', '.join(around.channels)}")
        )
        around.health.fault(SUBJECT + name, text, Severity.WARNING)
        log.warning("%s", text, extra={"action": "alerts.stranger"})
