"""Whether the wall clock went otherwise than time: it was set, or the machine slept."""

from __future__ import annotations

import logging
from datetime import datetime

from flowlord.model.clock import Clock

log = logging.getLogger("flowlord.scheduler")

JUMP_S = 1.0
"""By how much the wall clock must be off what passed to be told."""


class JumpWatch:
    """Compares the clocks with each other, from one look to the next."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._last = self._read()

    def look(self) -> float:
        """Say it when the wall clock jumped or the machine slept; returns by how many seconds the wall clock is off.

        Nothing else depends on it: what to start is computed from the calendar and the marks. Yet whoever reads why a
        phase caught up, or waits for a time that was there before, wants to know.
        """
        before, self._last = self._last, self._read()
        passed = (self._last[1] - before[1]) / 1e9
        asleep = (self._last[2] - before[2]) / 1e9 - passed
        off = (self._last[0] - before[0]).total_seconds() - passed
        if asleep > JUMP_S:
            log.warning("this machine slept for %.1f s", asleep, extra={"action": "clock.slept"})
        if abs(off - max(asleep, 0.0)) > JUMP_S:
            way = "forward" if off > 0 else "back"
            log.warning(
                "the wall clock was set %s by %.1f s", way, abs(off), extra={"action": "clock.jumped"}
            )
        return off

    def _read(self) -> tuple[datetime, int, int]:
        return self._clock.now(), self._clock.monotonic_ns(), self._clock.boottime_ns()
