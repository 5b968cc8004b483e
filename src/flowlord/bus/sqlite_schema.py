"""The tables of a SQLite bus and how a file comes to have them.

Every message is one row of `messages`, written once; where it is, is told by exactly one row beside it: in
`waiting`, in `leases` or in `later`. So claiming and renewing never rewrite a payload, and a claim walks one key
range however many messages wait.
"""

from __future__ import annotations

import sqlite3

from flowlord.bus.clock import unguessable
from flowlord.model.errors import BusUnusable

APPLICATION = 0x666C6F77
"""`flow`, written into the head of the file: nobody's tasks.db is taken for a bus by mistake."""

MIGRATIONS: tuple[tuple[str, ...], ...] = (
    (
        # `next` is the next entry: entries count up and are never used twice, so their order is that of arrival.
        "CREATE TABLE meta(name TEXT PRIMARY KEY, value) WITHOUT ROWID",
        "CREATE TABLE topics(name TEXT PRIMARY KEY) WITHOUT ROWID",
        """CREATE TABLE messages(
            id INTEGER PRIMARY KEY, topic TEXT NOT NULL, rank INTEGER NOT NULL, due_us INTEGER NOT NULL,
            at_us INTEGER NOT NULL, payload BLOB NOT NULL, key TEXT NOT NULL, priority INTEGER NOT NULL,
            timeout_ns INTEGER NOT NULL, phase TEXT NOT NULL, revision TEXT NOT NULL, cause TEXT NOT NULL,
            batch TEXT NOT NULL, origin TEXT NOT NULL, report BLOB, crashes INTEGER NOT NULL DEFAULT 0)""",
        # Results are nobody's to cancel and gone in a moment: without them a completion touches half the pages.
        "CREATE INDEX messages_key ON messages(key) WHERE topic <> 'done'",
        "CREATE TABLE waiting(topic TEXT, rank INTEGER, id INTEGER, PRIMARY KEY (topic, rank, id)) WITHOUT ROWID",
        # `until_ns` is CLOCK_BOOTTIME of the boot that meta names; 0 when it was written in an earlier one.
        """CREATE TABLE leases(
            id INTEGER PRIMARY KEY, topic TEXT NOT NULL, rank INTEGER NOT NULL, token TEXT NOT NULL,
            consumer TEXT NOT NULL, until_ns INTEGER NOT NULL, started INTEGER NOT NULL)""",
        """CREATE TABLE later(
            due_us INTEGER, id INTEGER, topic TEXT NOT NULL, PRIMARY KEY (due_us, id)) WITHOUT ROWID""",
        "CREATE INDEX later_topic ON later(topic, due_us, id)",
        "CREATE TABLE marks(key TEXT PRIMARY KEY, value TEXT NOT NULL, until_us INTEGER NOT NULL) WITHOUT ROWID",
        "CREATE INDEX marks_until ON marks(until_us) WHERE until_us > 0",
        # By day first, so that a day is dropped as one range. Digests are spread over all pages of a day, so each
        # would cost a page: they gather in `fresh` and move on in thousands.
        "CREATE TABLE outcomes(day INTEGER, digest BLOB, PRIMARY KEY (day, digest)) WITHOUT ROWID",
        "CREATE TABLE fresh(digest BLOB PRIMARY KEY, day INTEGER NOT NULL) WITHOUT ROWID",
        # Looked up only after an unknown outcome, so no index slows down every commit.
        """CREATE TABLE commits(
            seq INTEGER PRIMARY KEY, id TEXT NOT NULL, at_us INTEGER NOT NULL, answers BLOB NOT NULL)""",
        """CREATE TABLE batches(
            id INTEGER PRIMARY KEY AUTOINCREMENT, key TEXT NOT NULL, total INTEGER NOT NULL, done INTEGER NOT NULL)""",
        """CREATE TABLE frozen(
            batch INTEGER, place INTEGER, message BLOB NOT NULL, PRIMARY KEY (batch, place)) WITHOUT ROWID""",
        """CREATE TABLE journal(
            seq INTEGER PRIMARY KEY AUTOINCREMENT, at_us INTEGER NOT NULL, by TEXT NOT NULL,
            commit_id TEXT NOT NULL, facts BLOB NOT NULL)""",
        # What a person who looks wants to know of a message: the fields of `port.Peeked` in their order.
        """CREATE VIEW peeked AS SELECT m.topic, m.id AS entry, m.payload, m.key,
            CASE WHEN l.id IS NOT NULL THEN 'running' WHEN m.due_us > 0 THEN 'later' ELSE 'waiting' END AS state,
            m.priority, m.due_us, m.at_us, m.crashes + coalesce(l.started, 0) AS deliveries,
            coalesce(l.consumer, '') AS consumer, m.cause, m.phase, m.origin
            FROM messages m LEFT JOIN leases l ON l.id = m.id""",
        """CREATE TABLE presences(
            consumer TEXT PRIMARY KEY, presence BLOB NOT NULL, beat_us INTEGER NOT NULL, beat_ns INTEGER NOT NULL,
            lease_ns INTEGER NOT NULL) WITHOUT ROWID""",
    ),
    (
        # Tasks that hold a group open, by the digest of their identity.
        """CREATE TABLE opened(
            member BLOB PRIMARY KEY, held TEXT NOT NULL, key TEXT NOT NULL, at_us INTEGER NOT NULL) WITHOUT ROWID""",
        "CREATE INDEX opened_held ON opened(held, at_us, key)",
        "CREATE INDEX opened_at ON opened(at_us)",
    ),
)
VERSION = len(MIGRATIONS)


def is_ours(db: sqlite3.Connection, path: str) -> int:
    """Return the schema version of the file, 0 when it is empty.

    Raises:
        BusUnusable: another program's database, or one of a later flowlord.
    """
    # In this order: another process may be making the file meanwhile, and all three appear at once.
    [version] = db.execute("PRAGMA user_version").fetchone()
    [tables] = db.execute("SELECT count(*) FROM sqlite_schema").fetchone()
    [application] = db.execute("PRAGMA application_id").fetchone()
    if application != APPLICATION and (tables or version):
        raise BusUnusable(
            f"{path} is a database, but not a bus of flowlord", hint="name another file with --bus"
        )
    if version > VERSION:
        raise BusUnusable(
            f"{path} has schema {version}, and this flowlord knows schemas up to {VERSION}",
            hint=f"install the flowlord that wrote it (one that knows schema {version}), or a later one",
        )
    return int(version)


def migrate(db: sqlite3.Connection) -> None:
    """Bring the file to VERSION; to be called inside a transaction, so that a crash leaves the old schema."""
    [version] = db.execute("PRAGMA user_version").fetchone()
    for statements in MIGRATIONS[version:]:
        for statement in statements:
            db.execute(statement)
    if version == 0:
        db.execute(f"PRAGMA application_id = {APPLICATION}")
        db.executemany(
            "INSERT INTO meta VALUES (?, ?)", [("generation", unguessable()), ("next", 1), ("boot", "")]
        )
    db.execute(f"PRAGMA user_version = {VERSION}")
