"""The embedded bus: one SQLite file for all processes of a machine. The default; needs no server.

The verbs are here; what they do in the file is in `sqlite_commit`, `sqlite_claim`, `sqlite_later`, `sqlite_look` and
`sqlite_keep`, who may touch it and when in `sqlite_connection`.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from itertools import count
from typing import TypeVar

from flowlord.bus import sqlite_claim, sqlite_commit, sqlite_keep, sqlite_later, sqlite_look, sqlite_opened
from flowlord.bus.bell import JOURNAL, Bell
from flowlord.bus.clock import SystemClock, micros, unguessable
from flowlord.bus.judge import Answer
from flowlord.bus.landing import Landing, prepare
from flowlord.bus.lifetimes import RESEND_S, SWEEP_STEPS
from flowlord.bus.port import CHUNK, JournalEntry, Move, Presence
from flowlord.bus.single import Single
from flowlord.bus.sqlite_arrive import News
from flowlord.bus.sqlite_commit import encode_facts
from flowlord.bus.sqlite_connection import (
    PATIENCE_S,
    Connection,
    OutcomeUnknown,
)
from flowlord.bus.sqlite_looks import SqliteLooks
from flowlord.bus.sqlite_opening import check_boot, describe, prepare_file, this_boot
from flowlord.bus.sqlite_place import MOUNTS, settle
from flowlord.model.clock import Clock
from flowlord.model.errors import BusUnusable, LeaseLost, Refused
from flowlord.model.message import Delivery
from flowlord.model.plan import Commit, Committed, Fact

JOURNAL_MODE = "wal"
"""What a commit costs: one sync of the log, where a rollback journal needs three to five of two files."""
CHECK_NS = 60_000_000_000
"""How often a process looks whether the file is still the one that it opened."""

_T = TypeVar("_T")


class SqliteBus(SqliteLooks, Single):
    """The bus in the file at `path`, which is made when it is missing.

    Args:
        path: of the file, on a local disk.
        by: who writes, as told in journal entries.
        clock: what judges due times, leases and lifetimes; only waiting for news goes by real time.
        journal_mode: `persist` or `truncate` for a file system whose files cannot be shared memory; `wal` is faster.
        boot_id: names the boot that the clock's boot time counts from; empty for that of this machine.
        mounts: where the system tells its mounts.
        patience_s: how long to wait for other processes before BusUnavailable is raised.
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        *,
        by: str = "flowlord",
        clock: Clock | None = None,
        journal_mode: str = "",
        boot_id: str = "",
        mounts: str | os.PathLike[str] = MOUNTS,
        patience_s: float = PATIENCE_S,
    ) -> None:
        place = settle(path, mounts=mounts)
        self.address = f"sqlite:///{place.path}"
        self._by = by
        self._clock = clock or SystemClock()
        self._patience = SystemClock()
        self._boot_id = boot_id or this_boot()
        # Names of commits and lease tokens: unlike those of every other process, and cheap.
        self._self = unguessable()
        self._numbers = count(1)
        self._connection = Connection(place, journal_mode or JOURNAL_MODE, patience_s=patience_s)
        try:
            self._generation = prepare_file(self._connection, self._boot_id)
        except BaseException:
            self._connection.close()
            raise
        self._checked_ns = self._clock.monotonic_ns()
        self._bell = Bell(place.path, f"{os.getpid()}-{self._self}")

    # --- publish and commit

    def commit_many(self, commits: Sequence[Commit]) -> list[Committed | Refused | LeaseLost]:
        """See `Bus.commit_many`."""
        if not commits:
            return []
        now_us = self._now_us()
        landings = [prepare(commit, now_us) for commit in commits]
        commit_id = self._name()
        until_ns = self._patience.monotonic_ns() + int(RESEND_S * 1e9)
        sent_before = False
        while True:
            try:
                return self._land(commit_id, landings, sent_before=sent_before)
            except OutcomeUnknown:
                # The same bytes under the same name: if they landed, the file says so and nothing lands twice.
                sent_before = True
                if self._patience.monotonic_ns() >= until_ns:
                    raise
            self._connection.pause(0.05)

    def _land(self, commit_id: str, landings: list[Landing], *, sent_before: bool) -> list[Answer]:
        with self._writing("commit") as (db, news):
            if sent_before:
                known = sqlite_commit.known_answers(db, commit_id)
                if known is not None:
                    return known
            return sqlite_commit.land(
                db, landings, commit_id=commit_id, by=self._by, now_us=self._now_us(), news=news
            )

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
        names = list(dict.fromkeys(topics))

        def take() -> list[Delivery]:
            with self._reading() as db:
                if limit < 1 or not sqlite_claim.anything_waits(db, names):
                    return []
            # A lease that a power cut takes along is one of a process that is gone as well: claimed again, as it
            # would be anyhow. What it leads to, such as a result, is on the disk only together with it.
            with self._writing("claim", synced=False) as (db, _):
                until_ns = self._clock.boottime_ns() + lease_ns
                return sqlite_claim.claim(db, names, consumer, limit, token=self._name(), until_ns=until_ns)

        return self._wait(take, names, wait_s)

    def renew(self, deliveries: Sequence[Delivery], *, lease_ns: int = 60_000_000_000) -> list[Delivery]:
        """See `Bus.renew`."""
        if not deliveries:
            return []
        with self._writing("renew") as (db, _):
            return sqlite_claim.renew(db, deliveries, self._clock.boottime_ns() + lease_ns)

    def release(self, deliveries: Sequence[Delivery], *, delay_ns: int = 0) -> None:
        """See `Bus.release`."""
        if not deliveries:
            return
        due_us = self._now_us() + delay_ns // 1_000 if delay_ns > 0 else 0
        with self._writing("release") as (db, news):
            topics = sqlite_claim.release(db, deliveries, due_us)
            news.topics |= set() if due_us else topics

    def reclaim(self, consumer: str, limit: int, *, lease_ns: int = 60_000_000_000) -> list[Delivery]:
        """See `Bus.reclaim`."""
        with self._reading() as db:
            if limit < 1 or not sqlite_claim.anything_lapsed(db, self._clock.boottime_ns()):
                return []
        with self._writing("reclaim") as (db, _):
            now_ns = self._clock.boottime_ns()
            return sqlite_claim.reclaim(
                db, consumer, limit, token=self._name(), now_ns=now_ns, until_ns=now_ns + lease_ns
            )

    # --- later and frozen batches

    def promote(self, limit: int = CHUNK) -> int:
        """See `Bus.promote`."""
        if limit < 1 or not 0 < self.next_due_us() <= self._now_us():
            return 0
        with self._writing("promote") as (db, news):
            return sqlite_later.promote(db, limit, self._now_us(), news)

    def next_due_us(self) -> int:
        """See `Bus.next_due_us`."""
        with self._reading() as db:
            return sqlite_later.next_due_us(db)

    def advance(self, limit: int = CHUNK) -> int:
        """See `Bus.advance`."""
        with self._reading() as db:
            if limit < 1 or not db.execute("SELECT EXISTS (SELECT 1 FROM batches)").fetchone()[0]:
                return 0
        with self._writing("advance") as (db, news):
            now_us = self._now_us()
            return sqlite_later.advance(
                db, limit, commit_id=self._name(), by=self._by, now_us=now_us, news=news
            )

    # --- look

    def marks(self, keys: Sequence[str]) -> dict[str, str]:
        """See `Bus.marks`."""
        with self._reading() as db:
            return sqlite_look.marks(db, keys)

    def marks_like(self, prefix: str) -> dict[str, str]:
        """See `Bus.marks_like`."""
        with self._reading() as db:
            return sqlite_look.marks_like(db, prefix)

    def journal(self, after: int, limit: int, *, wait_s: float = 0.0) -> list[JournalEntry]:
        """See `Bus.journal`."""

        def read() -> list[tuple[object, ...]]:
            with self._reading() as db:
                return sqlite_look.journal(db, after, max(limit, 0))

        return [sqlite_look.read_entry(row) for row in self._wait(read, [JOURNAL], wait_s)]

    def journal_bounds(self) -> tuple[int, int]:
        """See `Bus.journal_bounds`."""
        with self._reading() as db:
            return sqlite_look.journal_bounds(db)

    # --- drop

    def move(self, moves: Sequence[Move], *, reason: str = "") -> int:
        """See `Bus.move`."""
        take = partial(sqlite_keep.move, reason=reason, now_us=self._now_us())
        return self._by_chunks("move", moves, take)

    def purge(self, topic: str, *, reason: str = "purged") -> int:
        """See `Bus.purge`."""
        with self._reading() as db:
            until = sqlite_keep.last_entry(db)  # what arrives meanwhile stays, so this ends
        gone = 0
        while True:
            dropped = self._drop("purge", lambda db, _: sqlite_keep.purge(db, topic, until, reason))
            gone += dropped
            if not dropped:
                return gone

    def cancel(self, keys: Sequence[str], *, reason: str = "") -> int:
        """See `Bus.cancel`."""
        wanted = sorted(set(keys) - {""})
        return self._by_chunks("cancel", wanted, lambda part, db, _: sqlite_keep.cancel(db, part, reason))

    def _by_chunks(
        self,
        verb: str,
        all_: Sequence[_T],
        take: Callable[[Sequence[_T], sqlite3.Connection, News], list[Fact]],
    ) -> int:
        parts = (all_[start : start + CHUNK] for start in range(0, len(all_), CHUNK))
        return sum(self._drop(verb, partial(take, part)) for part in parts)

    def _drop(self, verb: str, take: Callable[[sqlite3.Connection, News], list[Fact]]) -> int:
        with self._writing(verb) as (db, news):
            facts = take(db, news)
            told = [encode_facts(facts)] if facts else []
            sqlite_commit.tell(
                db, told, commit_id=self._name(), by=self._by, now_us=self._now_us(), news=news
            )
            return len(facts)

    # --- processes

    def beat(self, presence: Presence) -> None:
        """See `Bus.beat`."""
        with self._writing("beat") as (db, _):
            sqlite_keep.beat(db, presence, self._now_us(), self._clock.boottime_ns())

    def leave(self, consumer: str) -> None:
        """See `Bus.leave`."""
        with self._writing("leave") as (db, _):
            db.execute("DELETE FROM presences WHERE consumer = ?", (consumer,))

    def presences(self) -> list[Presence]:
        """See `Bus.presences`."""
        with self._reading() as db:
            return sqlite_look.presences(db, self._now_us(), self._clock.boottime_ns())

    # --- keep house

    def now_us(self) -> int:
        """See `Bus.now_us`."""
        return self._now_us()

    def generation(self) -> str:
        """See `Bus.generation`."""
        with self._reading():
            return self._generation

    def sweep(self) -> Mapping[str, int]:
        """See `Bus.sweep`."""
        steps: dict[str, Callable[[sqlite3.Connection, int], int]] = {
            "marks": sqlite_keep.sweep_marks,
            "outcomes": sqlite_keep.sweep_outcomes,
            "commits": sqlite_keep.sweep_commits,
            "journal": sqlite_keep.sweep_journal,
            "presences": sqlite_keep.sweep_presences,
            "open": sqlite_opened.sweep,
        }
        dropped = dict.fromkeys(steps, 0)
        for kind, step in steps.items():
            for _ in range(SWEEP_STEPS):
                with self._writing("sweep") as (db, _):
                    found = step(db, self._now_us())
                dropped[kind] += found
                if not found:
                    break
        with self._reading() as db:
            spare = sqlite_keep.spare_pages(db)
        if spare:
            with self._writing("sweep") as (db, _):
                sqlite_keep.give_back(db, spare)
        return dropped

    def describe(self) -> Mapping[str, str]:
        """See `Bus.describe`."""
        return describe(self._connection) | {"generation": self.generation()}

    def close(self) -> None:
        """See `Bus.close`."""
        self._connection.close()
        self._bell.close()

    # --- below all

    @contextmanager
    def _reading(self) -> Iterator[sqlite3.Connection]:
        self._check()
        with self._connection.reading() as db:
            yield db

    @contextmanager
    def _writing(self, verb: str, *, synced: bool = True) -> Iterator[tuple[sqlite3.Connection, News]]:
        """Give the inside of a transaction; ring for its news once it has landed."""
        self._check()
        news = News()
        with self._connection.writing(verb, synced=synced) as db:
            yield db, news
        names = [*news.topics, JOURNAL] if news.journal else list(news.topics)
        if names:
            self._bell.ring(names)

    def _check(self) -> None:
        now_ns = self._clock.monotonic_ns()
        if now_ns - self._checked_ns >= CHECK_NS:
            self._checked_ns = now_ns
            self._connection.check()
            check_boot(self._connection, self._boot_id)

    def _wait(self, ready: Callable[[], list[_T]], names: Collection[str], wait_s: float) -> list[_T]:
        """Ask `ready` until it finds something, the time is over or the bus is closed."""
        found = ready()
        if found or wait_s <= 0:
            return found
        until_ns = self._patience.monotonic_ns() + int(wait_s * 1e9)
        try:
            with self._bell.ear() as ear:
                while True:
                    found = ready()
                    left_s = (until_ns - self._patience.monotonic_ns()) / 1e9
                    if found or left_s <= 0:
                        return found
                    ear.listen(names, left_s)
        except BusUnusable:
            if self._connection.closed:  # while it waited: nothing came, and that is no fault
                return []
            raise

    def _now_us(self) -> int:
        return micros(self._clock.now())

    def _name(self) -> str:
        return f"{self._self}-{next(self._numbers):x}"
