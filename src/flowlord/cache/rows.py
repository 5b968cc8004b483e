"""How attempts are written: a statement for each usual form of a row, in whose text the empty columns stand as such.

To bind a value costs a hundred times what it costs to compare it, and a third of a row is empty.
"""

# ruff: noqa: S608 - statements are put together from names of ours only; every value is a parameter.

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Sequence
from operator import attrgetter
from typing import Any, Final

from msgspec.structs import astuple

from flowlord.cache.attempt import COLUMNS, Attempt
from flowlord.cache.many import SIZES, Many, row

# What may change in a row after it was written; the rest says what the task is.
CHANGING: Final = (
    "topic", "meta", "state", "result", "msg", "reason", "published_us", "due_us", "started_us", "ended_us",
    "happened_us", "worker", "deliveries", "output", "late_us", "lost",
)  # fmt: skip
_changing = attrgetter("n", *CHANGING)
_EMPTY: Final = {
    name: "''" if isinstance(value, str) else str(value)
    for name, value in zip(COLUMNS, astuple(Attempt()), strict=True)
}
_WORDS: Final = ("msg", "reason", "output", "late_us", "lost")
"""Empty in what went well."""
_OUTCOME: Final = (*_WORDS, "result", "started_us", "ended_us", "worker", "deliveries")
"""Empty in what has only been published."""


def empty(name: str) -> str:
    """Return the value of a column of which nothing was told, as SQL."""
    return _EMPTY[name]


def _insert(*blank: str) -> Many:
    values = ("NULL" if name == "n" else _EMPTY[name] if name in blank else "?" for name in COLUMNS)
    return Many(f"INSERT OR FAIL INTO tasks ({', '.join(COLUMNS)}) VALUES", f"({', '.join(values)})")


def _update(names: Sequence[str], blank: Sequence[str] = ()) -> Many:
    bound = [name for name in names if name not in blank]
    told = [f"{name} = told.column{at}" for at, name in enumerate(bound, 2)]
    told += [f"{name} = {_EMPTY[name]}" for name in blank]
    head = f"UPDATE OR FAIL tasks SET {', '.join(told)} FROM (VALUES"
    return Many(head, row(1 + len(bound)), ") AS told WHERE tasks.n = told.column1")


_NEW: Final = _insert()
_NEW_WELL: Final = _insert(*_WORDS)
_NEW_WAITING: Final = _insert(*_OUTCOME)
_HARMLESS: Final = Many(
    f"INSERT INTO tasks ({', '.join(COLUMNS)}) VALUES", row(len(COLUMNS)), "ON CONFLICT DO NOTHING"
)
_CHANGED: Final = _update(CHANGING)
_CHANGED_WELL: Final = _update(CHANGING, _WORDS)
# For rows that history first heard of by their end: who they are may be told bit by bit.
_CHANGED_WHOLE: Final = _update(COLUMNS[1:])

# Where what may be empty lies in a row: columns that are neighbours there.
_RESULT, _MSG, _PUBLISHED = map(COLUMNS.index, ("result", "msg", "published_us"))
_STARTED, _HAPPENED = map(COLUMNS.index, ("started_us", "happened_us"))
_WORKER, _OUTPUT = map(COLUMNS.index, ("worker", "output"))
_CHANGED_MSG = 1 + CHANGING.index("msg")
_CHANGED_PUBLISHED = 1 + CHANGING.index("published_us")
_CHANGED_OUTPUT = 1 + CHANGING.index("output")


def write(db: sqlite3.Connection, attempts: Iterable[Attempt]) -> None:
    """Write attempts that are known (those with a number), and those that are new."""
    new: list[tuple[Any, ...]] = []
    changed: list[tuple[Any, ...]] = []
    whole: list[tuple[Any, ...]] = []
    for attempt in attempts:
        if attempt.n is None:
            new.append(astuple(attempt))
        elif attempt.published_us:
            changed.append(_changing(attempt))
        else:
            whole.append(astuple(attempt))
    _write_changed(db, changed)
    _CHANGED_WHOLE.run(db, whole)
    _write_new(db, new)


def write_harmless(db: sqlite3.Connection, attempts: Iterable[Attempt]) -> None:
    """The same, but new ones that are there already are passed over."""
    some = list(attempts)
    write(db, (attempt for attempt in some if attempt.n is not None))
    _HARMLESS.run(db, [astuple(attempt) for attempt in some if attempt.n is None])


def _write_changed(db: sqlite3.Connection, rows: Iterable[tuple[Any, ...]]) -> None:
    well: list[tuple[Any, ...]] = []
    others: list[tuple[Any, ...]] = []
    for told in rows:
        if told[_CHANGED_MSG:_CHANGED_PUBLISHED] == ("", "") and told[_CHANGED_OUTPUT:] == ("", 0, 0):
            well.append(told[:_CHANGED_MSG] + told[_CHANGED_PUBLISHED:_CHANGED_OUTPUT])
        else:
            others.append(told)
    _CHANGED_WELL.run(db, well)
    _CHANGED.run(db, others)


def _write_new(db: sqlite3.Connection, rows: Sequence[tuple[Any, ...]]) -> None:
    """Write them in their order, which their numbers keep: so many at a time in the narrowest form that fits all."""
    for first in range(0, len(rows), SIZES[0]):
        some = rows[first : first + SIZES[0]]
        if not all(map(_went_well, some)):
            _NEW.run(db, [told[1:] for told in some])
        elif not all(map(_waits, some)):
            _NEW_WELL.run(db, [told[1:_MSG] + told[_PUBLISHED:_OUTPUT] for told in some])
        else:
            _NEW_WAITING.run(
                db,
                [told[1:_RESULT] + told[_PUBLISHED:_STARTED] + told[_HAPPENED:_WORKER] for told in some],
            )


def _went_well(told: tuple[Any, ...]) -> bool:
    return told[_MSG:_PUBLISHED] == ("", "") and told[_OUTPUT:] == ("", 0, 0)


def _waits(told: tuple[Any, ...]) -> bool:
    return not told[_RESULT] and told[_STARTED:_HAPPENED] == (0, 0) and told[_WORKER:_OUTPUT] == ("", 0)
