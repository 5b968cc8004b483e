"""What a journal tells again, after the bus lost its newest data: what a list has already is passed over."""

# ruff: noqa: S608 - statements are put together from names of ours only; every value is a parameter.

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from typing import Any, Final, TypeAlias

Row: TypeAlias = tuple[Any, ...]

_FOUND_BY: Final = {
    "alerts": ("phase", 7),
    "decisions": ("phase", 4),
    "files": ("path", 1),
    "incidents": ("id", 1),
    "revisions": ("name", 1),
}
"""The column of each list that has an index, and where it stands in a row, whose first value is when it was told."""


def news(db: sqlite3.Connection, table: str, rows: Sequence[Row]) -> Sequence[Row]:
    """Return those of these rows that the table does not have.

    Time goes on, so only what is no newer than its last row is looked for: hardly anything but what is told again.
    """
    if not rows:
        return rows
    last = db.execute(f"SELECT at_us FROM {table} ORDER BY n DESC LIMIT 1").fetchone()
    if last is None:
        return rows
    name, place = _FOUND_BY[table]
    sql = f"SELECT * FROM {table} WHERE {name} = ? AND at_us = ?"

    def is_there(row: Row) -> bool:
        return any(row == told[1:] for told in db.execute(sql, (row[place], row[0])))

    return [row for row in rows if row[0] > last[0] or not is_there(row)]
