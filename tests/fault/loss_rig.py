"""Every verb of a Redis bus through a proxy that loses answers, against what must be true whatever was lost.

`bus` goes through the proxy; `clear`, on the same server, sees what is there. Each verb is a method that does one
operation, says what it knows of its outcome when it failed, and repeats it as a caller of the bus would.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable
from datetime import timedelta
from typing import TypeVar

from flowlord.bus.port import Move, Presence
from flowlord.bus.redis import RedisBus
from flowlord.model.errors import BusUnavailable, LeaseLost
from flowlord.model.message import Delivery, Message
from flowlord.model.plan import ANY, Commit, Committed, FactKind, FrozenBatch, Mark, Plan
from flowlord.model.task import Task
from support.clock import VirtualClock
from support.lossy_proxy import LossyProxy

VERBS = (
    "publish", "commit_many", "claim", "renew", "release", "reclaim", "promote", "advance", "cancel", "purge",
    "move",    "beat", "sweep",
)  # fmt: skip
SHARE = 0.25
"""Of exchanges that are spoilt."""
MANY = {"sweep": 20, "cancel": 4, "advance": 3, "purge": 3}
"""Verbs of many exchanges, which would hardly ever come through."""
LONG_NS = 10**18
SHORT_NS = 10**9
TOPIC = "work"
HELD_AT_MOST = 12
WAITING_AT_MOST = 60

_T = TypeVar("_T")


class Rig:
    """The bus under test, and what is known of it: `waiting` and `ended` are keys, `held` deliveries by key."""

    def __init__(self, proxy: LossyProxy, address: str, namespace: str, seed: str) -> None:
        self.clock = VirtualClock()
        self.clear = RedisBus(address, by="clear", clock=self.clock, namespace=namespace)
        self.bus = RedisBus(f"{proxy.url}?timeout=5", by="lossy", clock=self.clock, namespace=namespace)
        self.proxy, self.chance = proxy, random.Random(seed)
        self.waiting: set[str] = set()
        self.held: dict[str, Delivery] = {}
        self.ended: set[str] = set()
        self.dropped: set[str] = set()
        self.failures: Counter[str] = Counter()
        self._number = 0
        self._before = 0

    def close(self) -> None:
        self.bus.close()
        self.clear.close()

    def act(self, verb: str) -> None:
        """Do one operation of a verb and see that it is whole."""
        self.proxy.label = verb
        self._before = self.proxy.done.total()
        self.proxy.share = SHARE / MANY.get(verb, 1)
        getattr(self, verb)()
        self.proxy.label, self.proxy.share = "", 0.0
        if len(self.waiting) > WAITING_AT_MOST:  # looking for keys on a long topic takes long
            self._work_off()

    # --- what callers do

    def attempt(self, verb: str, call: Callable[[], _T]) -> tuple[bool, _T | None]:
        """Call once; returns whether there was an answer, and which."""
        try:
            return True, call()
        except BusUnavailable:
            self.failures[verb] += 1
            return False, None

    def persist(self, verb: str, call: Callable[[], _T]) -> tuple[int, _T]:
        """Call until there is an answer; returns how often it took, and the answer."""
        for tries in range(1, 50):
            answered, answer = self.attempt(verb, call)
            if answered:
                return tries, answer  # type: ignore[return-value]
        raise AssertionError(f"{verb} has no answer after 50 calls")

    def key(self) -> str:
        self._number += 1
        return f"k{self._number}"

    def message(self, key: str, topic: str = TOPIC, **more: object) -> Message:
        return Message(topic, Task(type=topic, info=key), key, **more)  # type: ignore[arg-type]

    @property
    def spoilt(self) -> bool:
        """Whether anything was lost in this operation. If not, looking for keys is left to the end: it takes long."""
        return self.proxy.done.total() > self._before

    def there(self, *keys: str) -> list[str]:
        """Which of these keys are on the bus; a key that is there twice is told twice."""
        return sorted(found.key for found in self.clear.find(keys))

    # --- verbs

    def publish(self) -> None:
        keys = sorted(self.key() for _ in range(self.chance.randint(1, 4)))
        answered, _ = self.attempt("publish", lambda: self.bus.publish([self.message(key) for key in keys]))
        found = self.there(*keys) if self.spoilt else keys
        assert found == keys or (not answered and found == []), f"of {keys} there are {found}"
        self.waiting |= set(found)

    def commit_many(self) -> None:
        parents = self._some_held(3)
        children = {key: self.key() for key in parents}
        wrong = self.key()
        commits = [
            Commit(
                Plan(publish=(self.message(children[key]),)),
                (self.held[key],),
                (Mark("last", ANY, key),),
                (key,),
            )
            for key in parents
        ]
        # One that must be refused, whatever happens to the answer: its mark is not what the decision saw.
        commits.append(Commit(Plan(publish=(self.message(wrong),)), (), (Mark("never", "x", "y"),)))
        tries, answers = self.persist("commit_many", lambda: self.bus.commit_many(commits))
        for answer in answers[:-1]:
            # A second call finds what the first one acknowledged: its lease is gone.
            assert isinstance(answer, Committed) or (tries > 1 and isinstance(answer, LeaseLost)), answer
        if self.spoilt:
            assert self.there(*children.values(), *parents, wrong) == sorted(children.values())
        # The same outcomes once more, as from somebody who was told the same: nothing may follow twice.
        again = [Commit(each.plan, (), each.marks, each.outcomes) for each in commits[:-1]]
        answered, repeated = self.attempt("commit_many", lambda: self.bus.commit_many(again))
        assert not answered or repeated == [Committed(duplicate=True)] * len(again)
        if self.spoilt:
            assert self.there(*children.values()) == sorted(children.values())
        for key in parents:
            del self.held[key]
        self.ended |= set(parents)
        self.waiting |= set(children.values())

    def claim(self) -> None:
        if len(self.held) >= HELD_AT_MOST:
            self._give_back()
        if not self.waiting:
            self._supply(4)
        _, found = self.persist("claim", lambda: self.bus.claim([TOPIC], "me", 3, lease_ns=LONG_NS))
        assert found, "what waits is not given"
        for delivery in found:
            assert delivery.key in self.waiting, f"{delivery.key} was given while it did not wait"
            assert delivery.deliveries == 1
            self.waiting.discard(delivery.key)
            self.held[delivery.key] = delivery

    def renew(self) -> None:
        held = [self.held[key] for key in self._some_held(3)]
        _, lost = self.persist("renew", lambda: self.bus.renew(held, lease_ns=LONG_NS))
        assert lost == []

    def release(self) -> None:
        keys = self._some_held(2)
        back = [self.held.pop(key) for key in keys]
        self.persist("release", lambda: self.bus.release(back))
        if self.spoilt:
            states = {found.key: found.state for found in self.clear.find(keys)}
            assert states == dict.fromkeys(keys, "waiting")
        self.waiting |= set(keys)

    def reclaim(self) -> None:
        """Somebody dies with tasks of a topic of its own; each is taken over in the end, and counts one crash."""
        keys = {self.key() for _ in range(3)}
        self.clear.publish([self.message(key, "risky") for key in sorted(keys)])
        assert len(self.clear.claim(["risky"], "dead", 3, lease_ns=SHORT_NS)) == 3
        missing = set(keys)
        for _ in range(100):
            _, found = self.attempt("reclaim", lambda: self.bus.reclaim("reaper", 10, lease_ns=SHORT_NS))
            for delivery in found or []:
                assert delivery.key in missing, f"{delivery.key} was taken over twice"
                assert delivery.deliveries == 1
                missing.discard(delivery.key)
                self.clear.commit(Plan(), acknowledge=[delivery])
            if not missing:
                break
            self.clock.advance(1.1)
        assert not missing
        self.ended |= keys

    def promote(self) -> None:
        keys = sorted(self.key() for _ in range(2))
        due = self.clock.now() + timedelta(seconds=1)
        self.clear.publish([self.message(key, due=due) for key in keys])
        self.clock.advance(2)
        tries, moved = self.persist("promote", self.bus.promote)
        assert moved == 2 or (tries > 1 and moved == 0)
        if self.spoilt:
            assert [found.state for found in self.clear.find(keys)] == ["waiting"] * 2
        self.waiting |= set(keys)

    def advance(self) -> None:
        keys = sorted(self.key() for _ in range(5))
        batch = FrozenBatch(self.key(), tuple(self.message(key) for key in keys))
        self.clear.commit(Plan(frozen=(batch,)))
        before: list[str] = []
        while self.clear.marks_like("batch:"):
            answered, count = self.attempt("advance", lambda: self.bus.advance(2))
            if answered:
                assert count in (0, 1, 2)
                continue
            now = self.there(*keys)
            assert set(before) <= set(now)
            assert len(now) == len(set(now))
            assert len(now) in (0, 2, 4, 5), f"half a chunk: {now}"
            before = now
        assert not self.spoilt or self.there(*keys) == keys
        self.waiting |= set(keys)

    def cancel(self) -> None:
        if len(self.waiting) < 2:
            self._supply(2)
        keys = self.chance.sample(sorted(self.waiting), 2)
        answered, count = self.attempt("cancel", lambda: self.bus.cancel(keys, reason="no"))
        left = self.there(*keys) if self.spoilt else []
        assert not answered or (count, left) == (2, [])
        assert len(left) in (0, 2)
        if left:
            assert self.persist("cancel", lambda: self.bus.cancel(keys))[1] in (0, 2)
            assert self.there(*keys) == []
        self.waiting -= set(keys)
        self.dropped |= set(keys)

    def move(self) -> None:
        keys = {self.key() for _ in range(3)}
        self.clear.publish([self.message(key, "bin") for key in sorted(keys)])
        asked = [Move("bin", each.entry, "other bin") for each in self.clear.peek("bin", 9)]
        tries, count = self.persist("move", lambda: self.bus.move(asked))
        assert count == 3 or (tries > 1 and count == 0)
        assert {each.key for each in self.clear.peek("other bin", 9)} == keys
        assert self.clear.peek("bin", 9) == []
        assert self.clear.purge("other bin") == 3
        self.dropped |= keys

    def purge(self) -> None:
        keys = {self.key() for _ in range(3)}
        self.clear.publish([self.message(key, "bin") for key in sorted(keys)])
        tries, count = self.persist("purge", lambda: self.bus.purge("bin"))
        assert count == 3 or (tries > 1 and count == 0)
        assert not self.spoilt or self.there(*keys) == []
        self.dropped |= keys

    def beat(self) -> None:
        self.clock.advance(0.001)
        self.persist("beat", lambda: self.bus.beat(Presence("me", "worker", "here", 1)))
        [presence] = self.clear.presences()
        assert presence.alive

    def sweep(self) -> None:
        self.clear.commit(Plan(), marks=[Mark("brief", ANY, "1", ttl_s=1), Mark("lasting", ANY, "1")])
        self.clock.advance(2)
        self.persist("sweep", self.bus.sweep)
        assert self.clear.marks(["brief", "lasting"]) == {"lasting": "1"}

    # --- what verbs need

    def _some_held(self, most: int) -> list[str]:
        if not self.held:
            self._supply(most)
            found = self.clear.claim([TOPIC], "me", most, lease_ns=LONG_NS)
            for delivery in found:
                self.waiting.discard(delivery.key)
                self.held[delivery.key] = delivery
        return self.chance.sample(sorted(self.held), min(most, len(self.held)))

    def _give_back(self) -> None:
        self.clear.release(list(self.held.values()))
        self.waiting |= set(self.held)
        self.held.clear()

    def _supply(self, count: int) -> None:
        keys = [self.key() for _ in range(count)]
        self.clear.publish([self.message(key) for key in keys])
        self.waiting |= set(keys)

    def _work_off(self) -> None:
        found: Counter[str] = Counter()
        while claimed := self.clear.claim([TOPIC], "heir", 100, lease_ns=LONG_NS):
            found.update(each.key for each in claimed)
            self.clear.commit(Plan(), acknowledge=claimed)
        assert found == dict.fromkeys(self.waiting, 1), f"missing: {sorted(self.waiting - set(found))}"
        self.ended |= self.waiting
        self.waiting.clear()

    # --- the end

    def settle(self) -> None:
        """Everything that was published is told once, and is there, ended or dropped, each of them once."""
        self._give_back()
        self._work_off()
        published, cancelled = self._told()
        assert published == dict.fromkeys(self.ended | self.dropped, 1)
        assert cancelled == dict.fromkeys(self.dropped, 1)
        assert {
            state.topic for state in self.clear.topics() if state.waiting or state.running or state.later
        } == set()

    def _told(self) -> tuple[Counter[str], Counter[str]]:
        """What the journal tells: how often each key was published, and how often it was dropped."""
        told: dict[FactKind, Counter[str]] = {FactKind.PUBLISHED: Counter(), FactKind.CANCELLED: Counter()}
        after = 0
        while entries := self.clear.journal(after, 500):
            after = entries[-1].seq
            for fact in (fact for entry in entries for fact in entry.facts):
                if fact.kind in told:
                    told[fact.kind][fact.key] += 1
        return told[FactKind.PUBLISHED], told[FactKind.CANCELLED]
