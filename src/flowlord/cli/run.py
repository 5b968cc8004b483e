"""`flowlord run`: the daemon."""

from __future__ import annotations

import logging
import os
import signal
import socket
import threading
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import NoReturn

from flowlord import __version__
from flowlord.alert.heartbeat import Heartbeat
from flowlord.bus.clock import SystemClock
from flowlord.bus.open import NAMESPACE
from flowlord.bus.port import Bus, Presence
from flowlord.cli import printer
from flowlord.cli.alerting import alerter_of
from flowlord.cli.buses import bus_at
from flowlord.cli.ending import linger
from flowlord.cli.exits import ANSWER_IS_BAD, DONE, WRONG_USE
from flowlord.cli.historian import backups_of, beside, follower_of, place_of
from flowlord.cli.lasting import rarely_look_for_garbage
from flowlord.cli.places import place_at, unreadable
from flowlord.cli.signals import Signals, has_terminal
from flowlord.cli.stores import storage_at
from flowlord.cli.texts import some
from flowlord.config import AlertSettings, Settings, WatchSettings
from flowlord.model.clock import Clock
from flowlord.model.plan import Plan
from flowlord.model.problem import Severity
from flowlord.spec.disk import DiskTree
from flowlord.spec.load import Loaded
from flowlord.storage.address import is_remote
from flowlord.storage.open import Storage
from flowlord.taskmaster.alerting import SUBJECT as ALERTS
from flowlord.taskmaster.alerting import Together
from flowlord.taskmaster.backups import Restorer, left_to_the_next_start
from flowlord.taskmaster.chance import Chance, Stamps
from flowlord.taskmaster.daemon import Follows, Pace, Taskmaster
from flowlord.taskmaster.files import Watching
from flowlord.taskmaster.follower import Follower
from flowlord.taskmaster.persist import persist
from flowlord.taskmaster.surroundings import Surroundings

log = logging.getLogger("flowlord.run")

REFRESH_S, REMOTE_REFRESH_S = 10.0, 60.0
HURRY_S = 5.0
"""How long a second signal lets hosted commands be ended and handed back."""


def run(
    settings: Settings,
    path: str,
    *,
    once: bool = False,
    strict: bool = False,
    workers: Sequence[str] = (),
    app: str = "",
    concurrency: int = 4,
) -> int:
    """Load, decide, publish, hear results, until told to stop; returns the exit code."""
    storage = storage_at(settings.storage)
    try:
        tree = place_at(path, storage=storage)
    except OSError as error:
        return unreadable(path, error, "run")
    if isinstance(tree, DiskTree) and not Path(tree.path).exists():
        printer.error(
            f"there is no file or folder {path}",
            hint="name the folder of your workflow files: flowlord run workflows/",
        )
        return WRONG_USE
    chance = Chance()
    consumer = f"{socket.gethostname()}-{os.getpid()}-{chance.token()[:6]}"
    bus = bus_at(settings.bus, by=consumer)
    try:
        around = _surroundings(settings, bus, chance, consumer, storage)
        taskmaster = Taskmaster(
            around,
            tree,
            follower=_follower(settings, around, is_short=once),
            hosted=_hosted(settings, bus, workers, app, concurrency),
            pace=Pace(_refresh_s(settings, path), settings.taskmaster.grace_ns / 1e9),
            presence=_presence(around),
            watching=_watching(settings.watch),
            heartbeat=_heartbeat(settings.alerts, around.clock),
        )

        def begin(stop: threading.Event) -> int:
            def load() -> tuple[Loaded, Mapping[str, str]]:
                return taskmaster.load(), bus.describe()

            try:
                found = load() if once else persist(load, stop)
            except OSError as error:
                return unreadable(path, error, "run")
            if found is None:
                return DONE
            loaded, about = found
            _tell_start(loaded, around, settings, about, waits=once and not workers and not app)
            if not app:
                rarely_look_for_garbage()
            return _refusal(loaded, around, strict)

        code = _until_told(Work(taskmaster, begin, once=once))
        if not code and once and (around.counters.dead or around.counters.halted):
            code = ANSWER_IS_BAD
        if app:
            linger(code)
        return code
    finally:
        bus.close()


