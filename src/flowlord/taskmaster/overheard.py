"""What one follower of the journal read, for another one in the same process: it is read and decoded once."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Sequence
from typing import Final

from flowlord.bus.port import JournalEntry

MOST_FACTS: Final = 20_000
"""How much waits to be heard, beside what was told last."""


class Overheard:
    """Told by one thread, heard by another one, which reads from the bus what it has missed here.

    Nothing is kept of which the other one has heard, nor for one who does not listen.
    """

    def __init__(self, most_facts: int = MOST_FACTS) -> None:
        self._most_facts = most_facts
        self._news = threading.Condition()
        self._is_awaited = False
        self._generation = ""
        self._told: deque[tuple[Sequence[JournalEntry], int]] = deque()  # with how many facts
        self._facts = 0

    def tell(self, generation: str, entries: Sequence[JournalEntry]) -> None:
        """Let it be heard what was read of the journal: entries in their order, at least one."""
        facts = sum(len(entry.facts) for entry in entries)
        with self._news:
            if generation != self._generation:
                self._forget()
                self._generation = generation
            elif self._told and self._facts + facts > self._most_facts:
                self._forget()
                self._is_awaited = False  # until it listens again
            # What is told anew takes the place of what had its numbers: a bus that lost that counts on from less.
            while self._told and self._told[-1][0][-1].seq >= entries[0].seq:
                self._facts -= self._told.pop()[1]
            if self._is_awaited:
                self._told.append((entries, facts))
                self._facts += facts
                self._news.notify_all()

    def hear(self, generation: str, after: int, wait_s: float = 0.0) -> Sequence[JournalEntry]:
        """Return entries that follow the one with the number `after` without a hole; waits up to `wait_s` for some."""
        found: Sequence[JournalEntry] = ()

        def is_told() -> bool:
            nonlocal found
            found = self._behind(after) if generation == self._generation else ()
            return bool(found)

        with self._news:
            self._is_awaited = True
            self._news.wait_for(is_told, wait_s)
        return found

    def _behind(self, after: int) -> Sequence[JournalEntry]:
        while self._told and self._told[0][0][-1].seq <= after:
            self._facts -= self._told.popleft()[1]
        if not self._told:
            return ()
        entries = self._told[0][0]
        if entries[0].seq <= after:
            entries = entries[next(at for at, entry in enumerate(entries) if entry.seq > after) :]
        return entries if entries[0].seq == after + 1 else ()

    def _forget(self) -> None:
        self._told.clear()
        self._facts = 0
