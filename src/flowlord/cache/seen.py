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
    "in_groups",
)
MATCHED = ("started", "counted", "waits", "known")


class SeenFile(msgspec.Struct, frozen=True):
    """A file as it was told; times in microseconds since 1970, `names`, `keys` and `groups` with commas between."""

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
    groups: str = ""


class FileFilter(msgspec.Struct, frozen=True):
    """Which files are wanted; what is empty does not matter.

    `matched` is True for those that started something or wait to, False for those that did not; `fits` judges paths,
    `judged` all that was told of a file.
    """

    since_us: int = 0
    until_us: int = 0
    matched: bool | None = None
    fits: Callable[[str], bool] | None = None
    judged: Callable[[SeenFile], bool] | None = None

    def accepts(self, found: SeenFile) -> bool:
        """Return whether a file in hand is wanted."""
        return (
            self.since_us <= found.at_us
            and (not self.until_us or found.at_us < self.until_us)
            and self.matched in (None, found.state in MATCHED)
            and (self.fits is None or self.fits(found.path))
            and (self.judged is None or self.judged(found))
        )


class _Starts:
    """The starts of groups, met from the newest on: the last one met before a file that counted is its own."""

    def __init__(self) -> None:
        self._of: dict[str, SeenFile] = {}

    def applied(self, found: SeenFile) -> SeenFile:
        """Return a file as it is by now: one that only counted when it came has started when its group has."""
        groups = found.groups.split(",") if found.groups else []
        if found.state == "started":
            self._of.update(dict.fromkeys(groups, found))
        if found.state != "counted":
            return found
        starts = list({self._of[each].keys: self._of[each] for each in groups if each in self._of}.values())
        if not starts:
            return found
        names = ",".join(each.names for each in starts)
        return msgspec.structs.replace(
            found,
            state="started",
            tasks=sum(each.tasks for each in starts),
            names=names,
            keys=",".join(each.keys for each in starts),
            text=f"{found.text}; its group started {names.replace(',', ', ') or 'a batch'}",
        )


_SELECT = f"SELECT {', '.join(FIELDS)} FROM files WHERE"
_STARTS = f"{_SELECT} in_groups <> '' AND state = 'started' AND at_us >= ? ORDER BY n DESC"


def versions(history: History, path: str, limit: int) -> list[SeenFile]:
    """Return what was told of one path, the last first."""
    newer = [SeenFile(*row) for row in reversed(history.newer_files)]
    sql = f"{_SELECT} path = ? ORDER BY n DESC LIMIT ?"
    stored = [SeenFile(*row) for row in history.rows(sql, (known_text(path), limit))]
    starts = _Starts()
    if counted := [each.at_us for each in stored if each.groups]:
        sql = f"{_SELECT} path = ? OR in_groups <> '' AND state = 'started' AND at_us >= ? ORDER BY n DESC"
        stored = [SeenFile(*row) for row in history.rows(sql, (known_text(path), min(counted)))]
    return [each for each in map(starts.applied, [*newer, *stored]) if each.path == path][:limit]


def files(history: History, wanted: FileFilter) -> Iterator[SeenFile]:
    """Yield the files that are wanted, what was seen last first."""
    starts = _Starts()
    for row in reversed(history.newer_files):
        if wanted.accepts(found := starts.applied(SeenFile(*row))):
            yield found
    conditions, values = ["at_us >= ?"], [wanted.since_us]
    if wanted.until_us:
        conditions.append("at_us < ?")
        values.append(wanted.until_us)
        for row in history.rows(_STARTS, [wanted.until_us]):
            starts.applied(SeenFile(*row))
    sql = f"{_SELECT} {' AND '.join(conditions)} ORDER BY n DESC"
    for row in history.rows(sql, values):
        if wanted.accepts(found := starts.applied(SeenFile(*row))):
            yield found
