"""The tasks of the kill test. Each writes down that it began and that it ended; nothing else is believed later.

A line is one write to a file opened for appending, so lines of many processes never mix, and what was written
survives the process that wrote it.
"""

from __future__ import annotations

import os
import time
from zlib import crc32

from fault.kill_flow import fails_once
from flowlord.worker.app import Context, task

LOG = "KILL_LOG"
WHO = "KILL_WHO"


class Evidence:
    """The execution log of this process, opened at the first line."""

    file = -1

    @classmethod
    def tell(cls, verb: str, told: Context) -> None:
        """Append one line: what happened, who says so, when, and the whole identity of the dispatch."""
        if cls.file < 0:
            cls.file = os.open(os.environ[LOG], os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
        attempt = told.meta.get("retry", "0")
        fields = (
            verb, os.environ[WHO], str(time.monotonic_ns()), told.key, told.id, told.type, told.job, told.info,
            told.created, attempt, str(told.deliveries),
        )  # fmt: skip
        os.write(cls.file, ("\t".join(fields) + "\n").encode())


@task("root")
def root(told: Context) -> None:
    work(told)


@task("child")
def child(told: Context) -> None:
    told.add_meta(n=told.info.partition("/")[0])  # the grandchild's template and `require` want it
    work(told)


@task("grand:sum")
def grand(told: Context) -> None:
    work(told)


def work(told: Context) -> None:
    """Take a while; fail when the workflow of the test says so. A task that was taken away has no end."""
    Evidence.tell("start", told)
    chance = crc32(f"{told.created} {told.info}".encode())
    seconds = 0.15 if chance % 100 == 0 else max(0, chance % 25 - 12) / 1000
    if seconds and told.cancelled.wait(seconds):
        Evidence.tell("left", told)
        return
    if fails_once(told.type, told.info) and "retry" not in told.meta:
        Evidence.tell("failed", told)
        raise RuntimeError("fails once")
    Evidence.tell("end", told)
