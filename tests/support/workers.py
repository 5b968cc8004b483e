"""Workers in tests: messages for them, one run of a handler, a whole worker in a thread, and waiting with a limit."""

import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

from flowlord.bus.clock import SystemClock
from flowlord.bus.port import DONE, Bus
from flowlord.model.message import Delivery, Message
from flowlord.model.task import Task, decode, encode
from flowlord.worker.handler import Handler, Ran, Run
from flowlord.worker.runtime import Left, Worker

SECOND = 1_000_000_000
LIMIT_S = 40.0


def message(topic: str = "load", info: str = "", *, key: str = "", **fields) -> Message:
    """A message whose key is its info when none is given."""
    of_message = {
        name: fields.pop(name) for name in ("timeout_ns", "priority", "phase", "batch") if name in fields
    }
    task = Task(**{"type": topic, "info": info, "id": f"id-{info}"[:40], **fields})
    return Message(topic=topic, task=task, key=key or info, **of_message)


def run_of(task: Task, *, timeout_ns: int = 0, key: str = "key", deliveries: int = 1) -> Run:
    """A run as a slot makes it."""
    clock = SystemClock()
    delivery = Delivery(task.type, "1", encode(task), "token", "me", deliveries=deliveries, key=key)
    deadline_ns = clock.monotonic_ns() + timeout_ns if timeout_ns else 0
    return Run(task, delivery, clock, clock.now(), timeout_ns, deadline_ns)


def await_that(claim: Callable[[], object], what: str = "") -> None:
    """Wait until `claim` holds; fails when it does not within the limit."""
    clock, step = SystemClock(), threading.Event()
    end = clock.monotonic_ns() + int(LIMIT_S * SECOND)
    while not claim():
        assert clock.monotonic_ns() < end, f"waited in vain for {what or claim}"
        step.wait(0.005)


class Calling:
    """A handler made from a function of the run."""

    def __init__(self, function: Callable[[Run], Ran | None]) -> None:
        self.function = function

    def run(self, run: Run) -> Ran:
        return self.function(run) or Ran()


class Running:
    """A worker in a thread."""

    def __init__(self, worker: Worker) -> None:
        self.worker = worker
        self.stop, self.now = threading.Event(), threading.Event()
        self.left: Left | None = None
        self._thread = threading.Thread(target=self._run)
        self._thread.start()

    def _run(self) -> None:
        self.left = self.worker.run(self.stop, self.now)

    def end(self, *, now: bool = False) -> Left:
        """Tell the worker to stop and wait until it is gone."""
        (self.now if now else self.stop).set()
        return self.wait()

    def wait(self) -> Left:
        """Wait until the worker has left by itself."""
        self._thread.join(LIMIT_S)
        assert not self._thread.is_alive(), "the worker does not leave"
        assert self.left is not None
        return self.left

    @property
    def is_gone(self) -> bool:
        return not self._thread.is_alive()


@contextmanager
def working(bus: Bus, handlers: dict[str, Handler], **terms) -> Iterator[Running]:
    """A worker that runs within the block and is stopped at its end."""
    running = Running(Worker(bus, handlers, **{"consumer": "me", "grace_s": 5.0, **terms}))
    try:
        yield running
    finally:
        running.now.set()
        running.wait()


def drained(bus: Bus, handlers: dict[str, Handler], **terms) -> Left:
    """Let a worker do all that waits."""
    return Worker(bus, handlers, **{"consumer": "me", "drain": True, **terms}).run(threading.Event())


def done_messages(bus: Bus, limit: int = 10_000) -> list[Task]:
    """The tasks that were reported, in order."""
    return [decode(each.payload) for each in bus.peek(DONE, limit)]


def reports(bus: Bus, count: int) -> list[Delivery]:
    """Claim the done messages, with all that travels beside their tasks."""
    return bus.claim([DONE], "taskmaster", count)


def infos(tasks: Sequence[Task]) -> list[str]:
    return sorted(task.info for task in tasks)
