"""A copy of the history as it is at one moment, taken while others write, and checked before it counts."""

from __future__ import annotations

import logging
import os
import shutil
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import msgspec

from flowlord.cache.alone import alone, sweep
from flowlord.cache.checkpoint import checkpoint
from flowlord.cache.schema import APPLICATION, VERSION, CacheUnusable, is_damage, open_reader, version_of
from flowlord.model.crashpoint import crashpoint

log = logging.getLogger("flowlord.history")

TABLES = ("tasks", "alerts", "files", "decisions", "revisions", "days")
"""Whose rows are counted."""


class About(msgspec.Struct, frozen=True):
    """What a copy holds."""

    tables: int
    size: int
    rows: dict[str, int]
    seq: int
    generation: str


@contextmanager
def copied(path: Path) -> Iterator[tuple[Path, Callable[[], About]]]:
    """Copy the history at `path` beside it for as long as the block lasts; whoever writes goes on.

    To be called while `alone`. The copy is looked at while the block begins to use it: what comes second waits for the
    end of that, tells what the copy holds, and raises CacheUnusable when it is not what it should be.

    Raises:
        CacheUnusable: there is no history, or no room for a copy.
    """
    sweep(path)
    reader = open_reader(path)
    copy = path.with_name(f"{path.name}.copy-{os.getpid()}")
    try:
        try:
            copy_to(reader, path, copy, lasts=False)
        finally:
            reader.close()
        crashpoint("backup.copied")
        # What was written meanwhile; left to the historian, it would stand still for as long.
        checkpoint(path)
        from concurrent.futures import ThreadPoolExecutor  # for who copies, not for who only looks

        with ThreadPoolExecutor(1, "flowlord-check") as thread:
            yield copy, thread.submit(look, copy).result
    finally:
        copy.unlink(missing_ok=True)


def copy_to(reader: sqlite3.Connection, path: Path, copy: Path, *, lasts: bool = True) -> None:
    """Copy what a connection to the history at `path` reads into a file; raises CacheUnusable.

    Without `lasts` it may be gone when the machine fails: nothing waits for the disk then, nor does the historian.
    """
    try:
        _room(path, reader)
        os.close(os.open(copy, os.O_CREAT | os.O_WRONLY | os.O_TRUNC, 0o600))
        target = sqlite3.connect(copy, isolation_level=None)
        try:
            if not lasts:
                target.execute("PRAGMA synchronous = OFF")
            # In one go: in portions it would begin anew with each write of the historian, and never end.
            reader.backup(target, pages=-1)
        finally:
            target.close()
    except (sqlite3.Error, OSError) as error:
        raise CacheUnusable(f"the history {path} cannot be copied: {error}") from error


def keep_older(path: Path) -> None:
    """Copy a history whose tables are of an older flowlord, before they are brought up to date.

    The copy is `tasks.db.version-N`; one that is there stays. What keeps it from being made is told, and no reason to
    leave the tables as they are: the history follows from the journal, and from its backups.
    """
    try:
        if copied := copy_older(path):
            version, copy = copied
            log.info(
                "the tables of the history are brought from version %d to %d; as it was: %s", version, VERSION, copy,
                extra={"action": "history.migrated"},
            )  # fmt: skip
    except (sqlite3.Error, OSError, CacheUnusable) as error:
        log.warning(
            "the history could not be copied as it was: %s", error, extra={"action": "history.not-kept"}
        )


def copy_older(path: Path) -> tuple[int, Path] | None:
    """Return the version of an older history and its copy, see `keep_older`; None when it is not, or no longer, older.

    Raises:
        CacheUnusable, OSError, sqlite3.Error: it could not be copied.
    """
    if not 0 < _version(path) < VERSION:
        return None
    new = path.with_name(f"{path.name}.new-{os.getpid()}-older")
    # Several may come at once, and others sweep away what lies there while they are alone.
    with alone(path, wait=True):
        version = _version(path)
        copy = path.with_name(f"{path.name}.version-{version}")
        if not 0 < version < VERSION:
            return None
        if _version(copy, still=True) == version:
            return version, copy
        try:
            with closing(_as_it_is(path)) as reader:
                copy_to(reader, path, new)
            # Whoever found it older before us may have brought it up to date meanwhile.
            if _version(new, still=True) != version:
                return None
            new.replace(copy)  # what has that name is no history of that version
        finally:
            new.unlink(missing_ok=True)
    return version, copy


