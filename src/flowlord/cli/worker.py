"""`flowlord worker`: take tasks and run them; also the workers that `flowlord run --worker` hosts."""

from __future__ import annotations

import logging
import os
import signal
import sys
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from flowlord.cli.ending import linger
from flowlord.cli.exits import ANSWER_IS_BAD, DONE
from flowlord.cli.signals import Signals

if TYPE_CHECKING:
    from flowlord.bus.port import Bus
    from flowlord.config import Settings
    from flowlord.worker.runtime import Left, Worker

log = logging.getLogger("flowlord.worker")


@dataclass(frozen=True, slots=True)
class Options:
    """The flags of `flowlord worker` that are no settings.

    `types` is what `command` (`--exec`) does; without a command it picks among the functions of `apps` and the
    built-in types. `timeout_ns` is for tasks that bring none, `max_tasks` 0 is without bound.
    """

    types: tuple[str, ...] = ()
    command: str = ""
    workers: tuple[str, ...] = ()
    apps: tuple[str, ...] = ()
    concurrency: int = 4
    timeout_ns: int = 0
    max_tasks: int = 0
    name: str = ""
    drain: bool = False


def run(settings: Settings, options: Options) -> int:
    """Work until told to stop, or until there is a reason to end; returns the exit code.

    The first SIGTERM or SIGINT claims no more and lets running tasks finish within the grace; the second hands
    everything back and leaves at once.
    """
    worker, bus = make(settings, options)
    stop, now = threading.Event(), threading.Event()
    ended: list[Left] = []
    failed: list[BaseException] = []

    def work() -> None:
        try:
            ended.append(worker.run(stop, now))
        except BaseException as error:  # noqa: BLE001 - raised again in the main thread
            failed.append(error)
        finally:
            signals.wake()

    code = DONE
    with Signals() as signals:
        thread = threading.Thread(target=work, name="flowlord-worker")
        thread.start()
        while number := signals.next():
            if stop.is_set():
                now.set()
                code = 128 + number
            else:
                log.info("%s: leaving", signal.Signals(number).name, extra={"action": "signal"})
            stop.set()
        thread.join()
    bus.close()
    if failed:
        raise failed[0]
    if code == DONE and any(left.stuck for left in ended):
        code = ANSWER_IS_BAD  # a supervisor starts it again
    if any(left.abandoned for left in ended):
        # A function that would not stop still runs, and may keep the interpreter from ending.
        logging.shutdown()
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)
    if options.apps:
        linger(code)
    return code


def build(
    settings: Settings,
    *,
    workers: Sequence[str] = (),
    app: str = "",
    concurrency: int = 4,
    bus: Bus | None = None,
) -> tuple[Worker, Bus]:
    """Return a worker for a daemon to host, and its bus: the given one, else one of its own to be closed.

    Raises:
        InvalidConfig: a flag cannot be honoured.
    """
    options = Options(workers=tuple(workers), apps=(app,) if app else (), concurrency=concurrency)
    return make(settings, options, bus)


def make(settings: Settings, options: Options, bus: Bus | None = None) -> tuple[Worker, Bus]:
    """Return the worker that flags and settings ask for, and its bus."""
    from flowlord.bus.clock import SystemClock
    from flowlord.cli.buses import bus_at
    from flowlord.worker.resolve import handlers
    from flowlord.worker.runtime import Worker, consumer_name

    by_name = handlers(
        types=options.types, command=options.command, workers=options.workers, apps=options.apps
    )
    clock = SystemClock()
    consumer = consumer_name(options.name, clock)
    bus = bus or bus_at(settings.bus, by=consumer)
    worker = Worker(
        bus,
        by_name,
        consumer=consumer,
        clock=clock,
        concurrency=options.concurrency,
        lease_ns=settings.bus.lease_ns,
        grace_s=settings.worker.grace_ns / 1e9,
        timeout_ns=options.timeout_ns,
        max_tasks=options.max_tasks,
        drain=options.drain,
        done_topic=settings.taskmaster.done_topic,
    )
    return worker, bus
