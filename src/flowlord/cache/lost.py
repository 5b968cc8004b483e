"""What becomes of open attempts in the history when the bus that held them was reset, or lost its newest data."""
# ruff: noqa: S608 - statements are put together from names of ours only; every value is a parameter.

from __future__ import annotations

import logging
import sqlite3
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from flowlord.cache.attempt import State
from flowlord.cache.days import DAY_US
from flowlord.cache.filter import marks
from flowlord.cache.schema import as_of

log = logging.getLogger("flowlord.history")

REASON: Final = "the bus was reset, or lost its newest data, and this task with it"
_OPEN: Final = "state <> 'complete' AND state IN ('waiting', 'later')"  # said as the partial index says it
_SOME: Final = 500


def is_of_another(path: Path | None, of: str) -> bool:
    """Return whether the history at `path` says that it follows another bus than `of`: what waits there is not lost."""
    if path is None or not of:
        return False
    try:
        told = Path(as_of(path)).read_text(encoding="utf-8", errors="replace")
    except OSError:
        return False
    return told not in ("", of)


def were_lost(count: int) -> str:
    """Return how many were lost, in words."""
    return "1 task was lost" if count == 1 else f"{count:,} tasks were lost"


def open_keys(db: sqlite3.Connection) -> list[str]:
    """Return the keys of all attempts that wait, now or for their time, or are with a worker."""
    return [str(key) for (key,) in db.execute(f"SELECT key FROM tasks WHERE {_OPEN}")]


def lose(db: sqlite3.Connection, keys: Sequence[str], at_us: int) -> int:
    """Write down that nobody has these attempts any more, and count them in their day; returns how many were open.

    To be called within a transaction. A key that is published again later is open again.
    """
    count = 0
    for at in range(0, len(keys), _SOME):
        some = keys[at : at + _SOME]
        these = f"key IN ({marks(some)}) AND {_OPEN}"
        db.execute(
            "INSERT INTO days SELECT ?, topic, type, job, ?, count(*), 0, 0, 0, 0, 0, 0 FROM tasks "
            f"WHERE {these} GROUP BY topic, type, job "
            "ON CONFLICT DO UPDATE SET attempts = attempts + excluded.attempts",
            (at_us // DAY_US, State.LOST.value, *some),
        )
        changed = db.execute(
            f"UPDATE tasks SET state = ?, reason = ?, ended_us = ?, happened_us = ?, lost = lost + 1 WHERE {these}",
            (State.LOST.value, REASON, at_us, at_us, *some),
        )
        count += changed.rowcount
    if count:
        log.error(
            "%s with the data of the bus: flowlord tasks --lost",
            were_lost(count), extra={"action": "history.lost"},
        )  # fmt: skip
    return count