def _version(path: Path, *, still: bool = False) -> int:
    try:
        with closing(_as_it_is(path, still=still)) as reader:
            return version_of(reader)
    except (sqlite3.Error, CacheUnusable):
        return 0  # there is none, or whoever opens it finds out


def look(path: Path, *, deep: bool = False) -> About:
    """Check a history that nobody writes and tell what it holds; `deep` compares indexes with rows as well.

    Raises:
        CacheUnusable: it is damaged, of another program, or of a newer flowlord.
    """
    connection = sqlite3.connect(
        f"{path.resolve().as_uri()}?mode=ro&immutable=1", uri=True, isolation_level=None
    )
    try:
        return checked(connection, path, deep=deep)
    finally:
        connection.close()


def damage_of(path: Path) -> str:
    """Return what is wrong with the pages of a history that others may write meanwhile; nothing when they are whole.

    Raises:
        CacheUnusable, sqlite3.Error: it could not be looked at.
    """
    with closing(open_reader(path)) as reader:
        try:
            [told] = reader.execute("PRAGMA quick_check(1)").fetchone()
        except sqlite3.DatabaseError as error:
            if not is_damage(error):
                raise
            return str(error)
    return "" if told == "ok" else str(told)


def checked(connection: sqlite3.Connection, path: Path, *, deep: bool = False) -> About:
    """Check what a connection reads; see `look`."""
    try:
        [told] = connection.execute(f"PRAGMA {'integrity' if deep else 'quick'}_check(1)").fetchone()
        if told != "ok":
            raise CacheUnusable(f"{path.name} is damaged: {told}")
        return about(connection, path)
    except sqlite3.Error as error:
        raise CacheUnusable(f"{path.name} is damaged: {error}") from error


def about(connection: sqlite3.Connection, path: Path) -> About:
    """Return what a history holds, without checking its pages; raises CacheUnusable, sqlite3.Error."""
    [version] = connection.execute("PRAGMA user_version").fetchone()
    [application] = connection.execute("PRAGMA application_id").fetchone()
    if application != APPLICATION:
        raise CacheUnusable(f"{path.name} is no history of flowlord")
    if version > VERSION:
        raise CacheUnusable(f"{path.name} was written by a newer flowlord")
    there = {name for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
    rows = {name: _count(connection, name) for name in TABLES if name in there}
    seq, generation = connection.execute("SELECT seq, generation FROM cursor").fetchone()
    [pages] = connection.execute("PRAGMA page_count").fetchone()
    [size] = connection.execute("PRAGMA page_size").fetchone()
    return About(int(version), int(pages) * int(size), rows, int(seq), str(generation))


def _as_it_is(path: Path, *, still: bool = False) -> sqlite3.Connection:
    """Return a connection that reads a history, of whatever version it is; nobody writes one that is `still`."""
    immutable = "&immutable=1" if still else ""
    return sqlite3.connect(f"{path.resolve().as_uri()}?mode=ro{immutable}", uri=True, isolation_level=None)


def _count(connection: sqlite3.Connection, table: str) -> int:
    [found] = connection.execute(f"SELECT count(*) FROM {table}").fetchone()  # noqa: S608 - names of ours
    return int(found)


def _room(path: Path, reader: sqlite3.Connection) -> None:
    [pages] = reader.execute("PRAGMA page_count").fetchone()
    [size] = reader.execute("PRAGMA page_size").fetchone()
    needed, free = pages * size + (64 << 20), shutil.disk_usage(path.parent).free
    if free < needed:
        raise CacheUnusable(
            f"a copy of the history {path} needs {needed // 10**6:,} MB beside it, and {free // 10**6:,} MB are free",
            hint="make room, or let cache.max_size or cache.retention keep the history smaller",
        )
