"""The history put back from a backup: the newest that is whole, and only ever where no file is."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable
from pathlib import Path

from flowlord.cache.alone import sweep
from flowlord.cache.backup import Place
from flowlord.cache.manifest import Damaged, Manifest
from flowlord.cache.schema import VERSION, CacheUnusable, set_aside
from flowlord.cache.snapshot import look

log = logging.getLogger("flowlord.history")


def restore_newest(
    place: Place, path: Path, told: Callable[[int, int], None] = lambda *_: None
) -> tuple[str, Manifest] | None:
    """Put the newest backup that is whole at `path`, which must be free; returns its name, None when there is none.

    To be called while `alone`. A backup that is damaged, or of a newer flowlord, is told and passed over.

    Raises:
        CacheUnusable: the place is out of reach, or nothing can be written here.
    """
    for generation in place.generations():
        try:
            return generation.name, restore(place, generation.name, path, told)
        except Damaged as error:
            log.error(
                "the backup %s/%s cannot be used and is passed over: %s",
                place.path, generation.name, error, extra={"action": "backup.damaged"},
            )  # fmt: skip
    return None


def restore(
    place: Place,
    name: str,
    path: Path,
    told: Callable[[int, int], None] = lambda *_: None,
    *,
    replace: bool = False,
) -> Manifest:
    """Put one backup at `path`; `told` hears how many bytes are there, and of how many.

    `path` must be free, or with `replace` what is there is set aside when all has come.

    Raises:
        Damaged: it cannot be used; nothing was put anywhere.
        CacheUnusable: the place is out of reach, or nothing can be written here.
    """
    sweep(path)
    manifest = place.manifest(name)
    new = path.with_name(f"{path.name}.restoring-{os.getpid()}")
    try:
        fetch(place, name, manifest, new, told)
        if replace and path.exists():
            set_aside(path, f"the backup {name} takes its place")
        if path.exists():
            raise CacheUnusable(f"there is a history at {path} by now")
        # What SQLite kept beside a file that has gone would be taken for a part of this one.
        for end in ("-wal", "-shm"):
            path.with_name(path.name + end).unlink(missing_ok=True)
        try:
            os.link(new, path)
        except FileExistsError as error:
            raise CacheUnusable(f"there is a history at {path} by now") from error
        except OSError:  # a file system without hard links
            new.rename(path)
        _sync_folder(path.parent)
    except OSError as error:
        raise CacheUnusable(f"no history can be put to {path}: {error}") from error
    finally:
        new.unlink(missing_ok=True)
    log.warning(
        "the history %s is restored from the backup %s/%s",
        path, place.path, name, extra={"action": "backup.restored"},
    )  # fmt: skip
    return manifest


def fetch(
    place: Place, name: str, manifest: Manifest, to: Path, told: Callable[[int, int], None] = lambda *_: None
) -> None:
    """Write a backup to a file and check it as a history; raises as `restore`, and OSError."""
    if manifest.tables > VERSION:
        raise Damaged(f"its tables have version {manifest.tables}, and this flowlord knows {VERSION}")
    to.parent.mkdir(parents=True, exist_ok=True)
    done = 0
    handle = os.open(to, os.O_CREAT | os.O_WRONLY | os.O_TRUNC, 0o600)
    with os.fdopen(handle, "wb") as file:
        for part in place.unpacked(name, manifest):
            file.write(part)
            done += len(part)
            told(done, manifest.size)
        file.flush()
        os.fsync(file.fileno())
    try:
        found = look(to)
    except CacheUnusable as error:
        raise Damaged(f"what it holds cannot be used: {error}") from error
    if (found.rows, found.seq, found.generation) != (manifest.rows, manifest.seq, manifest.generation):
        raise Damaged("its rows are not those that its manifest tells")


def _sync_folder(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
