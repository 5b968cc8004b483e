"""Workflow files of this machine: the only module of this room that touches the file system."""

from __future__ import annotations

import errno
import os
import stat as mode
from collections.abc import Iterator
from itertools import islice
from typing import Final

from flowlord.spec.codes import problem
from flowlord.spec.source import MAX_BYTES
from flowlord.spec.tree import MAX_ENTRIES, Found, Place, Stamp

MAX_FOLDERS: Final = 32  # in each other


class DiskTree:
    """A file, or all below a folder; see Tree."""

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.path = os.fspath(path)

    def find(self) -> Found:
        """See Tree."""
        found = Found()
        if "\0" in self.path:
            raise FileNotFoundError(errno.ENOENT, "a NUL is in no file name", self.path)
        status = os.stat(self.path)
        if not mode.S_ISDIR(status.st_mode):
            found.take_alone(os.path.basename(self.path), Place(self.path, _stamp_of(status)))
            return found
        above = frozenset({(status.st_dev, status.st_ino)})
        for name, place, regular in _walk(self.path, "", above, found):
            found.take(name, place, regular=regular)
            if found.is_full(self.path):
                break
        return found

    def read(self, place: Place, before: Stamp | None) -> tuple[Stamp, bytes | None]:
        """See Tree."""
        # Neither a pipe nor a device may hold us up, so nothing is opened for good before it is known to be a file.
        try:
            handle = os.open(place.path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        except FileNotFoundError as error:
            if os.path.islink(place.path):
                raise OSError(errno.ENOENT, "it is a link to a file that is not there") from error
            raise
        try:
            status = os.fstat(handle)
            if not mode.S_ISREG(status.st_mode):
                raise OSError(errno.EINVAL, "it is no regular file")
            now = _stamp_of(status)
            return now, None if now == before else _read_all(handle)
        finally:
            os.close(handle)


def _read_all(handle: int) -> bytes:
    """Return the bytes of a file, up to one more than is taken."""
    parts: list[bytes] = []
    left = MAX_BYTES + 1
    while left and (part := os.read(handle, left)):
        parts.append(part)
        left -= len(part)
    return b"".join(parts)


def _stamp_of(status: os.stat_result) -> Stamp:
    return status.st_size, status.st_mtime_ns, status.st_ino


def _walk(
    folder: str, prefix: str, above: frozenset[tuple[int, int]], found: Found
) -> Iterator[tuple[str, Place, bool]]:
    """Yield name, place and whether it is a file to be read for all that lies below a folder, sorted.

    Links are followed; a folder that is met inside itself is not entered again.
    """
    try:
        with os.scandir(folder) as entries:
            listed = sorted(islice(entries, MAX_ENTRIES), key=lambda entry: entry.name)
    except OSError as error:
        if not prefix:
            raise
        found.problems.append(problem("FL001", folder, text=f"cannot be read: {error.strerror or error}"))
        found.unlisted.append(prefix)
        return
    for entry in listed:
        found.entries += 1
        if found.entries > MAX_ENTRIES:
            if found.entries == MAX_ENTRIES + 1:
                text = f"the folder holds more than {MAX_ENTRIES:,} files; the rest is left out"
                found.problems.append(problem("FL003", folder, text=text))
            return
        name = prefix + entry.name
        if entry.name.startswith("."):
            if not entry.is_dir():
                yield name, Place(entry.path, None), False
            continue
        try:
            status = entry.stat()
        except OSError as error:
            # What is gone since it was listed is none; a link to nowhere is a file that cannot be read.
            is_gone = isinstance(error, FileNotFoundError) and not entry.is_symlink()
            yield name, Place(entry.path, None), not is_gone
            continue
        if not mode.S_ISDIR(status.st_mode):
            yield name, Place(entry.path, _stamp_of(status)), mode.S_ISREG(status.st_mode)
            continue
        here = (status.st_dev, status.st_ino)
        if here not in above and len(above) <= MAX_FOLDERS:
            yield from _walk(entry.path, f"{name}/", above | {here}, found)
