"""Files of this machine."""

from __future__ import annotations

import glob
import gzip
import io
import os
import stat
import zlib
from collections.abc import Iterator

MAX_META_FILE_BYTES = 64 << 20


class Unavailable(OSError):
    """A file that cannot be read; the text names it and tells why."""


def paths_of(pattern: str) -> list[str]:
    """Return the files that a path or glob names, in name order; relative ones from the working directory.

    Hidden files match a star, folders never do, `**` is a star like any other (docs/reference.md, "Batches").

    Raises:
        Unavailable: there is none.
    """
    plain = pattern.removeprefix("file://")
    listed = [plain] if os.path.lexists(plain) else sorted(glob.glob(plain, include_hidden=True))
    found = [path for path in listed if not os.path.isdir(path)]
    if not found:
        raise Unavailable(f"no files found for {pattern}")
    return found


def lines_of(path: str, limit: int = MAX_META_FILE_BYTES) -> Iterator[str]:
    """Yield the lines of a text file, unpacked when its name ends in `.gz`, without holding it whole.

    Raises:
        Unavailable: no regular file, unreadable, not UTF-8, or more than `limit` bytes once unpacked.
    """
    try:
        # Not blocking, so that a pipe with no writer cannot hang the daemon; the check below then refuses it.
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError as error:
        raise Unavailable(f"{path} cannot be read: {error.strerror}") from error
    with os.fdopen(descriptor, "rb") as raw:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise Unavailable(f"{path} is no regular file")
        packed = gzip.GzipFile(fileobj=raw) if path.endswith(".gz") else raw
        read = 0
        try:
            with io.TextIOWrapper(packed, encoding="utf-8", newline="\n") as lines:
                for line in lines:
                    read += len(line)
                    if read > limit:
                        raise Unavailable(f"{path} holds more than {limit >> 20} MiB")
                    yield line
        except Unavailable:
            raise
        except (UnicodeDecodeError, EOFError, OSError, zlib.error) as error:
            raise Unavailable(f"{path} cannot be read: {error}") from error
