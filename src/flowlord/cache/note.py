"""How the backups of a history went, as a small file beside it: for who asks without asking the place itself."""

from __future__ import annotations

import os
from pathlib import Path

import msgspec


class Note(msgspec.Struct, frozen=True, omit_defaults=True):
    """The last backup that came to its end, and the last attempt that did not; times in microseconds, 0 for never.

    `failed_us` is 0 again as soon as one succeeds.
    """

    place: str = ""
    name: str = ""
    made_us: int = 0
    size: int = 0
    packed: int = 0
    took_us: int = 0
    failed_us: int = 0
    failed: str = ""


def note_of(path: str | Path) -> Note:
    """Return what is noted of the history at `path`; an empty note when nothing is, or nothing that can be read."""
    try:
        return msgspec.json.decode(Path(f"{path}-backup").read_bytes(), type=Note)
    except (OSError, msgspec.MsgspecError):
        return Note()


def write_note(path: str | Path, note: Note) -> None:
    """Note it; a note that cannot be written is none."""
    new = Path(f"{path}-backup.{os.getpid()}")
    try:
        new.write_bytes(msgspec.json.encode(note))
        new.replace(f"{path}-backup")
    except OSError:
        new.unlink(missing_ok=True)
