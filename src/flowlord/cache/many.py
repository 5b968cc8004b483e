"""A statement for many rows at a time.

SQLite computes without Python's lock for as long as one statement runs. `executemany` takes the lock back for every
row, and beside a thread that computes it waits for it each time.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Sequence
from functools import lru_cache
from itertools import chain
from typing import Any, NamedTuple

SIZES = (256, 128, 64, 32, 16, 8, 4, 2, 1)
"""Rows per statement: few different ones, so that each is compiled once; 256 of 32 columns are 8,192 parameters."""


class Many(NamedTuple):
    """A statement around a list of rows: `head (?, ?), (?, ?) tail`.

    Let it begin with `INSERT OR FAIL` or `UPDATE OR FAIL`: by itself a statement for several rows may be undone alone,
    and for that SQLite copies each page before it changes it. Whoever runs it undoes the whole transaction instead.
    """

    head: str
    row: str
    tail: str = ""

    def run(self, db: sqlite3.Connection, rows: Sequence[Sequence[Any]], alike: Sequence[Any] = ()) -> None:
        """Run it for all rows; `alike` are the values that each of them refers to as ?1, ?2, ... before its own."""
        at, size = 0, SIZES[0]
        while left := len(rows) - at:
            if size > left:
                size = next(fewer for fewer in SIZES if fewer <= left)
            db.execute(_text(self, size), [*alike, *chain.from_iterable(rows[at : at + size])])
            at += size


def row(width: int, before: str = "") -> str:
    """Return a row of that many parameters, behind what `before` says."""
    return f"({before}{', '.join('?' * width)})"


def select_in(db: sqlite3.Connection, sql: str, values: Sequence[str]) -> Iterator[str]:
    """Yield the answer, one text each, to `sql` with lists of some of these values behind it."""
    for at in range(0, len(values), SIZES[0]):
        some = values[at : at + SIZES[0]]
        size = min(size for size in SIZES if size >= len(some))
        padded = [*some, *[None] * (size - len(some))]
        [[told]] = db.execute(sql + row(size), padded)
        yield told


@lru_cache(64)
def _text(many: Many, size: int) -> str:
    return f"{many.head} {', '.join([many.row] * size)} {many.tail}"
