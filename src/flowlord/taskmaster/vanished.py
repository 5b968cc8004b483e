"""Notices processes that vanished: that did not say goodbye, and whose heartbeat stands still."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from flowlord.bus.port import Presence
from flowlord.decide.vanished import TASKMASTER, Silent, on_vanished, outcome_of
from flowlord.model.errors import BusError
from flowlord.taskmaster.surroundings import Surroundings

log = logging.getLogger("flowlord.reaper")

SLACK = 1.5
"""How many leases a heartbeat must stand still: it comes three times in one."""
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(slots=True)
class _Sight:
    beat_us: int
    since_ns: int
    told: bool = False


class Vanished:
    """Looks at heartbeats; one is over only when this daemon saw it stand still, on its own clock and without a break.

    Else everybody would have vanished whenever the bus, or this machine, had been away for a while.

    Args:
        gap_ns: a longer time between two looks is a break.
    """

    def __init__(self, around: Surroundings, gap_ns: int) -> None:
        self._around = around
        self._gap_ns = gap_ns
        self._sights: dict[str, _Sight] = {}
        self._looked_ns = 0

    def step(self) -> int:
        """Tell who vanished since; returns how many."""
        try:
            found = self._around.bus.presences()
        except BusError:
            self._sights.clear()
            raise
        now_ns = self._around.clock.monotonic_ns()
        if now_ns - self._looked_ns > self._gap_ns:
            self._sights.clear()
        self._looked_ns = now_ns
        here = {each.consumer: each for each in found if each.consumer != self._around.consumer}
        for gone in self._sights.keys() - here.keys():
            del self._sights[gone]
        daemons = {(each.host, each.pid) for each in found if each.kind == TASKMASTER}
        return sum(
            self._is_told(each, now_ns, hosts=(each.host, each.pid) in daemons) for each in here.values()
        )

    def _is_told(self, each: Presence, now_ns: int, *, hosts: bool) -> bool:
        sight = self._sights.get(each.consumer)
        if sight is None or sight.beat_us != each.beat_us:
            self._sights[each.consumer] = _Sight(each.beat_us, now_ns)
            return False
        if sight.told or now_ns - sight.since_ns < each.lease_ns * SLACK:
            return False
        beat = _EPOCH + timedelta(microseconds=each.beat_us)
        for_ns = max((self._around.bus.now_us() - each.beat_us) * 1000, now_ns - sight.since_ns)
        silent = Silent(each.consumer, each.kind, each.host, each.pid, beat, for_ns, each.running, hosts)
        plan = on_vanished(silent)
        answer = self._around.bus.commit(plan, outcomes=(outcome_of(silent),))
        sight.told = True
        if answer.duplicate:
            return False
        log.error("%s", plan.facts[0].text, extra={"action": "process.vanished", "consumer": each.consumer})
        return True
