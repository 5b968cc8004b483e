"""Copies the journal into the history; never on the path of a task, and able to start anywhere."""

from __future__ import annotations

import logging

from flowlord.bus.port import Bus
from flowlord.cache.historian import Historian

log = logging.getLogger("flowlord.history")

BATCH = 200
WAIT_S = 1.0


class Follower:
    """One step copies what is there; waits up to WAIT_S for more."""

    def __init__(self, bus: Bus, historian: Historian) -> None:
        self._bus = bus
        self._historian = historian

    def step(self, wait_s: float = WAIT_S) -> int:
        """Copy the next entries; returns how many there were."""
        entries = self._bus.journal(self._historian.cursor(), BATCH, wait_s=wait_s)
        if entries:
            self._historian.follow(entries)
        return len(entries)

    def catch_up(self) -> None:
        """Copy everything that is there now."""
        while self.step(0.0):
            pass
