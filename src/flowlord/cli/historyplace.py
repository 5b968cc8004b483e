"""What `flowlord doctor` says of the file of the history where it lies: what lies there without harm is not told."""

from __future__ import annotations

import os
import shlex
from collections.abc import Iterator
from typing import Final

from flowlord.bus.sqlite_place import MOUNTS, SHARED, file_system
from flowlord.cache.schema import SPARE_BYTES, CacheUnusable
from flowlord.model.finding import Finding, Level

LOOK_BYTES: Final = 256 << 20
LOG_BYTES: Final = 4 * SPARE_BYTES
"""A log that large beside the history: somebody has been reading for long, or nobody brings it into the file."""


def damage_in(path: str) -> str:
    """Return what is wrong with the pages of a history; of a large one nothing, since to look takes long."""
    if os.stat(path).st_size > LOOK_BYTES:
        return ""
    import sqlite3
    from pathlib import Path

    from flowlord.cache.snapshot import damage_of

    try:
        return damage_of(Path(path))
    except (sqlite3.Error, CacheUnusable) as error:
        return str(error)


def lies(path: str, *, mounts: str | os.PathLike[str] = MOUNTS) -> Iterator[Finding]:
    """Yield what is wrong with the place of a history, and with the log beside it."""
    real = os.path.realpath(path)
    kind = file_system(os.path.dirname(real), mounts)
    if SHARED.fullmatch(kind):
        text = f"{real} lies on a network file system ({kind}), where locks do not hold: it may be damaged"
        yield Finding(
            "place", Level.WARN, text, "flowlord run --cache /a/local/disk/tasks.db; backups may lie there"
        )
    try:
        found = os.stat(real)
    except OSError:
        return
    if found.st_nlink > 1:
        text = f"{real} has {found.st_nlink} names (hard links): what is opened by another one misses its log"
        yield Finding("names", Level.WARN, text, f"find / -xdev -inum {found.st_ino}")
    try:
        log = os.stat(f"{real}-wal").st_size
    except OSError:
        return
    if log > LOG_BYTES:
        text = f"the log beside the history has {log // 10**6:,} MB: somebody has been reading it for long"
        fix = f"fuser -v {shlex.quote(real)}   # who; it shrinks once they have ended"
        yield Finding("log", Level.WARN, text, fix)
