"""What the commands of the history say alike: that it is not there, cannot be used, or that nobody said where to."""

from __future__ import annotations

import sys
from pathlib import Path

from flowlord.cache.schema import CacheUnusable
from flowlord.cli import printer
from flowlord.cli.exits import NO_SUCH_THING, UNREACHABLE, WRONG_USE
from flowlord.model.errors import FlowlordError


def no_history(path: Path) -> int:
    """Say that there is no file; returns the exit code."""
    printer.error(
        f"there is no history at {path} yet", hint="flowlord run begins one; --cache names another file"
    )
    return NO_SUCH_THING


def no_backup(name: str) -> int:
    """Say that a name is not one that backups have; returns the exit code."""
    printer.error(f"{printer.printable(name[:80])!r} is no backup", hint="flowlord cache restore --list")
    return NO_SUCH_THING


def missing_backup(place: str, name: str) -> int:
    """Say that there is no backup of that name, or none at all, in a place; returns the exit code."""
    what = f"backup {name}" if name else "backup"
    printer.error(f"there is no {what} in {place}", hint="flowlord cache restore --list")
    return NO_SUCH_THING


def no_place() -> int:
    """Say that nobody told where backups lie; returns the exit code."""
    printer.error(
        "nobody said where backups lie", hint="set cache.backup_path, or name the place with --to or --from"
    )
    return WRONG_USE


def unusable(error: CacheUnusable) -> int:
    """Say that the history cannot be used; returns the exit code."""
    printer.error(str(error), hint=error.hint or mend(str(error)))
    return UNREACHABLE


def mend(text: str) -> str:
    """Return what to do about a history that cannot be used."""
    if "newer" in text:
        return "use that flowlord; flowlord run sets the file aside and begins a new one"
    if "older" in text:
        return "flowlord cache migrate"
    if "backup" in text or "listed" in text:
        return "docs/storage.md tells what a place needs"
    if "unable to open" in text or "readonly" in text:
        return "the file is not damaged: you must be allowed to read it, and to write in its folder"
    return "flowlord cache verify tells more; flowlord run sets a damaged file aside and begins a new one"


def megabytes(size: object) -> str:
    """Return a size for people."""
    count = int(str(size or 0))
    if count < 100_000:
        return f"{count / 1e3:.1f} kB"
    return f"{count / 1e9:.1f} GB" if count >= 10**9 else f"{count / 1e6:.1f} MB"


def nanoseconds(text: str) -> int:
    """Return a length of time that was typed; raises FlowlordError."""
    from flowlord.config.values import Wrong, read_duration

    try:
        return read_duration(text)
    except Wrong as error:
        raise FlowlordError(f"{printer.printable(text[:60])!r} {error}") from None


def confirmed(question: str, *, yes: bool) -> bool:
    """Ask a person, unless the answer was given; in a pipe nobody can answer."""
    if yes:
        return True
    if sys.stdin.isatty() and sys.stderr.isatty():
        sys.stderr.write(f"{question} [y/N] ")
        sys.stderr.flush()
        if sys.stdin.readline().strip().lower() in ("y", "yes"):
            return True
        printer.say("nothing was changed")
        return False
    printer.error("nothing was changed: nobody said yes", hint="the same with -y does it unasked")
    return False
