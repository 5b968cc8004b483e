"""Which folders lie on which network mount, told without touching any: one that hangs holds up whoever looks at it."""

from __future__ import annotations

import os
import stat
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from hashlib import blake2b
from typing import Final

from flowlord.bus.sqlite_place import mount_points
from flowlord.watch.local import SILENT

MOST_LINKS: Final = 40
"""Links that are followed on the way to one folder, as the system does."""


@dataclass(slots=True)
class Mounts:
    """The network mounts of this machine; `turn` counts how often they, or links to them, changed."""

    table: Callable[[], Iterable[tuple[str, str]]] = mount_points
    turn: int = 0
    _points: frozenset[str] = field(default_factory=frozenset)

    def __post_init__(self) -> None:
        self.refresh()

    def refresh(self) -> None:
        """Take up what is mounted now."""
        kinds = dict(self.table())  # of two at one point the later covers the earlier
        points = frozenset(point for point, kind in kinds.items() if SILENT.fullmatch(kind))
        if points != self._points:
            self._points = points
            self.turn += 1

    def of(self, folder: str) -> str:
        """Return the mount that a folder lies on, links followed; empty for a disk of this machine."""
        if not self._points:
            return ""
        path, links = os.path.abspath(folder), MOST_LINKS
        while True:
            at = ""
            for name in path.split("/")[1:]:
                at = f"{at}/{name}"
                if at in self._points:
                    return at
                link = _link_at(at)
                if link is not None and links:
                    links -= 1
                    path = os.path.normpath(os.path.join(os.path.dirname(at), link) + path[len(at) :])
                    break
            else:
                return ""


@dataclass(frozen=True, slots=True)
class Share:
    """The folders of one loop: those on the mount at `point`, or with none those on disks of this machine."""

    mounts: Mounts
    point: str = ""

    @property
    def name(self) -> str:
        """Return a name that differs from those of other shares."""
        if not self.point:
            return "folder"
        return f"folder-{blake2b(os.fsencode(self.point), digest_size=4).hexdigest()}"

    @property
    def turn(self) -> int:
        """Return what changes when folders may have another share than before."""
        return self.mounts.turn

    @property
    def tells(self) -> bool:
        """Whether this is the one of all shares that tells what nobody watches."""
        return not self.point

    def holds(self, folder: str) -> bool:
        """Tell whether a folder is in this share."""
        return self.mounts.of(folder) == self.point


def _link_at(path: str) -> str | None:
    try:
        return os.readlink(path) if stat.S_ISLNK(os.lstat(path).st_mode) else None
    except (OSError, ValueError):
        return None
