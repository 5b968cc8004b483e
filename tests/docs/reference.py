"""The reference of commands in docs/commands.md, made from the program's own help.

python tests/docs/reference.py      writes it anew
"""

import os
import re
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import typer

from flowlord.cli.catalogue import COMMANDS

ROOT = Path(__file__).resolve().parents[2]
PAGE = ROOT / "docs" / "commands.md"
BEGIN = "<!-- made from the help texts by tests/docs/reference.py; change those, then run it -->"
ORDER = list(COMMANDS)  # of the help; typer tells groups last


@cache
def program() -> Any:
    """The command line as a tree; typer brings its own click, so a group is known by its `commands`."""
    from flowlord.cli import program

    return typer.main.get_command(program.program())


def commands(command: Any = None, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Any]]:
    """Yield every command that does something with the words that lead to it, in the order of the help."""
    command = command or program()
    children = getattr(command, "commands", None)
    if children is None or (path and command.invoke_without_command):
        yield path, command
    for name, child in sorted((children or {}).items(), key=lambda one: -1 if path else ORDER.index(one[0])):
        if not child.hidden:
            yield from commands(child, (*path, name))


def help_of(path: tuple[str, ...]) -> str:
    """What `--help` prints in a pipe, without blanks at line ends."""
    from support.processes import flowlord

    done = flowlord(*path, "--help", cwd=ROOT, env={"COLUMNS": "110"})
    assert (done.code, done.err) == (0, ""), done.err
    return re.sub(r"(?m)[ \t]+$", "", done.out).strip("\n")


def told() -> dict[str, str]:
    """The help of each command as the page has it, by the words that lead to the command."""
    _, _, reference = PAGE.read_text("utf-8").partition(BEGIN)
    return dict(re.findall(r"(?ms)^### flowlord ?([^\n]*)\n\n```text\n(.*?)\n```$", reference))


def written() -> str:
    """The reference: one section for each command."""
    parts = []
    for path, _ in commands():
        parts.append(f"### flowlord {' '.join(path)}\n\n```text\n{help_of(path)}\n```\n")
    return "\n".join(parts)


def main() -> None:
    """Write the reference below its mark."""
    before, mark, _ = PAGE.read_text("utf-8").partition(BEGIN)
    assert mark, f"{PAGE} has no mark"
    PAGE.write_text(f"{before}{BEGIN}\n\n{written()}", "utf-8")


if __name__ == "__main__":
    sys.path.insert(0, str(ROOT / "tests"))
    for name in os.environ.keys() - {"PATH"}:  # nothing of a shell in what is printed
        del os.environ[name]
    main()
