"""Workflow files in a bucket, listed and read by what is handed in; names are keys below the path."""

from __future__ import annotations

import errno
from collections.abc import Iterator
from typing import Protocol

from flowlord.spec.codes import problem
from flowlord.spec.source import MAX_BYTES
from flowlord.spec.tree import MAX_ENTRIES, Found, Place, Stamp


class Listing(Protocol):
    """One file of a listing."""

    @property
    def path(self) -> str: ...
    @property
    def version(self) -> str: ...


class Files(Protocol):
    """What lists and reads, as `flowlord.storage` does; both raise OSError with the reason as its text."""

    def list(self, pattern: str, /) -> Iterator[Listing]: ...
    def read(self, path: str, limit: int, /) -> tuple[bytes, str]: ...


class BucketTree:
    """A file in a bucket, or all below a prefix; see Tree."""

    def __init__(self, path: str, files: Files) -> None:
        self.path = path
        self._files = files

    def find(self) -> Found:
        """See Tree. A prefix below which there is nothing at all is taken for one that is gone."""
        found = Found()
        folder = self.path if self.path.endswith("/") else f"{self.path}/"
        for each in self._files.list(self.path):
            found.entries += 1
            place = Place(each.path, each.version)
            if each.path == self.path:
                found.take_alone(each.path.rpartition("/")[2], place)
                return found
            if found.entries > MAX_ENTRIES:
                text = f"there are more than {MAX_ENTRIES:,} files; the rest is left out"
                found.problems.append(problem("FL003", self.path, text=text))
                break
            name = each.path.removeprefix(folder)
            folders = name.split("/")[:-1]
            if any(part.startswith(".") for part in folders):
                continue
            found.take(name, place, regular=not name.rpartition("/")[2].startswith("."))
            if found.is_full(self.path):
                break
        if not found.entries:
            raise FileNotFoundError(errno.ENOENT, f"there is nothing below {self.path}")
        return found

    def read(self, place: Place, before: Stamp | None) -> tuple[Stamp, bytes | None]:
        """See Tree."""
        if before is not None and place.stamp == before:
            return before, None
        data, version = self._files.read(place.path, MAX_BYTES + 1)
        return version, data
