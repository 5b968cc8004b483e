"""What only one process may do to a history at a time: make it, copy it, put it back."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path


@contextmanager
def alone(path: Path, *, wait: bool) -> Iterator[bool]:
    """Be the only one at the history `path` for as long as the block lasts; writing into it goes on.

    Yields False when another one is at it and there was no waiting. The lock is a file of its own, since opening the
    history itself but through SQLite would end SQLite's locks; it goes with the process that holds it.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    handle = os.open(f"{path}-lock", os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600)
    try:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
        except BlockingIOError:
            yield False
        else:
            yield True
    finally:
        os.close(handle)


def sweep(path: Path) -> None:
    """Take away what a process left beside a history when it was killed at that; only while `alone`."""
    for kind in ("copy", "restoring", "new"):
        for left in path.parent.glob(f"{path.name}.{kind}-*"):
            left.unlink(missing_ok=True)
