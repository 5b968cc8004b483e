"""Parts of `flowlord doctor` about places: where workflows, files and backups lie, and whether they can be reached."""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import TYPE_CHECKING, Final

from flowlord.cli.texts import printable
from flowlord.model.finding import Finding, Level

if TYPE_CHECKING:
    from flowlord.cli.checkup import Visit
    from flowlord.storage.open import Storage

MOST: Final = 50
"""Places that are looked at."""
STALE: Final = 2
"""Backups are old when the newest is older than so many times what lies between two."""


def places(visit: Visit) -> Iterator[Finding]:
    """Whether the workflows and the places of their files can be reached from here."""
    path = visit.settings.taskmaster.workflows
    if "://" not in path and not os.path.exists(path):
        yield Finding("workflows", Level.OK, f"there are none at {printable(path)}, seen from here")
        return
    from flowlord.cli.places import place_at
    from flowlord.cli.stores import storage_at
    from flowlord.spec.load import load

    storage = storage_at(visit.settings.storage)
    try:
        loaded = load(place_at(path, storage=storage))
    except OSError as error:
        text = f"{printable(path)} cannot be read: {error.strerror or error}"
        yield Finding("workflows", Level.FAULT, text, f"flowlord validate {printable(path)}")
        return
    if loaded.failed:
        text = f"files at {printable(path)} have errors: their last good versions run"
        yield Finding("workflows", Level.WARN, text, f"flowlord validate {printable(path)}")
    rules = [phase.rule for flow in loaded.workflows.by_name.values() for phase in flow.phases]
    found = dict.fromkeys(pattern for rule in rules for pattern in (*rule.files, rule.meta_file) if pattern)
    yield from _reached(storage, found)


def _reached(storage: Storage, patterns: dict[str, None]) -> Iterator[Finding]:
    from flowlord.rules.places import place_of

    roots = list(dict.fromkeys(place_of(pattern).root for pattern in patterns))
    good = 0
    for root in roots[:MOST]:
        if reason := _unreadable(storage, root):
            is_here = "://" not in root
            # A folder that is not there may be one of the machine on which the taskmaster runs.
            level = Level.WARN if is_here and not os.path.exists(root) else Level.FAULT
            fix = (
                f"ls -ld {printable(root)}"
                if is_here
                else "flowlord config   # storage.*, and docs/storage.md"
            )
            yield Finding("place", level, f"{printable(root)} cannot be listed: {printable(reason)}", fix)
        else:
            good += 1
    if good:
        told = "1 place of files" if good == 1 else f"{good} places of files"
        yield Finding("places", Level.OK, f"{told} can be listed")


def _unreadable(storage: Storage, root: str) -> str:
    """Tell why a place cannot be listed; empty when it can."""
    try:
        if "://" not in root:
            os.listdir(root or ".")
        else:
            next(iter(storage.list(root)), None)
    except (OSError, ValueError) as error:
        return getattr(error, "strerror", None) or str(error)
    return ""


def backups(visit: Visit, now_us: int) -> Iterator[Finding]:
    """Whether backups of the history are made, how old the newest is, and whether their place lets us."""
    settings = visit.settings.cache
    if not settings.backup_path:
        yield Finding("backup", Level.OK, "none is made: cache.backup_path names no place")
        return
    from flowlord.cache.backup import Place
    from flowlord.cache.note import note_of
    from flowlord.cache.schema import CacheUnusable
    from flowlord.cli.stores import storage_at
    from flowlord.cli.times import relative

    place = Place(storage_at(visit.settings.storage), settings.backup_path)
    again = "flowlord cache backup   # tries it now, and tells what is wrong"
    note = note_of(settings.path)
    if note.failed_us:
        text = f"the last backup failed {relative(note.failed_us, now_us)}: {note.failed}"
        yield Finding("backup", Level.FAULT, text, again)
    try:
        found = place.generations()
    except CacheUnusable as error:
        yield Finding("backup", Level.FAULT, f"{place.path} cannot be listed: {error}", error.hint or again)
        return
    if not found:
        yield Finding("backup", Level.WARN, f"there is no backup at {place.path} yet", again)
    elif note.made_us and (now_us - note.made_us) * 1000 > STALE * settings.backup_every_ns:
        text = f"the newest backup is old: it was made {relative(note.made_us, now_us)}"
        yield Finding("backup", Level.WARN, text, again)
    elif not note.failed_us:
        when = f", the newest {relative(note.made_us, now_us)}" if note.made_us else ""
        count = "1 backup" if len(found) == 1 else f"{len(found)} backups"
        yield Finding("backup", Level.OK, f"{count} at {place.path}{when}")
