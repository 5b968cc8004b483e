"""Folders of this machine: what happens in them as it happens, and all of them listed again and again.

Whatever the kernel tells may be too late, too little or lost. So folders are listed at the start, every minute, when
they are new, and whenever there is doubt; where the kernel tells nothing they are only listed, more often.
"""

from __future__ import annotations

import errno
import os
import queue
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING

from flowlord.model.clock import Clock
from flowlord.rules.globs import Glob
from flowlord.watch.folders import Folders
from flowlord.watch.sighting import Look, Sighting

if TYPE_CHECKING:
    from flowlord.watch.inotify import Inotify

RESCAN_NS = 60_000_000_000
MISSING_NS = 2_000_000_000
"""How often a root is looked for that is not there."""
SHARE = 10
"""Listing takes at most one part in so many of the time, however long it takes."""
MOST_QUEUED = 200_000
SILENT = re.compile(
    r"nfs\d?|cifs|smb\d?|smbfs|9p|fuse.*|virtiofs|ceph|afs|ncpfs?|lustre|gpfs|beegfs|glusterfs|orangefs|vboxsf|prl_fs"
    r"|autofs"
)
"""File systems on which others write without our kernel hearing of it, or on which such ones are mounted when used."""


@dataclass(slots=True)
class Root:
    """One folder from which patterns start; `polled` tells why it is only listed, empty when events come too.

    `fault` is what is wrong with it now, `is_closed` whether it could not be listed at all, though it is there;
    `is_listed` whether it was listed once since this process began.
    """

    folders: Folders
    polled: str = ""
    fault: str = ""
    is_closed: bool = False
    next_ns: int = 0
    is_listed: bool = False
    was_there: bool = False
    entered: set[str] = field(default_factory=set)


@dataclass(frozen=True, slots=True)
class _Hint:
    folder: str
    name: str
    is_folder: bool
    opened: bool


