"""Waiting for what was sent: follows the journal from before it was published until it has ended."""

from __future__ import annotations

from collections.abc import Callable, Collection
from contextlib import closing
from dataclasses import dataclass, field

from flowlord.bus.port import Bus
from flowlord.decide.keys import dispatch_key
from flowlord.model.plan import Fact, FactKind
from flowlord.model.task import Task

STEP_S = 1.0
PAGE = 500
FAILED = frozenset({"error", "dead", "cancelled", "quarantined"})
"""States of the history in which a task ended that is waited for in vain."""
TRIES = 32
"""Further tries of a task that are looked for where the journal does not tell of them any more."""


def lonely(bus: Bus, topics: Collection[str]) -> list[str]:
    """Return what is missing for tasks of these topics to end, in words; a long wait without them looks like work."""
    alive = [presence for presence in bus.presences() if presence.alive]
    served = {topic for presence in alive if presence.kind == "worker" for topic in presence.topics}
    words = [f"no worker takes {topic} now; it waits for one" for topic in sorted(set(topics) - served)]
    if not any(presence.kind == "taskmaster" for presence in alive):
        words.append("no taskmaster is alive to hear the result: flowlord run")
    return words


@dataclass(slots=True)
class Watched:
    """The dispatches that are waited for; retries take the place of what they retry, children join when asked for.

    `forgotten` are those that ended before the journal begins; `why` tells of one that ended without a result.
    """

    keys: set[str]
    with_children: bool = False
    failed: bool = False
    why: str = ""
    last: Task | None = None
    forgotten: set[str] = field(default_factory=set)
    seen: set[str] = field(default_factory=set)
    _first: dict[str, str] = field(default_factory=dict)  # a later try -> the dispatch that was asked for

    def __post_init__(self) -> None:
        self.seen = set(self.keys)

    def take(self, facts: tuple[Fact, ...]) -> None:
        """Follow what one journal entry tells; all its facts happened in one step."""
        for fact in facts:
            if fact.kind is FactKind.PUBLISHED and self._is_ours(fact):
                self.keys.add(fact.key)
                self.seen.add(fact.key)
        for fact in facts:
            if fact.key in self._first:
                self.keys.discard(self._first[fact.key])
            if fact.key not in self.seen:
                continue
            match fact.kind:
                case FactKind.DONE:
                    self.keys.discard(fact.key)
                    self.last = fact.task
                case FactKind.DEAD | FactKind.CANCELLED | FactKind.QUARANTINED:
                    self.keys.discard(fact.key)
                    self.failed = True
                    self.why = fact.text or fact.kind.value
                case _:
                    pass

    def find(self, bus: Bus) -> set[str]:
        """Look for what may have gone on before the journal begins; returns what is not on the bus any more."""
        for key in self.keys:
            later = key
            for n in range(1, TRIES + 1):
                later = dispatch_key(f"retry:{later}", n)
                self._first[later] = key
        self.seen.update(self._first)
        found = {peeked.key for peeked in bus.find([*self.seen, *(f"{key}:dead" for key in self.seen)])}
        self.failed |= any(key.endswith(":dead") for key in found)
        for later in found & self._first.keys():
            self.keys.discard(self._first[later])
            self.keys.add(later)
        return self.keys - found

    def forget(self, keys: set[str]) -> None:
        """Wait no longer for those whose end is told nowhere."""
        self.forgotten |= self.keys & keys
        self.keys -= keys

    def has_open_batch(self, bus: Bus) -> bool:
        """Return whether children are still to be published: those of a large batch come chunk by chunk."""
        marks = bus.marks_like("batch:") if self.with_children else {}
        return bool(marks) and any(f"batch:{dispatch_key(f'done:{key}')}" in marks for key in self.seen)

    def _is_ours(self, fact: Fact) -> bool:
        cause, _, parent = fact.cause.partition(":")
        if parent not in self.seen:
            return False
        return cause == "retry" or (cause == "done" and self.with_children)


def follow(bus: Bus, watched: Watched, after: int, *, left_s: Callable[[], float]) -> bool:
    """Follow the journal from `after` until everything watched has ended; returns False when no time is left before.

    What ended before a journal that was trimmed is `watched.forgotten`.
    """
    # The bus is asked before the journal is read up to its present end: what changes meanwhile is told there.
    first, _ = bus.journal_bounds()
    lost = watched.find(bus) if first > 1 and after < first else set()
    while True:
        had_ended, seen = not watched.keys, len(watched.seen)
        is_open = had_ended and watched.has_open_batch(bus)
        _, last = bus.journal_bounds()
        while after < last and (entries := bus.journal(after, PAGE)):
            for entry in entries:
                after = entry.seq
                watched.take(entry.facts)
            if watched.keys and left_s() <= 0:
                return False
        watched.forget(lost)
        lost = set()
        if not watched.keys and not is_open:
            if not watched.with_children or (had_ended and seen == len(watched.seen)):
                return True
            continue
        wait_s = min(STEP_S, left_s())
        if wait_s <= 0:
            return False
        for entry in bus.journal(after, PAGE, wait_s=wait_s):
            after = entry.seq
            watched.take(entry.facts)


def remembered(history: str, keys: Collection[str]) -> list[str]:
    """Return the states in which these tasks ended, as far as there is a history file that knows."""
    import sqlite3

    from flowlord.cache.attempt import OPEN
    from flowlord.cache.queries import History
    from flowlord.cache.schema import CacheUnusable

    if not history:
        return []
    try:
        with closing(History.open(history)) as known:
            ends = [known.attempts(first)[-1].state for first in known.by_keys(keys).values()]
    except (CacheUnusable, sqlite3.DatabaseError):
        return []
    return [state for state in ends if state not in OPEN]
