"""Signals of long-running commands: the first asks to finish, the second to leave at once."""

from __future__ import annotations

import os
import signal
from types import TracebackType


class Signals:
    """SIGTERM, SIGINT and what else is named, as bytes of a pipe, read by the main thread.

    A handler that set an Event itself could find the lock of that Event held by the very thread that it interrupts.
    """

    def __init__(self, *more: signal.Signals) -> None:
        self._numbers = (signal.SIGTERM, signal.SIGINT, *more)

    def __enter__(self) -> Signals:
        self._read, self._write = os.pipe()
        os.set_blocking(self._write, False)
        self._fd = signal.set_wakeup_fd(self._write, warn_on_full_buffer=False)
        self._handlers = {
            number: signal.signal(number, lambda number, frame: None) for number in self._numbers
        }
        return self

    def next(self) -> int:
        """Wait for the next signal; 0 when `wake` was called."""
        return os.read(self._read, 1)[0]

    def wake(self) -> None:
        """End the waiting, from another thread."""
        os.write(self._write, b"\0")

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        signal.set_wakeup_fd(self._fd)
        for number, handler in self._handlers.items():
            signal.signal(number, handler)
        os.close(self._read)
        os.close(self._write)


def has_terminal() -> bool:
    """Tell whether this process has a terminal that can hang up; one that did so is none any more."""
    try:
        os.close(os.open("/dev/tty", os.O_RDONLY | os.O_NOCTTY | os.O_CLOEXEC))
    except OSError:
        return False
    return True
