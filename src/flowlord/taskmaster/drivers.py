"""Steps that may hang on what they read run beside each other, so that none holds up the others."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from concurrent.futures import ALL_COMPLETED, FIRST_COMPLETED, Future, wait
from typing import TypeVar

_T = TypeVar("_T")


class Drivers:
    """Runs named steps, each in a thread of its own while it lasts; used by one thread.

    Args:
        patience_s: how long a round waits for its steps; what takes longer is met again in the next round. None runs
            one after the other, for as long as they take.
    """

    def __init__(self, patience_s: float | None = None) -> None:
        self._patience_s = patience_s
        self._running: dict[str, Future[int]] = {}

    def is_busy(self, name: str) -> bool:
        """Tell whether a step of this name has not been seen to end yet."""
        return name in self._running

    def run(self, steps: Mapping[str, Callable[[], int]]) -> int:
        """Run steps, of which none may be busy; returns what those came to that ended, 1 at least while any goes on.

        Raises:
            Exception: what a step raised.
        """
        if self._patience_s is None:
            return sum(step() for step in steps.values())
        how = (
            FIRST_COMPLETED if self._running else ALL_COMPLETED
        )  # something hangs: the others do not wait for it
        for name, step in steps.items():
            self._running[name] = beside(step, "flowlord-driver")
        if not self._running:
            return 0
        done, _ = wait(self._running.values(), self._patience_s, how)
        self._running = {name: future for name, future in self._running.items() if future not in done}
        count = sum(future.result() for future in done)
        return max(count, 1) if self._running else count


def beside(step: Callable[[], _T], name: str) -> Future[_T]:
    """Run a step in a thread of that name; what it returns or raises is the future's."""
    future: Future[_T] = Future()
    threading.Thread(target=_run, args=(future, step), name=name, daemon=True).start()
    return future


def _run(future: Future[_T], step: Callable[[], _T]) -> None:
    try:
        future.set_result(step())
    except BaseException as error:  # noqa: BLE001 - raised where it is waited for
        future.set_exception(error)
