"""The thread that tells the bus what became of tasks: everything that is ready in one step, for as long as it takes."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable

from flowlord.bus.clock import time_of
from flowlord.bus.port import CHUNK
from flowlord.model.crashpoint import crashpoint
from flowlord.model.errors import BusError, BusUnavailable, FlowlordError
from flowlord.model.message import Delivery
from flowlord.model.plan import Commit, Committed, Mark, Plan
from flowlord.model.task import Result
from flowlord.worker.completion import again, again_mark, aside, aside_mark, done, poison
from flowlord.worker.desk import Desk, Finished, growing
from flowlord.worker.handler import Ran
from flowlord.worker.pace import Pace

log = logging.getLogger("flowlord.worker")


class Completer:
    """Empties the outbox. While one step is on its way the next one gathers, so a slow bus gets larger steps."""

    def __init__(self, desk: Desk, pace: Pace) -> None:
        self._desk = desk
        self._pace = pace
        self._closing = False
        self._give_up = threading.Event()
        self._busy = False
        self.thread = threading.Thread(target=self._work, name="flowlord-completer", daemon=True)

    @property
    def is_idle(self) -> bool:
        """Whether everything was told."""
        return not self._busy and not self._desk.outbox

    def close(self, limit_s: float) -> None:
        """Tell what is left and end; what the bus does not take within `limit_s` is left to its leases."""
        self._closing = True
        self._desk.bell.set()
        self.thread.join(limit_s)
        self._give_up.set()
        self.thread.join(limit_s)

    def _work(self) -> None:
        desk = self._desk
        while True:
            desk.bell.wait()
            desk.bell.clear()
            self._busy = True
            # What comes meanwhile waits for the next ring: a slot rings when it has nothing more, or every SPAN_NS.
            while desk.outbox and not self._give_up.is_set():
                batch = [desk.outbox.popleft() for _ in range(min(len(desk.outbox), CHUNK))]
                try:
                    self._land(batch)
                except Exception:  # the bus must not be used any more, which the claimer is told too
                    log.exception(
                        "%d tasks are left to their leases", len(batch), extra={"action": "completion"}
                    )
                desk.told_ns = desk.clock.monotonic_ns()
                desk.drop(each.delivery for each in batch)
                if len(desk.outbox) < CHUNK:
                    break
            self._busy = False
            with desk.changed:
                desk.changed.notify_all()
            if self._closing:
                if not desk.outbox or self._give_up.is_set():
                    return
                desk.bell.set()

    def _land(self, batch: list[Finished]) -> None:
        told = [each for each in batch if each.commit is not None or each.again is not None]
        elsewhere = [each for each in batch if each.elsewhere]
        if told:
            self._tell(told)
        if len(told) + len(elsewhere) < len(batch):
            back = [e.delivery for e in batch if e.commit is None and e.again is None and not e.elsewhere]
            self._persist(lambda: self._release(back))
        if elsewhere:
            self._persist(lambda: self._set_aside(elsewhere))
            if over := [each for each in elsewhere if each.commit is not None]:
                self._tell(over)

    def _tell(self, told: list[Finished]) -> None:
        """Land what came of tasks; what one of them brings in must not stop the others."""
        try:
            self._persist(lambda: self._commit(told))
        except Exception as error:  # noqa: BLE001 - a plan may hold anything that a handler made
            if len(told) > 1:
                for each in told:
                    self._tell([each])
            else:
                self._mend(told[0], error)

    def _persist(self, step: Callable[[], None]) -> None:
        """Take a step, and try on while the bus is out of reach."""
        wait_s = 0.0
        while not self._give_up.is_set():
            try:
                step()
            except BusUnavailable as error:
                self._desk.outage.began(error)
                wait_s = growing(wait_s)
                self._give_up.wait(wait_s)
            else:
                self._desk.outage.ended()
                return

    def _commit(self, told: list[Finished]) -> None:
        desk = self._desk
        asked = [each for each in told if each.again is not None]
        if asked:
            marks = desk.bus.marks([again_mark(each.delivery.key) for each in asked])
            for each in asked:
                each.commit = self._again(each, marks.get(again_mark(each.delivery.key)))
        start_ns = desk.clock.monotonic_ns()
        answers = desk.bus.commit_many([each.commit for each in told if each.commit is not None])
        self._pace.note_bus(desk.clock.monotonic_ns() - start_ns)
        crashpoint("worker.completed")
        for each, answer in zip(told, answers, strict=True):
            if isinstance(answer, Committed):
                desk.completed += 1
            else:
                _fenced(each, answer)

    def _release(self, back: list[Delivery]) -> None:
        self._desk.bus.release(back)
        self._desk.handed_back += len(back)

    def _set_aside(self, elsewhere: list[Finished]) -> None:
        """Put back what this worker does not do, for a while; what nobody did for a day becomes an error."""
        bus, now = self._desk.bus, self._desk.clock.now()
        keys = [each.delivery.key or (each.task.id if each.task else "") for each in elsewhere]
        known = bus.marks([aside_mark(key) for key in keys])
        marks: dict[str, Mark] = {}
        waits: dict[int, list[Delivery]] = {}
        for key, each in zip(keys, elsewhere, strict=True):
            step = aside(key, mark=known.get(aside_mark(key)), now=now)
            if step is None:
                told = f"for 24 hours no worker took it that does it: {each.elsewhere}"
                each.commit = self._error(each, Ran(Result.ERROR, told))
            else:
                marks[key], wait = step
                waits.setdefault(wait, []).append(each.delivery)
        if marks:
            bus.commit(Plan(), marks=tuple(marks.values()))
        for wait, deliveries in waits.items():
            bus.release(deliveries, delay_ns=wait)
        count = sum(map(len, waits.values()))
        self._desk.handed_back += count
        self._desk.note_passed_on(count)

    def _again(self, each: Finished, mark: str | None) -> Commit:
        assert each.task is not None
        assert each.again is not None
        now = time_of(self._desk.bus.now_us())  # by which what waits is judged
        if commit := again(
            each.delivery, each.task, mark=mark, now=now, consumer=self._desk.consumer, msg=each.again.msg
        ):
            return commit
        told = f"asked to be tried again for 24 hours: {each.again.msg}"
        return self._error(each, Ran(Result.ERROR, told, output=each.again.output))

    def _error(self, each: Finished, ran: Ran) -> Commit:
        desk = self._desk
        assert each.task is not None
        now = desk.clock.now()
        return done(
            each.delivery,
            each.task,
            ran,
            consumer=desk.consumer,
            started=each.started or now,
            ended=now,
            topic=desk.done_topic,
        )

    def _mend(self, each: Finished, error: Exception) -> None:
        """What came of a task cannot be sent: make it an error; if that cannot be sent either, set the task aside."""
        task = each.task.id if each.task else ""
        log.error("cannot be completed: %s", error, extra={"action": "completion", "task": task})
        told = str(error) if isinstance(error, FlowlordError) else repr(error)
        attempts = [poison(each.delivery, f"its result cannot be sent: {told}")]
        if each.task is not None:
            attempts.insert(0, self._error(each, Ran(Result.ERROR, f"its result cannot be sent: {told}")))
        for commit in attempts:
            try:
                self._desk.bus.commit_many([commit])
                return
            except BusUnavailable as unavailable:
                self._desk.outage.began(unavailable)
                return  # the lease lapses, and the task is run again
            except Exception as again_error:  # noqa: BLE001 - the next attempt is smaller
                log.error(
                    "nor can this be told: %s", again_error, extra={"action": "completion", "task": task}
                )


def _fenced(each: Finished, answer: BusError) -> None:
    """Say that a result does not count: somebody else has the task by now, or our own earlier try had landed."""
    task = each.task.id if each.task else ""
    log.warning("the result is dropped: %s", answer, extra={"action": "fenced", "task": task})
