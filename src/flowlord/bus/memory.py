"""The bus inside one process: the contract on dictionaries, with a clock that tests drive and faults between steps."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager

import msgspec

from flowlord.bus.clock import SystemClock, micros, unguessable
from flowlord.bus.holds import batch_member, holds_of
from flowlord.bus.judge import BATCH, Answer, judge
from flowlord.bus.landing import Landing, arrive, facts_of, prepare
from flowlord.bus.lifetimes import day_of
from flowlord.bus.memory_looks import MemoryLooks
from flowlord.bus.memory_store import Kept, Lease, Store
from flowlord.bus.port import CHUNK, DONE, JournalEntry, Move, Presence
from flowlord.bus.single import Single
from flowlord.model.clock import Clock
from flowlord.model.errors import BusUnavailable, BusUnusable, LeaseLost, Refused
from flowlord.model.message import Delivery
from flowlord.model.plan import Commit, Committed, Fact

RESENDS = 10
_NANOS_PER_MICRO = 1_000


class MemoryBus(MemoryLooks, Single):
    """A bus for one process, its tests and simulations.

    Args:
        clock: what judges due times, leases and lifetimes; only waiting for news goes by real time.
        by: who writes, as told in journal entries.
        fault: called with the name of every step (`commit.before`, `commit.checked`, `commit.applied`, and `before`
            and `applied` of each other verb). It may raise: BusUnavailable as a lost message or a lost answer,
            anything else as a crash. Whatever it does, a verb has happened as a whole or not at all.
    """

    def __init__(
        self,
        clock: Clock | None = None,
        fault: Callable[[str], None] | None = None,
        *,
        by: str = "memory",
    ) -> None:
        self.address = "memory:"
        self._clock = clock or SystemClock()
        self._patience = SystemClock()
        self._fault = fault
        self._by = by
        self._changed = threading.Condition()
        self._store = Store()
        self._generation = unguessable()
        self._names = 0
        self._closed = False

    # --- publish and commit

    def commit_many(self, commits: Sequence[Commit]) -> list[Committed | Refused | LeaseLost]:
        """See `Bus.commit_many`."""
        if not commits:
            return []
        now_us = self._now_us()
        landings = [prepare(commit, now_us) for commit in commits]
        commit_id = self._name()
        for attempt in range(1, RESENDS + 1):
            try:
                return self._land(commit_id, landings)
            except BusUnavailable:
                if attempt == RESENDS:
                    raise
        raise AssertionError("unreachable")

    def _land(self, commit_id: str, landings: list[Landing]) -> list[Answer]:
        self._step("commit.before")
        with self._open() as store:
            known = store.commits.get(commit_id)
            if known is None:
                entries = {d.entry for landing in landings for d in landing.commit.acknowledge}
                verdict = judge(landings, store.holders(entries), store.value, store.outcomes.__contains__)
                self._step("commit.checked")
                now_us = self._now_us()
                for entry in verdict.entries:
                    del store.messages[int(entry)]
                freed = store.opened.shut(verdict.digests)
                for mark in verdict.marks.values():
                    store.set(mark, now_us)
                store.outcomes.update(dict.fromkeys(verdict.digests, day_of(now_us)))
                told: list[bytes] = []
                for place in verdict.landed:
                    landing = landings[place]
                    store.land(landing.rows)
                    store.opened.hold(landing.holds, now_us, [freed.get(each) for each in landing.digests])
                    if landing.told:
                        told.append(landing.told)
                    for batch, _ in landing.frozen:
                        store.freeze(batch)
                self._tell(facts_of(told) + store.cap_quarantine(), commit_id)
                known = (now_us, verdict.answers)
                if verdict.landed or verdict.entries:  # else: sent again, it is judged again
                    store.commits[commit_id] = known
                self._changed.notify_all()
        self._step("commit.applied")
        return list(known[1])

    # --- claim and lease

    def claim(
        self,
        topics: Sequence[str],
        consumer: str,
        limit: int,
        *,
        wait_s: float = 0.0,
        lease_ns: int = 60_000_000_000,
    ) -> list[Delivery]:
        """See `Bus.claim`."""
        self._step("claim.before")
        found: list[Delivery] = []
        with self._open() as store:

            def take() -> bool:
                token, until = self._name(), self._clock.boottime_ns() + lease_ns
                for kept in store.take(dict.fromkeys(topics), limit):
                    kept.lease = Lease(token, consumer, until, started=True)
                    found.append(kept.delivery(kept.crashes + 1))
                return bool(found)

            self._wait(take, wait_s)
        self._step("claim.applied")
        return found

    def renew(self, deliveries: Sequence[Delivery], *, lease_ns: int = 60_000_000_000) -> list[Delivery]:
        """See `Bus.renew`."""
        self._step("renew.before")
        lost: list[Delivery] = []
        with self._open() as store:
            until = self._clock.boottime_ns() + lease_ns
            for delivery in deliveries:
                kept = store.held(delivery)
                if kept is None or kept.lease is None:
                    lost.append(delivery)
                else:
                    kept.lease.until_ns = until
        self._step("renew.applied")
        return lost

    def release(self, deliveries: Sequence[Delivery], *, delay_ns: int = 0) -> None:
        """See `Bus.release`."""
        self._step("release.before")
        with self._open() as store:
            due_us = self._now_us() + delay_ns // _NANOS_PER_MICRO if delay_ns > 0 else 0
            for delivery in deliveries:
                kept = store.held(delivery)
                if kept is not None:
                    kept.lease = None
                    kept.row = kept.row._replace(due_us=due_us)
                    store.queue(kept)
            self._changed.notify_all()
        self._step("release.applied")

    def reclaim(self, consumer: str, limit: int, *, lease_ns: int = 60_000_000_000) -> list[Delivery]:
        """See `Bus.reclaim`."""
        self._step("reclaim.before")
        taken: list[Delivery] = []
        with self._open() as store:
            token, now_ns = self._name(), self._clock.boottime_ns()
            lapsed = [
                k for k in store.messages.values() if k.lease is not None and k.lease.until_ns <= now_ns
            ]
            for kept in sorted(lapsed, key=Kept.lapse_order)[:limit]:
                kept.crashes += kept.lease is not None and kept.lease.started
                before = kept.lease.consumer if kept.lease else ""
                kept.lease = Lease(token, consumer, now_ns + lease_ns, started=False)
                taken.append(kept.delivery(kept.crashes, before))
        self._step("reclaim.applied")
        return taken

    # --- later and frozen batches

    def promote(self, limit: int = CHUNK) -> int:
        """See `Bus.promote`."""
        self._step("promote.before")
        with self._open() as store:
            moved = store.promote(limit, self._now_us())
            self._changed.notify_all()
        self._step("promote.applied")
        return moved

    def next_due_us(self) -> int:
        """See `Bus.next_due_us`."""
        with self._open() as store:
            return store.next_due_us()

    def advance(self, limit: int = CHUNK) -> int:
        """See `Bus.advance`."""
        self._step("advance.before")
        moved = 0
        with self._open() as store:
            batch = next(iter(store.batches.values()), None)
            if batch is not None:
                now_us = self._now_us()
                chunk = batch.messages[batch.done : batch.done + limit]
                rows, _, told = arrive(chunk, now_us)
                store.land(rows)
                store.opened.hold(holds_of(chunk), now_us)
                batch.done += len(chunk)
                moved = len(chunk)
                if batch.done == len(batch.messages):
                    store.opened.shut([batch_member(batch.key)])
                    del store.batches[batch.key]
                    store.marks.pop(BATCH + batch.key, None)
                else:
                    store.marks[BATCH + batch.key] = (f"{batch.done}/{len(batch.messages)}", 0)
                self._tell(facts_of(told), self._name())
                self._changed.notify_all()
        self._step("advance.applied")
        return moved

    # --- look

    def marks(self, keys: Sequence[str]) -> dict[str, str]:
        """See `Bus.marks`."""
        with self._open() as store:
            return {key: store.marks[key][0] for key in keys if key in store.marks}

    def marks_like(self, prefix: str) -> dict[str, str]:
        """See `Bus.marks_like`."""
        with self._open() as store:
            return {key: value for key, (value, _) in sorted(store.marks.items()) if key.startswith(prefix)}

    def journal(self, after: int, limit: int, *, wait_s: float = 0.0) -> list[JournalEntry]:
        """See `Bus.journal`."""
        found: list[JournalEntry] = []
        with self._open() as store:

            def read() -> bool:
                first = store.journal[0].seq if store.journal else 1
                start = max(after - first + 1, 0)
                found.extend(store.journal[start : start + max(limit, 0)])
                return bool(found)

            self._wait(read, wait_s)
        return found

    def journal_bounds(self) -> tuple[int, int]:
        """See `Bus.journal_bounds`."""
        with self._open() as store:
            return (store.journal[0].seq, store.journal[-1].seq) if store.journal else (0, 0)

    # --- drop

    def move(self, moves: Sequence[Move], *, reason: str = "") -> int:
        """See `Bus.move`."""
        return self._gone("move", lambda store: store.move(moves, self._now_us(), reason))

    def purge(self, topic: str, *, reason: str = "purged") -> int:
        """See `Bus.purge`."""
        return self._gone("purge", lambda store: store.drop(store.on(topic), reason))

    def cancel(self, keys: Sequence[str], *, reason: str = "") -> int:
        """See `Bus.cancel`."""
        wanted = set(keys) - {""}
        return self._gone(
            "cancel",
            lambda store: store.drop(
                [
                    each
                    for each in store.messages.values()
                    if each.row.key in wanted and each.row.topic != DONE
                ],
                reason,
            ),
        )

    def _gone(self, verb: str, take: Callable[[Store], list[Fact]]) -> int:
        self._step(f"{verb}.before")
        with self._open() as store:
            facts = take(store)
            self._tell(facts, self._name())
            self._changed.notify_all()
        self._step(f"{verb}.applied")
        return len(facts)

    # --- processes

    def beat(self, presence: Presence) -> None:
        """See `Bus.beat`."""
        self._step("beat.before")
        with self._open() as store:
            beat = msgspec.structs.replace(presence, beat_us=self._now_us(), alive=True)
            store.presences[presence.consumer] = (beat, self._clock.boottime_ns())
        self._step("beat.applied")

    def leave(self, consumer: str) -> None:
        """See `Bus.leave`."""
        self._step("leave.before")
        with self._open() as store:
            store.presences.pop(consumer, None)
        self._step("leave.applied")

    def presences(self) -> list[Presence]:
        """See `Bus.presences`."""
        with self._open() as store:
            return store.present(self._now_us(), self._clock.boottime_ns())

    # --- keep house

    def now_us(self) -> int:
        """See `Bus.now_us`."""
        return self._now_us()

    def generation(self) -> str:
        """See `Bus.generation`."""
        with self._open():
            return self._generation

    def sweep(self) -> Mapping[str, int]:
        """See `Bus.sweep`."""
        self._step("sweep.before")
        with self._open() as store:
            dropped = store.sweep(self._now_us())
        self._step("sweep.applied")
        return dropped

    def describe(self) -> Mapping[str, str]:
        """See `Bus.describe`."""
        return {
            "engine": "memory",
            "durability": "none: everything ends with this process",
            "generation": self.generation(),
        }

    def close(self) -> None:
        """See `Bus.close`."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()

    # --- below all

    @contextmanager
    def _open(self) -> Iterator[Store]:
        with self._changed:
            if self._closed:
                raise BusUnusable("this bus was closed")
            yield self._store

    def _step(self, name: str) -> None:
        if self._fault is not None:
            self._fault(name)

    def _now_us(self) -> int:
        return micros(self._clock.now())

    def _name(self) -> str:
        with self._changed:
            self._names += 1
            return f"{self._generation}-{self._names:x}"

    def _tell(self, facts: Sequence[Fact], commit_id: str) -> None:
        if facts:
            seq = self._store.journal[-1].seq + 1 if self._store.journal else 1
            self._store.journal.append(JournalEntry(seq, self._now_us(), self._by, commit_id, tuple(facts)))

    def _wait(self, ready: Callable[[], bool], wait_s: float) -> None:
        """Ask `ready` until it says yes, the time is over or the bus is closed; the lock is held around each asking."""
        until = self._patience.monotonic_ns() + int(wait_s * 1e9)
        while not ready() and not self._closed:
            left = until - self._patience.monotonic_ns()
            if left <= 0:
                return
            self._changed.wait(left / 1e9)
