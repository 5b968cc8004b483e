"""What lies below a path, wherever that is: the names of workflow files, and how each is read."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final, Protocol, TypeAlias

from flowlord.model.problem import Problem
from flowlord.spec.codes import problem
from flowlord.spec.parse import SUFFIXES

MAX_FILES: Final = 1_000  # of one tree
MAX_ENTRIES: Final = 100_000  # looked at in one tree
_NO_WORKFLOW: Final = "flowlord config looks at it; a workflow needs another name"
CONFIGURATION: Final = frozenset(("flowlord.toml", "flowlord.yaml", "flowlord.yml"))

Stamp: TypeAlias = tuple[int, int, int] | str
"""Equal as long as a file has not changed: size, time of change in ns and inode; the version of a file in a bucket."""


@dataclass(frozen=True, slots=True)
class Place:
    """A workflow file that was found: as people know it, and its stamp; None when that could not be told."""

    path: str
    stamp: Stamp | None


@dataclass(slots=True)
class Found:
    """What lies below a path. `unlisted` are the beginnings of the names in folders that could not be read."""

    files: dict[str, Place] = field(default_factory=dict)  # by name
    ignored: list[str] = field(default_factory=list)
    problems: list[Problem] = field(default_factory=list)
    unlisted: list[str] = field(default_factory=list)
    entries: int = 0

    def take(self, name: str, place: Place, *, regular: bool = True) -> None:
        """Sort in one entry: a workflow file, or one that is none."""
        base = name.rpartition("/")[2]
        if not regular or not name.lower().endswith(SUFFIXES) or base in CONFIGURATION:
            self.ignored.append(name)
        elif not is_text(name):
            self.problems.append(unnamed(place.path))
        else:
            self.files[name] = place

    def take_alone(self, name: str, place: Place) -> None:
        """Sort in the one file that a path names: what it is called matters less."""
        if not is_text(name):
            self.problems.append(unnamed(place.path))
        elif name in CONFIGURATION:
            text = "this is flowlord's configuration, which is never read as a workflow"
            self.problems.append(problem("FL001", place.path, text=text, hint=_NO_WORKFLOW))
        else:
            self.files[name] = place

    def is_full(self, path: str) -> bool:
        """Tell whether there are more files than are taken; says so once."""
        if len(self.files) <= MAX_FILES:
            return False
        self.files.popitem()
        text = f"the folder holds more than {MAX_FILES:,} workflow files; the rest is left out"
        self.problems.append(problem("FL003", path, text=text, hint="load a folder further down"))
        return True


class Tree(Protocol):
    """A place with workflow files. `path` is how people know it."""

    path: str

    def find(self) -> Found:
        """Return what is there now; raises OSError when the place itself cannot be read."""
        ...

    def read(self, place: Place, before: Stamp | None) -> tuple[Stamp, bytes | None]:
        """Return the stamp of a file and its bytes, up to one more than is taken; None when it is as it was `before`.

        Raises:
            OSError: it cannot be read; the text of the error tells why.
        """
        ...


def is_text(name: str) -> bool:
    """Whether a name can be told to others; it is that of a workflow, which travels with each of its tasks."""
    try:
        name.encode()
    except UnicodeEncodeError:
        return False
    return True


def unnamed(path: str) -> Problem:
    """Return what is wrong with a file whose name is no text."""
    return problem("FL001", path, text="the name of the file is not UTF-8", hint="give the file another name")
