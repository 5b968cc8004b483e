"""History that is not in the file: all of it for readers without a cache, the newest of it for a cache that is behind.

Both are made on the spot, in memory, out of what the journal holds, by the same rules as the historian's.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Protocol

from flowlord.cache.queries import History
from flowlord.model.clock import Clock

if TYPE_CHECKING:
    from flowlord.cache.ledger import Entry

ENTRIES = 1_000
BEHIND = 20_000
"""Entries that a reader catches up with at most; a cache further behind is shown as it is."""


class Journal(Protocol):
    """What is needed of a bus."""

    def journal(self, after: int, limit: int) -> Sequence[Entry]:
        """Return entries with `seq > after`, in order."""
        ...

    def journal_bounds(self) -> tuple[int, int]:
        """Return the first and the last `seq` kept."""
        ...

    def generation(self) -> str:
        """Return the id of this bus's data."""
        ...


def fold(bus: Journal, clock: Clock) -> History:
    """Return the history of everything that the journal still tells."""
    from flowlord.cache.historian import Historian

    historian = Historian(None, clock)
    while entries := bus.journal(historian.cursor(), ENTRIES):
        historian.follow(entries)
    return History(historian.connection)


def catch_up(history: History, bus: Journal) -> int:
    """Let `history` show what the journal tells beyond the file; returns how many entries it remains behind."""
    seq, generation = history.cursor()
    if generation and generation != bus.generation():
        seq = 0
    behind = bus.journal_bounds()[1] - seq
    if behind > BEHIND:
        return behind
    if behind <= 0:
        return 0
    from flowlord.cache.ledger import Ledger, keys_of

    while entries := bus.journal(seq, ENTRIES):
        known = history.by_keys(keys_of(entries, first_heard=False))
        ledger = Ledger(known.values())
        ledger.apply(entries)
        history.newer |= ledger.changed
        history.newer_files += ledger.files
        history.newer_decisions += ledger.decisions
        history.newer_alerts += ledger.alerts
        history.newer_incidents += ledger.incidents
        history.newer_revisions += ledger.revisions
        history.newer_phases |= ledger.phases
        seq = entries[-1].seq
    return 0
