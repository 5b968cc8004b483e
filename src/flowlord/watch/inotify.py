"""What the kernel tells of folders, as it comes: a thread of watchdog reads it, we only put it in a queue.

watchdog's observers watch whole trees, with one thread a watch, and keep to themselves that the kernel's queue ran
over. Its reader below them does neither, so that is what is used: a watch for each folder that may hold a file of
interest, and a word when events were lost.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Final

from watchdog.observers.inotify_c import (
    CallbackId,
    InotifyConstants,
    InotifyEvent,
    InotifyFD,
    Mask,
    WatchDescriptor,
)

_MASK: Final = Mask(
    InotifyConstants.IN_CLOSE_WRITE
    | InotifyConstants.IN_MOVED_TO
    | InotifyConstants.IN_CREATE
    | InotifyConstants.IN_ONLYDIR
    | InotifyConstants.IN_EXCL_UNLINK
)


class Inotify:
    """Watches folders; raises OSError when the machine has no more watches or instances to give.

    Args:
        happened: called in the reader's thread with folder, name, and whether it is a folder, was opened (made), or
            was closed after writing or moved there.
        lost: called in that thread when events were lost.
    """

    def __init__(self, happened: Callable[[str, str, bool, bool], None], lost: Callable[[], None]) -> None:
        self._happened = happened
        self._lost = lost
        self._folders: dict[str, tuple[WatchDescriptor, CallbackId, _Folder]] = {}
        self._reader = InotifyFD()
        self._reader.start()

    def add(self, folder: str) -> None:
        """Watch a folder (with its slash at the end; empty is the working directory); twice is once.

        Raises:
            OSError: it is gone, or cannot be read, or there are no more watches.
        """
        known = self._folders.get(folder)
        if known is not None and known[2].is_watched:
            return
        path = os.fsencode(folder or ".")
        if not os.access(path, os.R_OK):  # watchdog does not tell that
            os.listdir(path)
        watch = _Folder(folder, self._happened, self._lost)
        number = CallbackId(id(watch))
        self._folders[folder] = (self._reader.add_callback(path, _MASK, watch, number), number, watch)

    def keep_only(self, folders: set[str]) -> None:
        """Let go of all other folders, which are gone or were moved away."""
        for folder in self._folders.keys() - folders:
            descriptor, number, watch = self._folders.pop(folder)
            if watch.is_watched:
                self._reader.remove_callbacks([(descriptor, number)])

    def close(self) -> None:
        """Stop reading."""
        self._reader.stop()
        self._reader.join(5.0)


class _Folder:
    """Hears what happens in one folder."""

    def __init__(
        self, path: str, happened: Callable[[str, str, bool, bool], None], lost: Callable[[], None]
    ) -> None:
        self._path = path
        self._happened = happened
        self._lost = lost
        self.is_watched = True

    def on_event(self, event: InotifyEvent) -> None:
        if event.name:
            self._happened(self._path, os.fsdecode(event.name), event.is_directory, event.is_create)

    def on_watch_deleted(self, wd: WatchDescriptor) -> None:
        self.is_watched = False

    def on_queue_overflow(self) -> None:
        self._lost()
