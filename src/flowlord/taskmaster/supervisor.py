"""Loops that must never end silently: each in a thread of its own, restarted with backoff, its health told."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable

from flowlord.model.clock import Clock
from flowlord.model.errors import BusUnavailable, BusUnusable, FlowlordError
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
        self._away: set[str] = set()
        self._away_since_ns = 0
        self.away_ns = 0
        """How long the bus was away when it last came back, until somebody takes note and sets it to 0."""
        self.steps: dict[str, int] = {}
        """When each loop completed its last step, whether it went well or not (`Clock.monotonic_ns`)."""
        self._ended: dict[str, Callable[[], None]] = {}
        self._turn = 0
        self._changed = threading.Condition()
        self.stop = threading.Event()
        self.fatal: FlowlordError | None = None

    def start(self, name: str, step: Callable[[], float | None]) -> None:
        """Run `step` for ever in a thread of that name; what it raises is logged and turns health red meanwhile.

        What it returns is how many seconds to rest before the next one. It does not rest by itself: that it went well
        would be known only after that.
        """
        self.steps[name] = self._clock.monotonic_ns()
        thread = threading.Thread(target=self._run, args=(name, step), name=_thread(name), daemon=True)
        thread.start()
        with self._changed:
            self._threads = [each for each in self._threads if each.is_alive()] + [thread]

    def end(self, name: str, close: Callable[[], None]) -> None:
        """Let one loop end after its present step, if that ever comes back, and then `close` what it used."""
        with self._changed:
            self._ended[name] = close
            self._changed.notify_all()
        self._forget(name)

    def _forget(self, name: str) -> None:
        self._reached(name)
        self._health.mended(name)
        self.steps.pop(name, None)

    def join(self, timeout_s: float) -> list[str]:
        """Ask every loop to end after its present step; returns the names of those that did not in that time."""
        self.stop.set()
        with self._changed:
            self._changed.notify_all()
        end_s = self._clock_s() + timeout_s
        let_go = {_thread(name) for name in tuple(self._ended)}  # nobody waits for these
        threads = [each for each in self._threads if each.name not in let_go]
        for thread in threads:
            thread.join(max(end_s - self._clock_s(), 0.0))
        return [thread.name for thread in threads if thread.is_alive()]

    def _clock_s(self) -> float:
        return self._clock.monotonic_ns() / 1e9

    def _run(self, name: str, step: Callable[[], float | None]) -> None:
        pause = self._first_pause_s
        while not self.stop.is_set() and name not in self._ended:
            turn = self._turn
            self.steps[name] = self._clock.monotonic_ns()
            try:
                rest_s = step()
            except BusUnavailable as error:
                self._lost(name, error)
            except BusUnusable as error:  # going on would break a promise: the daemon must end
                self._health.fault(name, str(error))
                if self.fatal is None:
                    log.critical(
                        "the bus must not be used any more: %s", error, extra={"action": "bus.unusable"}
                    )
                    self.fatal = error
            except Exception as error:  # a loop never ends by itself: told, and tried again
                self._reached(name)
                self._health.fault(name, f"{type(error).__name__}: {error}")
                log.exception("the %s loop failed, it is tried again", name, extra={"action": "loop.failed"})
            else:
                pause = self._first_pause_s
                if self._health.mended(name) and not self._reached(name):
                    log.info("the %s loop works again", name, extra={"action": "loop.mended", "loop": name})
                if rest_s:
                    self.stop.wait(rest_s)
                continue
            self._rest(name, turn, pause)
            pause = min(pause * 2, LONGEST_PAUSE_S)
        if close := self._ended.pop(name, None):
            self._forget(name)
            close()

    def _lost(self, name: str, error: BusUnavailable) -> None:
        """Note that a loop cannot reach the bus; the first one that cannot says it for all."""
        self._health.fault(name, str(error))
        with self._changed:
            is_first = not self._away
            if is_first:
                self._away_since_ns = self._clock.monotonic_ns()
            self._away.add(name)
        if is_first:
            log.error("%s", error, extra={"action": "bus.lost", "loop": name})

    def _reached(self, name: str) -> bool:
        """Note that a loop reaches the bus; returns whether it did not before. The last one says it for all."""
        with self._changed:
            if name not in self._away:
                return False
            self._away.discard(name)
            self._turn += 1
            self._changed.notify_all()
            is_last = not self._away
            if is_last:
                self.away_ns = max(self.away_ns, self._clock.monotonic_ns() - self._away_since_ns)
        if is_last:
            log.warning("the bus answers again", extra={"action": "bus.back"})
        return True

    def _rest(self, name: str, turn: int, pause_s: float) -> None:
        """Wait before the next try, but no longer than until another loop reaches the bus again."""
        with self._changed:
            self._changed.wait_for(
                lambda: (
                    self.stop.is_set() or name in self._ended or (self._turn != turn and name in self._away)
                ),
                pause_s,
            )


def _thread(name: str) -> str:
    return f"flowlord-{name}"
