"""Two processes want the same thing at the same time, thousands of times: it is got once, and both get their share."""

from __future__ import annotations

import subprocess
from collections import Counter
from collections.abc import Iterator
from contextlib import AbstractContextManager, closing

import msgspec
import pytest

from flowlord.bus.port import DONE
from flowlord.bus.redis import RedisBus
from flowlord.model.message import Delivery, Message
from flowlord.model.plan import Commit, FactKind, Plan
from support import redis_race
from support.processes import LIMIT_S, until
from support.racers import racers
from support.redis_servers import fresh_namespace, shared_server

SLOTS = 2_000
MOST_SLOTS = 3 * SLOTS
SHARE = 0.2


@pytest.fixture
def bus() -> Iterator[RedisBus]:
    with closing(RedisBus(shared_server("redis").url, by="judge", namespace=fresh_namespace())) as opened:
        yield opened


def two(game: str, bus: RedisBus) -> AbstractContextManager[list[subprocess.Popen[str]]]:
    """Two processes that have started at the same moment."""
    return racers("redis_race.py", [[game, bus_url(), bus.namespace, name] for name in ("one", "two")])


def bus_url() -> str:
    return shared_server("redis").url


class Judge:
    """Reads the journal: who published what, by topic."""

    def __init__(self, bus: RedisBus) -> None:
        self._bus = bus
        self._seq = 0
        self.ticks: Counter[str] = Counter()
        self.kids: Counter[str] = Counter()
        self.causes: Counter[str] = Counter()

    def read(self) -> None:
        while entries := self._bus.journal(self._seq, 1_000):
            self._seq = entries[-1].seq
            for entry in entries:
                for fact in entry.facts:
                    if fact.kind is FactKind.PUBLISHED and entry.by != "judge":
                        (self.kids if fact.topic == "kid" else self.ticks)[entry.by] += 1
                        self.causes[fact.cause] += 1


def done(delivery: Delivery) -> Commit:
    """What a worker commits when it has run a task."""
    task = delivery.task()
    task = msgspec.structs.replace(task, result="complete", meta=f"{task.meta}&at={task.info}")
    told = Message(
        DONE, task, delivery.key, phase=delivery.phase, revision=delivery.revision, cause=delivery.cause
    )
    return Commit(Plan(publish=(told,)), acknowledge=(delivery,))


def shares(won: Counter[str]) -> float:
    """The smaller share of two."""
    return min(won["one"], won["two"]) / max(won.total(), 1)


def test_each_slot_and_each_result_is_decided_once_and_both_daemons_take_part(bus):
    """A machine that lets one of them starve for a moment gets more slots to make up for it, though not many."""
    judge = Judge(bus)
    topics = [f"tick{n}" for n in range(redis_race.PHASES)]
    with two("daemon", bus) as racers:

        def work() -> int:
            found = bus.claim(topics, "judge", 200, wait_s=0.02)
            bus.commit_many([done(each) for each in found])
            judge.read()
            return len(found)

        def is_enough() -> bool:
            work()
            assert judge.ticks.total() <= MOST_SLOTS, (judge.ticks, judge.kids)
            return judge.kids.total() >= SLOTS and min(shares(judge.ticks), shares(judge.kids)) >= SHARE

        until(is_enough, "enough slots for both", every_s=0.0)
        for racer in racers:
            assert racer.stdin is not None
            racer.stdin.close()
            assert racer.wait(LIMIT_S) == 0
    judge.read()
    assert set(judge.causes.values()) == {1}, "no slot and no result is decided twice"
    ticks = sorted(cause.rpartition(":tick")[2] for cause in judge.causes if cause.startswith("tick:"))
    assert len(ticks) == judge.ticks.total()


def test_each_of_ten_thousand_marks_is_won_once(bus):
    with two("marks", bus) as racers:
        for racer in racers:
            assert racer.wait(LIMIT_S) == 0
    won = bus.marks_like("slot:")
    assert len(won) == redis_race.MARKS
    landed = {each.payload: each.key for each in bus.peek("won", 2 * redis_race.MARKS)}
    assert len(landed) == redis_race.MARKS
    assert sorted(landed.values()) == sorted(
        f"{key.removeprefix('slot:')}-{name}" for key, name in won.items()
    )
    assert set(won.values()) == {"one", "two"}
