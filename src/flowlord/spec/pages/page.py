"""What a page holds: words, and examples whose place is marked."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

OPEN: Final = "«"
CLOSE: Final = "»"
_LONGEST: Final = 300  # characters of an example that are shown


@dataclass(frozen=True, slots=True)
class Example:
    """A file; `«` and `»` in `marked` enclose what the problem is told about, nothing when it is the whole file.

    `beside` are further files, by name; `shown` is what people see when the file itself is too large or odd.
    """

    marked: str
    name: str = "flow.toml"
    beside: tuple[tuple[str, str], ...] = ()
    shown: str = ""

    @property
    def text(self) -> str:
        """The file as it stands on disk."""
        return self.marked.replace(OPEN, "", 1).replace(CLOSE, "", 1)

    @property
    def place(self) -> tuple[int, int, int]:
        """Line, column and end of what is marked; zeros when it is the whole file."""
        at = self.marked.find(OPEN)
        if at < 0:
            return 0, 0, 0
        line = self.marked.count("\n", 0, at) + 1
        column = at - self.marked.rfind("\n", 0, at)
        return line, column, column + self.marked.find(CLOSE) - at - 1

    def lines(self) -> list[str]:
        """Return the example as people see it, with a line of marks below the place."""
        if self.shown:
            return self.shown.rstrip("\n").split("\n")
        line, column, end = self.place
        lines = self.text.rstrip("\n").split("\n")
        if line:
            lines.insert(line, " " * (column - 1) + "^" * max(end - column, 1))
        return lines


@dataclass(frozen=True, slots=True)
class Page:
    """Why a problem is told, and how it looks."""

    why: str
    bad: Example
    good: Example


def phase(*lines: str) -> str:
    """Return one phase; without `task` its task is `load`."""
    task = () if any(line.lstrip("«").startswith("task") for line in lines) else ('task = "load"',)
    return "\n".join(("[[phase]]", *task, *lines)) + "\n"
