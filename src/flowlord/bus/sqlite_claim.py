"""Leases in a SQLite bus: who holds a message, until when, and how often its holders crashed.

A lease belongs to its token until somebody takes it over by `reclaim`; that its time is over alone ends nothing, so a
holder that was only slow may still finish. Times are CLOCK_BOOTTIME: no change of the wall clock moves them.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from heapq import merge
from itertools import islice
from operator import itemgetter
from typing import Any

import msgspec

from flowlord.bus.landing import entry_number
from flowlord.bus.port import ALONE_AFTER
from flowlord.bus.sqlite_many import change_in, select_in
from flowlord.model.message import Delivery, Report

_LINE = """SELECT
    m.id, m.topic, m.rank, payload, key, priority, timeout_ns, phase, revision, cause, batch, report, crashes
    FROM waiting w CROSS JOIN messages m ON m.id = w.id WHERE w.topic = ? ORDER BY w.rank, w.id LIMIT ?"""
_PLACE = itemgetter(2, 0)
_SELECT = """SELECT id, topic, rank, payload, key, priority, timeout_ns, phase, revision, cause, batch, report, crashes
    FROM messages WHERE id IN"""
_report = msgspec.json.Decoder(Report).decode


def anything_waits(db: sqlite3.Connection, topics: Sequence[str]) -> bool:
    """Tell whether a claim would find something, without keeping anybody from writing."""
    return any(
        db.execute("SELECT EXISTS (SELECT 1 FROM waiting WHERE topic = ?)", (topic,)).fetchone()[0]
        for topic in topics
    )


def claim(
    db: sqlite3.Connection, topics: Sequence[str], consumer: str, limit: int, *, token: str, until_ns: int
) -> list[Delivery]:
    """Lease waiting messages: higher bands first, first in first out inside, a likely poison alone."""
    lines = [db.execute(_LINE, (topic, limit)) for topic in topics]
    try:
        # Of several lines only the front is read: their messages may be large.
        rows = lines[0].fetchall() if len(lines) == 1 else list(islice(merge(*lines, key=_PLACE), limit))
    finally:
        for each in lines:
            each.close()
    crashed = next((n for n, row in enumerate(rows) if row[-1] >= ALONE_AFTER), None)
    if crashed is not None:
        rows = rows[: max(crashed, 1)]

    # What was taken is the front of each band's line, so its last entry describes it.
    last = {row[1:3]: row[0] for row in rows}
    for (topic, rank), entry in last.items():
        line = (topic, rank, entry)
        db.execute(
            """INSERT INTO leases SELECT id, topic, rank, ?, ?, ?, 1
            FROM waiting WHERE topic = ? AND rank = ? AND id <= ?""",
            (token, consumer, until_ns, *line),
        )
        db.execute("DELETE FROM waiting WHERE topic = ? AND rank = ? AND id <= ?", line)
    return [_delivery(row, token, consumer, row[-1] + 1) for row in rows]


def renew(db: sqlite3.Connection, deliveries: Sequence[Delivery], until_ns: int) -> list[Delivery]:
    """Lengthen the leases that are still held; return the deliveries that are lost."""
    held = _held(db, deliveries)
    change_in(
        db, "UPDATE leases SET until_ns = ? WHERE id IN", sorted(entry for entry, _, _ in held), (until_ns,)
    )
    return [delivery for delivery in deliveries if _lease(delivery) not in held]


def release(db: sqlite3.Connection, deliveries: Sequence[Delivery], due_us: int) -> set[str]:
    """Let held messages wait again, at their old place or for `due_us`; return their topics."""
    held = sorted(entry for entry, _, _ in _held(db, deliveries))
    topics = {topic for (topic,) in select_in(db, "SELECT DISTINCT topic FROM leases WHERE id IN", held)}
    if due_us:
        change_in(db, "UPDATE messages SET due_us = ? WHERE id IN", held, (due_us,))
        change_in(db, "INSERT INTO later SELECT ?, id, topic FROM leases WHERE id IN", held, (due_us,))
    else:
        change_in(db, "INSERT INTO waiting SELECT topic, rank, id FROM leases WHERE id IN", held)
    change_in(db, "DELETE FROM leases WHERE id IN", held)
    return topics


def anything_lapsed(db: sqlite3.Connection, now_ns: int) -> bool:
    """Tell whether `reclaim` would find something."""
    return bool(
        db.execute("SELECT EXISTS (SELECT 1 FROM leases WHERE until_ns <= ?)", (now_ns,)).fetchone()[0]
    )


def reclaim(
    db: sqlite3.Connection, consumer: str, limit: int, *, token: str, now_ns: int, until_ns: int
) -> list[Delivery]:
    """Take over lapsed leases, oldest first; a lapse counts as a crash when the hold had been a start."""
    lapsed = db.execute(
        "SELECT id, started, consumer FROM leases WHERE until_ns <= ? ORDER BY until_ns, id LIMIT ?",
        (now_ns, limit),
    ).fetchall()
    entries = [entry for entry, *_ in lapsed]
    change_in(
        db,
        "UPDATE messages SET crashes = crashes + 1 WHERE id IN",
        [entry for entry, started, _ in lapsed if started],
    )
    change_in(
        db,
        "UPDATE leases SET token = ?, consumer = ?, until_ns = ?, started = 0 WHERE id IN",
        entries,
        (token, consumer, until_ns),
    )
    found = {row[0]: row for row in select_in(db, _SELECT, entries)}
    return [_delivery(found[entry], token, consumer, found[entry][-1], before) for entry, _, before in lapsed]


def lapse_all(db: sqlite3.Connection) -> None:
    """End every lease and heartbeat of an earlier boot: whoever held them is dead."""
    db.execute("UPDATE leases SET until_ns = 0")
    db.execute("UPDATE presences SET beat_ns = 0, lease_ns = -1")


def _lease(delivery: Delivery) -> tuple[int, str, str]:
    return (entry_number(delivery.entry), delivery.token, delivery.consumer)


def _held(db: sqlite3.Connection, deliveries: Sequence[Delivery]) -> set[tuple[int, str, str]]:
    """Return the leases, among those that these deliveries had, that are theirs still."""
    wanted = {_lease(delivery) for delivery in deliveries}
    query = "SELECT id, token, consumer FROM leases WHERE id IN"
    return wanted.intersection(select_in(db, query, sorted({entry for entry, _, _ in wanted})))


def _delivery(row: tuple[Any, ...], token: str, consumer: str, deliveries: int, before: str = "") -> Delivery:
    entry, topic, _, payload, key, priority, timeout_ns, phase, revision, cause, batch, report, _ = row
    return Delivery(
        topic,
        str(entry),
        payload,
        token,
        consumer,
        deliveries,
        key,
        priority,
        timeout_ns,
        phase,
        revision,
        cause,
        batch,
        None if report is None else _report(report),
        before,
    )
