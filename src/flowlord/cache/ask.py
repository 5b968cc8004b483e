"""Questions in SQL to a history, and whole tables of it: read-only, bounded, a row at a time.

sqlite-utils gives rows with the names of their columns, two of the same name told apart; it is loaded by the first
question, since it takes as long as a reading command may take in all.
"""

from __future__ import annotations

import math
import sqlite3
from collections.abc import Callable, Iterator, Mapping
from typing import Final, TypeVar

from flowlord.cache.schema import CacheUnusable, is_damage, open_reader
from flowlord.model.clock import Clock
from flowlord.model.errors import FlowlordError

Row = Mapping[str, object]
T = TypeVar("T")
EXPORTED: Final = (
    "tasks",
    "alerts",
    "files",
    "decisions",
    "incidents",
    "days",
    "revisions",
    "phases",
    "workflows",
    "gaps",
)
_KEYS: Final = {
    "days": ("day", "topic", "type", "job", "state"),
    "phases": ("workflow", "digest", "name"),
    "workflows": ("name",),
}
"""What orders the tables that have no number."""
_PAGE: Final = 1_000
_STEPS: Final = 10_000
_MOST_BYTES: Final = 64 << 20
"""Of one value: a question that builds larger ones is refused before it takes the memory."""
_ALLOWED: Final = {
    sqlite3.SQLITE_SELECT, sqlite3.SQLITE_READ, sqlite3.SQLITE_FUNCTION, sqlite3.SQLITE_RECURSIVE,
}  # fmt: skip


class WrongQuestion(FlowlordError):
    """SQL that cannot be answered."""


class TooLong(FlowlordError):
    """A question that took longer than it may."""


def query(
    path: str, sql: str, values: Mapping[str, str], clock: Clock, limit_s: float
) -> tuple[list[str], Iterator[Row]]:
    """Return the names of the columns and the rows of one question, which are read while they are taken.

    Nothing but reading is allowed: no writing, no pragmas, no other files.

    Raises:
        WrongQuestion: SQLite refuses it, or it would do more than read.
        TooLong: here or while rows are taken.
        CacheUnusable: there is no history, or it cannot be read.
    """
    end_ns = clock.monotonic_ns() + int(limit_s * 1e9)
    connection = open_reader(path)
    connection.setlimit(sqlite3.SQLITE_LIMIT_LENGTH, _MOST_BYTES)
    connection.setlimit(sqlite3.SQLITE_LIMIT_ATTACHED, 0)
    connection.set_authorizer(_only_reading)
    connection.set_progress_handler(lambda: clock.monotonic_ns() > end_ns, _STEPS)
    try:
        cursor = _told(lambda: connection.execute(sql, values), limit_s)
    except FlowlordError:
        connection.close()
        raise
    if cursor.description is None:
        connection.close()
        raise WrongQuestion("that is no question: write SELECT …")
    from sqlite_utils.utils import dedupe_keys

    names = list(dedupe_keys(str(each[0]) for each in cursor.description))

    def rows() -> Iterator[Row]:
        try:
            while (row := _told(cursor.fetchone, limit_s)) is not None:
                yield dict(zip(names, map(_plain, row), strict=True))
        finally:
            connection.close()

    return names, rows()


def exported(path: str, table: str, since_us: int = 0, until_us: int = 0) -> Iterator[Row]:
    """Yield the rows of a table, the oldest first; tasks with their waiting and running times.

    Each thousand is read in a transaction of its own, so that the historian's log need not grow meanwhile.

    Raises:
        CacheUnusable: there is no history, or it cannot be read.
    """
    from sqlite_utils import Database

    source = "attempts" if table == "tasks" else table
    connection = open_reader(path)
    try:
        database = Database(connection)
        conditions, bounds = _between(table, since_us, until_us)
        keys = _KEYS.get(table, ("n",))
        behind = f"({', '.join(keys)}) > ({', '.join('?' * len(keys))})"
        last: tuple[object, ...] = ()
        while True:
            where = " AND ".join([*conditions, behind] if last else conditions)
            page = list(
                database[source].rows_where(
                    where or None, [*bounds, *last], order_by=", ".join(keys), limit=_PAGE
                )
            )
            yield from page
            if len(page) < _PAGE:
                return
            last = tuple(page[-1][key] for key in keys)
    except sqlite3.Error as error:
        raise CacheUnusable(f"the history {path} cannot be read: {error}") from error
    finally:
        connection.close()


def columns(path: str, table: str) -> list[str]:
    """Return the names of the columns of a table as `exported` gives them."""
    connection = open_reader(path)
    try:
        source = "attempts" if table == "tasks" else table
        return [str(row[1]) for row in connection.execute(f"PRAGMA table_info({source})")]
    finally:
        connection.close()


def _between(table: str, since_us: int, until_us: int) -> tuple[list[str], list[object]]:
    """Return the conditions, with their values, that bound a table in time."""
    time = {"tasks": "happened_us", "days": "day * 86400000000"}.get(table, "at_us")
    given = [(f"{time} >= ?", since_us), (f"{time} < ?", until_us)]
    return [said for said, us in given if us], [us for _, us in given if us]


def _only_reading(action: int, one: str | None, two: str | None, *_: object) -> int:
    if action == sqlite3.SQLITE_FUNCTION and two == "load_extension":
        return sqlite3.SQLITE_DENY
    return sqlite3.SQLITE_OK if action in _ALLOWED else sqlite3.SQLITE_DENY


def _told(step: Callable[[], T], limit_s: float) -> T:
    """Do a step of a question; turn what SQLite says into words."""
    try:
        return step()
    except sqlite3.Error as error:
        if is_damage(error):
            raise CacheUnusable(f"the history cannot be read: {error}") from error
        match getattr(error, "sqlite_errorcode", 0):
            case sqlite3.SQLITE_INTERRUPT:
                raise TooLong(too_long(limit_s)) from error
            case sqlite3.SQLITE_NOMEM:
                raise MemoryError from error
            case sqlite3.SQLITE_AUTH:
                raise WrongQuestion("only reading is allowed: SELECT, and nothing else") from error
            case sqlite3.SQLITE_BUSY | sqlite3.SQLITE_LOCKED:
                raise CacheUnusable(f"the history is locked: {error}") from error
            case _:
                raise WrongQuestion(f"that cannot be answered: {error}") from error


def too_long(limit_s: float) -> str:
    """Return the words for a question that took longer than that."""
    return f"the question took longer than {limit_s:g} s"


def _plain(value: object) -> object:
    """Return a value as every form of output can carry it."""
    if isinstance(value, bytes):
        return value.hex()
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    return value
