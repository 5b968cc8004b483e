"""`flowlord cache status|verify`: how the history is, and whether it and its backups are whole."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Mapping
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from flowlord.bus.clock import SystemClock
from flowlord.cache.manifest import is_name
from flowlord.cache.note import note_of
from flowlord.cache.schema import CacheUnusable, open_reader
from flowlord.cache.snapshot import about, checked
from flowlord.cli import printer
from flowlord.cli.cachewords import megabytes, mend, missing_backup, no_backup, no_history, no_place, unusable
from flowlord.cli.exits import ANSWER_IS_BAD, DONE
from flowlord.cli.printer import Column, Look, Sheet
from flowlord.cli.table import GREEN, RED
from flowlord.cli.times import iso, parse_time, relative, to_us
from flowlord.model.clock import Clock

if TYPE_CHECKING:
    from flowlord.config import Settings

CHECKED = ("what", "state", "rows", "size", "text")
_WIDE = {"state": "damaged", "rows": 10**9, "size": 10**11}
"""A backup as wide as they get: each is told when it was read."""
PAGE = 500
_NEVER = datetime(1970, 1, 1, tzinfo=UTC)
STATUS = (
    "file", "exists", "state", "bytes", "wal_bytes", "schema", "tasks", "alerts", "files", "decisions", "days",
    "oldest", "newest", "seq", "behind", "gaps", "retention_days", "max_bytes", "backup_place", "backup_name",
    "backup_at", "backup_bytes", "backup_packed", "backup_failed_at", "backup_failed",
)  # fmt: skip


def status(settings: Settings, *, output: str = "", clock: Clock | None = None) -> int:
    """Print how the history is; returns the exit code."""
    clock = clock or SystemClock()
    look = Look(output)
    path = Path(settings.cache.path)
    record = _status(settings, path)
    if look.resolved() == "table":
        printer.lines(printer.printable(line) for line in _told(record, to_us(clock.now())))
    elif look.resolved() == "json":
        printer.document(record)
    else:
        printer.rows([record], STATUS, look=look)
    if not record["exists"]:
        printer.say(f"there is no history at {path} yet; flowlord run begins one")
    elif record["state"] != "ok":
        printer.error(str(record["state"]), hint=mend(str(record["state"])))
        return ANSWER_IS_BAD
    return DONE


def verify(settings: Settings, name: str, *, every: bool, deep: bool, look: Look) -> int:
    """Check the file, or backups; returns the exit code."""
    path = Path(settings.cache.path)
    sheet = Sheet(
        CHECKED,
        [*map(Column, CHECKED[:1]), Column("state", paint=_paint), *map(Column, CHECKED[2:])],
        look=look,
    )
    first: list[dict[str, object]] = []
    bad = False
    if not name:
        if not path.exists():
            return no_history(path)
        first = [_checked_file(path, deep=deep)]
        bad |= first[0]["state"] != "ok"
    if name or every:
        from flowlord.cli.historian import place_of

        place = place_of(settings.cache, settings.storage)
        if place is None:
            sheet.add(first)
            sheet.close()
            return no_place()
        try:
            if name and not is_name(name):
                return no_backup(name)
            # One that was begun and not ended has no manifest: it is in the place, and is told as damaged.
            if name and not place.holds(name):
                return missing_backup(place.path, name)
            names = [name] if name else [each.name for each in place.generations()]
            sheet.expect([{**_WIDE, "what": each} for each in names])
            sheet.add(first)
            first = []
            for each in names:
                found = _checked_backup(place, each, path)
                bad |= found["state"] != "ok"
                sheet.add([found])
        except CacheUnusable as error:
            sheet.add(first)
            sheet.close()
            return unusable(error)
    sheet.add(first)
    sheet.close()
    return ANSWER_IS_BAD if bad else DONE


def _checked_file(path: Path, *, deep: bool) -> dict[str, object]:
    try:
        with closing(open_reader(path)) as connection:
            found = checked(connection, path, deep=deep)
    except CacheUnusable as error:
        return {"what": str(path), "state": "damaged", "text": str(error)}
    return {
        "what": str(path), "state": "ok", "rows": found.rows.get("tasks"), "size": found.size,
        "text": f"tables of version {found.tables}, entry {found.seq} of the journal",
    }  # fmt: skip


def _checked_backup(place: object, name: str, path: Path) -> dict[str, object]:
    from flowlord.cache.backup import Place
    from flowlord.cache.manifest import Damaged
    from flowlord.cache.restore import fetch

    assert isinstance(place, Place)
    import tempfile

    with tempfile.TemporaryDirectory(
        prefix="flowlord-verify-", dir=path.parent if path.parent.is_dir() else None
    ) as folder:
        try:
            manifest = place.manifest(name)
            fetch(place, name, manifest, Path(folder, "tasks.db"))
        except Damaged as error:
            return {"what": name, "state": "damaged", "text": str(error)}
    return {
        "what": name, "state": "ok", "rows": manifest.rows.get("tasks"), "size": manifest.size,
        "text": f"of {iso(manifest.made_us)} by {manifest.by}",
    }  # fmt: skip


def _paint(row: Mapping[str, object]) -> str:
    return GREEN if row["state"] == "ok" else RED


def _status(settings: Settings, path: Path) -> dict[str, object]:
    note = note_of(path)
    found: dict[str, object] = dict.fromkeys(STATUS)
    found |= {
        "file": str(path),
        "exists": path.exists(),
        "state": "",
        "retention_days": settings.cache.retention_ns / 86_400e9,
        "max_bytes": settings.cache.max_bytes,
        "backup_place": settings.cache.backup_path or note.place,
        "backup_name": note.name,
        "backup_at": iso(note.made_us),
        "backup_bytes": note.size,
        "backup_packed": note.packed,
        "backup_failed_at": iso(note.failed_us),
        "backup_failed": note.failed,
    }
    if not found["exists"]:
        return found
    found["bytes"] = path.stat().st_size
    found["wal_bytes"] = _size(f"{path}-wal")
    try:
        with closing(open_reader(path)) as connection:
            found |= _inside(connection, path)
    except CacheUnusable as error:
        return found | {"state": str(error)}
    except sqlite3.Error as error:
        return found | {"state": f"the history {path} is damaged: {error}"}
    return found | {"state": "ok", "behind": _behind(settings, found)}


def _inside(connection: sqlite3.Connection, path: Path) -> dict[str, object]:
    told = about(connection, path)
    oldest, newest = (
        connection.execute(f"SELECT {which}(happened_us) FROM tasks").fetchone()[0] or 0  # noqa: S608
        for which in ("min", "max")
    )
    [gaps] = connection.execute("SELECT count(*) FROM gaps").fetchone()
    counts = {name: told.rows.get(name, 0) for name in ("tasks", "alerts", "files", "decisions", "days")}
    return counts | {
        "schema": told.tables, "oldest": iso(oldest), "newest": iso(newest), "seq": told.seq, "gaps": gaps,
        "_generation": told.generation,
    }  # fmt: skip


def _behind(settings: Settings, found: dict[str, object]) -> int | None:
    """Return how many entries the bus has told that are not in the file; None when it cannot be asked."""
    from flowlord.cli.sources import opened

    generation, seq = found.pop("_generation"), int(str(found["seq"]))
    with opened(settings.bus, None, SystemClock()) as sources:
        bounds = sources.ask(lambda bus: (bus.generation(), bus.journal_bounds()[1]), ("", -1))
    if bounds[1] < 0:
        return None
    return bounds[1] - seq if bounds[0] == generation else bounds[1]


def _told(record: Mapping[str, object], now_us: int) -> list[str]:
    """Return what a person gets: a line for each side of it."""
    backup = str(record["backup_place"] or "none; cache.backup_path says where")
    if record["backup_name"]:
        packed = megabytes(record["backup_packed"])
        backup += (
            f"  {relative(to_us(parse_time(str(record['backup_at']), _NEVER)), now_us)}, {packed} packed"
        )
    if record["backup_failed"]:
        backup += f"  FAILS: {record['backup_failed']}"
    lines = [f"file       {record['file']}"]
    if record["exists"]:
        lines[0] += f"  {megabytes(record['bytes'])}  wal {megabytes(record['wal_bytes'])}"
    if record["state"] == "ok":
        lines[0] += f"  schema {record['schema']}"
        counts = "  ".join(
            f"{name} {record[name]:,}" for name in ("tasks", "alerts", "files", "decisions", "days")
        )
        since = f"{str(record['oldest'])[:10] or 'nothing yet'}, retention {record['retention_days']:g}d"
        behind = record["behind"]
        reach = "unknown: the bus cannot be asked" if behind is None else f"{behind:,} entries behind the bus"
        gaps = f", {record['gaps']} gaps" if record["gaps"] else ""
        lines += [
            f"rows       {counts}",
            f"oldest     {since}",
            f"journal    entry {record['seq']:,}, {reach}{gaps}",
        ]
    return [*lines, f"backup     {backup}"]


def _size(path: str) -> int:
    try:
        return os.stat(path).st_size
    except OSError:
        return 0
