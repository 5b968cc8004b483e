"""Results whose children need rows out of a bucket: held until these are read, so that all other results go on."""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Final

from flowlord.decide.context import Source
from flowlord.model.message import Delivery
from flowlord.taskmaster.surroundings import Surroundings, read_sources

log = logging.getLogger("flowlord.router")

MOST_HELD: Final = 1_000
"""Results that are held at once; what comes beyond goes back to the bus for a while."""
MOST_READ: Final = 16
"""Meta-files that are read at the same time, each in a thread of its own."""
AGAIN_NS: Final = 5_000_000_000
"""How long a result stays on the bus for which there is no room."""

Found = Mapping[str, Source | str]
NOTHING_READ: Final[Found] = MappingProxyType({})


@dataclass(slots=True)
class _Held:
    """A result, what was read for it, and what is still to be read."""

    delivery: Delivery
    found: dict[str, Source | str]
    missing: set[str]


@dataclass(slots=True)
class _Reading:
    """One meta-file: who gets what is read now, and who came while it was read. `found` is set by the thread."""

    now: list[_Held] = field(default_factory=list)
    next: list[_Held] = field(default_factory=list)
    is_running: bool = False
    found: Found | None = None


class Parked:
    """Holds results by their leases while meta-files are read for them; used by one thread.

    The reading that a result gets began after the result came: the parent may just have written the file. Many results
    that want the same file share one.
    """

    def __init__(self, around: Surroundings) -> None:
        self._around = around
        self._held: dict[tuple[str, str], _Held] = {}  # by entry and token
        self._readings: dict[str, _Reading] = {}
        self._renew_ns = 0

    def __len__(self) -> int:
        return len(self._held)

    def hold(self, delivery: Delivery, patterns: Iterable[str], found: Found) -> bool:
        """Hold a result until these meta-files were read for it, beside `found`; False when there is no room."""
        if len(self._held) >= MOST_HELD:
            return False
        held = _Held(delivery, dict(found), set(patterns))
        self._held[delivery.entry, delivery.token] = held
        for pattern in held.missing:
            reading = self._readings.setdefault(pattern, _Reading())
            (reading.next if reading.is_running else reading.now).append(held)
        self._begin()
        return True

    def take(self) -> list[tuple[Delivery, Found]]:
        """Return the results for which all is read now, in the order in which they came."""
        for pattern, reading in list(self._readings.items()):
            if reading.found is None:
                continue
            for held in reading.now:
                held.found |= reading.found
                held.missing.discard(pattern)
            if reading.next:
                self._readings[pattern] = _Reading(reading.next)
            else:
                del self._readings[pattern]
        self._begin()
        ready = [key for key, held in self._held.items() if not held.missing]
        taken = [self._held.pop(key) for key in ready]
        return [(held.delivery, held.found) for held in taken]

    def renew(self) -> None:
        """Keep the leases of what is held; what somebody else took over meanwhile is theirs."""
        now_ns, lease_ns = self._around.clock.monotonic_ns(), self._around.lease_ns
        if not self._held:
            self._renew_ns = now_ns + lease_ns // 4
        if now_ns < self._renew_ns:
            return
        deliveries = [held.delivery for held in self._held.values()]
        for lost in self._around.bus.renew(deliveries, lease_ns=lease_ns):
            self._held.pop((lost.entry, lost.token), None)
        self._renew_ns = now_ns + lease_ns // 4

    def refuse(self, deliveries: list[Delivery]) -> None:
        """Give back to the bus what there was no room for, for a while."""
        if deliveries:
            self._around.bus.release(deliveries, delay_ns=AGAIN_NS)
            log.warning(
                "%d results go back to the bus for %d s: %d already wait for meta-files to be read: %s",
                len(deliveries),
                AGAIN_NS // 1_000_000_000,
                len(self._held),
                ", ".join(list(self._readings)[:3]),
                extra={"action": "done.waits"},
            )

    def close(self) -> None:
        """Give everything back at once; whoever comes next goes on with it."""
        held, self._held, self._readings = list(self._held.values()), {}, {}
        if held:
            self._around.bus.release([each.delivery for each in held])

    def _begin(self) -> None:
        """Begin to read what is wanted, as far as there are threads for it."""
        free = MOST_READ - sum(reading.is_running for reading in self._readings.values())
        for pattern, reading in self._readings.items():
            if free <= 0:
                return
            if not reading.is_running:
                reading.is_running = True
                free -= 1
                threading.Thread(
                    target=self._read, args=(reading, pattern), name="flowlord-reading", daemon=True
                ).start()

    def _read(self, reading: _Reading, pattern: str) -> None:
        try:
            reading.found = read_sources([pattern], self._around.storage)
        except Exception as error:  # noqa: BLE001 - told as why the child cannot start
            reading.found = {pattern: f"meta-file {pattern}: {error}"}
