"""Files of this machine."""

from __future__ import annotations

import errno
import glob
import os
import stat as mode
import tempfile
from collections.abc import Iterator

from flowlord.rules.errors import Unreadable
from flowlord.rules.globs import Glob
from flowlord.storage.address import fixed_part, is_wild, local_path
from flowlord.storage.port import Changed, Conflict, Listed, Missing, Unavailable

CHUNK_BYTES = 1 << 18


def paths_of(pattern: str) -> list[str]:
    """Return the files that the path or glob of a meta-file names, in name order, relative to the working folder.

    Hidden files match a star, folders never do, `**` is a star like any other (docs/reference.md, "Batches").

    Raises:
        Missing: there is none.
    """
    plain = local_path(pattern)
    listed = [plain] if os.path.lexists(plain) else sorted(glob.glob(plain, include_hidden=True))
    found = [path for path in listed if not os.path.isdir(path)]
    if not found:
        raise Missing(f"no files found for {pattern}")
    return found


class LocalStore:
    """Files below the root of this machine, or relative to the working folder; implements the port."""

    def list(self, pattern: str) -> Iterator[Listed]:
        """See the port. Links are followed, but no folder is entered inside of itself."""
        plain = local_path(pattern)
        prefix = pattern[: len(pattern) - len(plain)]
        if os.path.lexists(plain) or not is_wild(plain):
            yield from self._below(plain, prefix)
            return
        try:
            wanted = Glob.compile(plain)
        except Unreadable as error:
            raise Unavailable(str(error)) from error
        folder = fixed_part(plain)
        if not os.path.isdir(folder or "."):
            return
        deepest = None if "**" in plain or "[" in plain else plain.count("/") - folder.count("/")
        for path, status in _walk(folder, frozenset(), deepest):
            if wanted.matches(path):
                yield _listed(prefix + path, status)

    def _below(self, plain: str, prefix: str) -> Iterator[Listed]:
        status = _status(plain, prefix + plain)
        if not mode.S_ISDIR(status.st_mode):
            yield _listed(prefix + plain, status)
            return
        for path, each in _walk(plain if plain.endswith("/") else f"{plain}/", frozenset(), None):
            yield _listed(prefix + path, each)

    def stat(self, path: str) -> Listed:
        """See the port; a folder is none of its files."""
        status = _status(local_path(path), path)
        if mode.S_ISDIR(status.st_mode):
            raise Missing(f"{path} is a folder, not a file")
        return _listed(path, status)

    def read(self, path: str, limit: int) -> tuple[bytes, str]:
        """See the port."""
        with _Opened(path) as (handle, version):
            data = handle.read(limit + 1)
            if len(data) > limit:
                raise Unavailable(f"{path} holds more than {limit:,} bytes")
            handle.check()
        return data, version

    def chunks(self, path: str, offset: int = 0, version: str = "") -> Iterator[bytes]:
        """See the port. What replaces the file by its name is not read; what is written into it is noticed."""
        with _Opened(path) as (handle, now):
            if version and version != now:
                raise Changed(f"{path} has changed: it was version {version} and is {now}")
            handle.seek(offset)
            while part := handle.read(CHUNK_BYTES):
                yield part
            handle.check()

    def write(self, path: str, data: bytes, *, if_absent: bool = False, if_version: str = "") -> str:
        """See the port. Folders above are made; comparing with `if_version` and writing are two steps here."""
        plain = local_path(path)
        if if_version and (now := self.stat(path).version) != if_version:
            raise Conflict(f"{path} was to be version {if_version} and is {now}")
        folder = os.path.dirname(plain) or "."
        try:
            os.makedirs(folder, exist_ok=True)
            handle, part = tempfile.mkstemp(prefix=".flowlord-", suffix=".part", dir=folder)
            try:
                with os.fdopen(handle, "wb") as file:
                    file.write(data)
                    file.flush()
                    os.fsync(file.fileno())
                    version = version_of(os.fstat(file.fileno()))
                if if_absent:
                    os.link(part, plain)
                else:
                    os.replace(part, plain)
            finally:
                if os.path.lexists(part):
                    os.unlink(part)
        except FileExistsError as error:
            raise Conflict(f"{path} is there already") from error
        except OSError as error:
            raise Unavailable(f"{path} cannot be written: {error.strerror or error}") from error
        return version

    def delete(self, path: str) -> None:
        """See the port. A folder that is left empty stays."""
        try:
            os.unlink(local_path(path))
        except FileNotFoundError:
            pass
        except OSError as error:
            raise Unavailable(f"{path} cannot be taken away: {error.strerror or error}") from error


