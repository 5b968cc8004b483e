"""`flowlord version`: what is installed, for people and for bug reports."""

from __future__ import annotations

import platform
import sqlite3

from flowlord import __version__
from flowlord.cli import printer
from flowlord.cli.exits import DONE


def run(output: str = "") -> int:
    """Print the version; with a form of output also what it runs on."""
    if not output:
        printer.lines([f"flowlord {__version__}"])
        return DONE
    found = {"version": __version__, "python": platform.python_version(), "sqlite": sqlite3.sqlite_version}
    if output == "json":
        printer.document(found)
    else:
        printer.rows([found], tuple(found), output)
    return DONE
