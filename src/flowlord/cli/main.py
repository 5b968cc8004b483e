"""The command line: names, flags and help. Every body is one call into the module of its command."""

from __future__ import annotations

import sys

from flowlord.cli.catalogue import COMMANDS
from flowlord.cli.exits import DONE, WRONG_USE

PROGRAM = "flowlord"


def main() -> None:
    """Run the program; what can be answered without the command line library is answered before it is imported."""
    words = sys.argv[1:]
    first = words[0] if words else ""
    if words == ["version"] or first in ("-V", "--version"):
        from flowlord import __version__

        print(f"{PROGRAM} {__version__}")
    elif first in COMMANDS:
        from flowlord.cli.entry import end_at_once, enter

        try:
            enter()
        except SystemExit as end:
            end_at_once(end.code)
            raise
    else:
        sys.exit(_without_command(first))


def _without_command(first: str) -> int:
    """Tell what commands there are; returns the exit code."""
    from flowlord.cli import catalogue

    if first in ("", "-h", "--help"):
        print(*catalogue.overview(), sep="\n", file=sys.stdout if first else sys.stderr)
        return DONE if first else WRONG_USE
    print(catalogue.unknown(first), "", "All commands: flowlord --help", sep="\n", file=sys.stderr)
    return WRONG_USE
