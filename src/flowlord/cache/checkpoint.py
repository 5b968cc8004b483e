"""Bringing what the historian wrote into the file of the history, in a thread beside it, where it would take long."""

from __future__ import annotations

import sqlite3
import threading
from contextlib import closing
from pathlib import Path
from typing import Final

from flowlord.cache.schema import CHECKPOINT_PAGES, SPARE_BYTES
from flowlord.model.clock import Clock

LARGE_BYTES: Final = SPARE_BYTES + (16 << 20)
"""A log beyond that was kept from the file by a reader, such as a backup: to bring it there takes a second."""
AGAIN_NS: Final = 250_000_000
WAIT_S: Final = 0.015
_UNKNOWN: Final = 1 << 30


def checkpoint(path: Path) -> int:
    """Bring what the log holds into the file, whoever writes meanwhile; returns the pages that are left.

    They are at least those that somebody still reads as they were before.
    """
    try:
        with closing(
            sqlite3.connect(f"{path.resolve().as_uri()}?mode=rw", uri=True, isolation_level=None)
        ) as db:
            _, there, done = db.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchone()
    except sqlite3.Error:
        return _UNKNOWN  # the writer finds out by itself, and tells
    return int(there - done) if there >= 0 else _UNKNOWN  # another one is at it


class Checkpoints:
    """Spares a writer what would keep it from writing. To be used by its thread."""

    def __init__(self, path: Path | None, clock: Clock) -> None:
        """`path` is the history; None, for one in memory, needs nothing of this."""
        self._path, self._clock = path, clock
        self._thread: threading.Thread | None = None
        self._left = 0
        self._is_spared = False
        self._next_ns = 0

    def begin(self) -> None:
        """Let it be done, unless it is under way."""
        if self._path is not None and not self.is_under_way():
            self._thread = threading.Thread(
                target=self._run, args=(self._path,), name="flowlord-checkpoint", daemon=True
            )
            self._thread.start()

    def is_under_way(self, wait_s: float = 0.0) -> bool:
        """Tell whether it is being done, after waiting so long for its end."""
        if self._thread is not None:
            self._thread.join(wait_s)
            if self._thread.is_alive():
                return True
            self._thread = None
        return False

    def spare(self, db: sqlite3.Connection) -> None:
        """Ask before a writer writes: while its log is large, the writer is not the one who brings it into the file."""
        if self._path is None:
            return
        if not self._is_spared:
            if not _is_large(self._path):
                return
            db.execute("PRAGMA wal_autocheckpoint = 0")
            self._is_spared, self._left = True, _UNKNOWN
        if self.is_under_way():
            return
        now_ns = self._clock.monotonic_ns()
        if self._left <= CHECKPOINT_PAGES:
            db.execute(f"PRAGMA wal_autocheckpoint = {CHECKPOINT_PAGES}")
            self._is_spared = False
        elif now_ns >= self._next_ns:
            self._next_ns = now_ns + AGAIN_NS
            self.begin()

    def end(self) -> None:
        """Wait for the end of what is under way."""
        if self._thread is not None:
            self._thread.join()

    def _run(self, path: Path) -> None:
        self._left = checkpoint(path)


def _is_large(path: Path) -> bool:
    try:
        return path.with_name(f"{path.name}-wal").stat().st_size > LARGE_BYTES
    except OSError:
        return False
