"""A worker: claims tasks for its free slots, runs them, tells what came of them, until it is told to stop."""

from __future__ import annotations

import logging
import os
import sys
import threading
from collections.abc import Mapping
from dataclasses import dataclass

from flowlord import __version__
from flowlord.bus.clock import SystemClock, jitter
from flowlord.bus.port import ALONE_AFTER, CHUNK, DONE, Bus, Presence
from flowlord.model.clock import Clock
from flowlord.model.crashpoint import crashpoint
from flowlord.model.errors import BusUnavailable, BusUnusable
from flowlord.model.message import Delivery
from flowlord.worker.completer import Completer
from flowlord.worker.crew import Crew
from flowlord.worker.desk import Desk, Handlers, growing
from flowlord.worker.gate import Gate
from flowlord.worker.handler import Handler, Why
from flowlord.worker.hanging import Hanging
from flowlord.worker.keeper import Keeper
from flowlord.worker.pace import Pace
from flowlord.worker.process import KILL_GRACE_NS
from flowlord.worker.slot import Slot

log = logging.getLogger("flowlord.worker")

LEASE_NS = 60_000_000_000
GRACE_S = 25.0
LISTEN_S = 0.25
"""How long one look for work waits: what the worker needs at most to notice that it should stop."""
POLITE_S = 0.1
"""How long a worker looks away at most that lets others go first; it does not listen meanwhile."""
LOOK_AGAIN_NS = 5_000_000_000
"""How long a task that must run alone keeps a busy worker from claiming, before it looks whether another took it."""
TELL_S = 5.0
"""How long a leaving worker tries to tell the bus what it did and hands back."""


@dataclass(frozen=True, slots=True)
class Left:
    """How a worker left: tasks that it ended, that it handed back, and that would not stop.

    `stuck` says that it left because functions hung in as many threads as it has slots.
    """

    completed: int
    handed_back: int
    abandoned: int
    stuck: bool = False


def consumer_name(name: str, clock: Clock) -> str:
    """Return a name that no other start of a worker has: the given one, the host's without one, and this start's."""
    return f"{name or os.uname().nodename}-{os.getpid()}-{clock.boottime_ns() // 1000:x}"


