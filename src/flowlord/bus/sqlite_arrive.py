"""How messages come to lie in a SQLite bus: as rows of their own, and in the line or among the later ones."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from functools import lru_cache
from operator import itemgetter
from typing import Any

import msgspec

from flowlord.bus.landing import Row
from flowlord.bus.sqlite_many import SIZES, insert

_INSERT = """INSERT INTO messages(id, topic, rank, due_us, at_us,
    payload, key, priority, timeout_ns, phase, revision, cause, batch, origin, report) VALUES"""
_COLUMNS = ("id", *Row._fields)
_OWN = ("id", "payload", "key", "cause", "report")
"""What is another one with each message that lands; the rest has few values, so it is bound once for many rows."""
_ALIKE = tuple(name for name in Row._fields if name not in _OWN)
_alike = itemgetter(*map(Row._fields.index, _ALIKE))


class News(msgspec.Struct):
    """What others wait for: topics that got something to claim, and whether the journal grew."""

    topics: set[str] = msgspec.field(default_factory=set)
    journal: bool = False


def arrive_rows(db: sqlite3.Connection, rows: Sequence[Row], news: News) -> None:
    """Put messages on their topics or among the later ones, as the newest."""
    if not rows:
        return
    first = next_entries(db, len(rows))
    _insert(db, rows, first)
    queue_from(db, first)
    topics = {row.topic for row in rows}
    insert(db, "INSERT OR IGNORE INTO topics VALUES", [(topic,) for topic in sorted(topics)])
    news.topics |= {row.topic for row in rows if not row.due_us}


def next_entries(db: sqlite3.Connection, count: int) -> int:
    """Take `count` entries that nobody had; return the first."""
    [first] = db.execute("SELECT value FROM meta WHERE name = 'next'").fetchone()
    db.execute("UPDATE meta SET value = ? WHERE name = 'next'", (first + count,))
    return int(first)


def queue_from(db: sqlite3.Connection, first: int) -> None:
    """Let the messages from entry `first` on wait: on their topics, or for their due time."""
    db.execute(
        "INSERT INTO waiting SELECT topic, rank, id FROM messages WHERE id >= ? AND due_us = 0", (first,)
    )
    db.execute(
        "INSERT INTO later SELECT due_us, id, topic FROM messages WHERE id >= ? AND due_us > 0", (first,)
    )


def _insert(db: sqlite3.Connection, rows: Sequence[Row], first: int) -> None:
    kinds: dict[tuple[Any, ...], list[Any]] = {}
    for entry, row in enumerate(rows, first):
        own = kinds.setdefault(_alike(row), [])
        own += (entry, row.payload, row.key, row.cause, row.report)
    width = len(_OWN)
    for alike, own in kinds.items():
        place = 0
        for size in SIZES:
            while len(own) - place >= size * width:
                db.execute(_statement(size), [*alike, *own[place : place + size * width]])
                place += size * width


@lru_cache
def _statement(size: int) -> str:
    """Return what inserts so many messages: first what they have alike, then what each has of its own."""
    alike = {name: f"?{place}" for place, name in enumerate(_ALIKE, 1)}
    rows = []
    for number in range(size):
        own = {name: f"?{len(_ALIKE) + number * len(_OWN) + place}" for place, name in enumerate(_OWN, 1)}
        rows.append(f"({', '.join((alike | own)[name] for name in _COLUMNS)})")
    return f"{_INSERT} {', '.join(rows)}"
