"""Questions about files that were seen: what came, what it started, and what matched nothing."""
# ruff: noqa: S608 - statements are put together from names of ours only; every value is a parameter.

from __future__ import annotations

from collections.abc import Callable, Iterator

import msgspec

from flowlord.cache.filter import known_text
from flowlord.cache.queries import History

FIELDS = (
    "at_us",
    "path",
    "state",
    "size",
    "version",
    "moment",
    "source",
    "tasks",
    "names",
    "keys",
    "cause",
    "text",
)
MATCHED = ("started", "counted", "waits", "known")


class SeenFile(msgspec.Struct, frozen=True):
    """A file as it was told; times in microseconds since 1970, `names` and `keys` with commas between."""

    at_us: int
    path: str
    state: str
    size: int
    version: str
    moment: str
    source: str
    tasks: int
    names: str
    keys: str
    cause: str
    text: str


class FileFilter(msgspec.Struct, frozen=True):
    """Which files are wanted; what is empty does not matter.

    `matched` is True for those that started something or wait to, False for those that did not; `fits` judges paths.
    """

    since_us: int = 0
    until_us: int = 0
    matched: bool | None = None
    fits: Callable[[str], bool] | None = None

    def accepts(self, found: SeenFile) -> bool:
        """Return whether a file in hand is wanted."""
        return (
            self.since_us <= found.at_us
            and (not self.until_us or found.at_us < self.until_us)
            and self.matched in (None, found.state in MATCHED)
            and (self.fits is None or self.fits(found.path))
        )


def versions(history: History, path: str, limit: int) -> list[SeenFile]:
    """Return what was told of one path, the last first."""
    newer = [SeenFile(*row) for row in reversed(history.newer_files) if row[1] == path]
    sql = f"SELECT {', '.join(FIELDS)} FROM files WHERE path = ? ORDER BY n DESC LIMIT ?"
    stored = [SeenFile(*row) for row in history.rows(sql, (known_text(path), limit))]
    return [*newer, *stored][:limit]


def files(history: History, wanted: FileFilter) -> Iterator[SeenFile]:
    """Yield the files that are wanted, what was seen last first."""
    for row in reversed(history.newer_files):
        if wanted.accepts(found := SeenFile(*row)):
            yield found
    conditions, values = ["at_us >= ?"], [wanted.since_us]
    if wanted.until_us:
        conditions.append("at_us < ?")
        values.append(wanted.until_us)
    sql = f"SELECT {', '.join(FIELDS)} FROM files WHERE {' AND '.join(conditions)} ORDER BY n DESC"
    for row in history.rows(sql, values):
        if wanted.accepts(found := SeenFile(*row)):
            yield found
