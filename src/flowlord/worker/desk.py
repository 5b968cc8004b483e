"""What the threads of one worker share: the bus, what is held, what has to be told to the bus."""

from __future__ import annotations

import logging
import threading
from collections import deque
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

import msgspec

from flowlord.bus.port import CHUNK, DONE, Bus
from flowlord.model.clock import Clock
from flowlord.model.errors import BusUnavailable, InvalidTask
from flowlord.model.message import Delivery
from flowlord.model.plan import Commit
from flowlord.model.task import Task
from flowlord.worker.handler import Handler, Ran
from flowlord.worker.pace import SPAN_NS

log = logging.getLogger("flowlord.worker")

FIRST_WAIT_S = 0.1
LONGEST_WAIT_S = 5.0
TOLD_ONCE = 1000
"""Names of tasks that nobody here does, of which the log tells."""


class Handlers:
    """Which handler does a task: by `type:job` first, then by topic, then by type."""

    def __init__(self, by_name: Mapping[str, Handler]) -> None:
        self.topics = tuple(sorted({name.partition(":")[0] for name in by_name}))
        self.names = tuple(sorted(by_name))
        self._by_name = dict(by_name)

    def find(self, topic: str, task: Task) -> Handler | None:
        """Return the handler, None when this worker has none for the task."""
        found = None
        if task.job:
            found = self._by_name.get(f"{topic}:{task.job}") or self._by_name.get(task.name)
        return found or self._by_name.get(topic) or self._by_name.get(task.type)

    def does(self, delivery: Delivery) -> bool:
        """Whether there is a handler; what cannot be read is for any worker to set aside."""
        try:
            return self.find(delivery.topic, delivery.task()) is not None
        except InvalidTask:
            return True


class Outage:
    """Whether the bus can be reached, said once when that changes."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._out = False

    def began(self, error: BusUnavailable) -> None:
        """The bus did not answer."""
        with self._lock:
            if not self._out:
                log.warning("the bus is out of reach, trying on: %s", error, extra={"action": "bus"})
            self._out = True

    def ended(self) -> None:
        """The bus answered."""
        if self._out:
            with self._lock:
                if self._out:
                    log.warning("the bus is back", extra={"action": "bus"})
                self._out = False


def growing(wait_s: float) -> float:
    """Return the next wait while the bus is out of reach; start with 0."""
    return min(max(FIRST_WAIT_S, 2 * wait_s), LONGEST_WAIT_S)


class Finished(msgspec.Struct):
    """A delivery that is over here. Without `commit` it is handed back, or with `again` put to wait for another try.

    `elsewhere` says why it is left to another worker.
    """

    delivery: Delivery
    commit: Commit | None = None
    task: Task | None = None
    started: datetime | None = None
    again: Ran | None = None
    elsewhere: str = ""


@dataclass(slots=True)
class Desk:
    """Shared by slots, completer, keeper and claimer; what needs a lock takes `changed`."""

    bus: Bus
    handlers: Handlers
    clock: Clock
    consumer: str
    lease_ns: int
    timeout_ns: int = 0
    done_topic: str = DONE
    held: dict[tuple[str, str], Delivery] = field(default_factory=dict)
    outbox: deque[Finished] = field(default_factory=deque)
    bell: threading.Event = field(default_factory=threading.Event)
    """Rung when the outbox should be emptied."""
    changed: threading.Condition = field(default_factory=threading.Condition)
    """Told when a slot became free or the outbox was emptied."""
    outage: Outage = field(default_factory=Outage)
    told_ns: int = 0
    """When the outbox was emptied last."""
    handed_back: int = 0
    passed_on: int = 0
    """Of those handed back: what waited behind a long task, or is another worker's, while this one stayed."""
    completed: int = 0
    polite_until_ns: int = 0
    """Until when others may go first: this worker took a task a short while ago that is for another one."""
    _strange: set[str] = field(default_factory=set)

    def ring(self, now_ns: int) -> None:
        """Have the outbox emptied unless that was done a moment ago: of short tasks many are told in one step."""
        if now_ns - self.told_ns > SPAN_NS or len(self.outbox) >= CHUNK:
            self.bell.set()

    def hold(self, deliveries: Iterable[Delivery]) -> None:
        """Count deliveries among those whose leases are renewed."""
        with self.changed:
            for each in deliveries:
                self.held[each.entry, each.token] = each

    def drop(self, deliveries: Iterable[Delivery]) -> None:
        """Renew these no longer."""
        with self.changed:
            for each in deliveries:
                self.held.pop((each.entry, each.token), None)
            self.changed.notify_all()

    def holds(self, delivery: Delivery) -> bool:
        """Whether a delivery is still ours, as far as we were told."""
        return (delivery.entry, delivery.token) in self.held

    def is_news(self, name: str) -> bool:
        """Whether nothing was said yet about tasks of this name, which nobody here does."""
        with self.changed:
            if name in self._strange or len(self._strange) >= TOLD_ONCE:
                return False
            self._strange.add(name)
            return True

    def hand_back(self, deliveries: Iterable[Delivery]) -> None:
        """Give deliveries back to the bus, without counting their start."""
        self.outbox.extend(Finished(each) for each in deliveries)
        self.bell.set()

    def pass_on(self, deliveries: Sequence[Delivery]) -> None:
        """Give back what others may do sooner, while this worker stays."""
        self.note_passed_on(len(deliveries))
        self.hand_back(deliveries)

    def note_passed_on(self, count: int) -> None:
        """Count what goes back while this worker stays; two threads do."""
        with self.changed:
            self.passed_on += count
