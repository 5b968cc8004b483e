"""A limit on what one question may take of this process: time, and memory.

SQLite looks at the time between two of its steps, and one step may be one function over many megabytes; what it
allocates counts against nothing. So a thread watches the time, which it can while SQLite works, and ends the process
when nothing else does; and the kernel refuses memory beyond the limit.
"""

from __future__ import annotations

import os
import resource
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Final

MOST_MEMORY: Final = 1 << 30
"""Bytes that a question may take beyond what the process has."""
GRACE_S: Final = 2.0
"""How long a step may still take after the limit, before the process is ended in it."""


@contextmanager
def bounded(limit_s: float, late: Callable[[], int]) -> Iterator[None]:
    """Let what is inside take so much time and memory; MemoryError is raised inside.

    Args:
        late: called, in another thread, when the time is over and nothing inside noticed; returns the exit code.
    """
    done = threading.Event()

    def watch() -> None:
        if not done.wait(min(limit_s + GRACE_S, threading.TIMEOUT_MAX)):
            code = late()
            sys.stderr.flush()
            os._exit(code)

    threading.Thread(target=watch, name="flowlord-limit", daemon=True).start()
    try:
        with _memory():
            yield
    finally:
        done.set()


@contextmanager
def _memory() -> Iterator[None]:
    soft, hard = resource.getrlimit(resource.RLIMIT_AS)
    most = _taken() + MOST_MEMORY
    if soft != resource.RLIM_INFINITY:
        most = min(most, soft)
    if _taken():
        resource.setrlimit(resource.RLIMIT_AS, (most, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_AS, (soft, hard))


def _taken() -> int:
    """Return the bytes of addresses that this process has; 0 where nobody tells."""
    try:
        with open("/proc/self/statm", encoding="ascii") as file:
            return int(file.read().split()[0]) * resource.getpagesize()
    except (OSError, ValueError):
        return 0
