"""Loops that must never end silently: each in a thread of its own, restarted with backoff, its health told."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable

from flowlord.model.clock import Clock
from flowlord.model.errors import BusUnavailable, BusUnusable
from flowlord.taskmaster.health import Health

log = logging.getLogger("flowlord.taskmaster")

FIRST_PAUSE_S = 0.5
LONGEST_PAUSE_S = 30.0


class Supervisor:
    """Runs loops until told to stop. A loop is called again and again; each call is one step.

    `fatal` is set when the bus must not be used any more; whoever runs the supervisor then ends the process.
    """

    def __init__(self, health: Health, clock: Clock, *, first_pause_s: float = FIRST_PAUSE_S) -> None:
        self._health = health
        self._clock = clock
        self._first_pause_s = first_pause_s
        self._threads: list[threading.Thread] = []
        self.stop = threading.Event()
        self.fatal: BusUnusable | None = None

    def start(self, name: str, step: Callable[[], None]) -> None:
        """Run `step` for ever in a thread of that name; what it raises is logged and turns health red meanwhile."""
        thread = threading.Thread(target=self._run, args=(name, step), name=f"flowlord-{name}", daemon=True)
        self._threads.append(thread)
        thread.start()

    def join(self, timeout_s: float) -> list[str]:
        """Ask every loop to end after its present step; returns the names of those that did not in that time."""
        self.stop.set()
        end_s = self._clock_s() + timeout_s
        for thread in self._threads:
            thread.join(max(end_s - self._clock_s(), 0.0))
        return [thread.name for thread in self._threads if thread.is_alive()]

    def _clock_s(self) -> float:
        return self._clock.monotonic_ns() / 1e9

    def _run(self, name: str, step: Callable[[], None]) -> None:
        pause = self._first_pause_s
        while not self.stop.is_set():
            try:
                step()
            except BusUnavailable as error:
                if self._health.fault(name, f"the bus does not answer: {error}"):
                    log.error(
                        "the bus does not answer: %s", error, extra={"action": "bus.lost", "loop": name}
                    )
            except BusUnusable as error:  # going on would break a promise: the daemon must end
                self._health.fault(name, str(error))
                if self.fatal is None:
                    log.critical(
                        "the bus must not be used any more: %s", error, extra={"action": "bus.unusable"}
                    )
                    self.fatal = error
            except Exception as error:  # a loop never ends by itself: told, and tried again
                self._health.fault(name, f"{type(error).__name__}: {error}")
                log.exception("the %s loop failed, it is tried again", name, extra={"action": "loop.failed"})
            else:
                pause = self._first_pause_s
                if self._health.mended(name):
                    log.info("the %s loop works again", name, extra={"action": "loop.mended", "loop": name})
                continue
            self.stop.wait(pause)
            pause = min(pause * 2, LONGEST_PAUSE_S)
