"""What the memory bus holds, and how messages move in it; its lock and its faults are `memory.py`."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from heapq import heappop, heappush
from itertools import islice, takewhile
from typing import TypeVar

import msgspec

from flowlord.bus.judge import Answer, Holder
from flowlord.bus.landing import QUARANTINE_CAP, Row, entry_number
from flowlord.bus.lifetimes import (
    COMMIT_US,
    JOURNAL_ENTRIES,
    JOURNAL_US,
    OUTCOME_DAYS,
    PRESENCE_US,
    SECOND_US,
    SWEEP_CHUNK,
    SWEEP_STEPS,
    day_of,
)
from flowlord.bus.memory_opened import Opened
from flowlord.bus.port import ALONE_AFTER, QUARANTINE, JournalEntry, Move, Peeked, Presence, TopicState
from flowlord.model.message import BANDS, Delivery, Message, Report
from flowlord.model.plan import Fact, FrozenBatch, Mark

_report = msgspec.json.Decoder(Report).decode
K = TypeVar("K")
V = TypeVar("V")
_STATES = ("running", "waiting", "later")


@dataclass(slots=True)
class Lease:
    """Who holds a message, until when (`Clock.boottime_ns`), and whether the hold counts as a start."""

    token: str
    consumer: str
    until_ns: int
    started: bool


@dataclass(slots=True)
class Kept:
    """A message on the bus: later while its row has a due time, running while leased, else waiting."""

    entry: int
    row: Row
    crashes: int = 0
    lease: Lease | None = None

    @property
    def state(self) -> str:
        """Where it is, in the words of `Peeked.state`."""
        return "running" if self.lease else "later" if self.row.due_us else "waiting"

    def lapse_order(self) -> tuple[int, int]:
        """Sort key of leased messages: the one that lapsed first is first."""
        return (self.lease.until_ns if self.lease else 0, self.entry)

    def delivery(self, deliveries: int, before: str = "") -> Delivery:
        """The message as its holder gets it; `before` held it until now."""
        row, lease = self.row, self.lease
        return Delivery(
            row.topic,
            str(self.entry),
            row.payload,
            lease.token if lease else "",
            lease.consumer if lease else "",
            deliveries,
            row.key,
            row.priority,
            row.timeout_ns,
            row.phase,
            row.revision,
            row.cause,
            row.batch,
            None if row.report is None else _report(row.report),
            before,
        )

    def peeked(self) -> Peeked:
        """The message as one who only looks gets it."""
        row, lease = self.row, self.lease
        started = 1 if lease and lease.started else 0
        return Peeked(
            row.topic,
            str(self.entry),
            row.payload,
            row.key,
            self.state,
            row.priority,
            row.due_us,
            row.at_us,
            self.crashes + started,
            lease.consumer if lease else "",
            row.cause,
            row.phase,
            row.origin,
        )


@dataclass(slots=True)
class Batch:
    """A frozen batch of which `done` messages are published."""

    key: str
    messages: Sequence[Message]
    done: int = 0


class Store:
    """Everything on the bus. Entries count up and are never used twice, so their order is the order of arrival."""

    def __init__(self) -> None:
        self.messages: dict[int, Kept] = {}
        self.topics: set[str] = set()
        self.marks: dict[str, tuple[str, int]] = {}  # value, when to sweep it (0: never)
        self.outcomes: dict[bytes, int] = {}  # digest, day
        self.commits: dict[str, tuple[int, list[Answer]]] = {}
        self.batches: dict[str, Batch] = {}
        self.journal: list[JournalEntry] = []
        self.opened = Opened()
        self.presences: dict[str, tuple[Presence, int]] = {}  # and when it beat, by boot time
        # Entries by topic and rank, and by due time. Those that left in another way are skipped when they surface.
        self._waiting: dict[str, tuple[list[int], ...]] = {}
        self._later: list[tuple[int, int]] = []
        self._entries = 0

    def land(self, rows: Iterable[Row]) -> None:
        """Put messages on their topics, or among the later ones."""
        for row in rows:
            self._entries += 1
            self.messages[self._entries] = kept = Kept(self._entries, row)
            self.queue(kept)

    def queue(self, kept: Kept) -> None:
        """Let a message wait: on its topic at its old place, or for its due time."""
        row = kept.row
        self.topics.add(row.topic)
        if row.due_us:
            heappush(self._later, (row.due_us, kept.entry))
        else:
            heaps = self._waiting.setdefault(row.topic, tuple([] for _ in BANDS))
            heappush(heaps[row.rank], kept.entry)

    def take(self, topics: Iterable[str], limit: int) -> Iterator[Kept]:
        """Yield waiting messages in the order of claiming; a likely poison comes alone."""
        heaps = [self._waiting[topic] for topic in topics if topic in self._waiting]
        taken = 0
        for rank in range(len(BANDS)):
            while taken < limit:
                ready = [heap[rank] for heap in heaps if self._top(heap[rank])]
                if not ready:
                    break
                heap = min(ready, key=lambda heap: heap[0])
                kept = self.messages[heap[0]]
                if kept.crashes >= ALONE_AFTER and taken:
                    return
                heappop(heap)
                taken += 1
                yield kept
                if kept.crashes >= ALONE_AFTER:
                    return

    def _top(self, heap: list[int]) -> bool:
        """Drop what no longer waits from the top of a heap; tell whether anything is left."""
        while heap:
            kept = self.messages.get(heap[0])
            if kept is not None and kept.state == "waiting":
                return True
            heappop(heap)
        return False

    def next_due_us(self) -> int:
        """When the first of the later messages is due, 0 when there is none."""
        while self._later:
            due_us, entry = self._later[0]
            kept = self.messages.get(entry)
            if kept is not None and kept.state == "later" and kept.row.due_us == due_us:
                return due_us
            heappop(self._later)
        return 0

    def promote(self, limit: int, now_us: int) -> int:
        """Let due messages arrive on their topics, by due time and then age; returns how many."""
        moved = 0
        while moved < limit and 0 < self.next_due_us() <= now_us:
            _, entry = heappop(self._later)
            kept = self.messages.pop(entry)
            self._entries += 1
            kept.entry = self._entries
            kept.row = kept.row._replace(due_us=0, at_us=now_us)
            self.messages[kept.entry] = kept
            self.queue(kept)
            moved += 1
        return moved

    def freeze(self, batch: FrozenBatch) -> None:
        """Keep a batch for `advance`; its mark is the verdict's business."""
        if batch.messages:
            self.batches[batch.key] = Batch(batch.key, batch.messages)

    def held(self, delivery: Delivery) -> Kept | None:
        """Return the message that this delivery still holds."""
        kept = self.messages.get(entry_number(delivery.entry))
        if kept is None or kept.lease is None:
            return None
        return (
            kept if (kept.lease.token, kept.lease.consumer) == (delivery.token, delivery.consumer) else None
        )

    def holders(self, entries: Iterable[str]) -> dict[str, Holder]:
        """Return who holds the entries that somebody holds."""
        found: dict[str, Holder] = {}
        for entry in entries:
            kept = self.messages.get(entry_number(entry))
            if kept is not None and kept.lease is not None:
                found[entry] = (kept.lease.consumer, kept.lease.token)
        return found

    def value(self, key: str) -> str | None:
        """What a mark holds."""
        found = self.marks.get(key)
        return found[0] if found else None

    def set(self, mark: Mark, now_us: int) -> None:
        """Write a mark that was checked."""
        if mark.new is None:
            self.marks.pop(mark.key, None)
        else:
            self.marks[mark.key] = (mark.new, now_us + mark.ttl_s * SECOND_US if mark.ttl_s else 0)

    def on(self, topic: str) -> list[Kept]:
        """Every message of a topic, oldest first."""
        return sorted(
            (k for k in self.messages.values() if k.row.topic == topic), key=lambda kept: kept.entry
        )

    def shown(self, topic: str, *, newest: bool) -> list[Kept]:
        """Every message of a topic in the order of `Bus.peek`."""
        orders = {
            "running": lambda kept: kept.entry,
            "waiting": lambda kept: kept.entry if newest else (kept.row.rank, kept.entry),
            "later": lambda kept: (kept.row.due_us, kept.entry),
        }
        found = self.on(topic)
        return [
            kept
            for state in _STATES
            for kept in sorted((k for k in found if k.state == state), key=orders[state], reverse=newest)
        ]

    def arrived(self, topic: str, after: int, until_us: int) -> list[Kept]:
        """What waits or runs of a topic and arrived behind an entry, up to the first that did so after a time."""
        found = (kept for kept in self.on(topic) if kept.entry > after and kept.state != "later")
        return list(takewhile(lambda kept: kept.row.at_us <= until_us, found))

    def topic_state(self, topic: str) -> TopicState:
        """Count a topic."""
        found = self.on(topic)
        count = {state: sum(kept.state == state for kept in found) for state in _STATES}
        oldest_us = next((kept.row.at_us for kept in found if kept.state == "waiting"), 0)
        return TopicState(topic, count["waiting"], count["running"], count["later"], oldest_us)

    def cap_quarantine(self) -> list[Fact]:
        """Drop the oldest of too many quarantined messages; return what tells of them."""
        if QUARANTINE not in self.topics:
            return []
        waiting = [kept for kept in self.on(QUARANTINE) if kept.state == "waiting"]
        surplus = waiting[: max(len(waiting) - QUARANTINE_CAP, 0)]
        for kept in surplus:
            del self.messages[kept.entry]
        return [kept.row.dropped(f"quarantine keeps {QUARANTINE_CAP} messages")[0] for kept in surplus]

    def drop(self, found: Iterable[Kept], reason: str) -> list[Fact]:
        """Take those off the bus that nobody holds; return what tells of them."""
        facts: list[Fact] = []
        for kept in found:
            if kept.lease is None:
                del self.messages[kept.entry]
                fact, member = kept.row.dropped(reason)
                self.opened.shut([member])
                facts.append(fact)
        return facts

    def move(self, moves: Iterable[Move], now_us: int, reason: str) -> list[Fact]:
        """Move or drop those that nobody holds; return what tells of them, of the dropped ones the oldest first."""
        there = [
            (kept, move)
            for move in {each.entry: each for each in moves}.values()
            if (kept := self.messages.get(entry_number(move.entry)))
            and kept.lease is None
            and kept.row.topic == move.topic
        ]
        dropped = sorted((kept for kept, move in there if not move.to), key=lambda kept: kept.entry)
        facts = list(self.drop(dropped, reason))
        for kept, move in there:
            if not move.to:
                continue
            del self.messages[kept.entry]
            row, fact = kept.row.moved(move, now_us, reason)
            self.land([row])
            facts.append(fact)
        return facts

    def present(self, now_us: int, now_ns: int) -> list[Presence]:
        """Return the processes that beat within the last day, by name."""
        return [
            msgspec.structs.replace(presence, alive=now_ns - beat_ns <= presence.lease_ns)
            for _, (presence, beat_ns) in sorted(self.presences.items())
            if presence.beat_us >= now_us - PRESENCE_US
        ]

    def sweep(self, now_us: int) -> dict[str, int]:
        """Drop what has outlived its lifetime; return how much of each kind."""
        last_day = day_of(now_us) - OUTCOME_DAYS
        return {
            "marks": _drop(
                self.marks, (key for key, (_, until_us) in self.marks.items() if 0 < until_us <= now_us)
            ),
            "outcomes": _drop(self.outcomes, (one for one, day in self.outcomes.items() if day < last_day)),
            "commits": _drop(
                self.commits,
                (name for name, (at_us, _) in self.commits.items() if at_us < now_us - COMMIT_US),
            ),
            "journal": self._trim(now_us),
            "presences": _drop(
                self.presences,
                (n for n, (one, _) in self.presences.items() if one.beat_us < now_us - PRESENCE_US),
            ),
            "open": self.opened.sweep(now_us),
        }

    def _trim(self, now_us: int) -> int:
        """Drop the oldest journal entries when they are too old or too many; the newest always stays."""
        gone = 0
        for entry in self.journal[: min(len(self.journal) - 1, SWEEP_CHUNK * SWEEP_STEPS)]:
            if entry.at_us >= now_us - JOURNAL_US and len(self.journal) - gone <= JOURNAL_ENTRIES:
                break
            gone += 1
        del self.journal[:gone]
        return gone


def _drop(where: dict[K, V], keys: Iterable[K]) -> int:
    """Take a sweep's worth of `keys` out of a dictionary."""
    gone = list(islice(keys, SWEEP_CHUNK * SWEEP_STEPS))
    for key in gone:
        del where[key]
    return len(gone)
