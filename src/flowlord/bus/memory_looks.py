"""Looking at what lies on a bus in memory: the verbs of the port."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from contextlib import AbstractContextManager

from flowlord.bus.landing import entry_number
from flowlord.bus.memory_store import Store
from flowlord.bus.port import OpenTask, Peeked, TopicState


class MemoryLooks(ABC):
    """What can be seen of topics, messages and open tasks."""

    @abstractmethod
    def _open(self) -> AbstractContextManager[Store]:
        """Give what the bus holds, under its lock."""

    def topics(self) -> list[TopicState]:
        """See `Bus.topics`."""
        with self._open() as store:
            return [store.topic_state(topic) for topic in sorted(store.topics)]

    def peek(self, topic: str, limit: int, *, newest: bool = False) -> list[Peeked]:
        """See `Bus.peek`."""
        with self._open() as store:
            return [kept.peeked() for kept in store.shown(topic, newest=newest)[: max(limit, 0)]]

    def find(self, keys: Sequence[str]) -> list[Peeked]:
        """See `Bus.find`."""
        with self._open() as store:
            wanted = set(keys) - {""}
            return [kept.peeked() for kept in store.messages.values() if kept.row.key in wanted]

    def arrived(self, topic: str, after: str, until_us: int, limit: int) -> list[Peeked]:
        """See `Bus.arrived`."""
        with self._open() as store:
            found = store.arrived(topic, entry_number(after), until_us)
            return [kept.peeked() for kept in found[: max(limit, 0)]]

    def open_counts(self, groups: Sequence[str]) -> dict[str, int]:
        """See `Bus.open_counts`."""
        with self._open() as store:
            return store.opened.counts(groups)

    def open_tasks(self, group: str, limit: int) -> list[OpenTask]:
        """See `Bus.open_tasks`."""
        with self._open() as store:
            return store.opened.tasks(group)[: max(limit, 0)]
