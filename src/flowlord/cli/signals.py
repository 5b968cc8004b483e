"""Signals of long-running commands: the first asks to finish, the second leaves at once."""

from __future__ import annotations

import os
import signal
import threading
from types import FrameType

from flowlord.cli.exits import INTERRUPTED, TERMINATED


class Stop:
    """An event that SIGTERM and SIGINT set; `at_once` is set by the second of them."""

    def __init__(self) -> None:
        self.event = threading.Event()
        self._count = 0

    def listen(self) -> Stop:
        """Take over the signals of this process; only the main thread may."""
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._on)
        return self

    def _on(self, number: int, frame: FrameType | None) -> None:
        self._count += 1
        if self._count > 1:
            # kill -9 is always safe for what is on the bus, so leaving at once is too.
            os._exit(INTERRUPTED if number == signal.SIGINT else TERMINATED)
        self.event.set()
