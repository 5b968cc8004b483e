"""When workflows are looked at: every so often, at a hint, at a signal, and when somebody asks over the bus."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Final

from flowlord.bus.port import Bus
from flowlord.model.clock import Clock
from flowlord.model.plan import ANY, Mark, Plan

ASKED: Final = "control:reload"
KEPT_S: Final = 7 * 86_400
LOOK_S: Final = 1.0
"""How often the bus is asked whether somebody wants a reload."""
QUIET_S: Final = 0.2
"""How long it must be quiet after a hint: who writes a file does so in several steps."""
LOUD_S: Final = 2.0
"""How long quiet is waited for."""


def ask(bus: Bus, token: str) -> None:
    """Ask every daemon on a bus to look at its workflows now; each tells in its presence that it did, by the token."""
    bus.commit(Plan(), marks=[Mark(ASKED, ANY, token, ttl_s=KEPT_S)])


def asked(bus: Bus) -> str:
    """Return the last token that was asked with."""
    return bus.marks([ASKED]).get(ASKED, "")


class Looking:
    """One loop: each step waits for a reason, and looks when there is one.

    Args:
        look: looks at the workflows; returns whether anything is to be told.
        told: is called after such a look, and after one that somebody asked for.
        every_s: how often to look without any other reason.
    """

    def __init__(
        self, bus: Bus, clock: Clock, look: Callable[[], bool], told: Callable[[], None], every_s: float
    ) -> None:
        self._bus = bus
        self._clock = clock
        self._look = look
        self._told = told
        self._every_ns = int(every_s * 1e9)
        self._last_ns = clock.monotonic_ns()
        self.hinted = threading.Event()
        self.urgent = threading.Event()
        self.token = ""

    def now(self) -> None:
        """Ask for a look as soon as can be; from a signal's or another thread."""
        self.urgent.set()
        self.hinted.set()

    def step(self) -> None:
        """Wait up to a second for a reason to look, and look when there is one."""
        left_s = max(self._every_ns - (self._clock.monotonic_ns() - self._last_ns), 0) / 1e9
        is_hinted = self.hinted.wait(min(LOOK_S, left_s))
        if is_hinted and not self.urgent.is_set():
            self._wait_for_quiet()
        token = asked(self._bus)
        is_due = self._clock.monotonic_ns() - self._last_ns >= self._every_ns
        if not (is_hinted or is_due or token != self.token or self.urgent.is_set()):
            return
        self.hinted.clear()
        self.urgent.clear()
        self._last_ns = self._clock.monotonic_ns()
        try:
            is_news = self._look()
        except BaseException:
            self.now()  # not looked yet: the next step does
            raise
        if is_news or token != self.token:
            self.token = token
            self._told()

    def _wait_for_quiet(self) -> None:
        end_ns = self._clock.monotonic_ns() + int(LOUD_S * 1e9)
        while self._clock.monotonic_ns() < end_ns and not self.urgent.is_set():
            self.hinted.clear()
            if not self.hinted.wait(QUIET_S):
                break
        self.hinted.set()
