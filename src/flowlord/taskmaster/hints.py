"""Hints that something below a folder has changed, out of inotify: they make looking quick, and decide nothing."""

from __future__ import annotations

import logging
import os
import threading
from collections.abc import Callable
from contextlib import suppress

log = logging.getLogger("flowlord.reload")


class Hints:
    """Sets an event when something below a path changes.

    A hint may be missing (a network file system, a queue that ran over, too many watches) or wrong: who waits for one
    looks himself, and looks from time to time anyway.
    """

    def __init__(self, path: str, hinted: threading.Event) -> None:
        self._stop: Callable[[], None] = lambda: None
        folder = path if os.path.isdir(path) else os.path.dirname(path) or "."
        try:
            self._watch(folder, hinted)
        except Exception as error:  # noqa: BLE001 - whatever keeps hints away, looking goes on
            log.warning(
                "%s is not watched (%s); changes are found by looking",
                folder,
                error,
                extra={"action": "reload.unwatched"},
            )

    def _watch(self, folder: str, hinted: threading.Event) -> None:
        from watchdog.events import FileSystemEvent, FileSystemEventHandler
        from watchdog.observers import Observer

        class Handler(FileSystemEventHandler):
            def on_any_event(self, event: FileSystemEvent) -> None:
                if event.event_type not in ("opened", "closed_no_write"):  # our own looking
                    hinted.set()

        observer = Observer()
        observer.daemon = True
        observer.schedule(Handler(), folder, recursive=True)
        observer.start()
        self._stop = observer.stop

    def close(self) -> None:
        """Stop watching; not waited for."""
        with suppress(Exception):
            self._stop()
