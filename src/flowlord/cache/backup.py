"""Backups of the history in a place of their own: made whole or not at all, listed, checked, the oldest taken away.

PLACE/20260801T020000Z-1f2e3d4c/00001.gz, 00002.gz, ..., manifest.json

Parts are written first and the manifest last, under a name that nobody had before. So whatever stops an upload leaves a
folder without a manifest, which is no backup and goes a day later.
"""

from __future__ import annotations

import gzip
import hashlib
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from datetime import datetime, timedelta
from pathlib import Path
from typing import Final

import msgspec

from flowlord.cache.manifest import FILE, MOST_BYTES, Damaged, Manifest, Part, is_name, made_at, name_of
from flowlord.cache.schema import CacheUnusable
from flowlord.cache.snapshot import About
from flowlord.model.crashpoint import crashpoint
from flowlord.storage.address import is_remote, local_path
from flowlord.storage.open import Storage
from flowlord.storage.port import Conflict, Listed, Missing, Unavailable

PART_BYTES: Final = 16 << 20
"""Of the file; packed it is a sixth of that, which a slow line carries within the limit of one request."""
AT_ONCE: Final = 2
LEVEL: Final = 1  # of gzip: twice as fast as 6, a tenth larger
HALF_KEPT: Final = timedelta(days=1)
"""How long what was begun and not ended may lie there: somebody may still be at it."""


class Generation(msgspec.Struct, frozen=True):
    """One backup as a listing shows it; `size` is of all that lies there."""

    name: str
    files: int
    size: int


