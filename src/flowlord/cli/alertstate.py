"""What is known of alerts, for commands: what the process that tells them has kept, and what came behind it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from flowlord.alert import keep
from flowlord.alert.events import happenings
from flowlord.alert.policy import Policy, Quiet, Route
from flowlord.alert.state import State
from flowlord.alert.take import take
from flowlord.cli import printer
from flowlord.taskmaster.manners import as_phases_ask

if TYPE_CHECKING:
    from flowlord.bus.port import Bus
    from flowlord.config.settings import AlertSettings

BATCH, MOST = 500, 20_000
FOLLOWED = 1_000
"""Entries that a living process may be behind without a word."""


def policy_of(alerts: AlertSettings, zone: str) -> Policy:
    """Return how often, when and where people want to be told; `zone` is that of schedules that name none."""
    quiet = alerts.quiet
    return Policy(
        channels=tuple(spec.name for spec in alerts.channels),
        default=alerts.default,
        routes=tuple(Route(pattern, to) for pattern, to in alerts.routes),
        min_us=alerts.min_frequency_ns // 1_000,
        max_us=alerts.max_frequency_ns // 1_000,
        quiet=Quiet(quiet[0], quiet[1], quiet[2] or zone) if quiet else None,
        link=alerts.link,
    )


def state_on(bus: Bus, policy: Policy) -> State:
    """Return the alerts as they are now, whether somebody follows the journal or not.

    What nobody looked at yet is taken in here, for the answer only; more than MOST entries are left out, which is said.
    """
    head = bus.marks([keep.HEAD])
    state = keep.read({**head, **bus.marks(keep.names(head[keep.HEAD]))}) if head else State()
    if state.generation and state.generation != bus.generation():
        state = State(incidents=state.incidents, groups=state.groups, mutes=state.mutes, number=state.number)
    cursor, read = state.cursor, 0
    while read < MOST and (entries := bus.journal(cursor, BATCH)):
        state = take(state, as_phases_ask(bus, happenings(entries, state.subjects, state.tried)), policy)
        cursor, read = entries[-1].seq, read + len(entries)
    if read >= MOST:
        printer.say(
            f"note: nobody looked at what came behind entry {cursor:,} of the journal; is flowlord run alive?"
        )
    elif read > FOLLOWED:
        printer.say(f"note: {read:,} entries were not looked at before; is flowlord run alive?")
    return state
