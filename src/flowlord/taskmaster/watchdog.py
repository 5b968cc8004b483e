"""Ends a daemon one of whose loops hangs: a stop that nobody sees is worse than a restart."""

from __future__ import annotations

import logging
import os
import threading
from collections.abc import Callable, Mapping

from flowlord.model.clock import Clock
from flowlord.taskmaster.mountloops import LOOP

log = logging.getLogger("flowlord.taskmaster")

HUNG_NS = 300_000_000_000
"""How long one step of a loop may take. What waits for the bus or for storage gives up long before."""
QUICK = frozenset(("scheduler", "router", "promoter", "reaper", "pauses", "beat"))
"""Loops whose steps are bounded. The others list folders and buckets or follow a long journal, which may take a while:
they get PATIENCE times as long."""
PATIENCE = 12
ABSENT_NS = 10_000_000_000
"""When nobody looked for so long, the whole process stood still, and its loops may first go on."""
LAST_S = 60.0
"""How long a daemon with a hung loop may try to leave in good order."""
EXIT = 70


class Watchdog:
    """Looks at when each loop completed its last step."""

    def __init__(self, clock: Clock, hung_ns: int = HUNG_NS) -> None:
        self._clock, self._hung_ns = clock, hung_ns
        self._since_ns = self._looked_ns = clock.monotonic_ns()

    def hung(self, steps: Mapping[str, int]) -> list[str]:
        """Return the loops that hang, by when each completed its last step (`Clock.monotonic_ns`)."""
        now_ns = self._clock.monotonic_ns()
        if now_ns - self._looked_ns > ABSENT_NS:
            self._since_ns = now_ns
        self._looked_ns = now_ns
        # A loop of a mount hangs with its mount, which starting anew would not mend; that is told elsewhere.
        since_ns = {
            name: now_ns - max(at, self._since_ns)
            for name, at in list(steps.items())
            if not name.startswith(LOOP)
        }
        found = [name for name, ns in since_ns.items() if ns > self._limit_ns(name)]
        for name in found:
            log.critical(
                "the %s loop has not completed a step for %d s: this process ends, to be started again",
                name, since_ns[name] // 1_000_000_000, extra={"action": "loop.hung", "loop": name},
            )  # fmt: skip
        return found

    def _limit_ns(self, name: str) -> int:
        return self._hung_ns if name in QUICK else self._hung_ns * PATIENCE


def leave_for_good(after_s: float = LAST_S, leave: Callable[[int], object] = os._exit) -> threading.Timer:
    """End this process in a while, whatever hangs in it until then; returns what can be cancelled."""
    timer = threading.Timer(after_s, leave, (EXIT,))
    timer.daemon = True
    timer.start()
    return timer
