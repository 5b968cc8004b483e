"""The real clock and chance: the one place of this room that asks the system for either."""

from __future__ import annotations

import os
import time
from datetime import UTC, datetime, timedelta

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)


class SystemClock:
    """Wall, monotonic and boot time of this machine."""

    def now(self) -> datetime:
        """Wall time, aware, UTC."""
        return datetime.now(UTC)

    def monotonic_ns(self) -> int:
        """Never goes back within this process."""
        return time.monotonic_ns()

    def boottime_ns(self) -> int:
        """Since boot, suspends included; the monotonic clock where the system has no such clock."""
        clock = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)
        return time.clock_gettime_ns(clock)


def micros(time: datetime) -> int:
    """Return whole microseconds since 1970 UTC of an aware time: the only form in which a bus stores one."""
    return (time - _EPOCH) // _MICROSECOND


def time_of(us: int) -> datetime:
    """Return the aware time, UTC, of microseconds since 1970."""
    return _EPOCH + us * _MICROSECOND


def unguessable() -> str:
    """Return 16 hex digits that no other process has."""
    return os.urandom(8).hex()


def jitter() -> float:
    """Return a number in [0, 1), so that processes that failed together do not try again together."""
    return int.from_bytes(os.urandom(4)) / (1 << 32)
