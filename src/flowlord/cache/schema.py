"""The tables of the history, how a file comes to have them, and how it is opened by its writer and its readers."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from flowlord.cache.alone import alone, sweep
from flowlord.model.errors import FlowlordError

if TYPE_CHECKING:
    from pathlib import Path  # loading it takes longer than a query

APPLICATION = 0x666C6F77  # "flow", in the header of the file: tells our file from somebody else's
BUSY_S = 10.0
_IN_ADDRESS = {ord(sign): f"%{ord(sign):02x}" for sign in "%?#"}  # as SQLite reads addresses of files
CHECKPOINT_PAGES = 4_000  # 16 MB: many writes of a page become one
SPARE_BYTES = 64 << 20
"""What a log that was larger for a while keeps of the disk."""
_DAMAGED = {sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB}

# One script per version, in statements without `;` inside; a version that was released is never edited.
# The historian writes each row twice in its life, so indexes are few: filters by topic, workflow and job read the
# index by time, which holds them all and grows at its end, where its pages are warm; children are found by their run.
MIGRATIONS: tuple[str, ...] = (
    """
CREATE TABLE tasks (n INTEGER PRIMARY KEY,
    key TEXT NOT NULL, topic TEXT NOT NULL, type TEXT NOT NULL, job TEXT NOT NULL, id TEXT NOT NULL, info TEXT NOT NULL,
    meta TEXT NOT NULL, created TEXT NOT NULL, phase TEXT NOT NULL, workflow TEXT NOT NULL, revision TEXT NOT NULL,
    cause TEXT NOT NULL, batch TEXT NOT NULL, priority INTEGER NOT NULL, number INTEGER NOT NULL,
    moment TEXT NOT NULL, state TEXT NOT NULL, result TEXT NOT NULL, msg TEXT NOT NULL, reason TEXT NOT NULL,
    published_us INTEGER NOT NULL, due_us INTEGER NOT NULL, started_us INTEGER NOT NULL, ended_us INTEGER NOT NULL,
    happened_us INTEGER NOT NULL, worker TEXT NOT NULL, deliveries INTEGER NOT NULL, output TEXT NOT NULL);
CREATE UNIQUE INDEX tasks_key ON tasks (key);
CREATE INDEX tasks_id ON tasks (id);
CREATE INDEX tasks_happened ON tasks (happened_us, n, state, topic, workflow, job);
CREATE INDEX tasks_state ON tasks (state, happened_us) WHERE state <> 'complete';
CREATE TABLE alerts (n INTEGER PRIMARY KEY, at_us INTEGER NOT NULL, key TEXT NOT NULL, topic TEXT NOT NULL,
    type TEXT NOT NULL, job TEXT NOT NULL, id TEXT NOT NULL, moment TEXT NOT NULL, phase TEXT NOT NULL,
    cause TEXT NOT NULL, text TEXT NOT NULL);
CREATE TABLE decisions (n INTEGER PRIMARY KEY, at_us INTEGER NOT NULL, kind TEXT NOT NULL, key TEXT NOT NULL,
    topic TEXT NOT NULL, phase TEXT NOT NULL, cause TEXT NOT NULL, text TEXT NOT NULL);
CREATE INDEX decisions_key ON decisions (key) WHERE key <> '';
CREATE TABLE files (n INTEGER PRIMARY KEY, at_us INTEGER NOT NULL, cause TEXT NOT NULL, text TEXT NOT NULL);
CREATE TABLE workflows (name TEXT PRIMARY KEY, revision TEXT NOT NULL, at_us INTEGER NOT NULL, text TEXT NOT NULL);
CREATE TABLE gaps (n INTEGER PRIMARY KEY, at_us INTEGER NOT NULL, generation TEXT NOT NULL,
    first_seq INTEGER NOT NULL, last_seq INTEGER NOT NULL);
CREATE TABLE cursor (only INTEGER PRIMARY KEY CHECK (only = 1), seq INTEGER NOT NULL, generation TEXT NOT NULL);
INSERT INTO cursor VALUES (1, 0, '');
""",
    """
