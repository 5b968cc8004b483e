"""How and where a phase wants to be told of what its worker set aside: workers know no workflows."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence

from msgspec.structs import replace

from flowlord.alert.state import Event, EventKind, Happening, Mode
from flowlord.bus.port import Bus
from flowlord.decide.alert import manner_of
from flowlord.model.errors import BusError
from flowlord.model.workflow import Rule

log = logging.getLogger("flowlord.alerts")


def as_phases_ask(bus: Bus, found: Sequence[Happening]) -> list[Happening]:
    """Return what happened, and of messages that were set aside `alert=` and `alert_to=` of their phase.

    The workflows are those that the bus keeps, as they last worked. What a taskmaster set aside says it by itself.
    """
    names = {each.workflow for each in found if isinstance(each, Event) and _is_open(each)} - {""}
    if not names:
        return list(found)
    from flowlord.taskmaster.reload import last_good  # reads phase files, which few who look at alerts need

    try:
        flows = last_good(bus, sorted(names))
    except BusError:
        raise
    except Exception:  # told the usual way is worth more than never told
        log.exception(
            "how phases want to be told of cannot be read; it is told the usual way",
            extra={"action": "alerts.manners"},
        )
        return list(found)
    # A batch may hold hundreds of one workflow; of phases with one name the first counts.
    rules = {phase.identity: phase.rule for flow in flows for phase in reversed(flow.phases)}
    return [_asked(each, rules) if isinstance(each, Event) and _is_open(each) else each for each in found]


def _is_open(event: Event) -> bool:
    """Whether nobody said how a message that was set aside is to be told."""
    has_phase = event.kind is EventKind.MESSAGE and event.phase != ""
    return has_phase and event.mode is Mode.EDGE and not event.to


def _asked(each: Event, rules: Mapping[str, Rule]) -> Event:
    rule = rules.get(each.phase)
    if rule is None:
        return each
    return replace(each, mode=Mode(manner_of(rule) or Mode.EDGE), to=rule.alert_to)
