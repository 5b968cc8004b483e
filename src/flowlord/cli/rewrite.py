"""`validate --fix` and `--diff`: the mended files, shown as a difference or put in the place of the old ones."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from difflib import unified_diff

from flowlord.cli.texts import printable
from flowlord.model.problem import Problem


@dataclass(frozen=True, slots=True)
class Rewrite:
    """A file before and after its fixes."""

    path: str
    before: bytes
    after: bytes
    fixed: tuple[Problem, ...]


class ChangedMeanwhile(OSError):
    """The file is no longer what was read; it is left alone."""


def replace(rewrite: Rewrite) -> None:
    """Put the mended file in the place of the old one, in one step; its mode stays, and a link goes on leading to it.

    Raises:
        ChangedMeanwhile: somebody else wrote it since.
        OSError: it cannot be written; then it is as it was.
    """
    target = os.path.realpath(rewrite.path)
    with open(target, "rb") as file:
        status = os.fstat(file.fileno())
        if file.read() != rewrite.before:
            raise ChangedMeanwhile(f"{rewrite.path} was changed meanwhile")
    handle, temporary = tempfile.mkstemp(prefix=".", suffix=".flowlord", dir=os.path.dirname(target))
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(rewrite.after)
            file.flush()
            os.fchmod(file.fileno(), status.st_mode & 0o7777)
            os.fsync(file.fileno())
        os.replace(temporary, target)
    except BaseException:
        os.unlink(temporary)
        raise
    folder = os.open(os.path.dirname(target), os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def difference(rewrite: Rewrite) -> Iterator[str]:
    """Yield the lines of a unified difference, which `patch -p0` and `git apply -p0` understand."""
    before, after = (_lines(data) for data in (rewrite.before, rewrite.after))
    name = printable(rewrite.path)
    for line in unified_diff(before, after, name, name):
        if line.endswith("\n"):
            yield line[:-1]
        else:
            yield line
            yield "\\ No newline at end of file"


def _lines(data: bytes) -> list[str]:
    lines = data.decode("utf-8").split("\n")
    return [f"{line}\n" for line in lines[:-1]] + ([lines[-1]] if lines[-1] else [])
