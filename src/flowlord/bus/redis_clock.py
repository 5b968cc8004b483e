"""The clock of a Redis server, as seen from here: one time for all machines that share a bus."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from threading import Lock
from typing import TYPE_CHECKING, Final

import msgspec

from flowlord.bus.clock import SystemClock, micros
from flowlord.model.clock import Clock
from flowlord.model.errors import BusError

if TYPE_CHECKING:
    from flowlord.bus.redis_link import Link

EVERY_NS: Final = 10_000_000_000
AGAIN_NS: Final = 5_000_000_000
"""After a measurement that failed: those who ask must not all wait for a server that is away."""
TIMES: Final = 3
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


class Reading(msgspec.Struct, frozen=True):
    """The server's time was `server_us` (since 1970) at our `at_ns` (since boot), give or take `error_ns`."""

    server_us: int
    at_ns: int
    error_ns: int

    def server_us_at(self, ns: int) -> int:
        """Return the server's time at another moment of ours."""
        return self.server_us + (ns - self.at_ns) // 1_000


def better(old: Reading | None, new: Reading) -> Reading:
    """Return which of two readings to go by: the old one, as long as the new one does not contradict it.

    Without that, the time would tremble with every round trip.
    """
    if old is None or old.error_ns > new.error_ns:
        return new
    gap_us = abs(old.server_us_at(new.at_ns) - new.server_us)
    return old if gap_us * 1_000 <= new.error_ns else new


class ServerClock:
    """Implements `Clock` by the server's wall clock. Thread-safe.

    Between measurements it runs on this machine's time since boot, so a jump of its wall clock changes nothing.
    Measured at first use, every 10 s, and when connections were lost: another server may answer then.
    """

    def __init__(self, link: Link, system: Clock | None = None) -> None:
        self._link = link
        self._system = system or SystemClock()
        self._reading: Reading | None = None
        self._due_ns = 0
        self._turn = -1
        self._lock = Lock()

    def now(self) -> datetime:
        """The server's wall time, aware, UTC; raises BusError when it was never reached."""
        return _EPOCH + timedelta(microseconds=self._now_us())

    def monotonic_ns(self) -> int:
        """Never goes back within this process."""
        return self._system.monotonic_ns()

    def boottime_ns(self) -> int:
        """The server's wall time in nanoseconds since 1970: to be compared between machines, not to measure with."""
        return self._now_us() * 1_000

    def skew_us(self) -> int:
        """The server's wall clock minus that of this machine, in microseconds."""
        return self._now_us() - micros(self._system.now())

    def _now_us(self) -> int:
        return self._read().server_us_at(self._system.boottime_ns())

    def _read(self) -> Reading:
        """Return a reading that is fresh, or else the last one."""
        reading = self._reading
        if reading is None:
            with self._lock:
                return self._reading or self._measure()
        is_due = self._system.boottime_ns() >= self._due_ns or self._turn != self._link.turn
        if is_due and self._lock.acquire(blocking=False):  # one thread asks, the others go by what they have
            try:
                reading = self._measure()
            except BusError:
                self._note(AGAIN_NS)
            finally:
                self._lock.release()
        return reading

    def _measure(self) -> Reading:
        """Ask a few times, and keep the shortest round trip: half of it is what a reading may be wrong by."""
        found: list[Reading] = []
        for _ in range(TIMES):
            sent_ns = self._system.boottime_ns()
            seconds, us = self._link.call("TIME")
            error_ns = (self._system.boottime_ns() - sent_ns) // 2
            found.append(Reading(int(seconds) * 1_000_000 + int(us), sent_ns + error_ns, error_ns))
        self._reading = better(self._reading, min(found, key=lambda each: each.error_ns))
        self._note(EVERY_NS)
        return self._reading

    def _note(self, until_next_ns: int) -> None:
        self._due_ns = self._system.boottime_ns() + until_next_ns
        self._turn = self._link.turn
