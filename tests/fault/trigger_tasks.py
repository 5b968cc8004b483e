"""The tasks of the kill test of triggers. Each writes down that it began, and that it ended."""

from __future__ import annotations

import os
import time
from zlib import crc32

from fault.kill_tasks import LOG, WHO
from flowlord.worker.app import Context, task


class Evidence:
    """The execution log of this process, opened at the first line."""

    file = -1

    @classmethod
    def tell(cls, verb: str, told: Context) -> None:
        """Append one line, in one write: what happened, who says so, when, and which dispatch it was."""
        if cls.file < 0:
            cls.file = os.open(os.environ[LOG], os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
        name = f"{told.type}:{told.job}" if told.job else told.type
        fields = (
            verb,
            os.environ[WHO],
            str(time.monotonic_ns()),
            told.key,
            name,
            told.info,
            str(told.deliveries),
        )
        os.write(cls.file, ("\t".join(fields) + "\n").encode())


@task("skip", "file", "group", "still", "row", "paced", "serial", "line:0", "line:1", "line:2")
def work(told: Context) -> None:
    """Take a while: starts that stand in line take longer than the time between two of them now and then."""
    Evidence.tell("start", told)
    chance = crc32(told.info.encode()) % 100
    seconds = {"line": chance / 33, "skip": chance / 33, "row": 0.0}.get(told.type, chance / 2_000)
    if seconds and told.cancelled.wait(seconds):
        return
    Evidence.tell("end", told)
