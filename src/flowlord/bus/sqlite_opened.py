"""What a SQLite bus knows of open tasks, by the group that they hold open."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Sequence

from flowlord.bus.holds import Hold
from flowlord.bus.lifetimes import OPEN_US, SWEEP_CHUNK
from flowlord.bus.port import OpenTask
from flowlord.bus.sqlite_many import change_in, insert, select_in
from flowlord.model.message import SAME


def shut(db: sqlite3.Connection, members: Sequence[bytes]) -> dict[bytes, str]:
    """Let members go; return the groups of those that were open."""
    if not members or not db.execute("SELECT EXISTS (SELECT 1 FROM opened)").fetchone()[0]:
        return {}  # as nearly always
    freed: dict[bytes, str] = dict(
        select_in(db, "SELECT member, held FROM opened WHERE member IN", list(members))
    )
    change_in(db, "DELETE FROM opened WHERE member IN", list(freed))
    return freed


def hold(
    db: sqlite3.Connection, holds: Iterable[Hold], now_us: int, freed: Sequence[str | None] = ()
) -> None:
    """Add members; `freed` are the groups that the outcomes of their commit held."""
    same = next(filter(None, freed), "")
    rows = [
        (member, same if group == SAME else group, key, now_us)
        for member, group, key in holds
        if group != SAME or same
    ]
    insert(db, "INSERT OR REPLACE INTO opened VALUES", rows)


def counts(db: sqlite3.Connection, groups: Sequence[str]) -> dict[str, int]:
    """See `Bus.open_counts`."""
    found = dict.fromkeys(groups, 0)
    for (held,) in select_in(db, "SELECT held FROM opened WHERE held IN", list(found)):
        found[held] += 1
    return found


def tasks(db: sqlite3.Connection, group: str, limit: int) -> list[OpenTask]:
    """See `Bus.open_tasks`."""
    query = "SELECT key, at_us FROM opened WHERE held = ? ORDER BY at_us, key LIMIT ?"
    return [OpenTask(*row) for row in db.execute(query, (group, limit))]


def sweep(db: sqlite3.Connection, now_us: int) -> int:
    """Drop members that are too old."""
    return db.execute(
        """DELETE FROM opened WHERE member IN
            (SELECT member FROM opened WHERE at_us < ? ORDER BY at_us LIMIT ?)""",
        (now_us - OPEN_US, SWEEP_CHUNK),
    ).rowcount
