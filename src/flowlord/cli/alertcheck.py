"""Whether alerts leave a bus: what did not arrive, and what nobody looked at yet."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Final

from flowlord.alert import outbox
from flowlord.cli.digest import state_on
from flowlord.model.finding import Finding, Level

if TYPE_CHECKING:
    from flowlord.alert.state import State
    from flowlord.bus.port import Bus

BEHIND: Final = 1_000
"""Entries of the journal that who tells alerts may be behind a busy bus."""
_LOOK: Final = "flowlord alerts --undelivered"


def outgoing(bus: Bus) -> Iterator[Finding]:
    """Yield whether what was to be told has left that bus, and how far behind it is who tells; raises BusError."""
    state = state_on(bus)
    last = bus.journal_bounds()[1]
    cursor = state.cursor if state is not None and state.generation == bus.generation() else 0
    if state is not None:
        yield _undelivered(state)
    behind = max(last - cursor, 0)
    entries = f"{behind:,} {'entry' if behind == 1 else 'entries'} of the journal"
    if behind > BEHIND:
        text = f"{entries} were not looked at for alerts yet"
        yield Finding("behind", Level.WARN, text, "flowlord workers   # is a taskmaster alive?")
    else:
        yield Finding("behind", Level.OK, f"{entries} to look at" if behind else "up to date")


def _undelivered(state: State) -> Finding:
    text = outbox.undelivered_text(state)
    if not text:
        return Finding("undelivered", Level.OK, "every message arrived, or is on its way")
    is_refused = any(each.lasting for each in state.pending.values())
    return Finding("undelivered", Level.FAULT if is_refused else Level.WARN, text, _LOOK)
