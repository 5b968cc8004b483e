"""One running taskmaster: starts its loops, keeps them alive, and drains when told to stop."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import Protocol

from msgspec import structs

from flowlord.alert.heartbeat import Heartbeat
from flowlord.bus.port import Presence
from flowlord.model.errors import BusError, BusUnavailable, FlowlordError
from flowlord.model.plan import Fact, FactKind, Plan
from flowlord.model.problem import Severity
from flowlord.model.revision import revision_of
from flowlord.model.workflow import Workflows
from flowlord.rules.durations import short_duration
from flowlord.spec import load as files
from flowlord.spec.disk import DiskTree
from flowlord.spec.tree import Tree
from flowlord.taskmaster.absent import AbsentWatch
from flowlord.taskmaster.batches import Batches
from flowlord.taskmaster.files import FileLoop, Watching
from flowlord.taskmaster.hints import Hints
from flowlord.taskmaster.late import LateWatch
from flowlord.taskmaster.looking import Looking, asked
from flowlord.taskmaster.mountloops import MountLoops
from flowlord.taskmaster.mounts import Mounts, Share
from flowlord.taskmaster.notices import NoticeLoop
from flowlord.taskmaster.readings import PATIENCE_S, Readings
from flowlord.taskmaster.reaper import move_due, reap, sweep
from flowlord.taskmaster.reload import Reloader
from flowlord.taskmaster.router import Router
from flowlord.taskmaster.scheduler import Scheduler
from flowlord.taskmaster.supervisor import Supervisor
from flowlord.taskmaster.surroundings import Surroundings
from flowlord.taskmaster.vanished import Vanished
from flowlord.taskmaster.watchdog import Watchdog, leave_for_good

log = logging.getLogger("flowlord.taskmaster")

PROMOTE_EVERY_S = 0.1
SWEEP_EVERY_S = 60.0
PAUSES_EVERY_S = 1.0
IDLE_LOOK_S = 0.1
ABSENT_EVERY_S = 5.0
MOUNTS_EVERY_S = 5.0
HEARTBEAT_LOOK_S = 1.0
HEARTBEAT = "heartbeat of alerts"  # not the name of its loop, which is mended by each step
STEP_LIMIT_S = 15.0
LAST_NS = 10_000_000_000
"""How long results are still taken in at the end; what is left waits on the bus for whoever comes next."""
HOSTED_MORE_S = 15.0
OUTAGE_NS = 30_000_000_000
"""A bus that was away for longer is told."""


@dataclass(frozen=True, slots=True)
class Pace:
    """How often the daemon looks; seconds."""

    reload_s: float = 10.0
    grace_s: float = 25.0


class Follows(Protocol):
    """What writes the history, here or in a process of its own; `name` is that of its loop."""

    name: str

    def step(self) -> object:
        """Do a little, waiting up to a second."""
        ...

    def finish(self) -> None:
        """Write what is there still, for some seconds at most, and end."""
        ...


class Taskmaster:
    """Decides and publishes.

    `hosted` runs workers beside the loops: it is called in a thread, with the event that asks them to finish and the
    one that asks them to leave at once.
    """

    def __init__(
        self,
        around: Surroundings,
        path: str | Tree,
        *,
        follower: Follows | None = None,
        hosted: Callable[[threading.Event, threading.Event], None] | None = None,
        pace: Pace | None = None,
        presence: Presence,
        watching: Watching | None = None,
        heartbeat: Heartbeat | None = None,
    ) -> None:
        self.around = around
        self._heartbeat = heartbeat
        self._tree = files.tree_of(path)
        self.reloader = Reloader(around, self._tree)
        self._follower = follower
        self._hosted = hosted
        self._pace = pace or Pace()
        self._presence = presence
        self._looking = Looking(around.bus, around.clock, self.reloader.step, self._beat, self._pace.reload_s)
        self._hints: Hints | None = None
        self._watching = watching or Watching()
        self._files: FileLoop | None = None
        self._notices: NoticeLoop | None = None
        self._supervisor = Supervisor(around.health, around.clock)
        self._watchdog = Watchdog(around.clock)
        self._router: Router | None = None
        self._batches = Batches(around, patience_s=PATIENCE_S)
        self._late_watch = LateWatch(around, around.task_ttl_ns, {self._watching.topic})
        self._ticking = threading.Event()
        self._ticking.set()
        self._hosted_stop = threading.Event()
        self._hosted_now = threading.Event()
        self._hosted_thread: threading.Thread | None = None

    def load(self) -> files.Loaded:
        """Load the workflow files; must come before `run`."""
        self._looking.token = asked(self.around.bus)
        return self.reloader.start()

    def reload(self) -> None:
        """Look at the workflow files as soon as can be; for a signal."""
        self._looking.now()

    def run(self, stop: threading.Event, *, once: bool = False) -> None:
        """Work until `stop` is set, or, with `once`, until nothing is left to do; then drain."""
        around = self.around
        scheduler = Scheduler(around, around.changed, None if once else Readings(around, around.changed))
        mounts = Mounts()
        self._files = FileLoop(around, self._watching, once=once, share=None if once else Share(mounts))
        if once:
            while scheduler.decide_due():
                pass
            self._files.once(stop)
            FileLoop(around, self._watching, once=True, buckets=True).once(stop)
        else:
            self._supervisor.start("files", self._while_ticking(discard(self._files.step)))
            buckets = FileLoop(around, self._watching, buckets=True)
            self._supervisor.start("buckets", self._while_ticking(discard(buckets.step)))
            loops = MountLoops(
                around,
                self._watching,
                mounts,
                self._start_while_ticking,
                self._supervisor.end,
                self._supervisor.steps,
            )
            self._supervisor.start("mounts", every(MOUNTS_EVERY_S, loops.step))
            self._supervisor.start("scheduler", self._while_ticking(scheduler.step))
            self._supervisor.start("reload", self._looking.step)
            self._supervisor.start("late", self._late)
            absent = AbsentWatch(around, self._watching.poll_ns)
            self._supervisor.start("absent", every(ABSENT_EVERY_S, absent.step))
            look_s = min(around.lease_ns / 4e9, 5.0)
            self._supervisor.start("vanished", every(look_s, Vanished(around, around.lease_ns).step))
            if self._heartbeat:
                self._supervisor.start("heartbeat", every(HEARTBEAT_LOOK_S, self._tell_alive))
            if isinstance(self._tree, DiskTree):
                self._hints = Hints(self._tree.path, self._looking.hinted)
        self._supervisor.start("pauses", every(PAUSES_EVERY_S, self._look_at_pauses))
        if self._watching.topic:
            self._notices = NoticeLoop(around, self._watching.topic, once=once, lists=self._watching.buckets)
            self._supervisor.start("notices", self._while_ticking(discard(self._notices.step)))
        self._supervisor.start("router", self._route)
        self._supervisor.start("promoter", every(PROMOTE_EVERY_S, self._move))
        self._supervisor.start("batches", self._publish)
        self._supervisor.start("reaper", every(min(around.lease_ns / 4e9, 5.0), lambda: reap(around)))
        self._supervisor.start("beat", every(min(around.lease_ns / 3e9, 5.0), self._beat))
        self._supervisor.start("sweeper", every(SWEEP_EVERY_S, lambda: sweep(around, self._supervisor.stop)))
        if self._follower:
            self._supervisor.start(self._follower.name, discard(self._follower.step))
        if self._hosted:
            self._hosted_thread = threading.Thread(
                target=self._host,
                args=(self._hosted,),
                name="flowlord-hosted",
                daemon=True,
            )
            self._hosted_thread.start()
        try:
            self._wait(stop, scheduler if once else None)
        finally:
            self._drain()
        if self._supervisor.fatal:
            raise self._supervisor.fatal

    def _start_while_ticking(self, name: str, step: Callable[[], object]) -> None:
        self._supervisor.start(name, self._while_ticking(discard(step)))

    def _while_ticking(self, step: Callable[[], None]) -> Callable[[], None]:
        """Start phases, but nothing new while this daemon finishes: another one, or a restart, catches up."""

        def run() -> None:
            if self._ticking.is_set():
                step()
            else:
                self._supervisor.stop.wait(1.0)

        return run

    def _host(self, hosted: Callable[[threading.Event, threading.Event], None]) -> None:
        """Run the hosted workers; when they cannot go on, nor does this process: a supervisor starts it again."""
        try:
            hosted(self._hosted_stop, self._hosted_now)
        except FlowlordError as error:
            leave_for_good()
            if self._supervisor.fatal is None:
                self._supervisor.fatal = error

    def hurry(self) -> None:
        """Ask hosted workers to leave at once; for a second signal."""
        self._hosted_stop.set()
        self._hosted_now.set()

    def _wait(self, stop: threading.Event, once: Scheduler | None) -> None:
        while not stop.wait(IDLE_LOOK_S if once else 1.0):
            if self._supervisor.fatal:
                return
            if hung := self._watchdog.hung(self._supervisor.steps):
                leave_for_good()
                text = f"these loops hang: {', '.join(hung)}"
                self._supervisor.fatal = FlowlordError(text, hint="look at the log before, and at the bus")
                return
            if once and self._is_idle() and not self._starts_more(once):
                return

    def _starts_more(self, scheduler: Scheduler) -> bool:
        """Start what stood in line behind a start that has come to its end by now; returns whether there was any."""
        try:
            landed = scheduler.decide_due(at_once=True) if scheduler.holds_back else 0
            while landed and scheduler.decide_due():  # until the next one of each line waits again
                pass
            return landed > 0
        except BusUnavailable:
            return True

    def _tell_alive(self) -> None:
        """Call the heartbeat while all is well; that nobody hears it is a weaker fault, with which it goes on."""
        health = self.around.health
        assert self._heartbeat is not None
        told = self._heartbeat.step(is_well=health.colour() != "red")
        if told == "" and health.mended(HEARTBEAT):
            log.info("the heartbeat is heard again", extra={"action": "heartbeat.back"})
        if told and health.fault(HEARTBEAT, told, Severity.WARNING):
            log.warning("nobody hears the heartbeat: %s", told, extra={"action": "heartbeat.lost"})

    def _look_at_pauses(self) -> None:
        before = self.around.paused
        self.around.look_at_pauses()
        if self.around.paused != before:
            self.around.changed.set()

    def _is_idle(self) -> bool:
        """Nothing of ours waits, runs or is due later: what nobody here can do anything about does not count."""
        around = self.around
        topics = {around.done_topic, self._watching.topic} | topics_of(around.workflows)
        try:
            _, before = around.bus.journal_bounds()
            if around.bus.marks_like("batch:"):
                return False
            states = [state for state in around.bus.topics() if state.topic in topics]
            _, after = around.bus.journal_bounds()
        except BusUnavailable:
            return False
        if (
            before != after
        ):  # work may have gone from a topic into a batch, or back, behind the look at either
            return False
        return not any(state.waiting or state.running or state.later for state in states)

    def _drain(self) -> None:
        around = self.around
        log.info("finishing; a second signal leaves at once", extra={"action": "drain"})
        self._ticking.clear()
        if self._hints:
            self._hints.close()
        self._hosted_stop.set()
        if self._hosted_thread:
            # Workers keep the grace themselves; then they kill, hand back and tell, which takes a moment more.
            self._hosted_thread.join(self._pace.grace_s + HOSTED_MORE_S)
            if self._hosted_thread.is_alive():
                self.hurry()
                self._hosted_thread.join(HOSTED_MORE_S)
        around.changed.set()
        late = self._supervisor.join(STEP_LIMIT_S)
        if self._files is not None and "flowlord-files" not in late:
            self._files.close()
        if late:
            log.error("these loops did not end in time: %s", ", ".join(late), extra={"action": "drain.late"})
        try:
            if "flowlord-router" not in late:  # its loop would still be at work with it
                self._hear_last(self._router or Router(around))
            if self._notices is not None and "flowlord-notices" not in late:
                self._notices.close()
            around.bus.leave(around.consumer)
        except BusError as error:  # what is left waits on the bus for the next daemon
            log.error("the bus went away while finishing: %s", error, extra={"action": "drain.bus"})
        try:
            if self._follower:
                self._follower.finish()
        except Exception as error:  # noqa: BLE001 - the history can be completed later: its cursor tells where it stands
            log.error("the history is not complete: %s", error, extra={"action": "drain.history"})

    def _hear_last(self, router: Router) -> None:
        """Take in results that came last, but for no longer than LAST_NS: somebody waits for our end."""
        end_ns = self.around.clock.monotonic_ns() + LAST_NS
        while router.step(0.0) and self.around.clock.monotonic_ns() < end_ns:
            pass
        router.close()

    def _route(self) -> None:
        if self._router is None:  # made here, so that a bus that is away delays the loop and not the start
            self._router = Router(self.around)
        self._router.step()

    def _late(self) -> float:
        return 0.0 if self._late_watch.step() else self._late_watch.pause_s

    def _move(self) -> None:
        while move_due(self.around) and not self._supervisor.stop.is_set():
            pass

    def _publish(self) -> float:
        return 0.0 if self._batches.step() else PROMOTE_EVERY_S

    def _beat(self) -> None:
        faults = "; ".join(f"{subject}: {text}" for subject, text in self.around.health.faults().items())
        colour = self.around.health.colour()
        revision = revision_of(self.around.workflows)
        presence = structs.replace(
            self._presence,
            consumer=self.around.consumer,
            lease_ns=self.around.lease_ns,
            revision=f"{revision}@{self.reloader.commit}" if self.reloader.commit else revision,
            health=f"{colour}: {faults}" if faults else colour,
            reload=self._looking.token,
        )
        self.around.bus.beat(presence)
        self._tell_outage()

    def _tell_outage(self) -> None:
        """Tell that the bus was away for long, now that it answers: meanwhile nobody could be told on it."""
        lost_ns, self._supervisor.away_ns = self._supervisor.away_ns, 0
        if lost_ns < OUTAGE_NS:
            return
        since = self.around.now() - timedelta(microseconds=lost_ns // 1000)
        text = (
            f"{self.around.consumer} could not reach the bus for {short_duration(lost_ns)}, "
            f"from {since:%Y-%m-%dT%H:%M:%SZ}: what was due meanwhile is caught up"
        )
        fact = Fact(FactKind.ALERT, cause=f"bus:{self.around.bus.address}", text=text)
        try:
            self.around.bus.commit(Plan(facts=(fact,)))
        except BusError:
            self._supervisor.away_ns = lost_ns
            raise


def every(seconds: float, work: Callable[[], object]) -> Callable[[], float]:
    """Make a loop of what is to be done every so often."""

    def run() -> float:
        work()
        return seconds

    return run


def discard(step: Callable[[], object]) -> Callable[[], None]:
    """Make a loop of a step whose answer is not needed."""

    def run() -> None:
        step()

    return run


def topics_of(flows: Workflows) -> set[str]:
    """Return the topics that the loaded phases publish to."""
    return {phase.topic for flow in flows.by_name.values() for phase in flow.phases}
