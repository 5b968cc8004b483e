"""Waiting for what was sent: follows the journal from before it was published until it has ended."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from flowlord.bus.port import Bus
from flowlord.model.plan import Fact, FactKind
from flowlord.model.task import Task

STEP_S = 1.0


@dataclass(slots=True)
class Watched:
    """The dispatches that are waited for; retries take the place of what they retry, children join when asked for."""

    keys: set[str]
    with_children: bool = False
    failed: bool = False
    last: Task | None = None
    seen: set[str] = field(default_factory=set)

    def __post_init__(self) -> None:
        self.seen = set(self.keys)

    def take(self, facts: tuple[Fact, ...]) -> None:
        """Follow what one journal entry tells; all its facts happened in one step."""
        for fact in facts:
            if fact.kind is FactKind.PUBLISHED and self._is_ours(fact):
                self.keys.add(fact.key)
                self.seen.add(fact.key)
        for fact in facts:
            if fact.key not in self.keys:
                continue
            match fact.kind:
                case FactKind.DONE:
                    self.keys.discard(fact.key)
                    self.last = fact.task
                case FactKind.DEAD | FactKind.CANCELLED | FactKind.QUARANTINED:
                    self.keys.discard(fact.key)
                case _:
                    pass
        self.failed |= any(
            fact.kind in (FactKind.DEAD, FactKind.CANCELLED, FactKind.QUARANTINED) and fact.key in self.seen
            for fact in facts
        )

    def _is_ours(self, fact: Fact) -> bool:
        cause, _, parent = fact.cause.partition(":")
        if parent not in self.seen:
            return False
        return cause == "retry" or (cause == "done" and self.with_children)


def follow(bus: Bus, watched: Watched, after: int, *, left_s: Callable[[], float]) -> bool:
    """Follow the journal from `after` until everything watched has ended; returns False when no time is left before."""
    while watched.keys:
        wait_s = min(STEP_S, left_s())
        if wait_s <= 0:
            return False
        for entry in bus.journal(after, 500, wait_s=wait_s):
            after = entry.seq
            watched.take(entry.facts)
    return True
