"""Forgetting: what is older than history is kept for, and what would make its file too large, in small steps."""

# ruff: noqa: S608 - statements are put together from names of ours only; every value is a parameter.

from __future__ import annotations

import logging
import sqlite3
from collections.abc import Callable
from datetime import datetime

from flowlord.cache import days
from flowlord.cache.attempt import microseconds
from flowlord.cache.checkpoint import WAIT_S, Checkpoints
from flowlord.cache.schema import CHECKPOINT_PAGES, transaction
from flowlord.model.clock import Clock

log = logging.getLogger("flowlord.history")

CHUNK = 1_000
"""Rows that one transaction removes at most."""
LEAST = 25
LONG_NS = 15_000_000
"""A transaction that takes longer is followed by one of half as many rows, one of a third of it by twice as many."""
PAGES = 250
"""Pages of what was removed that are given back to the disk in one step, at most."""
_OLD_TASKS = "SELECT n FROM tasks WHERE happened_us < ?1 AND due_us < ?1 LIMIT ?2"
_OLDEST_TASKS = "SELECT n FROM tasks ORDER BY happened_us LIMIT ?2"
_IN_ORDER = ("alerts", "decisions", "files", "gaps", "incidents", "revisions")
_OTHERS = (
    *(  # rows in the order of time: only the first ones need a look
        f"DELETE FROM {table} WHERE n IN (SELECT n FROM {table} ORDER BY n LIMIT ?2) AND at_us < ?1"
        for table in _IN_ORDER
    ),
    """DELETE FROM phases WHERE (workflow, digest, name) IN (SELECT workflow, digest, name FROM phases
        WHERE at_us < ?1 AND NOT EXISTS (SELECT 1 FROM workflows WHERE name = phases.workflow
        AND (revision = phases.digest OR revision LIKE phases.digest || '@%')) LIMIT ?2)""",
    f"""DELETE FROM days WHERE (day, topic, type, job, state) IN (SELECT day, topic, type, job, state FROM days
        WHERE day < ?1 / {days.DAY_US} - {days.KEPT_DAYS} LIMIT ?2)""",
)


class Pruner:
    """Removes rows, as many at a time as go in some milliseconds on this disk. To be used by one thread."""

    def __init__(self, clock: Clock, checkpoints: Checkpoints) -> None:
        self._clock = clock
        self._checkpoints = checkpoints
        self._chunk = CHUNK // 8
        self._pages = PAGES // 8
        self._has_left = False
        self._was_full = False
        self.removed = 0

    def step(self, db: sqlite3.Connection, before: datetime, max_bytes: int) -> bool:
        """Remove some rows from before that moment, or tidy up behind the last ones; returns whether to go on.

        What was removed is brought into the file by a thread beside, and until it is there nothing more is removed:
        so the log stays small, and whoever waits for the disk is not the one who writes.
        """
        if self._checkpoints.is_under_way(WAIT_S):
            return True
        if self._has_left:
            self._tidy(db)
            return True
        before_us = microseconds(before.isoformat())
        db.execute("PRAGMA wal_autocheckpoint = 0")
        try:
            removed = self._remove(db, f"DELETE FROM tasks WHERE n IN ({_OLD_TASKS})", before_us)
            if not removed and max_bytes:
                removed = self._shrink(db, before_us, max_bytes)
            for sql in _OTHERS:
                removed = removed or self._remove(db, sql, before_us)
        finally:
            db.execute(f"PRAGMA wal_autocheckpoint = {CHECKPOINT_PAGES}")
        self.removed += removed
        self._has_left = removed > 0
        return self._has_left

    def _tidy(self, db: sqlite3.Connection) -> None:
        self._pages = self._timed(
            self._pages, PAGES, lambda: db.execute(f"PRAGMA incremental_vacuum({self._pages})").fetchall()
        )
        self._checkpoints.begin()
        self._has_left = False

    def _shrink(self, db: sqlite3.Connection, before_us: int, max_bytes: int) -> int:
        is_full = _used(db) > max_bytes
        if is_full and not self._was_full:
            self._was_full = True
            log.warning(
                "the history is larger than %d MB (cache.max_size): its oldest attempts go before their time",
                max_bytes // 10**6, extra={"action": "history.full"},
            )  # fmt: skip
        return (
            self._remove(db, f"DELETE FROM tasks WHERE n IN ({_OLDEST_TASKS})", before_us) if is_full else 0
        )

    def _remove(self, db: sqlite3.Connection, sql: str, before_us: int) -> int:
        removed = 0

        def remove() -> None:
            nonlocal removed
            with transaction(db):
                removed = db.execute(sql, (before_us, self._chunk)).rowcount

        chunk = self._timed(self._chunk, CHUNK, remove)
        if removed == self._chunk or chunk < self._chunk:  # a few rows tell nothing of many
            self._chunk = chunk
        return removed

    def _timed(self, size: int, most: int, work: Callable[[], object]) -> int:
        """Do it; return the size of the next portion."""
        begin_ns = self._clock.monotonic_ns()
        work()
        took_ns = self._clock.monotonic_ns() - begin_ns
        if took_ns > LONG_NS:
            return max(LEAST, size // 2)
        return min(most, size * 2) if took_ns < LONG_NS // 3 else size


def _used(db: sqlite3.Connection) -> int:
    """Return the bytes that hold something."""
    [pages], [free], [size] = (
        db.execute(f"PRAGMA {name}").fetchone() for name in ("page_count", "freelist_count", "page_size")
    )
    return int((pages - free) * size)
