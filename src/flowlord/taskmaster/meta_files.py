"""Meta-files as batches read them: rows from any place on, and whether a file is still the one that it was."""

from __future__ import annotations

from collections.abc import Iterator

from flowlord.decide.recipe import File
from flowlord.rules.errors import Unreadable
from flowlord.rules.rows import Placed, kind_of, rows_from
from flowlord.storage.address import is_remote
from flowlord.storage.open import Storage
from flowlord.storage.port import Unavailable


def rows_of_file(storage: Storage, file: File, offset: int = 0, line: int = 0) -> Iterator[Placed]:
    """Yield the rows of a file from a place on, each with the place behind it.

    Raises:
        Unavailable: it cannot be read, or has another version.
        Unreadable: a row that is none; the text names the file and the line.
    """
    try:
        yield from rows_from(
            lambda start: storage.lines(file.path, start, file.version, limit=0),
            kind_of(file.path),
            offset,
            line,
        )
    except Unreadable as error:
        raise type(error)(f"{file.path}: {error}") from None


def change_of(storage: Storage, file: File) -> str:
    """Tell how a file of this machine changed since it had the version of the batch; nothing when it did not.

    What a bucket gave us to read is one version until its end.
    """
    if is_remote(file.path):
        return ""
    try:
        now = storage.stat(file.path).version
    except Unavailable as error:
        return str(error)
    if now == file.version:
        return ""
    return f"{file.path} has changed: it was version {file.version} and is {now}"
