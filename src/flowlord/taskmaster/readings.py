"""Meta-files are read beside the loops: a source that does not answer holds up only what needs it."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Final

from flowlord.bus.sqlite_place import Mount
from flowlord.decide.context import Source
from flowlord.rules.places import Place, place_of
from flowlord.storage.address import is_remote
from flowlord.taskmaster.mounts import Mounts
from flowlord.taskmaster.surroundings import Surroundings, read_sources

FRESH_NS: Final = 60_000_000_000
"""How old what was read may be when it is used: a start that was held back meanwhile reads again."""
MOST_AT_ONCE: Final = 128
"""Readings of one reader that go on at the same time, each in a thread of its own, also when a mount hangs for ever."""
MOST_IN_ONE: Final = 32
"""So many of them on one network mount or below one other folder: what hangs leaves room for the others."""
PATIENCE_S: Final = 0.2
"""How long a loop waits for what lies on this machine, where reading takes no time unless a mount hangs."""

Found = Mapping[str, Source | str]
NOTHING_READ: Final[Found] = MappingProxyType({})


@dataclass(slots=True)
class Reading:
    """One meta-file that is being read by a thread of its own; `found` is set when that is done, at `at_ns`."""

    found: Found | None = None
    at_ns: int = 0
    done: threading.Event = field(default_factory=threading.Event)


class Reader:
    """Begins readings; used by one thread."""

    def __init__(self, around: Surroundings, mounts: Mounts | None = None) -> None:
        self._around = around
        self._mounts = mounts or Mounts()
        self._slow: list[Reading] = []
        self._going: list[tuple[Place, Reading]] = []

    def has_room(self, pattern: str) -> bool:
        """Tell whether a reading may begin now: neither all nor those of the same place are still going on."""
        self._going = [each for each in self._going if each[1].found is None]
        if len(self._going) < MOST_IN_ONE:
            return True
        if len(self._going) >= MOST_AT_ONCE:
            return False
        place = place_of(pattern)
        if place.scheme and sum(bool(at.scheme) for at, _ in self._going) >= MOST_AT_ONCE - MOST_IN_ONE:
            return False  # a store has many folders, and what lies on this machine needs none of them
        self._mounts.refresh()
        where = self._where(place)
        return sum(self._where(at) == where for at, _ in self._going) < MOST_IN_ONE

    def _where(self, place: Place) -> str | Mount:
        """Return what hangs as a whole: a network mount with all its folders, or a folder."""
        return place.root if place.scheme else self._mounts.of(place.root) or place.root

    def begin(self, pattern: str, wake: threading.Event | None = None) -> Reading:
        """Begin to read what a meta-file holds; `wake` is set when that is done."""
        reading = Reading()
        self._going.append((place_of(pattern), reading))
        threading.Thread(
            target=self._read, args=(reading, pattern, wake), name="flowlord-reading", daemon=True
        ).start()
        return reading

    @property
    def hangs(self) -> bool:
        """Whether something on this machine did not come in time, and has not come since."""
        self._slow = [each for each in self._slow if each.found is None]
        return bool(self._slow)

    def patiently(self, reading: Reading, pattern: str) -> Found | None:
        """Return what was read on this machine, waiting a moment for it; None for what takes longer, or lies elsewhere.

        Once something did not come in time nothing is waited for until it has: a mount hangs as a whole.
        """
        if is_remote(pattern) or self.hangs:
            return None
        reading.done.wait(PATIENCE_S)
        if reading.found is None:
            self._slow.append(reading)
        return reading.found

    def _read(self, reading: Reading, pattern: str, wake: threading.Event | None) -> None:
        try:
            found = read_sources([pattern], self._around.storage)
        except Exception as error:  # noqa: BLE001 - told as why the phase cannot start
            found = {pattern: f"meta-file {pattern}: {error}"}
        reading.at_ns = self._around.clock.monotonic_ns()
        reading.found = found
        reading.done.set()
        if wake is not None:
            wake.set()


class Readings:
    """Reads for one start after another of whoever asks by name; used by one thread.

    Args:
        wake: is set when something was read.
    """

    def __init__(self, around: Surroundings, wake: threading.Event) -> None:
        self._around = around
        self._wake = wake
        self._reader = Reader(around)
        self._running: dict[tuple[str, str], Reading] = {}

    def take(self, name: str, pattern: str) -> Found | None:
        """Return what a meta-file holds, read for this start; None while it is being read, which begins then,
        or as soon as there is room for it.
        """
        reading = self._running.get((name, pattern))
        if reading is not None and reading.found is not None:
            del self._running[name, pattern]
            if self._around.clock.monotonic_ns() - reading.at_ns <= FRESH_NS:
                return reading.found
            reading = None
        if reading is None:
            if not self._reader.has_room(pattern):
                return None
            reading = self._reader.begin(pattern, self._wake)
            found = self._reader.patiently(reading, pattern)
            if found is not None:
                return found
            self._running[name, pattern] = reading
        return None
