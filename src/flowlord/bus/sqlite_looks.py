"""Looking at what lies on a SQLite bus: the verbs of the port, each one statement that shows one moment."""

from __future__ import annotations

import sqlite3
from abc import ABC, abstractmethod
from collections.abc import Sequence
from contextlib import AbstractContextManager

from flowlord.bus import sqlite_look, sqlite_opened
from flowlord.bus.port import OpenTask, Peeked, TopicState


class SqliteLooks(ABC):
    """What can be seen of topics, messages and open tasks."""

    @abstractmethod
    def _reading(self) -> AbstractContextManager[sqlite3.Connection]:
        """Give the inside of a transaction that reads."""

    def topics(self) -> list[TopicState]:
        """See `Bus.topics`."""
        with self._reading() as db:
            return sqlite_look.topics(db)

    def peek(self, topic: str, limit: int, *, newest: bool = False) -> list[Peeked]:
        """See `Bus.peek`."""
        with self._reading() as db:
            return sqlite_look.peek(db, topic, max(limit, 0), newest=newest)

    def find(self, keys: Sequence[str]) -> list[Peeked]:
        """See `Bus.find`."""
        with self._reading() as db:
            return sqlite_look.find(db, keys)

    def arrived(self, topic: str, after: str, until_us: int, limit: int) -> list[Peeked]:
        """See `Bus.arrived`."""
        with self._reading() as db:
            return sqlite_look.arrived(db, topic, after, until_us, max(limit, 0))

    def open_counts(self, groups: Sequence[str]) -> dict[str, int]:
        """See `Bus.open_counts`."""
        with self._reading() as db:
            return sqlite_opened.counts(db, groups)

    def open_tasks(self, group: str, limit: int) -> list[OpenTask]:
        """See `Bus.open_tasks`."""
        with self._reading() as db:
            return sqlite_opened.tasks(db, group, max(limit, 0))