class Work:
    """The taskmaster in a thread: it loads, then runs, so that the main thread hears signals from the first word on.

    Args:
        begin: loads and tells what is there, or gives up when its event is set; returns an exit code, and there is
            nothing to run when that is not DONE.
    """

    def __init__(
        self, taskmaster: Taskmaster, begin: Callable[[threading.Event], int], *, once: bool
    ) -> None:
        self.taskmaster, self._begin, self._once = taskmaster, begin, once
        self.stop = threading.Event()
        self.code = DONE
        self.failed: BaseException | None = None
        self._running = False
        self._turn = threading.Lock()

    def start(self, ended: Callable[[], None]) -> threading.Thread:
        """Start the thread; it calls `ended` last."""

        def work() -> None:
            try:
                self._do()
            except BaseException as error:  # noqa: BLE001 - raised again in the main thread
                self.failed = error
            finally:
                ended()

        thread = threading.Thread(target=work, name="flowlord-run", daemon=True)
        thread.start()
        return thread

    def ask_to_stop(self) -> bool:
        """Ask it to finish; returns whether there is anything to finish. What still loads never runs then."""
        with self._turn:
            self.stop.set()
            return self._running

    def _do(self) -> None:
        self.code = self._begin(self.stop)
        with self._turn:
            self._running = self.code == DONE and not self.stop.is_set()
        if self._running:
            self.taskmaster.run(self.stop, once=self._once)


def _until_told(work: Work) -> int:
    """Load and run until a signal comes or, with `once`, nothing is left; a second signal leaves at once."""
    taskmaster = work.taskmaster
    ends_with_terminal = has_terminal() and signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN
    with Signals(signal.SIGHUP) as signals:
        thread = work.start(signals.wake)
        while number := signals.next():
            if number == signal.SIGHUP and not (ends_with_terminal and not has_terminal()):
                taskmaster.reload()
                continue
            if work.stop.is_set():
                # What is on the bus is safe however we leave; hosted commands are ended and handed back.
                taskmaster.hurry()
                thread.join(HURRY_S)
                _leave(128 + number)
            if not work.ask_to_stop():
                # Nothing was begun, and a bucket that does not answer would keep us for a minute.
                log.info("told to stop before it began", extra={"action": "stop"})
                _leave(DONE)
        thread.join()
    if work.failed:
        raise work.failed
    return work.code


def _leave(code: int) -> NoReturn:
    """Leave at once: another thread may be anywhere."""
    logging.shutdown()
    os._exit(code)


def _refresh_s(settings: Settings, path: str) -> float:
    """Return how often workflows are looked at: a listing of a bucket costs more than one of a folder."""
    return settings.taskmaster.reload_ns / 1e9 or (REMOTE_REFRESH_S if is_remote(path) else REFRESH_S)


def _surroundings(
    settings: Settings, bus: Bus, chance: Chance, consumer: str, storage: Storage
) -> Surroundings:
    clock = SystemClock()
    return Surroundings(
        bus=bus,
        clock=clock,
        chance=chance,
        stamps=Stamps(clock, chance.digit()),
        consumer=consumer,
        host=socket.gethostname(),
        zone=settings.taskmaster.zone,
        failed_topic=settings.taskmaster.failed_topic,
        done_topic=settings.taskmaster.done_topic,
        max_deliveries=settings.bus.max_deliveries,
        lease_ns=settings.bus.lease_ns,
        task_ttl_ns=settings.taskmaster.task_ttl_ns,
        storage=storage,
        channels=_channels(settings.alerts),
    )


def _channels(alerts: AlertSettings) -> tuple[str, ...]:
    names = [spec.name for spec in alerts.channels]
    return tuple(sorted(names, key=lambda name: name != alerts.default))


def _follower(settings: Settings, around: Surroundings, *, is_short: bool) -> Follows:
    """Return what writes the history and tells alerts: a process beside this one, or a thread of this one.

    A bus in memory can be seen from here only, and for a short run it is not worth to wait for a process.
    """
    cache, bus, clock = settings.cache, around.bus, around.clock
    owner = f"{around.consumer}|{os.getpid()}"

    def undelivered(text: str) -> None:
        if text:
            around.health.fault(ALERTS, text, Severity.WARNING)
        else:
            around.health.mended(ALERTS)

    alerter = alerter_of(bus, clock, settings.alerts, settings.taskmaster.zone, owner, undelivered)
    if is_short or bus.address.startswith("memory:"):
        return Together(_history(settings, around, is_short=is_short), alerter) if cache.enabled else alerter
    restore = left_to_the_next_start if cache.backup_path else None
    here = follower_of(bus, settings.bus, clock, cache, restore) if cache.enabled else alerter
    return beside(settings, around, here)


def _history(settings: Settings, around: Surroundings, *, is_short: bool) -> Follower:
    """Return what writes the history in a thread of this process."""
    cache, bus, clock = settings.cache, around.bus, around.clock
    place = place_of(cache, settings.storage)
    if place is None:
        return follower_of(bus, settings.bus, clock, cache)
    backups = backups_of(
        place, cache, around.consumer, clock,
        tell=lambda state: None, fact=lambda fact: bus.commit(Plan(facts=(fact,))),
    )  # fmt: skip
    at_end = backups.step if is_short else backups.finish
    return follower_of(bus, settings.bus, clock, cache, Restorer(place, clock), at_end)


