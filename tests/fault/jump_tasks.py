"""The tasks of the test of clock jumps: each writes down that it began, in one write to a file opened for appending."""

from __future__ import annotations

import os
from pathlib import Path

from flowlord.worker.app import Context, Outcome, task

LOG = "JUMP_LOG"


def tell(told: Context) -> None:
    """Append one line: type, info, try, delivery."""
    file = os.open(os.environ[LOG], os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
    fields = (told.type, told.info, told.meta.get("retry", "0"), str(told.deliveries))
    os.write(file, ("\t".join(fields) + "\n").encode())
    os.close(file)


@task("tick")
def tick(told: Context) -> None:
    tell(told)
    told.add_meta(at=told.info)


@task("flaky")
def flaky(told: Context) -> Outcome | None:
    """Fails the first time, so that it comes again after a wait."""
    tell(told)
    return None if "retry" in told.meta else Outcome("error", "fails once")


@task("slow")
def slow(told: Context) -> None:
    """Is at work, under one lease, until the test is over."""
    tell(told)
    finish = Path(os.environ[LOG]).with_name("finish")
    while not finish.exists() and not told.cancelled.wait(0.1):
        pass
