"""How attempts are written: with as few values bound as can be.

To bind a value costs a hundred times what it costs to compare it. Most columns of many new rows hold the same values,
which are bound once for all of them; and for each usual form of other rows there is a statement in whose text the empty
columns, a third of them, stand as such.
"""

# ruff: noqa: S608 - statements are put together from names of ours only; every value is a parameter.

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Mapping, Sequence
from operator import attrgetter
from typing import Any, Final

from msgspec.structs import astuple

from flowlord.cache.attempt import COLUMNS, Attempt
from flowlord.cache.many import Many, row

# What may change in a row after it was written; the rest says what the task is.
CHANGING: Final = (
    "topic", "meta", "state", "result", "msg", "reason", "published_us", "due_us", "started_us", "ended_us",
    "happened_us", "worker", "deliveries", "output", "late_us", "lost",
)  # fmt: skip
_changing = attrgetter("n", *CHANGING)
STORED: Final = (
    "n", "key", "topic", "type", "job", "id", "info", "meta", "created", "phase", "workflow", "revision", "cause",
    "batch", "priority", "number", "moment", "state", "result", "msg", "reason", "published_us", "due_us",
    "started_us", "ended_us", "happened_us", "worker", "deliveries", "output", "late_us", "lost",
)  # fmt: skip
"""The columns in the order of the table: values that come so are not moved about once more."""
BLANK: Final[dict[str, Any]] = dict(zip(COLUMNS, astuple(Attempt()), strict=True))
"""What a column holds of which nothing was told."""
_EMPTY: Final = {
    name: f"'{value}'" if isinstance(value, str) else str(value) for name, value in BLANK.items()
}
_WORDS: Final = ("msg", "reason", "output", "late_us", "lost")
"""Empty in what went well."""
_OUTCOME: Final = (*_WORDS, "result", "started_us", "ended_us", "worker", "deliveries")
"""Empty in what has only been published."""
_OWN: Final = COLUMNS.index("topic")
"""So many columns of a row are its own; the others are its kind, of which there are few."""
_SOME: Final = 512
"""Rows that are looked through at a time for those of one kind; so they lie near each other in the file."""
_FEW: Final = 8
"""Of fewer rows it does not pay to bind what they have alike."""


def empty(name: str) -> str:
    """Return the value of a column of which nothing was told, as SQL."""
    return _EMPTY[name]


def _insert(*blank: str) -> Many:
    values = (_EMPTY[name] if name in blank else "?" for name in COLUMNS)
    return Many(f"INSERT OR FAIL INTO tasks ({', '.join(COLUMNS)}) VALUES", f"({', '.join(values)})")


def _update(names: Sequence[str], blank: Sequence[str] = ()) -> Many:
    bound = [name for name in names if name not in blank]
    told = [f"{name} = told.column{at}" for at, name in enumerate(bound, 2)]
    told += [f"{name} = {_EMPTY[name]}" for name in blank]
    head = f"UPDATE OR FAIL tasks SET {', '.join(told)} FROM (VALUES"
    return Many(head, row(1 + len(bound)), ") AS told WHERE tasks.n = told.column1")


def insert_alike(own: Sequence[str], kind: Sequence[str], same: Mapping[str, str] | None = None) -> Many:
    """Return the statement for rows with these columns of their own, and others that they have alike.

    Those of the `kind`, in the order of STORED, are bound once, before the rows. `same` names columns that hold what
    another one holds. The rest is empty.
    """
    values = []
    for name in STORED:
        of = (same or {}).get(name, name)
        values.append(f"column{own.index(of) + 1}" if of in own else "?" if of in kind else _EMPTY[of])
    head = f"INSERT OR FAIL INTO tasks ({', '.join(STORED)}) SELECT {', '.join(values)} FROM (VALUES"
    return Many(head, row(len(own)), ")")


_ALIKE: Final = insert_alike(COLUMNS[:_OWN], COLUMNS[_OWN:])
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
_STARTED, _HAPPENED, _RESULT, _MSG = map(COLUMNS.index, ("started_us", "happened_us", "result", "msg"))
_WORKER, _OUTPUT = map(COLUMNS.index, ("worker", "output"))
_CHANGED_MSG = 1 + CHANGING.index("msg")
_CHANGED_PUBLISHED = 1 + CHANGING.index("published_us")
_CHANGED_OUTPUT = 1 + CHANGING.index("output")


def write(db: sqlite3.Connection, attempts: Iterable[Attempt]) -> None:
    """Write attempts that are known (those with a number), and those that are new, which get one."""
    new: list[Attempt] = []
    changed: list[tuple[Any, ...]] = []
    whole: list[tuple[Any, ...]] = []
    for attempt in attempts:
        if attempt.n is None:
            new.append(attempt)
        elif attempt.published_us:
            changed.append(_changing(attempt))
        else:
            whole.append(astuple(attempt))
    _write_changed(db, changed)
    _CHANGED_WHOLE.run(db, whole)
    if new:
        for n, attempt in enumerate(new, last_number(db) + 1):
            attempt.n = n
        write_numbered(db, new)


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


def last_number(db: sqlite3.Connection) -> int:
    """Return the largest number of a row; 0 when there is none."""
    [last] = db.execute("SELECT ifnull(max(n), 0) FROM tasks").fetchone()
    return int(last)


def write_numbered(db: sqlite3.Connection, attempts: Sequence[Attempt]) -> None:
    """Write attempts that are new, and have got a number."""
    for first in range(0, len(attempts), _SOME):
        kinds: dict[tuple[Any, ...], list[tuple[Any, ...]]] = {}
        for told in map(astuple, attempts[first : first + _SOME]):
            kinds.setdefault(told[_OWN:], []).append(told)
        others: list[tuple[Any, ...]] = []
        for kind, some in kinds.items():
            if len(some) < _FEW:
                others += some
            else:
                _ALIKE.run(db, [told[:_OWN] for told in some], kind)
        write_mixed(db, others)


def write_mixed(db: sqlite3.Connection, rows: Sequence[tuple[Any, ...]]) -> None:
    """Write those that few others are like, in the narrowest form that fits all of them."""
    if all(map(_waits, rows)):
        _NEW_WAITING.run(db, [told[:_STARTED] + told[_HAPPENED:_RESULT] for told in rows])
    elif all(map(_went_well, rows)):
        _NEW_WELL.run(db, [told[:_MSG] + told[_WORKER:_OUTPUT] for told in rows])
    else:
        _NEW.run(db, rows)


def _went_well(told: tuple[Any, ...]) -> bool:
    return told[_MSG:_WORKER] == ("", "") and told[_OUTPUT:] == ("", 0, 0)


def _waits(told: tuple[Any, ...]) -> bool:
    return told[_RESULT:] == ("", "", "", "", 0, "", 0, 0) and told[_STARTED:_HAPPENED] == (0, 0)
