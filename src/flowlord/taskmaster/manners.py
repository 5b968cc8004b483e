"""How and where a phase wants to be told of what its worker set aside: workers know no workflows."""

from __future__ import annotations

from collections.abc import Sequence

from msgspec.structs import replace

from flowlord.alert.state import Event, EventKind, Happening, Mode
from flowlord.bus.port import Bus
from flowlord.decide.alert import manner_of
from flowlord.model.workflow import Workflows


def as_phases_ask(bus: Bus, found: Sequence[Happening]) -> list[Happening]:
    """Return what happened, and of messages that were set aside `alert=` and `alert_to=` of their phase.

    The workflows are those that the bus keeps, as they last worked. What a taskmaster set aside says it by itself.
    """
    names = {each.workflow for each in found if isinstance(each, Event) and _is_open(each)} - {""}
    if not names:
        return list(found)
    from flowlord.taskmaster.reload import last_good  # reads phase files, which few who look at alerts need

    flows = Workflows({flow.name: flow for flow in last_good(bus, sorted(names))})
    return [_asked(each, flows) if isinstance(each, Event) and _is_open(each) else each for each in found]


def _is_open(event: Event) -> bool:
    """Whether nobody said how a message that was set aside is to be told."""
    has_phase = event.kind is EventKind.MESSAGE and event.phase != ""
    return has_phase and event.mode is Mode.EDGE and not event.to


def _asked(each: Event, flows: Workflows) -> Event:
    rule = flows.rule_of(each.phase)
    return replace(each, mode=Mode(manner_of(rule) or Mode.EDGE), to=rule.alert_to)
