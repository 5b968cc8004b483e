"""All storage of one process: a path finds its adapter by what it begins with."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from flowlord.storage.address import is_remote, is_wild
from flowlord.storage.local import LocalStore, paths_of
from flowlord.storage.port import Access, Listed, Missing, Store
from flowlord.storage.text import lines, skipped, unpacked

if TYPE_CHECKING:
    from flowlord.storage.remote import RemoteStore

MAX_META_FILE_BYTES = 64 << 20


class Storage:
    """Local files and buckets alike; one object serves all threads of a process.

    What buckets need is loaded when the first of them is asked for; without it, that is an Unavailable which tells what
    to install.
    """

    def __init__(self, access: Access | None = None) -> None:
        self._access = access or Access()
        self._local = LocalStore()
        self._remote: RemoteStore | None = None
        self._lock = threading.Lock()

    def store_of(self, path: str) -> Store:
        """Return the adapter that has a path; raises Unavailable when what it needs is not installed."""
        if not is_remote(path):
            return self._local
        with self._lock:
            if self._remote is None:
                from flowlord.storage.remote import RemoteStore

                self._remote = RemoteStore(self._access)
            return self._remote

    def list(self, pattern: str) -> Iterator[Listed]:
        """See Store."""
        return self.store_of(pattern).list(pattern)

    def stat(self, path: str) -> Listed:
        """See Store."""
        return self.store_of(path).stat(path)

    def read(self, path: str, limit: int = MAX_META_FILE_BYTES) -> tuple[bytes, str]:
        """See Store."""
        return self.store_of(path).read(path, limit)

    def chunks(self, path: str, offset: int = 0, version: str = "") -> Iterator[bytes]:
        """See Store."""
        return self.store_of(path).chunks(path, offset, version)

    def write(self, path: str, data: bytes, *, if_absent: bool = False, if_version: str = "") -> str:
        """See Store."""
        return self.store_of(path).write(path, data, if_absent=if_absent, if_version=if_version)

    def delete(self, path: str) -> None:
        """See Store."""
        self.store_of(path).delete(path)

    def lines(
        self, path: str, offset: int = 0, version: str = "", limit: int = MAX_META_FILE_BYTES
    ) -> Iterator[tuple[str, int]]:
        """Yield each line of a text file with its end, and the byte offset behind it, without holding the file whole.

        What a name ending in `.gz` holds is unpacked, and offsets are those of the text inside: going on from one
        reads the packed file from its beginning and drops what comes before.

        Args:
            offset: where to begin; one that was yielded before.
            version: which the file must have; empty takes what there is.
            limit: bytes of text in the whole file; 0 is no limit.
        Raises:
            Changed: the file has another version, or gets one while it is read.
            Unavailable: unreadable, not UTF-8, damaged, or beyond the limit.
        """
        if path.endswith(".gz"):
            text = skipped(unpacked(self.chunks(path, 0, version), path), offset, path)
        else:
            text = self.chunks(path, offset, version)
        return lines(text, path, offset, limit)

    def paths(self, pattern: str) -> Sequence[Listed]:
        """Return the files that the path or glob of a meta-file names, in name order.

        Raises:
            Missing: there is none.
        """
        if not is_remote(pattern):
            return [self.stat(path) for path in paths_of(pattern)]
        if is_wild(pattern):
            found = sorted(self.list(pattern), key=lambda each: each.path)
        else:
            found = [self.stat(pattern)]
        if not found:
            raise Missing(f"no files found for {pattern}")
        return found