DROP TABLE files;
CREATE TABLE files (n INTEGER PRIMARY KEY, at_us INTEGER NOT NULL, path TEXT NOT NULL, state TEXT NOT NULL,
    size INTEGER NOT NULL, version TEXT NOT NULL, moment TEXT NOT NULL, source TEXT NOT NULL, tasks INTEGER NOT NULL,
    names TEXT NOT NULL, keys TEXT NOT NULL, cause TEXT NOT NULL, text TEXT NOT NULL);
CREATE INDEX files_path ON files (path);
""",
    """
CREATE TABLE revisions (n INTEGER PRIMARY KEY, at_us INTEGER NOT NULL, name TEXT NOT NULL, revision TEXT NOT NULL,
    phases INTEGER NOT NULL, loaded_by TEXT NOT NULL, text TEXT NOT NULL);
CREATE INDEX revisions_name ON revisions (name, at_us);
CREATE TABLE phases (workflow TEXT NOT NULL, digest TEXT NOT NULL, name TEXT NOT NULL, line INTEGER NOT NULL,
    task TEXT NOT NULL, depends_on TEXT NOT NULL, rule TEXT NOT NULL, retry INTEGER NOT NULL, template TEXT NOT NULL,
    at_us INTEGER NOT NULL, PRIMARY KEY (workflow, digest, name)) WITHOUT ROWID;
CREATE TABLE days (day INTEGER NOT NULL, topic TEXT NOT NULL, type TEXT NOT NULL, job TEXT NOT NULL,
    state TEXT NOT NULL, attempts INTEGER NOT NULL, ran INTEGER NOT NULL, ran_us INTEGER NOT NULL,
    ran_max_us INTEGER NOT NULL, waited INTEGER NOT NULL, waited_us INTEGER NOT NULL, waited_max_us INTEGER NOT NULL,
    PRIMARY KEY (day, topic, type, job, state)) WITHOUT ROWID;
ALTER TABLE tasks ADD COLUMN late_us INTEGER NOT NULL DEFAULT 0;
ALTER TABLE tasks ADD COLUMN lost INTEGER NOT NULL DEFAULT 0;
CREATE INDEX tasks_late ON tasks (late_us) WHERE late_us > 0;
CREATE INDEX tasks_lost ON tasks (happened_us) WHERE lost > 0;
CREATE INDEX tasks_batch ON tasks (batch, happened_us) WHERE batch <> '';
CREATE INDEX tasks_file ON tasks (cause) WHERE cause >= 'file' AND cause < 'filet';
CREATE VIEW attempts AS SELECT tasks.*,
    CASE WHEN started_us > 0 AND max(published_us, due_us) > 0
        THEN max(0, started_us - max(published_us, due_us)) ELSE 0 END AS queue_us,
    CASE WHEN started_us > 0 AND ended_us > 0 THEN max(0, ended_us - started_us) ELSE 0 END AS run_us,
    strftime('%Y-%m-%dT%H:%M:%fZ', published_us / 1000000.0, 'unixepoch') AS published,
    strftime('%Y-%m-%dT%H:%M:%fZ', nullif(started_us, 0) / 1000000.0, 'unixepoch') AS started,
    strftime('%Y-%m-%dT%H:%M:%fZ', nullif(ended_us, 0) / 1000000.0, 'unixepoch') AS ended FROM tasks;
INSERT INTO days SELECT happened_us / 86400000000, topic, type, job, state, count(*),
    sum(run_us > 0), sum(run_us), max(run_us), sum(queue_us > 0), sum(queue_us), max(queue_us)
    FROM attempts WHERE state NOT IN ('waiting', 'later', 'running') GROUP BY 1, 2, 3, 4, 5;
ALTER TABLE decisions ADD COLUMN last_us INTEGER NOT NULL DEFAULT 0;
CREATE INDEX decisions_phase ON decisions (phase, at_us);
CREATE INDEX alerts_phase ON alerts (phase, at_us);
CREATE TABLE incidents (n INTEGER PRIMARY KEY, at_us INTEGER NOT NULL, id TEXT NOT NULL, workflow TEXT NOT NULL,
    phase TEXT NOT NULL, error TEXT NOT NULL, kind TEXT NOT NULL, name TEXT NOT NULL, stage TEXT NOT NULL,
    first_us INTEGER NOT NULL, last_us INTEGER NOT NULL, ended_us INTEGER NOT NULL, total INTEGER NOT NULL,
    messages INTEGER NOT NULL, told_us INTEGER NOT NULL, channel TEXT NOT NULL, dates TEXT NOT NULL,
    acked_by TEXT NOT NULL, acked_us INTEGER NOT NULL, reason TEXT NOT NULL);
