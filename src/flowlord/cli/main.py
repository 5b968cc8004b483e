"""The command line: names, flags and help. Every body is one call into the module of its command."""

from __future__ import annotations

import sys

PROGRAM = "flowlord"


def main() -> None:
    """Run the program; what can be answered without the command line library is answered before it is imported."""
    if sys.argv[1:] in (["--version"], ["-V"], ["version"]):
        from flowlord import __version__

        print(f"{PROGRAM} {__version__}")
        return
    from flowlord.cli.entry import enter

    enter()
