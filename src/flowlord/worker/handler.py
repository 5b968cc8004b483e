"""What runs a task, as the slots of a worker see it: a Run goes in, a Ran comes out."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from enum import StrEnum
from typing import Protocol

import msgspec

from flowlord.model.clock import Clock
from flowlord.model.message import Delivery
from flowlord.model.task import Result, Task
from flowlord.rules.durations import short_duration
from flowlord.worker.text import ending, one_line

HANG_GRACE_NS = 2_000_000_000
"""How long after its timeout a function may take to return: as long as a command after SIGTERM."""


class Why(StrEnum):
    """Why a run must end before it is done."""

    TIMEOUT = "timeout"  # it is an error
    LOST = "lost"  # the lease has passed on: whatever comes out is dropped
    SHUTDOWN = "shutdown"  # the worker leaves and its grace is over: the task is handed back
    FORCED = "forced"  # the worker leaves at once: the task is handed back


class Stop:
    """How a run is told to end early. The first reason stays; only FORCED comes on top of another."""

    __slots__ = ("_call", "_lock", "why")

    def __init__(self) -> None:
        self.why: Why | None = None
        self._lock = threading.Lock()
        self._call: Callable[[], object] | None = None

    def set(self, why: Why) -> None:
        """Tell the run; returns at once."""
        with self._lock:
            if self.why is None or why is Why.FORCED:
                self.why = why
                if self._call is not None:
                    self._call()

    def watch(self, call: Callable[[], object] | None) -> None:
        """Have `call` called when the run must end, at once when that was said before; it must not block.

        With None nothing is called any more from now on: what `call` touches may be taken down.
        """
        with self._lock:
            self._call = call
            if call is not None and self.why is not None:
                call()


class Run(msgspec.Struct):
    """One task on its way through a handler.

    `timeout_ns` bounds it, 0 is without bound; `deadline_ns` is when that is over by the monotonic clock, 0 for never.
    `can_hang` is said by a handler that cannot end what it runs: its worker gives up on it HANG_GRACE_NS later.
    """

    task: Task
    delivery: Delivery
    clock: Clock
    started: datetime
    timeout_ns: int = 0
    deadline_ns: int = 0
    stop: Stop = msgspec.field(default_factory=Stop)
    can_hang: bool = False

    @property
    def given_up_ns(self) -> int:
        """When its worker gives it up, by the monotonic clock; 0 for never."""
        return self.deadline_ns + HANG_GRACE_NS if self.can_hang and self.deadline_ns else 0


class Ran(msgspec.Struct, frozen=True):
    """What came of a run.

    `meta` is merged into the task's, key by key. With `again` it asks to be tried later. `stopped` is set when the run
    was ended early and must not be taken for the task's result.
    """

    result: Result = Result.COMPLETE
    msg: str = ""
    meta: Mapping[str, Sequence[str]] = msgspec.field(default_factory=dict)
    output: str = ""
    again: bool = False
    stopped: Why | None = None


class Handler(Protocol):
    """Does the tasks of a type; one object serves all slots of a worker at once."""

    def run(self, run: Run) -> Ran:
        """Do the task; what is raised becomes an error result."""
        ...


def overran(timeout_ns: int, output: str = "") -> Ran:
    """Return the error result of a run that took longer than its timeout."""
    return Ran(Result.ERROR, f"ran longer than its timeout of {short_duration(timeout_ns)}", output=output)


def raised(error: BaseException) -> Ran:
    """Return the error result of an exception: its text as the message, the traceback as output."""
    import traceback

    told = str(error) if isinstance(error, Exception) and str(error) else repr(error)
    return Ran(Result.ERROR, one_line(told), output=ending("".join(traceback.format_exception(error))))
