"""`flowlord cache trim|rebuild|migrate`: less of the history, all of it anew, or its tables of today."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Mapping
from contextlib import closing
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from flowlord.bus.clock import SystemClock
from flowlord.cache.alone import alone
from flowlord.cache.historian import Historian
from flowlord.cache.schema import VERSION, CacheUnusable, open_reader, open_writer, set_aside, version_of
from flowlord.cache.snapshot import copy_older
from flowlord.cli import printer
from flowlord.cli.cachewords import confirmed, no_history, unusable
from flowlord.cli.exits import DONE, NOT_CONFIRMED
from flowlord.cli.printer import Look
from flowlord.cli.progress import Progress
from flowlord.cli.sources import opened
from flowlord.cli.times import iso, to_us
from flowlord.model.errors import BusUnavailable

if TYPE_CHECKING:
    from flowlord.bus.port import Bus
    from flowlord.config import Settings

TABLES = ("tasks", "alerts", "files", "decisions")
TRIMMED = ("before", *TABLES, "removed")
ENTRIES = 1_000


def trim(
    settings: Settings, keep: str, *, yes: bool, dry_run: bool, output: str = "", quiet: bool = False
) -> int:
    """Remove what is older than it is kept; returns the exit code."""
    from flowlord.cli.cachewords import nanoseconds

    path, look, clock = Path(settings.cache.path), Look(output), SystemClock()
    kept = timedelta(microseconds=(nanoseconds(keep) if keep else settings.cache.retention_ns) // 1_000)
    if not path.exists():
        return no_history(path)
    before = clock.now() - kept
    try:
        counts = _older(path, to_us(before))
        total = sum(counts.values())
        found = {"before": iso(to_us(before)), **counts, "removed": 0}
        told = ", ".join(f"{count:,} {name}" for name, count in counts.items())
        printer.say(f"older than {found['before']}: {told}")
        if total and not dry_run:
            if not confirmed(f"remove {total:,} rows of {path}?", yes=yes):
                return NOT_CONFIRMED
            with (
                closing(Historian(path, clock)) as historian,
                Progress("rows", total, clock, quiet=quiet) as bar,
            ):
                while historian.prune(kept):
                    bar.at(historian.removed)
                found["removed"] = historian.removed
    except CacheUnusable as error:
        return unusable(error)
    except sqlite3.Error as error:
        return unusable(CacheUnusable(f"the history {path} cannot be trimmed now: {error}"))
    _print(found, look)
    return DONE


def rebuild(settings: Settings, *, yes: bool, dry_run: bool, quiet: bool = False, output: str = "") -> int:
    """Make the history anew out of the journal; returns the exit code."""
    path, look = Path(settings.cache.path), Look(output)
    with opened(settings.bus, None, SystemClock()) as sources:
        bus = sources.bus()
        if bus is None:
            raise BusUnavailable(
                f"there is no bus at {settings.bus.address}, so no journal to make a history of",
                hint="name the bus of the daemon: --bus",
            )
        first, last = bus.journal_bounds()
        begin = bus.journal(first - 1, 1) if last else []
        since = iso(begin[0].at_us) if begin else "now"
        try:
            printer.say(f"the journal has {last - first + 1 if last else 0:,} entries, since {since}")
            if path.exists():
                printer.say(f"{path} is set aside as {path.name}.aside-N and stays; {_lost(path, since)}")
            total = last - first + 1 if last else 0
            if dry_run or (path.exists() and not confirmed("make the history anew?", yes=yes)):
                if look.form:
                    _tell_rebuilt("would be rebuilt", path, total, look)
                return DONE if dry_run else NOT_CONFIRMED
            return _rebuilt(bus, path, total, look, quiet=quiet)
        except CacheUnusable as error:
            return unusable(error)


def migrate(settings: Settings, *, dry_run: bool, output: str = "") -> int:
    """Bring the tables up to date, after a copy; returns the exit code."""
    path, look = Path(settings.cache.path), Look(output)
    if not path.exists():
        return no_history(path)
    copy = None
    try:
        with closing(
            sqlite3.connect(f"{path.resolve().as_uri()}?mode=ro", uri=True, isolation_level=None)
        ) as reader:
            version = version_of(reader)
            if version > VERSION:
                raise CacheUnusable(f"the history {path} was written by a newer flowlord")
            if version == VERSION:
                printer.say(f"the tables of {path} have version {version}, and that is the newest")
                if look.form:
                    _tell_migrated("up to date", path, version, None, look)
                return DONE
            copy = path.with_name(f"{path.name}.version-{version}")
            printer.say(f"the tables of {path} have version {version}; {VERSION} is the newest; copy: {copy}")
            if dry_run:
                if look.form:
                    _tell_migrated("would be migrated", path, version, copy, look)
                return DONE
        copied = copy_older(path)
        copy = copied[1] if copied else None  # a daemon was faster, and has told of its copy
        open_writer(path).close()
    except CacheUnusable as error:
        return unusable(error)
    except (sqlite3.Error, OSError) as error:
        return unusable(CacheUnusable(f"the history {path} cannot be read: {error}"))
    _tell_migrated("migrated", path, version, copy, look)
    return DONE


def _tell_migrated(result: str, path: Path, before: int, copy: Path | None, look: Look) -> None:
    found = {"result": result, "file": str(path), "before": before, "version": VERSION}
    printer.act({**found, "copy": str(copy) if copy else ""}, name="version", look=look)


def _rebuilt(bus: Bus, path: Path, total: int, look: Look, *, quiet: bool) -> int:
    """Follow the journal into a file of its own, and only then put it where the history is."""
    clock = SystemClock()
    with alone(path, wait=True):
        new = path.with_name(f"{path.name}.new-{os.getpid()}-rebuilt")
        historian = Historian(new, clock)
        try:
            historian.attach(bus.generation())
            done = 0
            with Progress("entries", total, clock, quiet=quiet) as bar:
                while entries := bus.journal(historian.cursor(), ENTRIES):
                    done += historian.follow(entries)
                    bar.at(done)
            historian.connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
        finally:
            historian.close()
        if path.exists():
            set_aside(path, "it is made anew out of the journal")
        new.rename(path)
        for left in path.parent.glob(f"{new.name}*"):
            left.unlink()
    printer.say(f"{done:,} entries of the journal make the history now")
    _tell_rebuilt("rebuilt", path, done, look)
    return DONE


def _tell_rebuilt(result: str, path: Path, entries: int, look: Look) -> None:
    printer.act({"result": result, "file": str(path), "entries": entries}, name="file", look=look)


def _lost(path: Path, since: str) -> str:
    try:
        with closing(open_reader(path)) as connection:
            [older] = connection.execute(
                "SELECT count(*) FROM attempts WHERE published < ?", (since,)
            ).fetchone()
    except (CacheUnusable, sqlite3.Error):
        return "it cannot be read"
    return f"{older:,} attempts from before that are only in it"


def _older(path: Path, before_us: int) -> dict[str, int]:
    """Return how many rows of each table are older than that."""
    with closing(open_reader(path)) as connection:
        found = {}
        for table in TABLES:
            condition = "happened_us < ?1 AND due_us < ?1" if table == "tasks" else "at_us < ?1"
            sql = f"SELECT count(*) FROM {table} WHERE {condition}"  # noqa: S608 - names of ours
            [found[table]] = connection.execute(sql, (before_us,)).fetchone()
        return found


def _print(found: Mapping[str, object], look: Look) -> None:
    if look.resolved() == "json":
        printer.document(found)
    else:
        printer.rows([found], TRIMMED, look=look)
