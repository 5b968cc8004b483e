"""Looking at what lies on a Redis bus: the verbs of the port, of which each is a few calls at most."""

from __future__ import annotations

from collections.abc import Sequence

from flowlord.bus import redis_look, redis_opened
from flowlord.bus.port import OpenTask, Peeked, TopicState
from flowlord.bus.redis_core import Core


class RedisLooks:
    """What can be seen of topics, messages and open tasks."""

    _core: Core

    def topics(self) -> list[TopicState]:
        """See `Bus.topics`."""
        return redis_look.topics(self._core)

    def peek(self, topic: str, limit: int, *, newest: bool = False) -> list[Peeked]:
        """See `Bus.peek`."""
        return redis_look.peek(self._core, topic, limit, newest=newest)

    def find(self, keys: Sequence[str]) -> list[Peeked]:
        """See `Bus.find`."""
        return redis_look.find(self._core, sorted(set(keys) - {""}))

    def arrived(self, topic: str, after: str, until_us: int, limit: int) -> list[Peeked]:
        """See `Bus.arrived`."""
        return redis_look.arrived(self._core, topic, after, until_us, limit)

    def open_counts(self, groups: Sequence[str]) -> dict[str, int]:
        """See `Bus.open_counts`."""
        return redis_opened.counts(self._core, groups)

    def open_tasks(self, group: str, limit: int) -> list[OpenTask]:
        """See `Bus.open_tasks`."""
        return redis_opened.tasks(self._core, group, limit)