def version_of(status: os.stat_result) -> str:
    """Return what tells two contents of one path apart: size and time of change."""
    return f"{status.st_size}-{status.st_mtime_ns}"


class _Opened:
    """A file open for reading, and its version; one that no end of reading can be waited for is refused."""

    def __init__(self, path: str) -> None:
        self._path = path
        plain = local_path(path)
        try:
            # Not blocking, so that a pipe with no writer cannot hang the daemon; the check below then refuses it.
            self._handle = os.open(plain, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        except OSError as error:
            raise _reading(path, error) from error
        except ValueError as error:
            raise Missing(f"{path!r} is no name of a file: {error}") from error

    def __enter__(self) -> tuple[_Opened, str]:
        status = os.fstat(self._handle)
        if not mode.S_ISREG(status.st_mode):
            os.close(self._handle)
            raise Unavailable(f"{self._path} is no regular file")
        self._version = version_of(status)
        return self, self._version

    def __exit__(self, *_: object) -> None:
        os.close(self._handle)

    def seek(self, offset: int) -> None:
        os.lseek(self._handle, offset, os.SEEK_SET)

    def read(self, size: int) -> bytes:
        parts: list[bytes] = []
        try:
            while size and (part := os.read(self._handle, min(size, CHUNK_BYTES))):
                parts.append(part)
                size -= len(part)
        except OSError as error:
            raise _reading(self._path, error) from error
        return b"".join(parts)

    def check(self) -> None:
        """Raise Changed when the file was written to since it was opened."""
        now = version_of(os.fstat(self._handle))
        if now != self._version:
            raise Changed(
                f"{self._path} changed while it was read: it was version {self._version} and is {now}"
            )


def _walk(
    folder: str, above: frozenset[tuple[int, int]], deepest: int | None
) -> Iterator[tuple[str, os.stat_result]]:
    """Yield path and status of each file below a folder whose name ends in a slash, or is empty for the working one."""
    try:
        here = os.stat(folder or ".")
        if (here.st_dev, here.st_ino) in above:
            return
        with os.scandir(folder or ".") as entries:
            inner: list[str] = []
            for entry in entries:
                try:
                    status = entry.stat()
                except OSError:  # a link to nowhere, or gone since it was listed
                    continue
                if mode.S_ISDIR(status.st_mode):
                    inner.append(f"{folder}{entry.name}/")
                elif mode.S_ISREG(status.st_mode):
                    yield folder + entry.name, status
    except OSError as error:
        raise Unavailable(f"{folder or '.'} cannot be listed: {error.strerror or error}") from error
    if deepest != 0:
        for each in inner:
            yield from _walk(
                each, above | {(here.st_dev, here.st_ino)}, None if deepest is None else deepest - 1
            )


def _listed(path: str, status: os.stat_result) -> Listed:
    return Listed(path, status.st_size, version_of(status), status.st_mtime_ns // 1000)


def _status(plain: str, path: str) -> os.stat_result:
    try:
        return os.stat(plain)
    except OSError as error:
        raise _reading(path, error) from error
    except ValueError as error:  # a NUL
        raise Missing(f"{path!r} is no name of a file: {error}") from error


def _reading(path: str, error: OSError) -> Unavailable:
    kind = Missing if error.errno in (errno.ENOENT, errno.ENOTDIR) else Unavailable
    return kind(f"{path} cannot be read: {error.strerror}")
