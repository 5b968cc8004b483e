"""What a SQLite bus drops: by a person's word, or because its time is over. In chunks, so that nobody waits long."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence

import msgspec

from flowlord.bus.landing import entry_number
from flowlord.bus.lifetimes import (
    COMMIT_US,
    JOURNAL_ENTRIES,
    JOURNAL_US,
    OUTCOME_DAYS,
    PRESENCE_US,
    SWEEP_CHUNK,
    day_of,
)
from flowlord.bus.port import CHUNK, Move, Presence
from flowlord.bus.sqlite_arrive import News, arrive_rows
from flowlord.bus.sqlite_commit import drop, take_off
from flowlord.bus.sqlite_many import select_in
from flowlord.model.plan import Fact

_JOURNAL_CHUNK = SWEEP_CHUNK // 5  # an entry may hold the facts of hundreds of messages
_FREE_PAGES = 4_096
"""Unused pages that a file may keep: 16 MiB, what a busy bus needs again soon."""


def last_entry(db: sqlite3.Connection) -> int:
    """Return the newest entry so far."""
    [following] = db.execute("SELECT value FROM meta WHERE name = 'next'").fetchone()
    return int(following) - 1


def purge(db: sqlite3.Connection, topic: str, until: int, reason: str) -> list[Fact]:
    """Drop a chunk of what waits on a topic, now or later, and is no newer than entry `until`."""
    entries = [
        entry
        for (entry,) in db.execute(
            """SELECT id FROM (SELECT id FROM waiting WHERE topic = :topic AND id <= :until LIMIT :chunk)
            UNION ALL SELECT id FROM (SELECT id FROM later WHERE topic = :topic AND id <= :until LIMIT :chunk)
            LIMIT :chunk""",
            {"topic": topic, "until": until, "chunk": CHUNK},
        )
    ]
    return drop(db, entries, reason)


def cancel(db: sqlite3.Connection, keys: Sequence[str], reason: str) -> list[Fact]:
    """Drop the waiting and later messages with these keys; results are no work and stay."""
    query = "SELECT id FROM messages WHERE topic <> 'done' AND id NOT IN (SELECT id FROM leases) AND key IN"
    return drop(db, [entry for (entry,) in select_in(db, query, keys)], reason)


def move(
    moves: Sequence[Move], db: sqlite3.Connection, news: News, *, reason: str, now_us: int
) -> list[Fact]:
    """Move or drop the messages that are named and that nobody holds."""
    asked = {entry_number(each.entry): each for each in moves}
    query = "SELECT id, topic FROM messages WHERE id NOT IN (SELECT id FROM leases) AND id IN"
    there = [entry for entry, topic in select_in(db, query, list(asked)) if asked[entry].topic == topic]
    facts = drop(db, [entry for entry in there if not asked[entry].to], reason)
    taken = take_off(db, [entry for entry in there if asked[entry].to])
    order = {entry: place for place, entry in enumerate(asked)}
    taken.sort(key=lambda each: order[each[0]])
    moved = [row.moved(asked[entry], now_us, reason) for entry, row in taken]
    arrive_rows(db, [row for row, _ in moved], news)
    return facts + [fact for _, fact in moved]


def beat(db: sqlite3.Connection, presence: Presence, now_us: int, now_ns: int) -> None:
    """Record a heartbeat."""
    row = (presence.consumer, msgspec.json.encode(presence), now_us, now_ns, presence.lease_ns)
    db.execute("INSERT OR REPLACE INTO presences VALUES (?, ?, ?, ?, ?)", row)


def sweep_marks(db: sqlite3.Connection, now_us: int) -> int:
    """Drop marks whose time is over."""
    return db.execute(
        """DELETE FROM marks WHERE key IN
            (SELECT key FROM marks WHERE until_us > 0 AND until_us <= ? ORDER BY until_us LIMIT ?)""",
        (now_us, SWEEP_CHUNK),
    ).rowcount


def sweep_outcomes(db: sqlite3.Connection, now_us: int) -> int:
    """Drop outcomes of days long gone."""
    last_day = day_of(now_us) - OUTCOME_DAYS
    dropped = db.execute("DELETE FROM fresh WHERE day < ?", (last_day,)).rowcount
    return (
        dropped
        or db.execute(
            """DELETE FROM outcomes WHERE (day, digest) IN
            (SELECT day, digest FROM outcomes WHERE day < ? ORDER BY day, digest LIMIT ?)""",
            (last_day, SWEEP_CHUNK),
        ).rowcount
    )


def sweep_commits(db: sqlite3.Connection, now_us: int) -> int:
    """Drop the answers to commits that nobody asks for any more."""
    return db.execute(
        "DELETE FROM commits WHERE seq IN (SELECT seq FROM commits ORDER BY seq LIMIT ?) AND at_us < ?",
        (SWEEP_CHUNK, now_us - COMMIT_US),
    ).rowcount


def sweep_journal(db: sqlite3.Connection, now_us: int) -> int:
    """Drop the oldest entries when they are too old or too many; the newest always stays, so that numbers go on."""
    [last] = db.execute("SELECT coalesce(max(seq), 0) FROM journal").fetchone()
    keep = 0
    for seq, at_us in db.execute("SELECT seq, at_us FROM journal ORDER BY seq LIMIT ?", (_JOURNAL_CHUNK,)):
        if seq == last or (at_us >= now_us - JOURNAL_US and seq > last - JOURNAL_ENTRIES):
            break
        keep = seq
    return db.execute("DELETE FROM journal WHERE seq <= ?", (keep,)).rowcount


def sweep_presences(db: sqlite3.Connection, now_us: int) -> int:
    """Forget processes that were not heard of for a day."""
    return db.execute("DELETE FROM presences WHERE beat_us < ?", (now_us - PRESENCE_US,)).rowcount


def spare_pages(db: sqlite3.Connection) -> int:
    """Return how many unused pages to give back in one step: none, unless a backlog has left many."""
    [free] = db.execute("PRAGMA freelist_count").fetchone()
    [pages] = db.execute("PRAGMA page_count").fetchone()
    return 0 if free < _FREE_PAGES or free < pages // 4 else min(int(free), SWEEP_CHUNK)


def give_back(db: sqlite3.Connection, pages: int) -> None:
    """Give so many unused pages back to the file system."""
    db.execute(f"PRAGMA incremental_vacuum({pages})").fetchall()
