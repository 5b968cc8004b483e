"""The only way in which flowlord learns what time it is; the real one is `flowlord.bus.clock`."""

from __future__ import annotations

from datetime import datetime
from typing import Protocol


class Clock(Protocol):
    """Time as seen by this process."""

    def now(self) -> datetime:
        """Wall time: aware, UTC, microseconds."""
        ...

    def monotonic_ns(self) -> int:
        """Time that never goes back, from an arbitrary start, within this process."""
        ...

    def boottime_ns(self) -> int:
        """Time since this machine booted, suspends included: one for all processes on the machine."""
        ...
