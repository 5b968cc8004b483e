"""Listing the folders below which patterns look, bit by bit and without following links out of them."""

from __future__ import annotations

import os
import stat
from collections.abc import Callable, Iterator, Sequence

from flowlord.rules.globs import Glob
from flowlord.watch.sighting import Look, Sighting


class Folders:
    """What lies below one root and may fit one of the patterns.

    Args:
        root: ends in a slash, or is empty for the working directory.
        globs: patterns that begin with it.
    """

    def __init__(self, root: str, globs: Sequence[Glob]) -> None:
        self.root = root
        self._globs = tuple(globs)
        self._real = ""
        self._hidden = any("/." in "/" + glob.pattern[len(root) :] for glob in globs)

    @property
    def path(self) -> str:
        """The root as the system takes it."""
        return self.root or "."

    def enters(self, folder: str) -> bool:
        """Tell whether something below `folder`, which ends in a slash, may be of interest."""
        if not self._hidden and "/." in "/" + folder[len(self.root) :]:
            return False  # nobody waits for files in hidden folders unless the pattern says so
        return any(glob.leads_into(folder) for glob in self._globs)

    def look(self, path: str) -> Look | None:
        """Return what a file looks like now; None when it is gone, no regular file, or a link out of the root."""
        try:
            found = os.lstat(path)
            if stat.S_ISLNK(found.st_mode):
                if not self._is_inside(path):
                    return None
                found = os.stat(path)
        except (OSError, ValueError):
            return None
        if not stat.S_ISREG(found.st_mode):
            return None
        return Look(found.st_size, f"{found.st_size}-{found.st_mtime_ns}", found.st_ino)

    def is_linked(self, path: str) -> bool:
        """Tell whether a file is a link, or has several names: such are made in one step, and nobody closes them."""
        try:
            found = os.lstat(path)
        except (OSError, ValueError):
            return False
        return stat.S_ISLNK(found.st_mode) or found.st_nlink > 1

    def walk(
        self,
        folder: str,
        enter: Callable[[str], None],
        unreadable: Callable[[str, OSError], None],
    ) -> Iterator[Sighting]:
        """Yield the files in and below `folder`, telling `enter` of each folder before it is listed.

        Links to folders are not followed, so there are no loops; neither are the same folders listed twice that are
        mounted in several places. A folder that vanishes meanwhile is passed over; one that cannot be read is told.
        """
        left, visited = [folder], set()
        while left:
            at = left.pop()
            try:
                enter(at)
                status = os.stat(at or ".")
                if (status.st_dev, status.st_ino) in visited:
                    continue
                visited.add((status.st_dev, status.st_ino))
                holds = any(glob.holds(at) for glob in self._globs)
                with os.scandir(at or ".") as entries:
                    for entry in entries:
                        path = at + entry.name
                        if entry.is_dir(follow_symlinks=False):
                            if self.enters(f"{path}/"):
                                left.append(f"{path}/")
                        elif holds and (look := self._look_at(entry, path)) is not None:
                            yield Sighting(path, look)
            except OSError as error:
                if at == folder == self.root or not isinstance(error, FileNotFoundError | NotADirectoryError):
                    unreadable(at, error)

    def holds(self, folder: str) -> bool:
        """Tell whether files directly in `folder` may be of interest."""
        return any(glob.holds(folder) for glob in self._globs)

    def _look_at(self, entry: os.DirEntry[str], path: str) -> Look | None:
        if entry.is_symlink():
            return self.look(path)
        try:
            found = entry.stat(follow_symlinks=False)
        except OSError:
            return None
        if not stat.S_ISREG(found.st_mode):
            return None
        return Look(found.st_size, f"{found.st_size}-{found.st_mtime_ns}", found.st_ino)

    def _is_inside(self, path: str) -> bool:
        self._real = self._real or os.path.realpath(self.path)
        real = os.path.realpath(path)
        return real.startswith(self._real.rstrip("/") + "/")