CREATE INDEX incidents_id ON incidents (id);
ALTER TABLE files ADD COLUMN in_groups TEXT NOT NULL DEFAULT '';
CREATE INDEX files_groups ON files (at_us) WHERE in_groups <> '' AND state = 'started';
CREATE INDEX tasks_backloaded ON tasks (phase, moment, number, batch) WHERE batch >= 'b-' AND batch < 'b.';
""",
)
VERSION = len(MIGRATIONS)
Restore = Callable[["Path"], object]
"""Puts a history where none is, when it has one."""


def as_of(path: str | Path) -> str:
    """Return the file whose time says until when a history has everything, and its text of which bus."""
    return f"{path}-asof"


class CacheUnusable(FlowlordError):
    """The history cannot be read, or must not be written; work goes on without it."""


class _SetAside(Exception):
    """A file of ours that this version cannot go on with; a new one takes its place."""


def is_damage(error: BaseException) -> bool:
    """Return whether SQLite says that the file itself is broken, as opposed to busy, full or out of reach."""
    code = getattr(error, "sqlite_errorcode", None)
    return isinstance(error, sqlite3.DatabaseError) and code is not None and code & 0xFF in _DAMAGED


@contextmanager
def transaction(connection: sqlite3.Connection) -> Iterator[None]:
    """Everything inside lands, or nothing of it."""
    connection.execute("BEGIN IMMEDIATE")
    try:
        yield
        connection.execute("COMMIT")
    except BaseException:
        if connection.in_transaction:  # a full disk has rolled back by itself
            connection.execute("ROLLBACK")
        raise


def open_writer(path: Path, restore: Restore | None = None) -> sqlite3.Connection:
    """Return the historian's connection; the file is made or brought up to date when need be.

    A damaged file, or one of a newer flowlord, is renamed and a new one is begun: history is rebuilt from the journal.
    `restore` is called where there is no file, and may put one there from a backup.

    Raises:
        CacheUnusable: the path holds a database that is not ours, or no file can be made there.
    """
    try:
        return _open(path, restore)
    except _SetAside as error:
        set_aside(path, str(error))
        return _open(path, restore)


def in_memory() -> sqlite3.Connection:
    """Return a connection to an empty history that lives as long as the connection."""
    connection = sqlite3.connect(":memory:", isolation_level=None, check_same_thread=False)
    _migrate(connection)
    return connection


def open_reader(path: str | Path) -> sqlite3.Connection:
    """Return a connection that cannot write and never blocks the writer.

    Raises:
        CacheUnusable: there is no history here, or none that this version can read; the text says which.
    """
    if not os.path.exists(path):
        raise CacheUnusable(f"there is no history at {path} yet")
    if os.path.isdir(path):
        raise CacheUnusable(f"{path} is a folder, and no history", hint="name a file: --cache FILE")
    connection: sqlite3.Connection | None = None
    try:
        connection = sqlite3.connect(
            f"file:{os.path.realpath(path).translate(_IN_ADDRESS)}?mode=ro",
            uri=True,
            isolation_level=None,
            timeout=BUSY_S,
        )
        connection.execute(
            "PRAGMA cell_size_check = ON"
        )  # a page that contradicts itself is told, not read past
        version = version_of(connection)
    except sqlite3.Error as error:
        if connection is not None:
            connection.close()
        raise CacheUnusable(f"the history {path} cannot be read: {error}") from error
    if version != VERSION:
        connection.close()
        if not version:
            raise CacheUnusable(f"the history {path} is still empty")
        age = "a newer" if version > VERSION else "an older"
        raise CacheUnusable(f"the history {path} was written by {age} flowlord")
    return connection


def set_aside(path: Path, reason: str) -> Path:
    """Rename the file, with what SQLite keeps beside it, to a free name; tell it once; return the new name."""
    n = 1
    while (aside := path.with_name(f"{path.name}.aside-{n}")).exists():
        n += 1
    for end in ("", "-wal", "-shm"):
        part = path.with_name(path.name + end)
        if part.exists():
            part.rename(aside.with_name(aside.name + end))
    import logging  # readers, which have to be quick, never come here

    logging.getLogger("flowlord.history").error(
        "the history %s is set aside as %s: %s",
        path, aside.name, reason, extra={"action": "history.aside"},
    )  # fmt: skip
    return aside


def _open(path: Path, restore: Restore | None) -> sqlite3.Connection:
    connection: sqlite3.Connection | None = None
    try:
        _make(path, restore)
        connection = sqlite3.connect(path, isolation_level=None, timeout=BUSY_S, check_same_thread=False)
        _migrate(connection)
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute(
            "PRAGMA synchronous = NORMAL"
        )  # survives kill -9; power loss costs what the journal still has
        # On by default in Debian's engine: it would write zeros over what moves to another page.
        connection.execute("PRAGMA secure_delete = OFF")
        connection.execute("PRAGMA cache_size = -32000")
        connection.execute(f"PRAGMA wal_autocheckpoint = {CHECKPOINT_PAGES}")
        connection.execute(f"PRAGMA journal_size_limit = {SPARE_BYTES}")
        return connection
    except (sqlite3.Error, OSError, CacheUnusable, _SetAside) as error:
        if connection is not None:
            connection.close()
        if is_damage(error):
            raise _SetAside(f"it is damaged ({error})") from error
        if isinstance(error, sqlite3.Error | OSError):
            raise CacheUnusable(f"the history {path} cannot be opened: {error}") from error
        raise


def _make(path: Path, restore: Restore | None) -> None:
    """Make the file, for its owner only and complete from its first moment: several daemons may start at once."""
    if path.exists():
        return
    with alone(path, wait=True):
        if restore is not None and not path.exists():
            restore(path)
        if not path.exists():
            _make_empty(path)


def _make_empty(path: Path) -> None:
    sweep(path)
    for end in ("-wal", "-shm"):  # of a file that has gone: SQLite would take it for a part of this one
        path.with_name(path.name + end).unlink(missing_ok=True)
    new = path.with_name(f"{path.name}.new-{os.getpid()}")
    os.close(os.open(new, os.O_CREAT | os.O_WRONLY | os.O_TRUNC, 0o600))
    connection = sqlite3.connect(new, isolation_level=None)
    try:
        _migrate(connection)
        connection.execute(
            "PRAGMA journal_mode = WAL"
        )  # of the file, for ever; switching it needs the file for oneself
    finally:
        connection.close()
    try:
        os.link(new, path)
        new.unlink()
    except FileExistsError:
        new.unlink()
    except OSError:  # a file system without hard links
        new.rename(path)


def version_of(connection: sqlite3.Connection) -> int:
    """Return the version of the tables, 0 for a file without any; raises CacheUnusable when they are not ours."""
    # Our mark is read last: another historian may be changing the tables at this moment, all in one step.
    [tables] = connection.execute("SELECT count(*) FROM sqlite_master").fetchone()
    [version] = connection.execute("PRAGMA user_version").fetchone()
    [application] = connection.execute("PRAGMA application_id").fetchone()
    if application != APPLICATION and (tables or version):
        raise CacheUnusable(
            "the file is the database of another program", hint="name another file for the history"
        )
    return int(version)


def _migrate(connection: sqlite3.Connection) -> None:
    if version_of(connection) == VERSION:
        return
    if version_of(connection) == 0:
        connection.execute("PRAGMA auto_vacuum = INCREMENTAL")  # only before the first table
    with transaction(connection):
        version = version_of(connection)  # another historian may have been faster
        if version > VERSION:
            raise _SetAside(f"its tables have version {version}, and this flowlord knows {VERSION}")
        for script in MIGRATIONS[version:]:
            for statement in script.split(";"):
                if statement.strip():
                    connection.execute(statement)
        connection.execute(f"PRAGMA application_id = {APPLICATION}")
        connection.execute(f"PRAGMA user_version = {VERSION}")
