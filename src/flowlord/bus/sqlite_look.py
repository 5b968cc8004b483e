"""Reading a SQLite bus without changing it. Each answer comes from one statement, so it shows one moment."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from itertools import takewhile
from typing import Any

import msgspec

from flowlord.bus.landing import entry_number
from flowlord.bus.lifetimes import PRESENCE_US
from flowlord.bus.port import JournalEntry, Peeked, Presence, TopicState
from flowlord.bus.sqlite_many import select_in
from flowlord.model.plan import Fact

JOURNAL_BYTES = 32 << 20
"""An answer of `journal` ends here: a follower's memory is bounded whatever its limit."""
# In the order in which they end: what runs, the line, what is due. Each part reads no more than the limit.
_OLDEST = """SELECT m.* FROM (
    SELECT * FROM (
        SELECT 0 AS part, id AS a, 0 AS b, id FROM leases WHERE topic = :topic ORDER BY id LIMIT :limit)
    UNION ALL SELECT * FROM (
        SELECT 1, rank, id, id FROM waiting WHERE topic = :topic ORDER BY rank, id LIMIT :limit)
    UNION ALL SELECT * FROM (
        SELECT 2, due_us, id, id FROM later WHERE topic = :topic ORDER BY due_us, id LIMIT :limit)
    ) p CROSS JOIN peeked m ON m.entry = p.id ORDER BY p.part, p.a, p.b LIMIT :limit"""
# The newest by arrival, whatever its band, so the line is walked as a whole.
_NEWEST = """SELECT m.* FROM (
    SELECT * FROM (
        SELECT 0 AS part, id AS a, 0 AS b, id FROM leases WHERE topic = :topic ORDER BY id DESC LIMIT :limit)
    UNION ALL SELECT * FROM (
        SELECT 1, id, 0, id FROM waiting WHERE topic = :topic ORDER BY id DESC LIMIT :limit)
    UNION ALL SELECT * FROM (
        SELECT 2, due_us, id, id FROM later WHERE topic = :topic ORDER BY due_us DESC, id DESC LIMIT :limit)
    ) p CROSS JOIN peeked m ON m.entry = p.id ORDER BY p.part, p.a DESC, p.b DESC LIMIT :limit"""
# Each band from the place on, no further than the limit: together they hold the first of all.
_ARRIVED = """SELECT m.* FROM (
    SELECT * FROM (SELECT id FROM leases WHERE topic = :topic AND id > :after ORDER BY id LIMIT :limit)
    UNION ALL SELECT * FROM (
        SELECT id FROM waiting WHERE topic = :topic AND rank = 0 AND id > :after ORDER BY id LIMIT :limit)
    UNION ALL SELECT * FROM (
        SELECT id FROM waiting WHERE topic = :topic AND rank = 1 AND id > :after ORDER BY id LIMIT :limit)
    UNION ALL SELECT * FROM (
        SELECT id FROM waiting WHERE topic = :topic AND rank = 2 AND id > :after ORDER BY id LIMIT :limit)
    UNION ALL SELECT * FROM (
        SELECT id FROM waiting WHERE topic = :topic AND rank = 3 AND id > :after ORDER BY id LIMIT :limit)
    ) p CROSS JOIN peeked m ON m.entry = p.id ORDER BY p.id LIMIT :limit"""
_FIND = "SELECT * FROM peeked WHERE topic <> 'done' AND key IN"
# Results have no key index. They are few: the taskmasters take them as they come.
_FIND_RESULT = """SELECT * FROM peeked WHERE entry IN (
    SELECT id FROM waiting WHERE topic = 'done'
    UNION ALL SELECT id FROM leases WHERE topic = 'done'
    UNION ALL SELECT id FROM later WHERE topic = 'done') AND key IN"""

_fact = msgspec.json.Decoder(Fact).decode
_raws = msgspec.json.Decoder(list[msgspec.Raw]).decode
_facts = msgspec.json.Decoder(tuple[Fact, ...]).decode
_presence = msgspec.json.Decoder(Presence).decode


def marks(db: sqlite3.Connection, keys: Sequence[str]) -> dict[str, str]:
    """Return the marks of these keys that exist."""
    return dict(select_in(db, "SELECT key, value FROM marks WHERE key IN", keys))


def marks_like(db: sqlite3.Connection, prefix: str) -> dict[str, str]:
    """Return the marks whose key begins with `prefix`, by walking only these."""
    beyond = prefix + "\U0010ffff"
    return dict(
        db.execute("SELECT key, value FROM marks WHERE key >= ? AND key < ? ORDER BY key", (prefix, beyond))
    )


