"""Which folders lie on which network mount, told without touching any: one that hangs holds up whoever looks at it."""

from __future__ import annotations

import os
import stat
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from hashlib import blake2b
from typing import Final

from flowlord.bus.sqlite_place import Mount, mount_points
from flowlord.watch.local import SILENT

AUTOFS: Final = "autofs"
MOST_LINKS: Final = 40
"""Links that are followed on the way to one folder, as the system does."""


@dataclass(slots=True)
class Mounts:
    """The network mounts of this machine; `turn` counts how often they, or links to them, changed."""

    table: Callable[[], Iterable[Mount]] = mount_points
    turn: int = 0
    _at: dict[str, Mount] = field(default_factory=dict)
    _silent: frozenset[Mount] = frozenset()

    def __post_init__(self) -> None:
        self.refresh()

    def refresh(self) -> None:
        """Take up what is mounted now."""
        # Of two at one point the later covers the earlier.
        self._at = {mount.point: mount for mount in self.table()}
        silent = frozenset(mount for mount in self._at.values() if SILENT.fullmatch(mount.kind))
        if silent != self._silent:
            self._silent = silent
            self.turn += 1

    def has(self, mount: Mount) -> bool:
        """Tell whether a mount that `of` returned is still there, and no other in its place."""
        return self.of(mount.point) == mount

    def of(self, folder: str) -> Mount | None:
        """Return the network mount that a folder lies on, links followed; None for a disk of this machine.

        Below an autofs each name counts as one, until something is mounted there: even lstat waits for its daemon.
        """
        if not self._silent:
            return None
        table = self._at  # as it is now: another thread may take up a new one meanwhile
        path, links = os.path.abspath(folder), MOST_LINKS
        while True:
            at, auto = "", None
            for name in path.split("/")[1:]:
                at = f"{at}/{name}"
                if (mount := table.get(at)) is not None:
                    auto = mount if mount.kind == AUTOFS else None
                    if auto is None and SILENT.fullmatch(mount.kind):
                        return mount
                elif auto is not None and auto.point in table:
                    auto = Mount(at, AUTOFS, auto.number)
                if auto is not None:
                    continue
                link = _link_at(at)
                if link is not None and links:
                    links -= 1
                    path = os.path.normpath(os.path.join(os.path.dirname(at), link) + path[len(at) :])
                    break
            else:
                return auto


@dataclass(frozen=True, slots=True)
class Share:
    """The folders of one loop: those on one mount, or with none those on disks of this machine."""

    mounts: Mounts
    mount: Mount | None = None

    @property
    def name(self) -> str:
        """Return a name that differs from those of other shares."""
        if self.mount is None:
            return "folder"
        told = os.fsencode(f"{self.mount.number} {self.mount.kind} {self.mount.point}")
        return f"folder-{blake2b(told, digest_size=4).hexdigest()}"

    @property
    def turn(self) -> int:
        """Return what changes when folders may have another share than before."""
        return self.mounts.turn

    @property
    def tells(self) -> bool:
        """Whether this is the one of all shares that tells what nobody watches."""
        return self.mount is None

    def holds(self, folder: str) -> bool:
        """Tell whether a folder is in this share."""
        return self.mounts.of(folder) == self.mount


def _link_at(path: str) -> str | None:
    try:
        return os.readlink(path) if stat.S_ISLNK(os.lstat(path).st_mode) else None
    except (OSError, ValueError):
        return None
