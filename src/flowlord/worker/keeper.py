"""The thread that keeps what the worker holds: renews leases, tells that the worker lives, ends what takes too long.

It does nothing but wait and ask the bus, so a handler that computes in Python cannot starve it: the interpreter takes
the GIL away from such a handler every 5 ms. Code in C that keeps the GIL for longer than the lease can. Then the task
may be run elsewhere, and the lease token sees to it that only one of the two results counts.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Sequence

from msgspec.structs import replace

from flowlord.bus.port import Bus, Presence
from flowlord.model.errors import BusError, BusUnavailable
from flowlord.worker.desk import Desk
from flowlord.worker.handler import Run, Why
from flowlord.worker.hanging import Hanging
from flowlord.worker.pace import SPAN_NS, Pace
from flowlord.worker.slot import Slot

log = logging.getLogger("flowlord.worker")

RETRY_NS = 1_000_000_000
TOLD = 100
"""Running tasks that a heartbeat names at most."""


class Keeper:
    """Renews at a third of the lease, on a connection of its own when it is given one."""

    def __init__(
        self, desk: Desk, slots: Sequence[Slot], pace: Pace, bus: Bus, presence: Presence, hanging: Hanging
    ) -> None:
        self._desk, self._slots, self._pace, self._bus, self._presence = desk, slots, pace, bus, presence
        self._hanging = hanging
        self._wake = threading.Event()
        self._end = threading.Event()
        self._next_ns = 0
        self._alert_ns = 0
        self.thread = threading.Thread(target=self._work, name="flowlord-keeper", daemon=True)

    def attend(self, run: Run | None = None) -> None:
        """Look soon: slots were given more than one task, or a task has a deadline."""
        if run is None or run.deadline_ns < self._alert_ns:
            self._wake.set()

    def close(self, limit_s: float) -> None:
        """End, and forget that this worker was here."""
        self._end.set()
        self._wake.set()
        self.thread.join(limit_s)
        try:
            self._bus.leave(self._desk.consumer)
        except BusError:
            pass

    def _work(self) -> None:
        clock = self._desk.clock
        while not self._end.is_set():
            now_ns = clock.monotonic_ns()
            if now_ns >= self._next_ns:
                self._next_ns = now_ns + self._keep()
            try:
                self._watch(clock.monotonic_ns())
            except Exception:  # whoever renews the leases must not die of anything else
                log.exception("a slot could not be looked after", extra={"action": "watch"})
            self._alert_ns = min(self._next_ns, *self._soon(clock.monotonic_ns()))
            self._wake.wait(max(self._alert_ns - clock.monotonic_ns(), 0) / 1e9)
            self._wake.clear()

    def _keep(self) -> int:
        """Renew and beat; returns in how many nanoseconds to do so again."""
        lease_ns = self._desk.lease_ns
        try:
            with self._desk.changed:
                held = list(self._desk.held.values())
            if held:
                self._lost({(each.entry, each.token) for each in self._bus.renew(held, lease_ns=lease_ns)})
            current = [slot.current for slot in self._slots]
            running = [run.task.id or run.delivery.key for run in current if run is not None]
            self._bus.beat(replace(self._presence, running=tuple(running[:TOLD])))
        except BusUnavailable as error:
            self._desk.outage.began(error)
            return min(RETRY_NS, lease_ns // 10)
        except Exception:
            log.exception("leases could not be renewed", extra={"action": "renew"})
            return min(RETRY_NS, lease_ns // 10)
        self._desk.outage.ended()
        return lease_ns // 3

    def _lost(self, lost: set[tuple[str, str]]) -> None:
        if not lost:
            return
        with self._desk.changed:
            for name in lost:
                self._desk.held.pop(name, None)  # those that wait in a slot are skipped there
        for slot in self._slots:
            run = slot.current
            if run is not None and (run.delivery.entry, run.delivery.token) in lost:
                run.stop.set(Why.LOST)

    def _watch(self, now_ns: int) -> None:
        if self._desk.outbox:
            self._desk.ring(now_ns)
        for slot in tuple(self._slots):
            run = slot.current
            if run is None:
                continue
            if run.deadline_ns and now_ns >= run.deadline_ns:
                run.stop.set(Why.TIMEOUT)
                self._hanging.look(slot, run, now_ns)
            if slot.chunk and now_ns - slot.since_ns > SPAN_NS:
                # A long task came among short ones: others may do what waits behind it, and what is done is told.
                self._pace.stumble()
                self._desk.pass_on(slot.take_back())

    def _soon(self, now_ns: int) -> list[int]:
        """Return when something here must be looked at."""
        found = [now_ns + self._desk.lease_ns]
        for slot in self._slots:
            run = slot.current
            if run is not None and run.deadline_ns > now_ns:
                found.append(run.deadline_ns)
            elif run is not None and run.given_up_ns > now_ns:
                found.append(run.given_up_ns)
            if slot.chunk or self._desk.outbox:
                found.append(now_ns + SPAN_NS)
        return found
