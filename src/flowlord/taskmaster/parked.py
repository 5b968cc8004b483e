"""Deliveries whose tasks need rows: held by their leases until these are read, so that all others go on."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Sequence
from typing import Final

from flowlord.model.message import Delivery
from flowlord.taskmaster.readings import NOTHING_READ, Found
from flowlord.taskmaster.shelf import Shelf
from flowlord.taskmaster.surroundings import Surroundings

MOST_HELD: Final = 1_000
"""Deliveries that are held at once; what comes beyond goes back to the bus for a while."""
AGAIN_NS: Final = 5_000_000_000
"""How long a delivery stays on the bus for which there is no room."""
WAIT_S: Final = 0.05
"""How long more is waited for while something is held: what it waits for may be there."""


class Parked:
    """Holds deliveries until meta-files are read for them; used by one thread.

    Args:
        what: they are, in the words of the log.
        log: says what goes back.
    """

    def __init__(self, around: Surroundings, what: str, log: logging.Logger) -> None:
        self._around = around
        self._what = what
        self._log = log
        self._shelf: Shelf[Delivery] = Shelf(around)
        self._renew_ns = 0

    def __len__(self) -> int:
        return len(self._shelf)

    def at_once(self, patterns: Iterable[str]) -> Found:
        """Return what of these is read in a moment."""
        return self._shelf.at_once(patterns)

    def hold(self, delivery: Delivery, patterns: Iterable[str], found: Found) -> bool:
        """Hold a delivery until these meta-files were read for it, beside `found`; False when there is no room."""
        if len(self._shelf) >= MOST_HELD:
            return False
        self._shelf.hold((delivery.entry, delivery.token), delivery, patterns, found)
        return True

    def claim(self, topic: str, most: int, wait_s: float) -> list[tuple[Delivery, Found]]:
        """Return those for which all is read now, in the order in which they came, and behind them at most `most` new.

        Waits up to `wait_s` for the first new one, but a moment only while something is held.
        """
        return self.with_held(self.fetch(topic, most, wait_s))

    def fetch(self, topic: str, most: int, wait_s: float) -> list[Delivery]:
        """Return new ones alone, as `claim` does; may be called beside the rest, by one thread."""
        around = self._around
        return around.bus.claim(
            [topic],
            around.consumer,
            most,
            wait_s=min(wait_s, WAIT_S) if len(self) else wait_s,
            lease_ns=around.lease_ns,
        )

    def with_held(self, claimed: Sequence[Delivery]) -> list[tuple[Delivery, Found]]:
        """Return those for which all is read now, and behind them the new ones."""
        self._renew()
        return [*self._shelf.take(), *((each, NOTHING_READ) for each in claimed)]

    def _renew(self) -> None:
        """Keep the leases of what is held; what somebody else took over meanwhile is theirs."""
        now_ns, lease_ns = self._around.clock.monotonic_ns(), self._around.lease_ns
        if not len(self._shelf):
            self._renew_ns = now_ns + lease_ns // 4
        if now_ns < self._renew_ns:
            return
        for lost in self._around.bus.renew(self._shelf.items, lease_ns=lease_ns):
            self._shelf.drop((lost.entry, lost.token))
        self._renew_ns = now_ns + lease_ns // 4

    def refuse(self, deliveries: list[Delivery]) -> None:
        """Give back to the bus what there was no room for, for a while."""
        if deliveries:
            self._around.bus.release(deliveries, delay_ns=AGAIN_NS)
            self._log.warning(
                "%d %s go back to the bus for %d s: %d already wait for meta-files to be read: %s",
                len(deliveries),
                self._what,
                AGAIN_NS // 1_000_000_000,
                len(self._shelf),
                ", ".join(self._shelf.patterns[:3]),
                extra={"action": "parked.full"},
            )

    def close(self) -> None:
        """Give everything back at once; whoever comes next goes on with it."""
        if held := self._shelf.clear():
            self._around.bus.release(held)
