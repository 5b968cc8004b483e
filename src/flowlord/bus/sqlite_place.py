"""Where the file of a SQLite bus may lie, and whether it is still the one that was opened.

SQLite's promises rest on the file system: locks that hold between processes, one name per file. Nothing here opens
an existing database file: any close of it in this process would drop SQLite's locks (docs/hazards.md SQ-7).
"""

from __future__ import annotations

import os
import re
import stat

import msgspec

from flowlord.model.errors import BusUnusable

MOUNTS = "/proc/self/mountinfo"
# Locks or shared memory do not hold on these: SQ-14.
SHARED = re.compile(
    r"nfs\d?|cifs|smb\d?|smbfs|9p|fuse.*|virtiofs|ceph|afs|ncpfs?|lustre|gpfs|beegfs|glusterfs|orangefs"
)
_ESCAPED = r"\\([0-7]{3})"
_MOVE = "put it on a local disk: --bus sqlite:////path/on/a/local/disk/bus.db"


class Mount(msgspec.Struct, frozen=True, order=True):
    """A file system where it is mounted; no other mount has the kernel's `number` of it while a call hangs there."""

    point: str
    kind: str
    number: int = 0


class Place(msgspec.Struct, frozen=True):
    """The real path of the file, and which file that was when it was opened."""

    path: str
    device: int
    inode: int

    def check(self) -> None:
        """Raise BusUnusable when the path leads to another file by now (SQ-15)."""
        try:
            found = os.stat(self.path)
        except FileNotFoundError:
            raise BusUnusable(
                f"{self.path} was removed while it was in use",
                hint="stop every flowlord process that uses it, and start again",
            ) from None
        if (found.st_dev, found.st_ino) != (self.device, self.inode):
            raise BusUnusable(
                f"{self.path} was replaced by another file while it was in use",
                hint="stop every flowlord process that uses it, and start again",
            )


def settle(path: str | os.PathLike[str], *, mounts: str | os.PathLike[str] = MOUNTS) -> Place:
    """Resolve `path` once, make folder and file for their owner only when they are missing, and refuse unsafe places.

    Raises:
        BusUnusable: a network file system, a file with two names, no regular file, a log without its file, or no
            right to make it.
    """
    real = os.path.realpath(
        path
    )  # once: a journal must lie beside its database whatever links do later (SQ-16)
    folder = os.path.dirname(real)
    try:
        os.makedirs(folder, mode=0o700, exist_ok=True)
        kind = file_system(folder, mounts)
        if SHARED.fullmatch(kind):
            raise BusUnusable(
                f"{real} lies on a network file system ({kind}), where locks do not hold", hint=_MOVE
            )
        _refuse_a_log_alone(real)
        try:
            os.close(os.open(real, os.O_CREAT | os.O_EXCL | os.O_RDWR | os.O_CLOEXEC, 0o600))
        except FileExistsError:
            pass  # made before, or by another process just now: not opened here
        found = os.stat(real)
    except OSError as error:
        raise BusUnusable(
            f"{real} cannot be used as a bus: {error.strerror}", hint="check the path and its rights"
        ) from error
    if not stat.S_ISREG(found.st_mode):
        raise BusUnusable(f"{real} is no regular file", hint="name another file with --bus")
    if found.st_nlink > 1:
        raise BusUnusable(
            f"{real} has {found.st_nlink} names (hard links): its journal would be cut off from it",
            hint=f"find them with: find / -xdev -inum {found.st_ino}",
        )
    return Place(real, found.st_dev, found.st_ino)


def _refuse_a_log_alone(real: str) -> None:
    """Keep what a file's log holds when the file was moved away from it: the engine would begin both anew."""
    log = f"{real}-wal"
    try:
        held = os.stat(log).st_size  # before the file is looked for: who makes both makes the file first
    except FileNotFoundError:
        return
    if held and not os.path.exists(real):
        raise BusUnusable(
            f"{real} is gone, but its log, {log}, is there and may hold its newest commits",
            hint=f"stop every flowlord process that uses it and put the file back; for an empty bus: rm {log}",
        )


def file_system(folder: str, mounts: str | os.PathLike[str] = MOUNTS) -> str:
    """Return the type of the file system that holds `folder`; empty where the system does not tell."""
    longest, kind = -1, ""
    for mount in mount_points(mounts):
        # Of two mounts at one point the later one covers the earlier.
        if len(mount.point) >= longest and os.path.commonpath([mount.point, folder]) == mount.point:
            longest, kind = len(mount.point), mount.kind
    return kind


def mount_points(mounts: str | os.PathLike[str] = MOUNTS) -> list[Mount]:
    """Return what is mounted, in the order in which it was; nothing where the system does not tell."""
    try:
        with open(mounts, encoding="utf-8", errors="surrogateescape", newline="\n") as file:
            lines = file.readlines()  # names may hold all other ends of lines that Python knows
    except OSError:
        return []
    found = []
    for line in lines:
        # 36 35 98:0 /root /mount/point rw,noatime shared:1 - ext4 /dev/vda rw
        left, _, right = line.partition(" - ")
        number, *_, written = left.split(" ")[:5]
        point = re.sub(_ESCAPED, lambda found: chr(int(found[1], 8)), written)
        found.append(Mount(point, right.split(" ", 1)[0], int(number)))
    return found


def uri(path: str) -> str:
    """Return a path as an address that SQLite takes (sqlite.org/uri.html, 3.1)."""
    return f"file:{path.replace('%', '%25').replace('?', '%3f').replace('#', '%23')}"
