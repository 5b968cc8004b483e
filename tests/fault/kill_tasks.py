"""The tasks of the kill test. Each writes down that it began and that it ended; nothing else is believed later.

A line is one write to a file opened for appending, so lines of many processes never mix, and what was written
survives the process that wrote it. Each attempt has a name of its own, which it hands back with its result: what
follows from the result carries it on, and so the log tells which of several attempts was accepted.
"""

from __future__ import annotations

import os
import time
from itertools import count
from zlib import crc32

from fault.kill_flow import fails_once
from flowlord.worker.app import Context, Outcome, task

LOG = "KILL_LOG"
WHO = "KILL_WHO"


class Evidence:
    """The execution log of this process, opened at the first line."""

    file = -1
    attempts = count(1)

    @classmethod
    def tell(cls, verb: str, name: str, told: Context) -> None:
        """Append one line: what happened, who says so, when, and the whole identity of the dispatch."""
        if cls.file < 0:
            cls.file = os.open(os.environ[LOG], os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
        retry = told.meta.get("retry", "0")
        info, _, by = told.info.partition("?by=")
        cause = by if retry == "0" else told.meta.get("by", "")
        fields = (
            verb, os.environ[WHO], str(time.monotonic_ns()), told.key, told.id, told.type, told.job, info,
            told.created, retry, str(told.deliveries), name, cause,
        )  # fmt: skip
        os.write(cls.file, ("\t".join(fields) + "\n").encode())


@task("root")
def root(told: Context) -> Outcome | None:
    return work(told)


@task("child")
def child(told: Context) -> Outcome | None:
    told.add_meta(n=told.info.partition("/")[0])  # the grandchild's template and `require` want it
    return work(told)


@task("grand:sum")
def grand(told: Context) -> Outcome | None:
    return work(told)


@task("tick")
def tick(told: Context) -> Outcome | None:
    return work(told)


def work(told: Context) -> Outcome | None:
    """Take a while; fail when the workflow of the test says so. A task that was taken away has no end."""
    name = f"{os.environ[WHO]}.{next(Evidence.attempts)}"
    told.add_meta(by=name)
    Evidence.tell("start", name, told)
    info = told.info.partition("?")[0]
    chance = crc32(f"{told.created} {info}".encode())
    seconds = 0.15 if chance % 100 == 0 else max(0, chance % 25 - 12) / 1000
    if seconds and told.cancelled.wait(seconds):
        Evidence.tell("left", name, told)
        return None
    if fails_once(told.type, info) and "retry" not in told.meta:
        Evidence.tell("failed", name, told)
        return Outcome("error", "fails once")
    Evidence.tell("end", name, told)
    return None
