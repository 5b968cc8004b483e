"""The bus as every other room sees it. One contract suite (tests/contract) is passed by every adapter.

The bus is the truth: a plan, the acknowledgement of what caused it and the marks that guard it land in one step or
not at all. An adapter checks everything first and writes last.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Protocol

import msgspec

from flowlord.model.errors import LeaseLost, Refused
from flowlord.model.message import Delivery, Message
from flowlord.model.plan import Commit, Committed, Fact, Mark, Plan

DONE = "done"
QUARANTINE = "quarantine"
CHUNK = 500
"""Messages that one step publishes at most; larger plans must freeze their batch."""
ALONE_AFTER = 2
"""Crashes after which a message is claimed alone. One takes along everything that its consumer held, so it says little;
after two the likely poison is told from what merely lay beside it, before `max_deliveries` (3) strikes."""
PLAN_LIMIT = 10_000
"""Messages that one plan may hold outside of frozen batches. Above CHUNK it holds up everybody else on the bus."""


class JournalEntry(msgspec.Struct, frozen=True):
    """What one landed commit told: `seq` grows by one per entry, `at_us` is microseconds since 1970 UTC."""

    seq: int
    at_us: int
    by: str
    commit: str
    facts: tuple[Fact, ...]


class TopicState(msgspec.Struct, frozen=True):
    """A topic at a glance; `oldest_us` is when its oldest waiting message arrived (microseconds UTC, 0: none waits)."""

    topic: str
    waiting: int
    running: int
    later: int
    oldest_us: int


class Presence(msgspec.Struct, frozen=True, omit_defaults=True):
    """What a living process tells of itself with each heartbeat; `kind` is `worker` or `taskmaster`.

    `reload` is the last request to look at the workflows that it has followed. `beat_us` is set by the bus; `alive` is
    judged by the bus's own clock against `lease_ns`.
    """

    consumer: str
    kind: str
    host: str
    pid: int
    topics: tuple[str, ...] = ()
    slots: int = 0
    running: tuple[str, ...] = ()
    started_us: int = 0
    lease_ns: int = 60_000_000_000
    revision: str = ""
    version: str = ""
    health: str = ""
    reload: str = ""
    beat_us: int = 0
    alive: bool = True


class Peeked(msgspec.Struct, frozen=True):
    """A message looked at and left where it is; `state` is `waiting`, `running` or `later`.

    `origin` is the topic on which a quarantined message was found; `cause` is then the reason.
    """

    topic: str
    entry: str
    payload: bytes
    key: str
    state: str
    priority: int
    due_us: int
    at_us: int
    deliveries: int
    consumer: str
    cause: str = ""
    phase: str = ""
    origin: str = ""


class Move(msgspec.Struct, frozen=True):
    """What becomes of a message that waits, named by its `topic` and `entry` as `Peeked` tells them.

    It goes to the topic `to`, as its newest message, and is dropped when that is empty. `payload`, `key` and `cause`,
    when not None, take the place of its own; everything else stays, its due time and priority too.
    """

    topic: str
    entry: str
    to: str = ""
    payload: bytes | None = None
    key: str | None = None
    cause: str | None = None


class OpenTask(msgspec.Struct, frozen=True):
    """A task that holds a group open, by its dispatch key (that of the batch while its rows are still published).

    `since_us` is when it was published (microseconds UTC).
    """

    key: str
    since_us: int


class Bus(Protocol):
    """What an adapter must do.

    Every method may raise BusUnavailable; none is retried by an adapter behind its caller's back, except `commit_many`,
    which sends the same bytes under the same commit id again until the outcome is known. BusUnusable is raised where
    going on would break a promise, and then by every call.

    Thread-safe: one bus object serves all threads of a process; none may be carried over a fork.
    """

    address: str

    def publish(self, messages: Sequence[Message]) -> None:
        """Land messages on their topics, those with a `due` in the future later: `commit(Plan(publish=...))`.

        Raises:
            InvalidTask: a task of more than 1 MiB or with text that is no Unicode; nothing landed.
            FlowlordError: more than PLAN_LIMIT messages.
        """
        ...

    def claim(
        self,
        topics: Sequence[str],
        consumer: str,
        limit: int,
        *,
        wait_s: float = 0.0,
        lease_ns: int = 60_000_000_000,
    ) -> list[Delivery]:
        """Lease up to `limit` waiting messages to `consumer`, higher bands first, first in first out inside a band.

        Waits up to `wait_s` for the first one; returns what is there at once, never waits to fill up. Each claimed
        delivery counts as started. A message with which ALONE_AFTER consumers crashed is claimed alone: it is the only
        one returned. Cancelled messages are skipped and acknowledged.

        A lease whose time is over still belongs to its holder until `reclaim` takes it.
        """
        ...

    def commit(
        self,
        plan: Plan,
        *,
        acknowledge: Sequence[Delivery] = (),
        marks: Sequence[Mark] = (),
        outcomes: Sequence[str] = (),
    ) -> Committed:
        """Land one plan; raises LeaseLost or Refused, and then nothing of it landed.

        The bus tells every message that lands in the journal as published, save those on `done`: their result is told
        by what is decided from it. A frozen batch is seen as the mark `batch:<key>`, holding `done/total`, until its
        last chunk is published; freezing it again before that is refused by that mark, which nobody but the bus writes.

        Raises:
            InvalidTask: a task of more than 1 MiB or with text that is no Unicode; nothing landed.
            FlowlordError: more than PLAN_LIMIT messages outside of frozen batches.
        """
        ...

    def commit_many(self, commits: Sequence[Commit]) -> list[Committed | Refused | LeaseLost]:
        """Land many commits in one round trip; each is all or nothing by itself, in order, and has its own answer.

        Each is checked first for its leases, then for its outcomes, then for its marks, against the bus as the commits
        before it leave it. What all of them tell is one journal entry.
        """
        ...

    def renew(self, deliveries: Sequence[Delivery], *, lease_ns: int = 60_000_000_000) -> list[Delivery]:
        """Lengthen leases; returns those that are lost, which the caller must stop working on."""
        ...

    def release(self, deliveries: Sequence[Delivery], *, delay_ns: int = 0) -> None:
        """Give back without counting the delivery, at once and to its old place in line, or due after `delay_ns`.

        Those no longer held are ignored.
        """
        ...

    def reclaim(self, consumer: str, limit: int, *, lease_ns: int = 60_000_000_000) -> list[Delivery]:
        """Take over lapsed leases, oldest first. `deliveries` of each is the number of crashes so far.

        `before` of each is who held it until now. The taker either lands a plan that acknowledges it (poison) or
        releases it (to be run again); its own hold is not counted as a start.
        """
        ...

    def promote(self, limit: int = CHUNK) -> int:
        """Move due messages to their topics by the bus's own clock; returns how many moved."""
        ...

    def next_due_us(self) -> int:
        """When the next waiting message is due (microseconds UTC); 0 when none waits."""
        ...

    def advance(self, limit: int = CHUNK) -> int:
        """Publish the next chunk of one frozen batch in one step; returns how many messages, 0 when none is open."""
        ...

    def marks(self, keys: Sequence[str]) -> dict[str, str]:
        """Return the values of the marks that exist."""
        ...

    def marks_like(self, prefix: str) -> dict[str, str]:
        """Return every mark whose key begins with `prefix`."""
        ...

    def journal(self, after: int, limit: int, *, wait_s: float = 0.0) -> list[JournalEntry]:
        """Return entries with `seq > after`, in order; waits up to `wait_s` for the first one.

        May return fewer than `limit` when they are large; only an empty answer means that there are no more.
        """
        ...

    def journal_bounds(self) -> tuple[int, int]:
        """Return the first and the last `seq` kept, (0, 0) when nothing was ever written."""
        ...

    def topics(self) -> list[TopicState]:
        """Return every topic that holds or held something, by name."""
        ...

    def peek(self, topic: str, limit: int, *, newest: bool = False) -> list[Peeked]:
        """Look at messages of a topic without taking them: running, waiting, then later ones.

        Waiting ones come in the order of claiming; with `newest`, each of the three comes with its latest first.
        """
        ...

    def arrived(self, topic: str, after: str, until_us: int, limit: int) -> list[Peeked]:
        """Return what arrived on a topic behind `after` and no later than `until_us`, in the order of arrival.

        `after` is the `entry` of the last one of an earlier answer, empty for the beginning. Those that wait or run are
        returned: what left the topic, or waits for its time, is not there. What comes back from a dead consumer keeps
        its place; what waited for its time arrives when it is due.
        """
        ...

    def find(self, keys: Sequence[str]) -> list[Peeked]:
        """Return the messages with these dispatch keys that are on the bus now, whatever their state."""
        ...

    def open_counts(self, groups: Sequence[str]) -> dict[str, int]:
        """Return for each group how many tasks hold it open (`Message.holds`), waiting, running or to be tried again.

        A task is open from the commit that lands it to the one that records its outcome; one that says SAME goes on
        for the task with the outcome of its commit. What was dropped is open no more, nor what is OPEN_US old.
        """
        ...

    def open_tasks(self, group: str, limit: int) -> list[OpenTask]:
        """Return what holds a group open, the oldest first."""
        ...

    def move(self, moves: Sequence[Move], *, reason: str = "") -> int:
        """Move messages that wait, now or later, to other topics, or drop them; returns how many.

        Up to CHUNK of them go in one step. Each is on one topic at any moment, never on two, never on none. Those that
        somebody holds, or that are gone, are passed over. Each is told as moved or cancelled, the latter oldest first.
        What a message holds open stays open, unless it is dropped.
        """
        ...

    def purge(self, topic: str, *, reason: str = "purged") -> int:
        """Drop everything that waits on a topic, also later; returns how many.

        Each is told in the journal as cancelled. Done in chunks: what arrives meanwhile stays.
        """
        ...

    def cancel(self, keys: Sequence[str], *, reason: str = "") -> int:
        """Cancel waiting or later messages by dispatch key; returns how many.

        A running one is not stopped by this, and a result that waits on `done` is not dropped.
        """
        ...

    def beat(self, presence: Presence) -> None:
        """Record a heartbeat of a process."""
        ...

    def leave(self, consumer: str) -> None:
        """Forget a process that ended in order."""
        ...

    def presences(self) -> list[Presence]:
        """Return the processes that beat within the last day."""
        ...

    def now_us(self) -> int:
        """Return the bus's own time, microseconds since 1970 UTC: the same for all who use it."""
        ...

    def generation(self) -> str:
        """Return the id of this bus's data; another one than before means that the bus was reset."""
        ...

    def sweep(self) -> Mapping[str, int]:
        """Drop what has outlived its lifetime, a bounded amount a call; returns how much of each kind.

        Kinds are marks, outcomes, commits, journal, presences and open. Until it is swept, everything counts.
        """
        ...

    def describe(self) -> Mapping[str, str]:
        """Return what a person should know about this bus (engine, version, journal mode, durability)."""
        ...

    def close(self) -> None:
        """Let go of connections; leases are left to lapse unless released."""
        ...