class Worker:
    """Runs tasks, `concurrency` of them at a time, each in a thread.

    Args:
        handlers: by type (the topic's name) or `type:job`.
        lease_ns: renewed at a third of it.
        grace_s: what running tasks have to finish once `stop` is set.
        timeout_ns: for tasks that bring none, 0 is without bound.
        max_tasks: end after so many, 0 is without bound.
        drain: end when nothing waits on the topics.
        keeper_bus: a connection for renewals alone; the bus itself without.
    """

    def __init__(
        self,
        bus: Bus,
        handlers: Mapping[str, Handler],
        *,
        consumer: str = "",
        clock: Clock | None = None,
        concurrency: int = 1,
        lease_ns: int = LEASE_NS,
        grace_s: float = GRACE_S,
        timeout_ns: int = 0,
        max_tasks: int = 0,
        drain: bool = False,
        done_topic: str = DONE,
        keeper_bus: Bus | None = None,
    ) -> None:
        clock = clock or SystemClock()
        self.consumer = consumer or consumer_name("", clock)
        self._desk = Desk(bus, Handlers(handlers), clock, self.consumer, lease_ns, timeout_ns, done_topic)
        self._gate = Gate(bus, self._desk.handlers.topics, clock)
        self._grace_s = grace_s
        self._max_tasks = max_tasks
        self._drain = drain
        self._claimed = 0
        self._apart_until_ns = 0
        """Until when nothing is claimed while anything is here, 0: something may be."""
        self._told_alone = ""
        self._pace = Pace()
        self._slots = [self._fresh_slot() for _ in range(concurrency)]
        self._crew = Crew(concurrency + 1)
        self._hanging = Hanging(self._desk, self._slots, self._crew, self._fresh_slot)
        self._claimed_all = threading.Event()
        """Set when nothing more will be claimed."""
        self._failed: BaseException | None = None
        self._interrupted = False
        self._completer = Completer(self._desk, self._pace)
        presence = Presence(
            consumer=self.consumer,
            kind="worker",
            host=os.uname().nodename,
            pid=os.getpid(),
            topics=self._desk.handlers.topics,
            slots=concurrency,
            started_us=int(clock.now().timestamp() * 1_000_000),
            lease_ns=lease_ns,
            version=__version__,
        )
        self._keeper = Keeper(self._desk, self._slots, self._pace, keeper_bus or bus, presence, self._hanging)

    def _fresh_slot(self) -> Slot:
        return Slot(self._desk, self._pace, begun=lambda run: self._keeper.attend(run))

    def run(self, stop: threading.Event, now: threading.Event | None = None) -> Left:
        """Work until `stop` is set (then running tasks may finish within the grace) or `now` (then nothing may).

        May be called once, from any thread; takes no signals. Raises BusUnusable when the bus must not be used.
        """
        now = now or threading.Event()
        told = {"topics": ",".join(self._desk.handlers.topics), "slots": len(self._slots)}
        log.info("%s is here", self.consumer, extra={"action": "start", **told})
        self._completer.thread.start()
        self._keeper.thread.start()
        self._crew.start()
        self._crew.begin(lambda: self._claim(stop, now))
        try:
            self._claimed_all.wait()
            if self._failed:
                raise self._failed
            # Unless told to stop, the last tasks have all the time they need, or the grace of a worker that is stuck.
            if not self._hanging.is_stuck:
                self._await_idle(None, stop, now)
        finally:
            self._interrupted = True
            self._claimed_all.wait(TELL_S)
            left = self._leave(now)
        return left

    def _claim(self, stop: threading.Event, now: threading.Event) -> None:
        """Claim until there is something for a free slot; then let another thread go on, and run it."""
        try:
            mine = self._take(stop, now)
        except BaseException as error:  # noqa: BLE001 - raised again by `run`
            self._failed, mine = error, None
        if mine is None:
            self._claimed_all.set()
            return
        self._crew.begin(lambda: self._claim(stop, now))
        mine.work()

    def _take(self, stop: threading.Event, now: threading.Event) -> Slot | None:
        """Take tasks for free slots, until one of them needs a thread; None when there is a reason to take no more."""
        desk, wait_s = self._desk, 0.0
        while not (stop.is_set() or now.is_set() or self._interrupted or self._hanging.is_stuck):
            limit = self._wanted()
            if limit < 0:
                return None
            if limit == 0:
                continue
            polite = desk.polite_until_ns > self._now_ns()
            try:
                topics = self._gate.open()
                claimed = desk.bus.claim(
                    topics,
                    self.consumer,
                    limit,
                    wait_s=0.0 if self._drain or polite else LISTEN_S,
                    lease_ns=desk.lease_ns,
                )
            except BusUnavailable as error:
                desk.outage.began(error)
                wait_s = growing(wait_s)
                stop.wait(wait_s)
                continue
            except BusUnusable:
                raise
            except Exception:
                log.exception("tasks could not be claimed, trying on", extra={"action": "claim"})
                wait_s = growing(wait_s)
                stop.wait(wait_s)
                continue
            desk.outage.ended()
            wait_s = 0.0
            if not topics:  # all of them are paused
                stop.wait(0.0 if self._drain else LISTEN_S)
            if claimed:
                crashpoint("worker.claimed")
                late = stop.is_set() or now.is_set()
                if (late or self._may_begin(claimed[0])) and (mine := self._share(claimed, late=late)):
                    return mine
            elif self._drain:
                if self._is_through():
                    return None
            elif polite:
                # By chance: else of two workers the quicker one takes the other's tasks again and again.
                stop.wait(jitter() * POLITE_S)
        return None

    def _wanted(self) -> int:
        """Return how many tasks to claim: 0 when all slots are busy, -1 when there were enough."""
        desk = self._desk
        with desk.changed:
            room = CHUNK
            if self._max_tasks:
                room = self._max_tasks - (self._claimed - desk.handed_back)
                if room <= 0 and not desk.held:
                    return -1
            if self._apart_until_ns and not self._is_quiet() and self._now_ns() < self._apart_until_ns:
                desk.changed.wait(LISTEN_S)
                return 0
            self._apart_until_ns = 0
            batch = self._pace.batch
            waiting = sum(len(slot.chunk) for slot in self._slots)
            idle = sum(slot.is_idle for slot in self._slots)
            wanted = idle if batch == 1 else min(batch * len(self._slots), CHUNK) - waiting
            # Of short tasks more are claimed while the last of them are still being done.
            enough = not idle and waiting > min(self._pace.low * len(self._slots), CHUNK // 4)
            if enough or wanted <= 0 or room <= 0 or len(desk.outbox) > CHUNK:
                desk.changed.wait(LISTEN_S)
                return 0
            return min(wanted, room)

    def _may_begin(self, first: Delivery) -> bool:
        """Whether what was claimed may run now. A task with which workers crashed may not while anything else is here.

        Such a task comes alone (`Bus.claim`) and stays so: each crash counts for all that its worker holds, so what
        merely lay beside a killer would be taken for one too. While it waits for the slots, nothing more is claimed
        for them, else it might wait for ever; another worker may take it meanwhile. It goes back at once and not by
        the completer, for as long as it is held here it would be counted too.
        """
        desk = self._desk
        if first.deliveries <= ALONE_AFTER or not desk.handlers.does(first):
            return True
        with desk.changed:
            quiet = self._is_quiet()
        self._apart_until_ns = sys.maxsize if quiet else self._now_ns() + LOOK_AGAIN_NS
        name, crashes, told = (
            first.key or first.entry,
            first.deliveries - 1,
            {"action": "alone", "key": first.key},
        )
        if quiet:
            log.warning("%s runs alone: %d workers died with it", name, crashes, extra=told)
            return True
        if self._told_alone != name:
            self._told_alone = name
            log.warning("%s waits to run alone: %d workers died with it", name, crashes, extra=told)
        try:
            desk.bus.release([first])
        except BusUnavailable:
            self._share([first], late=True)
        return False

    def _is_quiet(self) -> bool:
        """Whether nothing is held and nothing runs, not even what has lost its lease. The desk's lock is held."""
        return not self._desk.held and all(slot.is_idle for slot in self._slots)

    def _now_ns(self) -> int:
        return self._desk.clock.monotonic_ns()

    def _is_through(self) -> bool:
        """Whether nothing is on its way any more; waits a little while something is."""
        with self._desk.changed:
            if not self._desk.held:
                return True
            self._desk.changed.wait(LISTEN_S)
            return False

    def _share(self, claimed: list[Delivery], *, late: bool) -> Slot | None:
        """Give what was claimed to the slots that have least to do, evenly; what came too `late` goes back.

        Returns a slot that was free until now: the caller runs what it has. Other threads do that for the others.
        """
        self._desk.hold(claimed)
        self._claimed += len(claimed)
        if late:
            self._desk.hand_back(claimed)
            return None
        with self._desk.changed:
            takers = [slot for slot in self._slots if slot.is_idle]
            if self._pace.batch > 1:
                takers = sorted(self._slots, key=lambda slot: (not slot.is_idle, len(slot.chunk)))
            takers = takers or self._slots
            begun = [slot for index, slot in enumerate(takers) if slot.give(claimed[index :: len(takers)])]
        if len(claimed) > len(begun):  # some wait behind others
            self._keeper.attend()
        for slot in begun[1:]:
            self._crew.begin(slot.work)
        return begun[0] if begun else None

    def _leave(self, now: threading.Event) -> Left:
        """Finish or hand back what is held, then go."""
        desk = self._desk
        if not self._await_idle(0.0):
            log.info("leaving: finishing what runs", extra={"action": "stop"})
            for slot in self._slots:
                desk.hand_back(slot.take_back())
            self._await_idle(self._grace_s, now)
            self._end_running(now)
        abandoned = self._abandon()
        for slot in self._slots:
            if not slot.abandoned:  # what it is about to put into the outbox must be told as well
                slot.await_end(TELL_S)
        self._crew.end()
        self._completer.close(TELL_S)
        self._keeper.close(TELL_S)
        hanging = self._hanging
        left = Left(desk.completed, desk.handed_back, abandoned + hanging.count, hanging.is_stuck)
        unfinished = left.handed_back - desk.passed_on
        told = f", {unfinished:,} handed back unfinished" if unfinished > 0 else ""
        log.info("%s leaves: %d completed%s", self.consumer, left.completed, told, extra={"action": "leave"})
        return left

    def _end_running(self, now: threading.Event) -> None:
        """End what still runs; commands are killed when they do not heed it."""
        why = Why.FORCED if now.is_set() else Why.SHUTDOWN
        for slot in self._slots:
            if (run := slot.current) is not None:
                run.stop.set(why)
        if why is Why.SHUTDOWN and not self._await_idle(KILL_GRACE_NS / 1e9 + 1.0, now):
            for slot in self._slots:
                if (run := slot.current) is not None:
                    run.stop.set(Why.FORCED)
        self._await_idle(1.0)

    def _abandon(self) -> int:
        """Hand back what will not end; its thread goes on, but has no say any more."""
        count = 0
        for slot in self._slots:
            with self._desk.changed:  # the keeper may be giving it up
                run = None if slot.abandoned else slot.current
                slot.abandoned = slot.abandoned or run is not None
            if run is not None:
                self._desk.hand_back([run.delivery])
                told = {"action": "abandoned", "task": run.task.id}
                log.warning("%s would not stop and is handed back", run.task.name, extra=told)
                count += 1
        return count

    def _await_idle(self, limit_s: float | None, *unless: threading.Event) -> bool:
        """Wait until no slot runs anything; gives up at the limit, or when an event is set."""
        clock, desk = self._desk.clock, self._desk
        end_ns = None if limit_s is None else clock.monotonic_ns() + int(limit_s * 1e9)
        with desk.changed:
            while not all(slot.is_idle for slot in self._slots):
                if any(event.is_set() for event in unless):
                    return False
                if end_ns is not None and clock.monotonic_ns() >= end_ns:
                    return False
                desk.changed.wait(0.05)
            return True