class Place:
    """Where backups lie.

    A path that ends in `.db`, which is how a backup was named when it was one file, means a folder beside it.
    """

    def __init__(self, storage: Storage, path: str) -> None:
        self.storage = storage
        plain = path.rstrip("/")
        self.path = f"{plain}.backups" if plain.endswith(".db") else plain

    def generations(self) -> list[Generation]:
        """Return the backups, the newest first; raises CacheUnusable when the place cannot be listed."""
        return [each for each, is_whole in self._found() if is_whole]

    def holds(self, name: str) -> bool:
        """Return whether anything lies there under that name, whole or not; raises CacheUnusable as `generations`."""
        return any(each.name == name for each, _ in self._found())

    def manifest(self, name: str) -> Manifest:
        """Return what a backup says of itself.

        Raises:
            Damaged: it cannot be used.
            CacheUnusable: the place is out of reach.
        """
        path = f"{self.path}/{name}/{FILE}"
        try:
            data, _ = self.storage.read(path, MOST_BYTES)
        except Missing as error:
            raise Damaged("it has no manifest") from error
        except Unavailable as error:
            if any(each.path == path and each.size > MOST_BYTES for each in self._listed(path)):
                raise Damaged(f"its manifest has more than {MOST_BYTES:,} bytes") from error
            raise CacheUnusable(f"a backup cannot be read: {error}") from error
        return Manifest.decode(data)

    def _listed(self, path: str) -> list[Listed]:
        try:
            return list(self.storage.list(path))
        except Unavailable:
            return []

    def write(
        self, copy: Path, check: Callable[[], About], made: datetime, token: str, by: str, version: str,
        told: Callable[[int], None] = lambda _: None,
    ) -> tuple[str, Manifest]:  # fmt: skip
        """Upload a copy; returns its name and manifest.

        Args:
            check: tells what the copy holds, or raises CacheUnusable; waited for before the manifest is written.
            token: eight hexadecimal digits that nobody else draws.
            told: hears how many bytes of the file are there, part by part.
        Raises:
            CacheUnusable: something could not be written; what was begun is no backup.
        """
        name = name_of(made, token)
        whole = hashlib.sha256()
        try:
            parts = tuple(self._parts(copy, name, whole.update, told))
            crashpoint("backup.packed")
            self._compare(name, parts)
            about = self._checked(name, check)
            manifest = Manifest(
                int(made.timestamp() * 1e6), by, version, about.tables, sum(part.size for part in parts),
                whole.hexdigest(), about.rows, about.seq, about.generation, parts,
            )  # fmt: skip
            self._publish(f"{self.path}/{name}/{FILE}", manifest.encode())
        except OSError as error:  # Unavailable is one
            raise CacheUnusable(f"the backup to {self.path} failed: {error}") from error
        return name, manifest

    def _checked(self, name: str, check: Callable[[], About]) -> About:
        try:
            return check()
        except CacheUnusable:
            with suppress(CacheUnusable):  # a half is none, and goes a day later
                self.drop(name)
            raise

    def keep(self, count: int, now: datetime) -> list[str]:
        """Take away all but the newest `count` backups, and old halves; returns the names of what went.

        One whose manifest cannot be read is not counted among the newest, and goes with those that are older than they.

        Raises:
            CacheUnusable: the place cannot be listed, or does not let anything go.
        """
        gone: list[str] = []
        whole = 0
        for each, is_whole in self._found():
            if whole >= count if is_whole else made_at(each.name) < now - HALF_KEPT:
                self.drop(each.name)
                gone.append(each.name)
            elif is_whole:
                whole += self._is_readable(each.name)
        return gone

    def _is_readable(self, name: str) -> bool:
        try:
            self.manifest(name)
        except Damaged:
            return False
        return True

    def drop(self, name: str) -> None:
        """Take one backup away, its manifest first: a half of it is none."""
        try:
            self.storage.delete(f"{self.path}/{name}/{FILE}")
            crashpoint("backup.unlisted")
            for listed in list(self.storage.list(f"{self.path}/{name}/")):
                self.storage.delete(listed.path)
            if not is_remote(self.path):
                Path(local_path(self.path), name).rmdir()
        except Missing:
            return
        except OSError as error:
            raise CacheUnusable(f"an old backup cannot be taken away: {error}") from error

    def unpacked(self, name: str, manifest: Manifest) -> Iterator[bytes]:
        """Yield the file of a backup, each part checked.

        Raises:
            Damaged: a part is missing or is another one.
            CacheUnusable: the place is out of reach.
        """
        whole = hashlib.sha256()
        for part in manifest.parts:
            path = f"{self.path}/{name}/{part.name}"
            try:
                data, _ = self.storage.read(path, part.packed)
            except Missing as error:
                raise Damaged(f"its part {part.name} is missing") from error
            except Unavailable as error:
                if "holds more than" in str(error):
                    raise Damaged(f"its part {part.name} is longer than it was") from error
                raise CacheUnusable(f"a backup cannot be read: {error}") from error
            if hashlib.sha256(data).hexdigest() != part.sha256:
                raise Damaged(f"its part {part.name} is not what was written")
            plain = _unzipped(data, part)
            whole.update(plain)
            yield plain
        if whole.hexdigest() != manifest.sha256:
            raise Damaged("its parts are right, and together they are another file")

    def _found(self) -> list[tuple[Generation, bool]]:
        files: dict[str, list[Listed]] = {}
        try:
            for listed in self.storage.list(f"{self.path}/"):
                name, _, rest = listed.path[len(self.path) + 1 :].partition("/")
                if is_name(name) and rest and "/" not in rest:
                    files.setdefault(name, []).append(listed)
        except Unavailable as error:
            if is_remote(self.path) or not isinstance(error, Missing):  # a folder is made by the first backup
                raise CacheUnusable(f"backups cannot be listed: {error}") from error
        return [
            (
                Generation(name, len(files[name]), sum(each.size for each in files[name])),
                any(each.path.endswith(f"/{FILE}") for each in files[name]),
            )
            for name in sorted(files, reverse=True)
        ]

    def _parts(
        self, copy: Path, name: str, hashed: Callable[[bytes], object], told: Callable[[int], None]
    ) -> Iterator[Part]:
        """Pack and write part by part, a few at a time, in their order."""
        waiting: deque[Future[Part]] = deque()
        done = number = 0
        with copy.open("rb") as file, ThreadPoolExecutor(AT_ONCE, "flowlord-backup") as threads:
            try:
                while True:
                    while len(waiting) <= AT_ONCE and (data := file.read(PART_BYTES)):
                        number += 1
                        hashed(data)
                        waiting.append(threads.submit(self._write_part, name, number, data))
                    if not waiting:
                        return
                    part = waiting.popleft().result()
                    done += part.size
                    told(done)
                    yield part
            finally:
                threads.shutdown(cancel_futures=True)

    def _write_part(self, name: str, number: int, data: bytes) -> Part:
        packed = gzip.compress(data, LEVEL, mtime=0)
        part = Part(f"{number:05}.gz", len(data), len(packed), hashlib.sha256(packed).hexdigest())
        crashpoint("backup.part.before")
        self.storage.write(f"{self.path}/{name}/{part.name}", packed)
        crashpoint("backup.part.after")
        return part

    def _compare(self, name: str, parts: tuple[Part, ...]) -> None:
        """See that what was written is listed, and as long as it was."""
        there = {
            each.path.rpartition("/")[2]: each.size for each in self.storage.list(f"{self.path}/{name}/")
        }
        for part in parts:
            if there.get(part.name) != part.packed:
                raise Unavailable(f"{self.path}/{name}/{part.name} is not there as it was written")

    def _publish(self, path: str, data: bytes) -> None:
        crashpoint("backup.manifest.before")
        try:
            self.storage.write(path, data, if_absent=True)
            crashpoint("backup.manifest.after")
        except Conflict:
            # The client sends a request again whose answer was lost, and then finds what it wrote itself.
            if self.storage.read(path, MOST_BYTES)[0] != data:
                raise


def _unzipped(data: bytes, part: Part) -> bytes:
    import io
    import zlib

    try:
        with gzip.GzipFile(fileobj=io.BytesIO(data)) as file:
            plain = file.read(part.size + 1)  # no more, whatever it says
    except (OSError, EOFError, zlib.error) as error:
        raise Damaged(f"its part {part.name} cannot be unpacked: {error}") from error
    if len(plain) != part.size:
        raise Damaged(f"its part {part.name} has another length unpacked")
    return plain