class LocalWatch:
    """Watches all roots; to be used by one thread, which `wait`s, takes `hints`, and `scan`s what is due.

    Args:
        patterns: by root; each root ends in a slash or is empty.
        kind_of: returns the type of the file system that holds a folder.
        poll_ns: how often folders are listed of which the kernel tells nothing.
        events: without, everything is only listed.
    """

    def __init__(
        self,
        patterns: Mapping[str, Sequence[Glob]],
        clock: Clock,
        *,
        kind_of: Callable[[str], str],
        poll_ns: int,
        events: bool = True,
    ) -> None:
        self.roots = {root: Root(Folders(root, globs)) for root, globs in patterns.items()}
        self._clock = clock
        self._kind_of = kind_of
        self._poll_ns = poll_ns
        self._queue: queue.SimpleQueue[_Hint | None] = queue.SimpleQueue()
        self._taken: list[_Hint | None] = []  # what ended a wait: it came before all that is in the queue
        self._in_doubt = False
        self._inotify: Inotify | None = None
        self._no_events = "" if events else "events are switched off"
        self.overflows = 0

    def wait(self, seconds: float) -> None:
        """Wait until something happened, but no longer than that."""
        if self._taken:
            return
        try:
            self._taken.append(self._queue.get(timeout=max(seconds, 0.0)))
        except queue.Empty:
            return

    def wake(self) -> None:
        """End a `wait` in another thread."""
        self._queue.put(None)

    def hints(self, limit: int) -> Iterator[Sighting]:
        """Yield the files of which something was heard, at most about `limit`; the rest is kept."""
        for _ in range(limit):
            try:
                hint = self._taken.pop() if self._taken else self._queue.get_nowait()
            except queue.Empty:
                return
            if hint is not None:
                yield from self._heard(hint)

    def due(self, now_ns: int) -> list[Root]:
        """Return the roots that must be listed now."""
        if self._in_doubt:
            self._in_doubt = False
            self.overflows += 1
            return list(self.roots.values())
        return [root for root in self.roots.values() if root.next_ns <= now_ns]

    def next_ns(self) -> int | None:
        """Return when a root must be listed next."""
        return min((root.next_ns for root in self.roots.values()), default=None)

    def scan(self, root: Root) -> Iterator[Sighting]:
        """Yield every file below one root, having each folder watched before it is listed."""
        began_ns = self._clock.monotonic_ns()
        faults: list[str] = []
        missing: list[bool] = []  # for the root itself

        def unreadable(folder: str, error: OSError) -> None:
            if folder == root.folders.root:
                missing.append(isinstance(error, FileNotFoundError | NotADirectoryError))
            faults.append(f"{folder or '.'}: {error.strerror or error}")

        entered: set[str] = set()

        def enter(folder: str) -> None:
            entered.add(folder)
            self._watch(root, folder)

        if not root.polled and not root.was_there:
            root.polled = self._why_polled(root)
        yield from root.folders.walk(root.folders.root, enter, unreadable)
        root.entered = entered
        if self._inotify is not None:
            self._inotify.keep_only({folder for each in self.roots.values() for folder in each.entered})
        root.is_closed = False in missing
        self._listed(root, began_ns, gone=True in missing, faults=faults)

    def look(self, path: str) -> Look | None:
        """Return what a file looks like now; None when it is gone or none of ours."""
        for root in self.roots.values():
            if path.startswith(root.folders.root) and (found := root.folders.look(path)) is not None:
                return found
        return None

    def is_there(self, path: str) -> bool:
        """Tell whether there is anything at a path."""
        return os.path.lexists(path)

    def close(self) -> None:
        """Stop hearing."""
        if self._inotify is not None:
            self._inotify.close()

    def _listed(self, root: Root, began_ns: int, *, gone: bool, faults: list[str]) -> None:
        now_ns = self._clock.monotonic_ns()
        every_ns = MISSING_NS if gone else self._poll_ns if root.polled else RESCAN_NS
        root.next_ns = now_ns + max(every_ns, (now_ns - began_ns) * SHARE)
        if gone:
            root.fault = (
                f"the folder {root.folders.path} is gone"
                if root.was_there
                else f"there is no folder {root.folders.path} yet"
            )
            return
        root.fault = (
            f"cannot be read: {faults[0]}" + (f" (and {len(faults) - 1} more)" if len(faults) > 1 else "")
            if faults
            else ""
        )
        root.was_there = True
        root.is_listed = root.is_listed or not root.is_closed

    def _heard(self, hint: _Hint) -> Iterator[Sighting]:
        path = hint.folder + hint.name
        for root in self.roots.values():
            if hint.folder not in root.entered:
                continue
            if hint.is_folder:
                below = f"{path}/"
                if root.folders.enters(below):
                    yield from root.folders.walk(below, partial(self._enter, root), _pass_over)
                continue
            if not root.folders.holds(hint.folder) or (look := root.folders.look(path)) is None:
                continue
            opened = hint.opened and not root.folders.is_linked(path)
            yield Sighting(path, look, opened=opened, closed=not opened)
            return

    def _enter(self, root: Root, folder: str) -> None:
        root.entered.add(folder)
        self._watch(root, folder)

    def _watch(self, root: Root, folder: str) -> None:
        if root.polled or self._no_events:
            return
        try:
            if self._inotify is None:
                from flowlord.watch.inotify import Inotify  # takes a moment, and most daemons watch nothing

                self._inotify = Inotify(self._happened, self._doubt)
            self._inotify.add(folder)
        except OSError as error:
            if error.errno not in (errno.ENOSPC, errno.EMFILE, errno.ENFILE, errno.ENOMEM):
                raise
            root.polled = f"the machine gives no more watches ({error.strerror})"
            if self._inotify is None:
                self._no_events = root.polled

    def _why_polled(self, root: Root) -> str:
        if self._no_events:
            return self._no_events
        kind = self._kind_of(os.path.realpath(root.folders.path))
        return f"it lies on {kind}, where others write unheard" if SILENT.fullmatch(kind) else ""

    def _happened(self, folder: str, name: str, is_folder: bool, opened: bool) -> None:
        if self._queue.qsize() > MOST_QUEUED:
            self._doubt()
        else:
            self._queue.put(_Hint(folder, name, is_folder, opened))

    def _doubt(self) -> None:
        self._in_doubt = True
        self._queue.put(None)


def _pass_over(folder: str, error: OSError) -> None:
    """A new folder that cannot be read is told by the next listing of its root."""
