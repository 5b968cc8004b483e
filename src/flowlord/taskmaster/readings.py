"""Meta-files in buckets are read beside the scheduler: a server that does not answer holds up one phase only."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from dataclasses import dataclass

from flowlord.decide.context import Source
from flowlord.storage.address import is_remote
from flowlord.taskmaster.surroundings import Surroundings, read_sources

FRESH_NS = 60_000_000_000
"""How old what was read may be when it is used: a start that was held back meanwhile reads again."""


@dataclass(slots=True)
class _Reading:
    """What is read, or was: `found` is None while it is."""

    found: Mapping[str, Source | str] | None = None
    at_ns: int = 0


class Readings:
    """Reads for one phase after another, each in a thread of its own; used by one thread.

    Args:
        wake: is set when something was read.
    """

    def __init__(self, around: Surroundings, wake: threading.Event) -> None:
        self._around = around
        self._wake = wake
        self._running: dict[tuple[str, str], _Reading] = {}

    def take(self, phase: str, pattern: str) -> Mapping[str, Source | str] | None:
        """Return what a meta-file holds, read for this start; None while it is being read, which begins then."""
        if not is_remote(pattern):
            return read_sources([pattern], self._around.storage)
        clock = self._around.clock
        reading = self._running.get((phase, pattern))
        if reading is not None and reading.found is not None:
            del self._running[phase, pattern]
            if clock.monotonic_ns() - reading.at_ns <= FRESH_NS:
                return reading.found
            reading = None
        if reading is None:
            self._running[phase, pattern] = reading = _Reading()
            threading.Thread(
                target=self._read, args=(reading, pattern), name="flowlord-reading", daemon=True
            ).start()
        return None

    def _read(self, reading: _Reading, pattern: str) -> None:
        try:
            found = read_sources([pattern], self._around.storage)
        except Exception as error:  # noqa: BLE001 - told as why the phase cannot start
            found = {pattern: f"meta-file {pattern}: {error}"}
        reading.at_ns = self._around.clock.monotonic_ns()
        reading.found = found
        self._wake.set()