def _heartbeat(alerts: AlertSettings, clock: Clock) -> Heartbeat | None:
    if not alerts.heartbeat_url:
        return None
    return Heartbeat(alerts.heartbeat_url, alerts.heartbeat_every_ns, clock)


def _watching(watch: WatchSettings) -> Watching:
    buckets = watch.buckets == "poll" or (watch.buckets == "auto" and not watch.file_topic)
    return Watching(watch.file_topic, watch.initial, watch.poll_ns, buckets=buckets)


def _presence(around: Surroundings) -> Presence:
    return Presence(
        consumer=around.consumer,
        kind="taskmaster",
        host=around.host,
        pid=os.getpid(),
        started_us=int(around.now().timestamp() * 1e6),
        version=__version__,
        lease_ns=around.lease_ns,
    )


def _hosted(
    settings: Settings, bus: Bus, workers: Sequence[str], app: str, concurrency: int
) -> Callable[[threading.Event, threading.Event], None] | None:
    """Return what runs the workers that this daemon hosts; None when it hosts none."""
    if not workers and not app:
        return None
    from flowlord.cli.worker import build

    # A bus in memory is there for those who share the object. Of one in a file a second connection would read again
    # what the first has written, and wait for it by sleeping. On Redis one of its own spares it our waits.
    shared = bus if bus.address.startswith(("memory:", "sqlite:")) else None
    worker, own = build(settings, workers=workers, app=app, concurrency=concurrency, bus=shared)

    def host(stop: threading.Event, now: threading.Event) -> None:
        try:
            left = worker.run(stop, now)
        finally:
            if own is not bus:
                own.close()
        if left.stuck:
            from flowlord.model.errors import Stuck

            raise Stuck(
                "functions hang in as many threads as the hosted worker has slots",
                hint="start it again; the tracebacks are in `flowlord tasks --failed`",
            )

    return host


def _tell_start(
    loaded: Loaded, around: Surroundings, settings: Settings, about: Mapping[str, str], *, waits: bool
) -> None:
    """Say what is running, as a person wants to see it first; `waits` for workers elsewhere until it may end."""
    phases = [phase for flow in around.workflows.by_name.values() for phase in flow.phases]
    ticks = sum(1 for phase in phases if phase.rule.cron)
    children = sum(1 for phase in phases if phase.parent)
    files = sum(1 for phase in phases if phase.rule.files)
    errors = sum(1 for problem in loaded.problems if problem.severity is Severity.ERROR)
    warnings = sum(1 for problem in loaded.problems if problem.severity is Severity.WARNING)
    printer.say(f"flowlord {__version__}  {around.consumer}")
    printer.say(
        f"  workflows  {some(len(around.workflows.by_name), 'file')}, {some(len(phases), 'phase')}: "
        f"{ticks} cron, {files} files, {children} children     {some(errors, 'error')}, {some(warnings, 'warning')}"
    )
    engine = ", ".join(about[name] for name in ("engine", "journal_mode", "durability") if name in about)
    if settings.bus.namespace != NAMESPACE:
        engine += f", namespace {settings.bus.namespace}"
    printer.say(f"  bus        {around.bus.address}  {engine}".rstrip())
    if "note" in about:
        printer.say(f"             {about['note']}")
    printer.say(f"  history    {settings.cache.path if settings.cache.enabled else 'off'}")
    if waits:
        printer.say(
            "  workers    none in here: this ends when those elsewhere have done what starts; --app hosts some"
        )
    names = ", ".join(spec.name for spec in settings.alerts.channels)
    printer.say(f"  alerts     {names or 'kept, and told to nobody: there is no channel'}")
    for problem in loaded.problems:
        if problem.severity is not Severity.NOTE:
            printer.say(f"  {problem}")
            if problem.hint:
                printer.say(f"    = hint: {problem.hint}")
    if not phases:
        log.warning("there is no phase here: nothing will start", extra={"action": "workflows.none"})


def _refusal(loaded: Loaded, around: Surroundings, strict: bool) -> int:
    broken = any(problem.severity is Severity.ERROR for problem in loaded.problems)
    if broken and (strict or not around.workflows.by_name):
        what = (
            "--strict: a workflow file is broken"
            if around.workflows.by_name
            else "no workflow file can be used"
        )
        printer.error(what, hint="flowlord validate tells every problem")
        return ANSWER_IS_BAD
    return DONE
