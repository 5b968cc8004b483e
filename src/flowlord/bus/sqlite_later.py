"""What a SQLite bus publishes by itself: messages whose time has come, and frozen batches chunk by chunk."""

from __future__ import annotations

import sqlite3

from flowlord.bus import sqlite_opened
from flowlord.bus.holds import batch_member, holds_of
from flowlord.bus.judge import BATCH
from flowlord.bus.landing import arrive, thaw
from flowlord.bus.sqlite_arrive import News, arrive_rows, next_entries, queue_from
from flowlord.bus.sqlite_commit import set_marks, tell
from flowlord.bus.sqlite_many import change_in
from flowlord.model.plan import ANY, Mark


def next_due_us(db: sqlite3.Connection) -> int:
    """Return when the first of the later messages is due, 0 when there is none."""
    [due_us] = db.execute("SELECT min(due_us) FROM later").fetchone()
    return int(due_us or 0)


def promote(db: sqlite3.Connection, limit: int, now_us: int, news: News) -> int:
    """Let due messages arrive on their topics, by due time and then age; return how many.

    They become new entries: their place in the line is that of their arrival.
    """
    due = db.execute(
        "SELECT due_us, id FROM later WHERE due_us <= ? ORDER BY due_us, id LIMIT ?", (now_us, limit)
    ).fetchall()
    if not due:
        return 0
    first = next_entries(db, len(due))
    db.execute(
        """INSERT INTO messages(id, topic, rank, due_us, at_us,
            payload, key, priority, timeout_ns, phase, revision, cause, batch, origin, report, crashes)
        SELECT ? - 1 + row_number() OVER (ORDER BY l.due_us, l.id), m.topic, m.rank, 0, ?,
            payload, key, priority, timeout_ns, phase, revision, cause, batch, origin, report, crashes
        FROM (SELECT due_us, id FROM later WHERE due_us <= ? ORDER BY due_us, id LIMIT ?) l
        CROSS JOIN messages m ON m.id = l.id""",
        (first, now_us, now_us, limit),
    )
    db.execute("DELETE FROM later WHERE (due_us, id) <= (?, ?)", due[-1])
    change_in(db, "DELETE FROM messages WHERE id IN", [entry for _, entry in due])
    queue_from(db, first)
    news.topics |= {
        topic for (topic,) in db.execute("SELECT DISTINCT topic FROM messages WHERE id >= ?", (first,))
    }
    return len(due)


def advance(db: sqlite3.Connection, limit: int, *, commit_id: str, by: str, now_us: int, news: News) -> int:
    """Publish the next chunk of the oldest open batch; return how many messages that were."""
    batch = db.execute("SELECT id, key, total, done FROM batches ORDER BY id LIMIT 1").fetchone()
    if batch is None:
        return 0
    number, key, total, done = batch
    found = db.execute(
        "SELECT place, message FROM frozen WHERE batch = ? ORDER BY place LIMIT ?", (number, limit)
    ).fetchall()
    messages = thaw([data for _, data in found])
    rows, _, told = arrive(messages, now_us)
    arrive_rows(db, rows, news)
    sqlite_opened.hold(db, holds_of(messages), now_us)
    db.execute("DELETE FROM frozen WHERE batch = ? AND place <= ?", (number, found[-1][0]))
    done += len(found)
    if done == total:
        db.execute("DELETE FROM batches WHERE id = ?", (number,))
        sqlite_opened.shut(db, [batch_member(key)])
        progress = Mark(BATCH + key, ANY, None)
    else:
        db.execute("UPDATE batches SET done = ? WHERE id = ?", (done, number))
        progress = Mark(BATCH + key, ANY, f"{done}/{total}")
    set_marks(db, [progress], now_us)
    tell(db, told, commit_id=commit_id, by=by, now_us=now_us, news=news)
    return len(found)
