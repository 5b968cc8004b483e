"""A file of instants: a process writes when each task began, another waits for it."""

from __future__ import annotations

import struct
import time
from pathlib import Path

STAMP = struct.Struct("<q")
LIMIT_S = 30.0


def await_stamp(file: Path, n: int) -> int:
    """Wait for the nth instant (monotonic nanoseconds); looking at the file's length costs a microsecond."""
    limit = time.monotonic() + LIMIT_S
    while file.stat().st_size < (n + 1) * STAMP.size:
        time.sleep(0.0002)
        if time.monotonic() > limit:
            raise SystemExit(f"task {n} was not begun within {LIMIT_S:.0f} s")
    with file.open("rb") as opened:
        opened.seek(n * STAMP.size)
        return int(STAMP.unpack(opened.read(STAMP.size))[0])
