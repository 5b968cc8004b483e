"""`flowlord cache backup|restore`: backups made and put back by hand."""

from __future__ import annotations

import os
import socket
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from flowlord import __version__
from flowlord.bus.clock import SystemClock
from flowlord.bus.trap import arm_from
from flowlord.cache.alone import alone
from flowlord.cache.backup import Place
from flowlord.cache.manifest import Damaged, Manifest, is_name
from flowlord.cache.note import Note, write_note
from flowlord.cache.restore import restore
from flowlord.cache.schema import CacheUnusable
from flowlord.cache.snapshot import copied
from flowlord.cli import printer
from flowlord.cli.cachewords import (
    confirmed,
    megabytes,
    missing_backup,
    no_backup,
    no_history,
    no_place,
    unusable,
)
from flowlord.cli.exits import ANSWER_IS_BAD, DONE, NOT_CONFIRMED
from flowlord.cli.historian import place_of
from flowlord.cli.printer import Column, Look
from flowlord.cli.progress import Progress
from flowlord.cli.times import iso, relative, to_us
from flowlord.taskmaster.chance import Chance

if TYPE_CHECKING:
    from flowlord.config import Settings

MADE = ("place", "name", "at", "rows", "bytes", "packed", "seconds")
LISTED = ("name", "at", "by", "rows", "bytes", "packed", "state")


def backup(settings: Settings, *, output: str = "", quiet: bool = False, dry_run: bool = False) -> int:
    """Make a backup now; returns the exit code."""
    look = Look(output)
    path, place = Path(settings.cache.path), place_of(settings.cache, settings.storage)
    if place is None:
        return no_place()
    if not path.exists():
        return no_history(path)
    if dry_run:
        printer.say(f"{path}, {megabytes(path.stat().st_size)}, would be backed up to {place.path}")
        return DONE
    arm_from(os.environ)
    clock = SystemClock()
    begin_ns, made = clock.monotonic_ns(), clock.now()
    try:
        with _alone(path), copied(path) as (copy, check):
            with Progress("bytes", copy.stat().st_size, clock, quiet=quiet) as progress:
                name, manifest = place.write(
                    copy, check, made, Chance().token()[:8], socket.gethostname(), __version__, progress.at
                )
            place.keep(settings.cache.backup_keep, made)
    except CacheUnusable as error:
        return unusable(error)
    took_us = (clock.monotonic_ns() - begin_ns) // 1_000
    write_note(path, Note(place.path, name, manifest.made_us, manifest.size, manifest.packed, took_us))
    found = {
        "place": place.path, "name": name, "at": iso(manifest.made_us), "rows": manifest.rows.get("tasks", 0),
        "bytes": manifest.size, "packed": manifest.packed, "seconds": round(took_us / 1e6, 3),
    }  # fmt: skip
    if look.resolved() == "json":
        printer.document(found)
    else:
        printer.rows([found], MADE, name="name", look=look)
    return DONE


def backups(settings: Settings, *, output: str = "") -> int:
    """List the backups, the newest first; returns the exit code."""
    look, place = Look(output), place_of(settings.cache, settings.storage)
    if place is None:
        return no_place()
    now_us = to_us(SystemClock().now())
    try:
        found = [_listed(place, each.name) for each in place.generations()]
    except CacheUnusable as error:
        return unusable(error)
    columns = [Column("name"), Column("at", lambda row, _: relative(int(str(row["at_us"])), now_us))]
    columns += [Column("by", gives=True), Column("rows", right=True)]
    columns += [Column(each, partial(_size_of, each), right=True) for each in ("bytes", "packed")]
    printer.rows(found, LISTED, name="name", columns=[*columns, Column("state", gives=True)], look=look)
    if not found:
        printer.say(f"there is no backup in {place.path} yet")
    return DONE


def restore_one(
    settings: Settings, name: str, *, force: bool, yes: bool, dry_run: bool, quiet: bool, output: str = ""
) -> int:
    """Put a backup in the place of the history; returns the exit code."""
    path, place = Path(settings.cache.path), place_of(settings.cache, settings.storage)
    if place is None:
        return no_place()
    if name and not is_name(name):
        return no_backup(name)
    try:
        names = [each.name for each in place.generations() if name in ("", each.name)]
        if not names:
            return missing_backup(place.path, name)
        if path.exists() and not force:
            printer.error(
                f"there is a history at {path}: nothing was changed",
                hint="the same with --force sets it aside and puts the backup in its place",
            )
            return NOT_CONFIRMED
        return _restored(place, names, path, Look(output), yes=yes, dry_run=dry_run, quiet=quiet)
    except CacheUnusable as error:
        return unusable(error)


def _restored(
    place: Place, names: list[str], path: Path, look: Look, *, yes: bool, dry_run: bool, quiet: bool
) -> int:
    """Put the first of these backups that is whole in the place of the history."""
    clock = SystemClock()
    now_us = to_us(clock.now())
    for name in names:
        try:
            manifest = place.manifest(name)
            printer.say(_preview(place, name, manifest, path, now_us))
            if dry_run or (path.exists() and not confirmed("put the backup in its place?", yes=yes)):
                if look.form:
                    _tell_restored(place, name, manifest, path, look, "would be restored")
                return DONE if dry_run else NOT_CONFIRMED
            with _alone(path), Progress("bytes", manifest.size, clock, quiet=quiet) as progress:
                restore(place, name, path, _counted(progress), replace=True)
            _tell_restored(place, name, manifest, path, look, "restored")
            return DONE
        except Damaged as error:
            printer.error(f"the backup {name} cannot be used: {error}")
    printer.error("no backup that is whole was found: nothing was changed")
    return ANSWER_IS_BAD


def _tell_restored(place: Place, name: str, manifest: Manifest, path: Path, look: Look, result: str) -> None:
    found = {
        "result": result, "name": name, "place": place.path, "file": str(path), "at": iso(manifest.made_us),
        "rows": manifest.rows.get("tasks", 0), "bytes": manifest.size,
    }  # fmt: skip
    printer.act(found, name="name", look=look)


@contextmanager
def _alone(path: Path) -> Iterator[None]:
    with alone(path, wait=False) as mine:
        if not mine:
            raise CacheUnusable(
                f"another process is at {path}",
                hint="a daemon may be backing it up or restoring it: try again in a minute",
            )
        yield


def _preview(place: Place, name: str, manifest: Manifest, path: Path, now_us: int) -> str:
    told = (
        f"{place.path}/{name}: of {relative(manifest.made_us, now_us)}, {manifest.rows.get('tasks', 0):,} attempts, "
        f"{megabytes(manifest.size)} ({megabytes(manifest.packed)} packed)"
    )
    if path.exists():
        told += f"\n{path} is set aside as {path.name}.aside-N and stays"
    return told


def _counted(progress: Progress) -> Callable[[int, int], None]:
    return lambda done, _: progress.at(done)


def _size_of(field: str, row: Mapping[str, object], _: bool) -> str:
    return megabytes(row.get(field))


def _listed(place: Place, name: str) -> dict[str, object]:
    try:
        manifest = place.manifest(name)
    except Damaged as error:
        return {"name": name, "at_us": 0, "state": f"damaged: {error}"}
    return {
        "name": name, "at": iso(manifest.made_us), "at_us": manifest.made_us, "by": manifest.by,
        "rows": manifest.rows.get("tasks", 0), "bytes": manifest.size, "packed": manifest.packed, "state": "whole",
    }  # fmt: skip