def journal(db: sqlite3.Connection, after: int, limit: int) -> list[tuple[Any, ...]]:
    """Return raw entries after `after`, up to `limit` or JOURNAL_BYTES; `read_entry` decodes them without the lock."""
    found: list[tuple[Any, ...]] = []
    size = 0
    for row in db.execute(
        "SELECT seq, at_us, by, commit_id, facts FROM journal WHERE seq > ? ORDER BY seq LIMIT ?",
        (after, limit),
    ):
        found.append(row)
        size += len(row[4])
        if size > JOURNAL_BYTES:
            break
    return found


def read_entry(row: tuple[Any, ...]) -> JournalEntry:
    """Decode one entry."""
    seq, at_us, by, commit_id, facts = row
    try:
        told = _facts(facts)
    except msgspec.ValidationError:  # written by a later flowlord: what we cannot understand is not for us
        told = tuple(fact for raw in _raws(facts) for fact in _understood(raw))
    return JournalEntry(seq, at_us, by, commit_id, told)


def _understood(raw: msgspec.Raw) -> tuple[Fact, ...]:
    try:
        return (_fact(raw),)
    except msgspec.ValidationError:
        return ()


def journal_bounds(db: sqlite3.Connection) -> tuple[int, int]:
    """Return the first and the last number kept, (0, 0) when there are none."""
    first, last = db.execute(
        "SELECT (SELECT min(seq) FROM journal), (SELECT max(seq) FROM journal)"
    ).fetchone()
    return (first or 0, last or 0)


def topics(db: sqlite3.Connection) -> list[TopicState]:
    """Count every topic that ever was."""
    found = db.execute(
        """SELECT t.name,
            (SELECT count(*) FROM waiting w WHERE w.topic = t.name),
            coalesce(running.n, 0),
            (SELECT count(*) FROM later l WHERE l.topic = t.name),
            coalesce((SELECT m.at_us FROM messages m WHERE m.id = (
                SELECT min(first) FROM (
                    SELECT (SELECT min(w.id) FROM waiting w WHERE w.topic = t.name AND w.rank = r.rank) AS first
                    FROM (SELECT 0 AS rank UNION SELECT 1 UNION SELECT 2 UNION SELECT 3) r))), 0)
        FROM topics t
        LEFT JOIN (SELECT topic, count(*) AS n FROM leases GROUP BY topic) running ON running.topic = t.name
        ORDER BY t.name"""
    )
    return [TopicState(*row) for row in found]


def peek(db: sqlite3.Connection, topic: str, limit: int, *, newest: bool) -> list[Peeked]:
    """Show running, waiting and later messages of a topic, up to `limit` in all."""
    return [
        _peeked(row) for row in db.execute(_NEWEST if newest else _OLDEST, {"topic": topic, "limit": limit})
    ]


def arrived(db: sqlite3.Connection, topic: str, after: str, until_us: int, limit: int) -> list[Peeked]:
    """Show what arrived on a topic behind an entry and until a time, oldest first."""
    words = {"topic": topic, "after": entry_number(after), "limit": limit}
    found = map(_peeked, db.execute(_ARRIVED, words))
    return list(takewhile(lambda seen: seen.at_us <= until_us, found))


def find(db: sqlite3.Connection, keys: Sequence[str]) -> list[Peeked]:
    """Show the messages with these dispatch keys, oldest first."""
    wanted = sorted(set(keys) - {""})
    found = [*select_in(db, _FIND, wanted), *select_in(db, _FIND_RESULT, wanted)]
    return [_peeked(row) for row in sorted(found, key=lambda row: int(row[1]))]


def presences(db: sqlite3.Connection, now_us: int, now_ns: int) -> list[Presence]:
    """Return who beat within the last day."""
    found = db.execute(
        "SELECT presence, beat_us, beat_ns, lease_ns FROM presences WHERE beat_us >= ? ORDER BY consumer",
        (now_us - PRESENCE_US,),
    )
    return [
        msgspec.structs.replace(_presence(data), beat_us=beat_us, alive=now_ns - beat_ns <= lease_ns)
        for data, beat_us, beat_ns, lease_ns in found
    ]


def _peeked(row: tuple[Any, ...]) -> Peeked:
    topic, entry, *rest = row
    return Peeked(topic, str(entry), *rest)
