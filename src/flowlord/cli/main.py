"""The command line: names, flags and help. Every body is one call into the module of its command."""

from __future__ import annotations

import sys

from flowlord.cli.ending import Interrupt, finished, streams
from flowlord.cli.exits import DONE, INTERRUPTED, WRONG_USE

PROGRAM = "flowlord"


def main() -> None:
    """Run the program; what can be answered without the command line library is answered before it is imported."""
    interrupt = Interrupt()
    interrupt.begin()
    out = streams()
    failed: OSError | None = None
    code: object = 0
    try:
        code = _answered(sys.argv[1:])
    except SystemExit as left:
        code = left.code
    except KeyboardInterrupt:
        code = INTERRUPTED
    except OSError as error:
        failed = error
    interrupt.end()
    if isinstance(code, str):  # as the interpreter has it
        print(code, file=sys.stderr)
    if code := finished(code if isinstance(code, int) else int(code is not None), out, failed):
        sys.exit(code)


def _answered(words: list[str]) -> int:
    """Do what the words say; returns the exit code."""
    from flowlord.cli.catalogue import COMMANDS

    first = words[0] if words else ""
    if words == ["version"] or first in ("-V", "--version"):
        from flowlord import __version__

        print(f"{PROGRAM} {__version__}")
        return DONE
    if first in COMMANDS:
        from flowlord.cli.entry import end_at_once, enter

        try:
            enter()
        except SystemExit as end:
            end_at_once(end.code)
            raise
    return _without_command(first)


def _without_command(first: str) -> int:
    """Tell what commands there are; returns the exit code."""
    from flowlord.cli import catalogue

    if first in ("", "-h", "--help"):
        print(*catalogue.overview(), sep="\n", file=sys.stdout if first else sys.stderr)
        return DONE if first else WRONG_USE
    print(catalogue.unknown(first), "", "All commands: flowlord --help", sep="\n", file=sys.stderr)
    return WRONG_USE
