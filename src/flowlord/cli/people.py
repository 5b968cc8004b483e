"""What a person does: who it is, whether they mean it, and the words that are kept of it."""

from __future__ import annotations

import sys
from collections.abc import Mapping

from flowlord.cli import printer
from flowlord.cli.exits import DONE, NOT_CONFIRMED
from flowlord.cli.texts import printable

LONGEST_REASON = 1_000
_NAMED = 12


def who() -> str:
    """Return who types, as `user@host`."""
    import getpass
    import os

    try:
        user = getpass.getuser()
    except (OSError, KeyError, ImportError):  # a container whose user has no name
        user = f"user {os.getuid()}"
    return printable(f"{user}@{os.uname().nodename}")


def kept(reason: str) -> str:
    """Return a reason as it can be kept: a shell hands on bytes that are no UTF-8, too."""
    return printable(reason[:LONGEST_REASON])


def is_name(text: str) -> bool:
    """Whether a text can be the name of something: of a bounded length, and text, not bytes that are no UTF-8."""
    return 0 < len(text) <= LONGEST_REASON and not any("\ud800" <= each <= "\udfff" for each in text)


def words_of(verb: str, by: str, reason: str) -> str:
    """Return what the journal is told of an act: `cancelled by ann@host: no longer wanted`."""
    return f"{verb} by {by}" + (f": {kept(reason)}" if reason else "")


def counted(counts: Mapping[str, int]) -> str:
    """Return how many there are of each name, most first: `load:users 21, load:orders 2`."""
    most = sorted(counts.items(), key=lambda each: (-each[1], each[0]))
    more = f" and {len(most) - _NAMED} more" if len(most) > _NAMED else ""
    return ", ".join(f"{name} {count:,}" for name, count in most[:_NAMED]) + more


def agreed(preview: str, question: str, *, yes: bool, dry_run: bool) -> int | None:
    """Show what would change, and ask; None when it may be done, else the exit code.

    In a pipe nobody can answer: then only `yes` agrees.
    """
    printer.say(preview)
    if dry_run:
        printer.say("nothing was changed")
        return DONE
    if yes:
        return None
    if not (sys.stdin.isatty() and sys.stderr.isatty()):
        printer.error(
            "nothing was changed: nobody is there to say yes", hint="the same with -y does it unasked"
        )
        return NOT_CONFIRMED
    sys.stderr.write(f"{question} [y/N] ")
    sys.stderr.flush()
    if sys.stdin.readline().strip().lower() in ("y", "yes"):
        return None
    printer.say("nothing was changed")
    return NOT_CONFIRMED
