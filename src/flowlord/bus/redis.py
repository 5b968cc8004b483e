"""The bus on Redis, for any number of daemons and workers on any number of machines.

The verbs are here; what they do on the server is in `lua/`, how it is asked in `redis_commit`, `redis_claim`,
`redis_look` and `redis_keep`. One verb is one script call, however many messages it is about.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TypeVar

from flowlord.bus import (
    redis_batch,
    redis_check,
    redis_claim,
    redis_keep,
    redis_look,
    redis_move,
    redis_single,
)
from flowlord.bus.judge import Answer
from flowlord.bus.landing import Landing, prepare
from flowlord.bus.log import log_of
from flowlord.bus.port import (
    ALONE_AFTER,
    CHUNK,
    JournalEntry,
    Move,
    Presence,
)
from flowlord.bus.redis_address import parse
from flowlord.bus.redis_clock import ServerClock
from flowlord.bus.redis_commit import Advance, pack, read_answers, token_of
from flowlord.bus.redis_core import Core, flat
from flowlord.bus.redis_facts import ServerFacts, facts_of
from flowlord.bus.redis_link import Link, OutcomeUnknown, Reply, Word
from flowlord.bus.redis_looks import RedisLooks
from flowlord.bus.redis_names import names_of
from flowlord.bus.redis_trail import LEAST, Trails
from flowlord.bus.sightings import Sightings
from flowlord.bus.single import Single
from flowlord.model.clock import Clock
from flowlord.model.errors import BusError, BusUnavailable, BusUnusable, LeaseLost, Refused
from flowlord.model.message import Delivery
from flowlord.model.plan import Commit, Committed, Fact, FactKind, Mark, Plan

log = log_of("flowlord.bus")

_T = TypeVar("_T")


class RedisBus(RedisLooks, Single):
    """The bus in one namespace of a Redis server.

    Args:
        address: as `redis_address.parse` reads it.
        by: who writes, as told in journal entries.
        clock: what judges due times, leases and lifetimes; None for the server's. Only waiting goes by real time.
        namespace: several buses may share a server.
        accept_loss: use a server that is set up to lose data.
        foreign_lease_ns: how long a foreign reader may keep a message without a sign of life.
        make: begin the namespace when nobody has; else BusMissing is raised, and nothing written.
    """

    def __init__(
        self,
        address: str,
        *,
        by: str = "flowlord",
        clock: Clock | None = None,
        namespace: str = "flowlord",
        accept_loss: bool = False,
        foreign_lease_ns: int = redis_claim.FOREIGN_LEASE_NS,
        make: bool = True,
    ) -> None:
        where = parse(address)
        self._link = Link(where, client_name="flowlord")
        self.address = self._link.shown
        self.namespace = namespace
        self._accept_loss = accept_loss
        self._where = where
        try:
            self._facts = self._look_at_server()
            self._core = Core(self._link, clock or ServerClock(self._link), namespace, by, make=make)
        except BaseException:
            self._link.close()
            raise
        self._core.on_reset = self._tell_reset
        self._sightings = Sightings()
        self._trails = Trails()
        # Tokens of claims whose answer was lost, by who asked for what.
        self._ears: dict[tuple[str, tuple[str, ...]], list[Word]] = {}
        """Where somebody who found nothing listens, by who asked for what."""
        self._doubtful: dict[tuple[str, tuple[str, ...]], list[str]] = {}
        self._foreign_lease_ns = foreign_lease_ns

    # --- publish and commit

    def commit_many(self, commits: Sequence[Commit]) -> list[Committed | Refused | LeaseLost]:
        """See `Bus.commit_many`."""
        if not commits:
            return []
        now_us = self._core.now_us()
        return self._land([prepare(commit, now_us) for commit in commits], now_us)

    def _land(self, landings: Sequence[Landing], now_us: int, advance: Advance | None = None) -> list[Answer]:
        core = self._core
        commit_id = core.name()
        if plain := redis_single.pack(commit_id, core.by, now_us, landings, advance):
            script, single = plain
            return read_answers(core.insist(script, *single, verb="commit"), 1)
        staged = redis_batch.stage(core, commit_id, landings)
        words = pack(commit_id, core.by, now_us, landings, staged, advance)
        makes_room = any(landing.commit.acknowledge for landing in landings)
        reply = core.insist("ack" if makes_room else "commit", *words, verb="commit")
        answers = read_answers(reply, len(landings))
        if any(landing.commit.plan.quarantine for landing in landings):
            redis_keep.cap_quarantine(core)
        return answers

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
        self._check_open()
        if limit < 1 or not topics:
            return []
        asked = (consumer, tuple(dict.fromkeys(topics)))
        if asked in self._doubtful and (found := self._recall(asked, limit, lease_ns)):
            return found
        names: list[Word] = flat(*((topic, *names_of(topic)) for topic in asked[1]))

        # An answer without messages names the streams to listen on: that is where the next question may begin.
        ears = self._ears.pop(asked, [])

        def take(left_s: float) -> list[Delivery]:
            nonlocal ears
            token = redis_claim.token(self._core.name(), redis_claim.START, consumer)
            written = f"{lease_ns}|0|{token}"
            words = (written, limit, int(wait_s > 0), ALONE_AFTER, *names)
            try:
                found: list[Delivery] = []
                if limit >= LEAST:
                    found = self._trails.follow(self._core, asked, written, token, limit)
                if not found:
                    found, ears = self._claim(words, ears, left_s, token, consumer)
            except OutcomeUnknown:
                self._doubt(asked, token)
                raise
            if found:
                if limit >= LEAST:
                    self._trails.note(asked, found, limit)
                self._sightings.note(
                    written, self._core.clock.monotonic_ns(), self._core.patience.monotonic_ns()
                )
            return found

        found = self._wait(take, wait_s)
        if ears:
            self._ears[asked] = ears
        return found

    def _claim(
        self, words: Sequence[Word], ears: Sequence[Word], left_s: float, token: str, consumer: str
    ) -> tuple[list[Delivery], list[Word]]:
        """Claim, with `ears` as soon as there is something to hear; also returns where to listen next."""
        heard: Reply = None
        if ears and left_s > 0:
            heard, reply = self._core.run_behind(ears, left_s, "claim", *words, verb="claim")
        else:
            reply = self._core.run("claim", *words, verb="claim")
        found = redis_claim.read_claim(reply, token, consumer, starts=1)
        if found:
            return found, []
        self._link.checked(heard)
        return found, reply[2]

    def _doubt(self, asked: tuple[str, tuple[str, ...]], *tokens: str) -> None:
        self._doubtful.setdefault(asked, []).extend(tokens)  # several threads may

    def _recall(self, asked: tuple[str, tuple[str, ...]], limit: int, lease_ns: int) -> list[Delivery]:
        """Take what earlier claims for the same got whose answers were lost."""
        tokens = self._doubtful.pop(asked, [])
        held = redis_claim.token(self._core.name(), redis_claim.START, asked[0])
        try:
            found = redis_claim.recall(self._core, tokens, held, asked[0], limit, lease_ns=lease_ns)
        except BusUnavailable:
            self._doubt(asked, *tokens, held)  # it may lie under the new token by now
            raise
        if len(found) >= limit:
            self._doubt(asked, *tokens)
        return found

    def renew(self, deliveries: Sequence[Delivery], *, lease_ns: int = 60_000_000_000) -> list[Delivery]:
        """See `Bus.renew`."""
        if not deliveries:
            return []
        tokens = [token_of(delivery) for delivery in deliveries]
        return redis_claim.renew(self._core, self._sightings, deliveries, tokens, lease_ns)

    def release(self, deliveries: Sequence[Delivery], *, delay_ns: int = 0) -> None:
        """See `Bus.release`."""
        if not deliveries:
            return
        now_us = self._core.now_us()
        due_us = now_us + delay_ns // 1_000 if delay_ns > 0 else 0
        held = flat(*((each.entry, token_of(each), each.topic) for each in deliveries))
        self._core.run("release", now_us, due_us, *held, verb="release")

    def reclaim(self, consumer: str, limit: int, *, lease_ns: int = 60_000_000_000) -> list[Delivery]:
        """See `Bus.reclaim`."""
        self._check_open()
        found, gone = redis_claim.reclaim(
            self._core,
            self._sightings,
            consumer,
            limit,
            topics=redis_look.known_topics(self._core),
            lease_ns=lease_ns,
            foreign_lease_ns=self._foreign_lease_ns,
        )
        if gone:
            text = f"somebody deleted {len(gone)} messages while they were worked on: {', '.join(gone[:10])}"
            self.commit(Plan(facts=(Fact(FactKind.ALERT, text=text),)))
        return found

    # --- later and frozen batches

    def promote(self, limit: int = CHUNK) -> int:
        """See `Bus.promote`."""
        self._check_open()
        if limit < 1 or not 0 < self.next_due_us() <= self._core.now_us():
            return 0
        moved, stuck = self._core.run("promote", self._core.now_us(), limit, verb="promote")
        if stuck:
            names = ", ".join(sorted({name.decode() for name in stuck}))
            log.error(
                "%d due messages wait on, since these streams take none (no stream, or full): %s",
                len(stuck), names, extra={"action": "promote.stuck"},
            )  # fmt: skip
        return int(moved)

    def next_due_us(self) -> int:
        """See `Bus.next_due_us`."""
        reply = self._link.call("ZRANGE", self._core.key("later"), 0, 0, "WITHSCORES")
        return int(float(reply[1])) if reply else 0

    def advance(self, limit: int = CHUNK) -> int:
        """See `Bus.advance`."""
        self._check_open()
        while (chunk := redis_batch.next_chunk(self._core, limit)) is not None:
            commit, advance = chunk
            now_us = self._core.now_us()
            [answer] = self._land([prepare(commit, now_us)], now_us, advance)
            if isinstance(answer, Committed):
                return advance.taken
        return 0

    # --- look

    def marks(self, keys: Sequence[str]) -> dict[str, str]:
        """See `Bus.marks`."""
        return redis_look.marks(self._core, keys)

    def marks_like(self, prefix: str) -> dict[str, str]:
        """See `Bus.marks_like`."""
        return redis_look.marks_like(self._core, prefix)

    def journal(self, after: int, limit: int, *, wait_s: float = 0.0) -> list[JournalEntry]:
        """See `Bus.journal`."""
        self._check_open()

        is_first = True

        def read(left_s: float) -> list[JournalEntry]:
            nonlocal is_first
            if not is_first:
                words = "STREAMS", self._core.key("journal"), f"{after}-1"
                self._link.listen(("XREAD", "COUNT", 1), words, left_s)
            is_first = False
            return redis_look.journal(self._core, after, max(limit, 0))

        return self._wait(read, wait_s)

    def journal_bounds(self) -> tuple[int, int]:
        """See `Bus.journal_bounds`."""
        return redis_look.journal_bounds(self._core)

    # --- drop

    def move(self, moves: Sequence[Move], *, reason: str = "") -> int:
        """See `Bus.move`."""
        return redis_move.move(self._core, moves, reason)

    def purge(self, topic: str, *, reason: str = "purged") -> int:
        """See `Bus.purge`."""
        return redis_keep.purge(self._core, topic, reason)

    def cancel(self, keys: Sequence[str], *, reason: str = "") -> int:
        """See `Bus.cancel`."""
        return redis_keep.cancel(self._core, sorted(set(keys) - {""}), reason)

    # --- processes

    def beat(self, presence: Presence) -> None:
        """See `Bus.beat`."""
        redis_keep.beat(self._core, presence)

    def leave(self, consumer: str) -> None:
        """See `Bus.leave`."""
        self._link.call("HDEL", self._core.key("beat"), consumer)

    def presences(self) -> list[Presence]:
        """See `Bus.presences`."""
        return redis_keep.presences(self._core)

    # --- keep house

    def now_us(self) -> int:
        """See `Bus.now_us`."""
        return self._core.now_us()

    def generation(self) -> str:
        """See `Bus.generation`."""
        self._core.check(self._link.call("HGET", self._core.key("state"), "generation"))
        return self._core.generation

    def sweep(self) -> Mapping[str, int]:
        """See `Bus.sweep`; raises BusUnavailable when the server was set up to lose data meanwhile."""
        dropped = redis_keep.sweep(self._core)
        try:
            self._facts = self._look_at_server()
        except BusUnusable as error:  # no reason to leave what is under way: health turns red
            raise BusUnavailable(str(error), hint=error.hint) from error
        return dropped

    def describe(self) -> Mapping[str, str]:
        """See `Bus.describe`; `note` tells what is wrong with the server's settings."""
        told = redis_check.described(self._facts, accept_loss=self._accept_loss)
        return {"namespace": self.namespace, "generation": self.generation(), **told}

    def _look_at_server(self) -> ServerFacts:
        """Ask how the server is set up; raises BusUnusable when nothing may be kept there."""
        facts = facts_of(self._link.call, database=self._where.db)
        redis_check.refuse_crowd(facts, 1 if self._where.service else len(self._where.hosts), self.address)
        redis_check.refuse(redis_check.check(facts, accept_loss=self._accept_loss), self.address)
        return facts

    def close(self) -> None:
        """See `Bus.close`."""
        self._link.close()

    # --- below all

    def _check_open(self) -> None:
        if self._link.closed:
            raise BusUnusable("this bus was closed")

    def _wait(self, ask: Callable[[float], list[_T]], wait_s: float) -> list[_T]:
        """Ask until something is found, the time is over or the bus is closed; `ask` is given the seconds left."""
        until_ns = self._core.patience.monotonic_ns() + int(wait_s * 1e9)
        left_s = wait_s
        try:
            while True:
                found = ask(left_s)
                left_s = (until_ns - self._core.patience.monotonic_ns()) / 1e9
                if found or left_s <= 0:
                    return found
        except (BusUnusable, BusUnavailable):
            if wait_s > 0 and self._link.closed:  # while it waited: nothing came, and that is no fault
                return []
            raise

    def _tell_reset(self, before: str, text: str) -> None:
        """Say it once in the journal, whoever notices first."""
        mark = Mark(f"reset:{before}", None, self._core.generation)
        try:
            self.commit(Plan(facts=(Fact(FactKind.ALERT, text=text),)), marks=[mark])
        except BusError:
            return  # somebody else told it, or cannot be told now: the log has it
