"""Which topics a worker may claim from: those that nobody has paused."""

from __future__ import annotations

import logging
from collections.abc import Sequence

from flowlord.bus.pauses import PauseWatch
from flowlord.bus.port import Bus
from flowlord.model.clock import Clock
from flowlord.model.paused import NOTHING

log = logging.getLogger("flowlord.worker")

LOOK_NS = 1_000_000_000
"""How often it is asked what is paused."""


class Gate:
    """Knows the topics of a worker; asks the bus once a second which of them are paused."""

    def __init__(self, bus: Bus, topics: Sequence[str], clock: Clock) -> None:
        self._topics, self._clock = topics, clock
        self._watch, self._paused = PauseWatch(bus), NOTHING
        self._next_ns = 0
        self._shut: frozenset[str] = frozenset()

    def open(self) -> Sequence[str]:
        """Return the topics to claim from now; raises BusUnavailable."""
        now_ns = self._clock.monotonic_ns()
        if now_ns >= self._next_ns:
            self._paused = self._watch.look()
            self._next_ns = now_ns + LOOK_NS
        if not self._paused.pauses:
            return self._note(frozenset())
        now = self._clock.now()
        return self._note(frozenset(topic for topic in self._topics if self._paused.topic(topic, now)))

    def _note(self, shut: frozenset[str]) -> Sequence[str]:
        if shut != self._shut:
            for topic in sorted(shut - self._shut):
                log.info("topic %s is paused: its tasks wait", topic, extra={"action": "topic.paused"})
            for topic in sorted(self._shut - shut):
                log.info("topic %s goes on", topic, extra={"action": "topic.resumed"})
            self._shut = shut
        return [topic for topic in self._topics if topic not in shut] if shut else self._topics
