"""Loops that must never end silently: each in a thread of its own, restarted with backoff, its health told."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from flowlord.model.errors import BusUnavailable
from flowlord.model.problem import Severity

log = logging.getLogger("flowlord.taskmaster")

FIRST_PAUSE_S = 0.5
LONGEST_PAUSE_S = 30.0


@dataclass(slots=True)
class Health:
    """What is wrong now, by loop or subject; green when nothing is. Thread-safe."""

    _faults: dict[str, tuple[Severity, str]] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def fault(self, subject: str, text: str, severity: Severity = Severity.ERROR) -> bool:
        """Record a fault; returns whether it is news."""
        with self._lock:
            news = self._faults.get(subject) != (severity, text)
            self._faults[subject] = (severity, text)
            return news

    def mended(self, subject: str) -> bool:
        """Forget a fault; returns whether there was one."""
        with self._lock:
            return self._faults.pop(subject, None) is not None

    def faults(self) -> Mapping[str, str]:
        """Return what is wrong, by subject."""
        with self._lock:
            return {subject: text for subject, (_, text) in self._faults.items()}

    def colour(self) -> str:
        """Return `green`, `yellow` (something is degraded) or `red` (something does not work)."""
        with self._lock:
            severities = {severity for severity, _ in self._faults.values()}
        if Severity.ERROR in severities:
            return "red"
        return "yellow" if severities else "green"


class Supervisor:
    """Runs loops until told to stop. A loop is called again and again with the stop event; each call is one step."""

    def __init__(self, health: Health, *, first_pause_s: float = FIRST_PAUSE_S) -> None:
        self._health = health
        self._first_pause_s = first_pause_s
        self._threads: list[threading.Thread] = []
        self.stop = threading.Event()

    def start(self, name: str, step: Callable[[], None]) -> None:
        """Run `step` for ever in a thread of that name; what it raises is logged and turns health red meanwhile."""
        thread = threading.Thread(target=self._run, args=(name, step), name=f"flowlord-{name}", daemon=True)
        self._threads.append(thread)
        thread.start()

    def join(self, timeout_s: float) -> list[str]:
        """Ask every loop to end after its present step; returns the names of those that did not in time."""
        self.stop.set()
        for thread in self._threads:
            thread.join(timeout_s)
        return [thread.name for thread in self._threads if thread.is_alive()]

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
