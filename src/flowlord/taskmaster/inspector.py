"""Looks now and then whether the pages of the history are whole; in a thread beside what writes it."""

from __future__ import annotations

import logging
import os
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Final, NamedTuple

log = logging.getLogger("flowlord.history")

AFTER_S: Final = 60.0
"""How long after the start a history is looked at whose last writer did not close it: a daemon that dies again and
again does not read the whole file each time."""
EVERY_S: Final = 7 * 86_400.0


class Damage(NamedTuple):
    """What is wrong, and with which file: by now another one may lie there."""

    inode: int
    text: str


class Inspector:
    """Make it before the history is opened; `run` belongs to a thread of its own, `take` to the one that writes."""

    def __init__(self, path: Path, look: Callable[[Path], str] | None = None) -> None:
        self._path, self._look = path, look or _damage_of
        self._was_left_open = _size(path.with_name(f"{path.name}-wal")) > 0
        self._found: Damage | None = None

    def run(self, ending: threading.Event) -> None:
        """Look until `ending` is set."""
        wait_s = AFTER_S if self._was_left_open else EVERY_S
        while not ending.wait(wait_s):
            self.step()
            wait_s = EVERY_S

    def step(self) -> None:
        """Look once."""
        try:
            inode = os.stat(self._path).st_ino
            text = self._look(self._path)
        except Exception as error:  # noqa: BLE001 - no such file, no memory: the next look may tell
            log.warning(
                "the history could not be looked through: %s", error, extra={"action": "history.unlooked"}
            )
            return
        self._found = Damage(inode, text) if text else None

    def take(self) -> Damage | None:
        """Return what was found, once."""
        found, self._found = self._found, None
        return found


def _damage_of(path: Path) -> str:
    from flowlord.cache.snapshot import damage_of  # a week may pass before it is needed

    return damage_of(path)


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:
        return 0
