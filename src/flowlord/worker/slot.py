"""A slot of a worker: in it tasks run one after the other, and what came of them goes into the outbox."""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Callable, Iterable
from datetime import datetime
from threading import get_ident

from flowlord.model.crashpoint import crashpoint
from flowlord.model.errors import InvalidTask
from flowlord.model.message import Delivery
from flowlord.model.plan import Commit
from flowlord.model.task import Result, Task
from flowlord.worker.completion import done, poison
from flowlord.worker.desk import Desk, Finished
from flowlord.worker.handler import Handler, Ran, Run, Why, raised
from flowlord.worker.pace import SPAN_NS, Pace

log = logging.getLogger("flowlord.worker")

POLITE_NS = 60_000_000_000
"""How long a worker lets others go first after a task that it does not do: those that are put back come again."""


class Slot:
    """Runs what lies in `chunk`, which others may lengthen, or shorten from its end, while it has not begun.

    A slot that was `abandoned` has no say any more: its task was handed back while it ran.
    """

    def __init__(self, desk: Desk, pace: Pace, *, begun: Callable[[Run], None]) -> None:
        self.chunk: deque[Delivery] = deque()
        self.current: Run | None = None
        self.since_ns = 0
        self.is_idle = True
        self.abandoned = False
        self.thread = 0
        self.came_back: Callable[[], None] | None = None
        """To be told when a slot that was abandoned is left by its thread."""
        self._desk = desk
        self._pace = pace
        self._begun = begun
        self._low = 0

    def give(self, deliveries: Iterable[Delivery]) -> bool:
        """Hand over what to run next; returns whether a thread must `work` now. The caller holds the desk's lock."""
        chunk, low = self.chunk, self._pace.low
        chunk.extend(deliveries)
        waiting = len(chunk) - 1
        self._low = low if low < waiting else waiting
        if not self.is_idle or not chunk:
            return False
        self.is_idle = False
        return True

    def await_end(self, limit_s: float) -> None:
        """Wait until no thread works here, nor is about to put something into the outbox."""
        with self._desk.changed:
            self._desk.changed.wait_for(lambda: self.is_idle, limit_s)

    def take_back(self) -> list[Delivery]:
        """Take away what has not begun."""
        taken: list[Delivery] = []
        while self.chunk:
            try:
                taken.append(self.chunk.pop())
            except IndexError:  # the slot was quicker
                break
        return taken

    def work(self) -> None:
        """Run what lies in `chunk` until nothing is left. One thread does this, whenever `give` asked for it."""
        clock, desk = self._desk.clock, self._desk
        begin_ns, count = clock.monotonic_ns(), 0
        self.thread = get_ident()
        while (delivery := self._next()) is not None:
            alone = not self.chunk and not count
            try:
                finished = self._run(delivery, logging.INFO if alone else logging.DEBUG)
            except Exception:  # a slot that died would never be idle again
                log.exception("a task is left to its lease", extra={"action": "slot", "key": delivery.key})
                desk.drop((delivery,))
                self.current = finished = None
            if self.abandoned:
                if self.came_back is not None:
                    self.came_back()
                return
            if finished is not None:
                desk.outbox.append(finished)
            count += 1
            left = len(self.chunk)
            if left == self._low or not left or self.since_ns - begin_ns > SPAN_NS:
                now_ns = clock.monotonic_ns()
                self._pace.note(count, now_ns - begin_ns)
                begin_ns, count = now_ns, 0
                desk.ring(now_ns)
                with desk.changed:
                    desk.changed.notify_all()

    def _next(self) -> Delivery | None:
        """Return what to run next; without anything left the slot is idle."""
        while True:
            try:
                return self.chunk.popleft()
            except IndexError:
                with self._desk.changed:
                    if not self.chunk:
                        self.is_idle = True
                        self._desk.bell.set()
                        self._desk.changed.notify_all()
                        return None

    def _run(self, delivery: Delivery, level: int) -> Finished | None:
        desk, clock = self._desk, self._desk.clock
        if not desk.holds(delivery):  # lost while it waited here
            return None
        try:
            task = delivery.task()
        except InvalidTask as error:
            return self._poison(delivery, str(error))
        if not task.type:
            return self._poison(delivery, "the task has no type")
        handler = desk.handlers.find(delivery.topic, task)
        if handler is None:
            return self._elsewhere(delivery, task)
        timeout_ns = delivery.timeout_ns or desk.timeout_ns
        self.since_ns = clock.monotonic_ns()
        started = clock.now()
        run = Run(task, delivery, clock, started, timeout_ns, self.since_ns + timeout_ns if timeout_ns else 0)
        self.current = run
        if timeout_ns:
            self._begun(run)
        ran = _handled(handler, run)
        if run.can_hang and timeout_ns:
            with desk.changed:  # else it might be given up at this very moment, and told of twice
                self.current = None
            if self.abandoned:
                _tell(
                    logging.WARNING, "came back", task, "came back after it was given up: it does not count"
                )
                return None
        self.current = None
        crashpoint("worker.ran")
        if ran.stopped is not None and ran.stopped is not Why.TIMEOUT:
            return _stopped(delivery, task, ran.stopped)
        if ran.again:
            _tell(logging.INFO, "again", task, ran.msg)
            return Finished(delivery, None, task, started, ran)
        if ran.result is not Result.COMPLETE:
            _tell(logging.WARNING, ran.result, task, ran.msg)
        elif log.isEnabledFor(level):
            took_ms = (clock.monotonic_ns() - self.since_ns) / 1e6
            log.log(
                level,
                "%s %s",
                task.name,
                ran.msg,
                extra={"action": "complete", "task": task.id, "took_ms": f"{took_ms:.1f}"},
            )
        return Finished(delivery, self._done(delivery, task, ran, started), task, started)

    def give_up(self, run: Run, ran: Ran) -> list[Delivery] | None:
        """Tell what came of a run that does not return, and leave its thread; returns what waited behind it.

        Of a run whose lease is lost the next worker tells. None when it came back by now, or was given up before. The
        caller holds the desk's lock.
        """
        if self.current is not run or self.abandoned:
            return None
        self.abandoned = True
        if run.stop.why is not Why.LOST:
            commit = self._done(run.delivery, run.task, ran, run.started)
            self._desk.outbox.append(Finished(run.delivery, commit, run.task, run.started))
        return self.take_back()

    def _done(self, delivery: Delivery, task: Task, ran: Ran, started: datetime) -> Commit:
        desk = self._desk
        ended = desk.clock.now()
        who, topic = desk.consumer, desk.done_topic
        try:
            return done(delivery, task, ran, consumer=who, started=started, ended=ended, topic=topic)
        except Exception as error:  # noqa: BLE001 - a handler may answer with anything
            ran = raised(error)
            return done(delivery, task, ran, consumer=who, started=started, ended=ended, topic=topic)

    def _elsewhere(self, delivery: Delivery, task: Task) -> Finished:
        reason = f"this worker does not do {task.name}, only {', '.join(self._desk.handlers.names)}"
        self._desk.polite_until_ns = self._desk.clock.monotonic_ns() + POLITE_NS
        new = self._desk.is_news(task.name)
        _tell(
            logging.WARNING if new else logging.DEBUG,
            "elsewhere",
            task,
            f"is left to another worker: {reason}",
        )
        return Finished(delivery, task=task, elsewhere=reason)

    def _poison(self, delivery: Delivery, reason: str) -> Finished:
        log.error("quarantined: %s", reason, extra={"action": "quarantined", "key": delivery.key})
        return Finished(delivery, poison(delivery, reason))


def _handled(handler: Handler, run: Run) -> Ran:
    try:
        ran: object = handler.run(run)
        if not isinstance(ran, Ran):
            raise TypeError(f"the handler of {run.task.name} answers with {type(ran).__name__}")
        return ran
    except Exception as error:  # noqa: BLE001 - one bad task hurts only itself
        return raised(error)


def _stopped(delivery: Delivery, task: Task, why: Why) -> Finished | None:
    if why is Why.LOST:
        _tell(logging.WARNING, "lost", task, "ended: its lease has passed on to another worker")
        return None
    _tell(logging.WARNING, "handed back", task, "the worker leaves")
    return Finished(delivery)


def _tell(level: int, action: str, task: Task, text: str) -> None:
    log.log(level, "%s %s", task.name, text, extra={"action": action, "task": task.id})
