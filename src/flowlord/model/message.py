"""What travels on the bus: a task with the attributes of its dispatch, and the same once a consumer holds it."""

from __future__ import annotations

from datetime import datetime

import msgspec

from flowlord.model.task import Task, decode

# `gc=False` here and in `task` and `plan`: what holds texts and the like alone is in no cycle, and looking through
# thousands of them for cycles took a twentieth of the time of a batch.

DEFAULT_PRIORITY = 5
BANDS = ("low", "normal", "high", "critical")
SAME = "="
"""As `Message.holds`: the group that the task held whose outcome lands in the same commit, if it held one."""
REPLAYED = "replayed"
"""As `Message.cause` of a result: a person sent it back from quarantine, and what was recorded of it before is void."""


def band(priority: int) -> int:
    """Return the index into BANDS of a priority 0-10: low 0-3, normal 4-6, high 7-8, critical 9-10."""
    return 0 if priority < 4 else 1 if priority < 7 else 2 if priority < 9 else 3


class Report(msgspec.Struct, frozen=True, omit_defaults=True, gc=False):
    """What our workers tell beside the task that they hand back; foreign workers tell nothing.

    `deliveries` is the delivery that ran, from 1; `output` the tail of stdout and stderr, capped by the worker.
    """

    worker: str = ""
    deliveries: int = 0
    output: str = ""


class Message(msgspec.Struct, frozen=True, omit_defaults=True, gc=False):
    """A task on its way to a topic.

    `key` is the dispatch key: one slot, one key, for ever. `priority` is 0-10, higher first. `due` is aware, UTC;
    None is now. `timeout_ns` bounds one run, 0 is without bound. `phase` is `Phase.identity`, `revision` that of its
    file, `cause` the slot in words, `batch` the id of the batch.

    `holds` names a group (`phase:<identity>`, `backload:<id>`) in which the task counts as open from the commit that
    lands it until its outcome is recorded or it is dropped; empty for none. A retry says SAME.
    """

    topic: str
    task: Task
    key: str
    priority: int = DEFAULT_PRIORITY
    due: datetime | None = None
    timeout_ns: int = 0
    phase: str = ""
    revision: str = ""
    cause: str = ""
    batch: str = ""
    report: Report | None = None
    holds: str = ""


class Delivery(msgspec.Struct, frozen=True, gc=False):
    """A message while a consumer holds it under a lease.

    `payload` is the task as it lies on the bus, which may be no task at all; `entry` names it on its topic, `token`
    is the lease. `deliveries` counts the starts, this one included: 1 unless a consumer crashed with it. `before` is
    who held it until it was taken over, empty when it was claimed.
    """

    topic: str
    entry: str
    payload: bytes
    token: str
    consumer: str
    deliveries: int = 1
    key: str = ""
    priority: int = DEFAULT_PRIORITY
    timeout_ns: int = 0
    phase: str = ""
    revision: str = ""
    cause: str = ""
    batch: str = ""
    report: Report | None = None
    before: str = ""

    def task(self) -> Task:
        """Read the payload; raises InvalidTask when it is none."""
        return decode(self.payload)
