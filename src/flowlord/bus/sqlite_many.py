"""Many values in one statement.

Python lets other threads run before each step of a statement. With a thread that computes beside it, `executemany`
with 500 rows would wait 500 times for its turn, and keep the bus locked meanwhile; one statement waits once.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Sequence
from functools import lru_cache
from itertools import chain
from typing import Any

SIZES = (500, 100, 20, 4, 1)
"""Values per statement: few different ones, so that each statement is compiled once."""
_MOST_PARAMETERS = 9_000


def select_in(
    db: sqlite3.Connection, query: str, values: Sequence[Any], before: Sequence[Any] = ()
) -> Iterator[tuple[Any, ...]]:
    """Yield the rows of a query that ends with `... IN` for all values, in no particular order.

    `before` fills the parameters ahead of the list.
    """
    for part in _parts(values):
        yield from db.execute(_with_list(query, _size_for(len(part))), [*before, *_padded(part)])


def change_in(
    db: sqlite3.Connection, statement: str, values: Sequence[Any], before: Sequence[Any] = ()
) -> int:
    """Run a change that ends with `... IN` for all values; `before` fills the parameters ahead of the list."""
    changed = 0
    for part in _parts(values):
        changed += db.execute(_with_list(statement, _size_for(len(part))), [*before, *_padded(part)]).rowcount
    return changed


def insert(db: sqlite3.Connection, statement: str, rows: Sequence[Sequence[Any]]) -> None:
    """Run an `INSERT INTO ... VALUES` for all rows, each as long as the first."""
    if not rows:
        return
    width = len(rows[0])
    place = 0
    for size in SIZES:
        if size * width > _MOST_PARAMETERS:
            continue
        while len(rows) - place >= size:
            db.execute(
                _with_rows(statement, width, size), list(chain.from_iterable(rows[place : place + size]))
            )
            place += size


def _parts(values: Sequence[Any]) -> Iterator[Sequence[Any]]:
    for start in range(0, len(values), SIZES[0]):
        yield values[start : start + SIZES[0]]


def _size_for(count: int) -> int:
    return min(size for size in SIZES if size >= count)


def _padded(part: Sequence[Any]) -> list[Any]:
    """Repeat the last value up to a size: a value twice in a list changes nothing."""
    return [*part, *[part[-1]] * (_size_for(len(part)) - len(part))]


@lru_cache(256)
def _with_list(query: str, size: int) -> str:
    return f"{query} ({', '.join('?' * size)})"


@lru_cache(256)
def _with_rows(statement: str, width: int, size: int) -> str:
    row = f"({', '.join('?' * width)})"
    return f"{statement} {', '.join([row] * size)}"
