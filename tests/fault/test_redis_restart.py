"""The Redis server is killed under load, forgets its scripts, or comes back empty: what was acknowledged is there."""

import threading
from collections import Counter
from collections.abc import Callable
from contextlib import contextmanager
from pathlib import Path

import pytest

from flowlord.bus.redis import RedisBus
from flowlord.model.errors import BusUnavailable, LeaseLost
from flowlord.model.message import Message
from flowlord.model.plan import FactKind, Plan
from flowlord.model.task import Task
from support.processes import until
from support.quick import quick_folder
from support.redis_servers import Server

pytestmark = [pytest.mark.fault, pytest.mark.slow]
KILLS = 12
LONG_NS = 10**18
CHUNK = 5


def message(key: str, topic: str = "work") -> Message:
    return Message(topic, Task(type=topic, info=key), key)


@pytest.fixture
def folder():
    """In memory: with `everysec` a slow sync lets Redis answer before it has written, and the disk would be tested."""
    with quick_folder() as found:
        yield found


@contextmanager
def server(folder: Path, policy: str):
    options = {"appendonly": "yes", "appendfsync": policy, "auto-aof-rewrite-min-size": "256kb"}
    with Server("redis", options, folder=folder / "server") as found:
        yield found


class Load(threading.Thread):
    """Publishes, or works off, until told to stop; `known` is what the bus said yes to."""

    def __init__(self, url: str, name: str) -> None:
        super().__init__(name=name)
        self.bus = RedisBus(url, by=name)
        self.known: Counter[str] = Counter()
        self.doubtful: set[str] = set()
        self.stop = threading.Event()
        self.failures = 0
        self.error: BaseException | None = None

    def run(self) -> None:
        while not self.stop.is_set():
            try:
                self.step()
            except BusUnavailable:
                self.failures += 1
            except BaseException as error:  # told by the test: a thread's own end would be lost
                self.error = error
                return

    def step(self) -> None:
        raise NotImplementedError

    def end(self) -> None:
        self.stop.set()
        self.join()
        self.bus.close()
        assert self.error is None, repr(self.error)


def moved(load: Load, count: int) -> Callable[[], bool]:
    """Whether that many more messages went through since now."""
    enough = load.known.total() + count
    return lambda: load.known.total() >= enough or load.error is not None


class Producer(Load):
    number = 0

    def step(self) -> None:
        keys = [f"{self.name}-{self.number + n}" for n in range(CHUNK)]
        self.number += CHUNK
        try:
            self.bus.publish([message(key) for key in keys])
        except BusUnavailable:
            self.doubtful.update(keys)
            raise
        self.known.update(keys)


class Consumer(Load):
    """Acknowledges what it claimed; each ends in one message on `ended`."""

    def step(self) -> None:
        held = self.bus.claim(["work"], self.name, 7, wait_s=0.05, lease_ns=LONG_NS)
        if held:
            plan = Plan(publish=tuple(message(f"end-{each.key}", "ended") for each in held))
            self.bus.commit(plan, acknowledge=held)
            self.known.update(each.key for each in held)


@pytest.mark.parametrize("policy", ["everysec", "always"])
def test_what_was_acknowledged_outlives_a_kill_of_the_server(folder, policy):
    with server(folder, policy) as redis:
        producers = [Producer(redis.url, f"p{n}") for n in range(2)]
        consumers = [Consumer(redis.url, f"c{n}") for n in range(2)]
        for each in (*producers, *consumers):
            each.start()
        for _ in range(KILLS):
            until(moved(producers[0], 20 * CHUNK), "what is sent between two kills")
            until(moved(consumers[0], 1), "what is done between two kills")
            redis.restart(kill=True)
        for each in (*producers, *consumers):
            each.end()
        assert sum(each.failures for each in (*producers, *consumers)) > 0

        sent = Counter[str]()
        for each in producers:
            sent.update(each.known)
        doubtful = set[str]().union(*(each.doubtful for each in producers))
        done = sum((each.known for each in consumers), Counter[str]())
        assert done.total() > 0
        with server_bus(redis) as bus:
            left = Counter(found.key for found in bus.peek("work", 1_000_000))
            ended = Counter(found.key.removeprefix("end-") for found in bus.peek("ended", 1_000_000))
            published = published_in(bus)
        # Each message that was said to be there is there once, waiting, running or ended; none came twice.
        there = left + ended
        assert {key for key, count in there.items() if count > 1} == set()
        assert sent.keys() - there.keys() == set()
        assert there.keys() <= sent.keys() | doubtful
        assert done.keys() <= ended.keys()
        assert published == there + Counter(f"end-{key}" for key in ended.elements())


@contextmanager
def server_bus(redis: Server):
    bus = RedisBus(redis.url, by="judge")
    yield bus
    bus.close()


def published_in(bus: RedisBus) -> Counter[str]:
    found: Counter[str] = Counter()
    after = 0
    while entries := bus.journal(after, 1_000):
        after = entries[-1].seq
        found.update(fact.key for entry in entries for fact in entry.facts if fact.kind is FactKind.PUBLISHED)
    return found


def test_a_server_that_forgets_its_scripts_under_load_loses_nothing(folder):
    with server(folder, "everysec") as redis:
        producer, consumer = Producer(redis.url, "p"), Consumer(redis.url, "c")
        for each in (producer, consumer):
            each.start()
        for _ in range(10):
            until(moved(producer, 2 * CHUNK), "what is sent between two flushes")
            redis.ask("SCRIPT", "FLUSH")
        for each in (producer, consumer):
            each.end()
        assert producer.failures == consumer.failures == 0
        with server_bus(redis) as bus:
            there = Counter(found.key for found in bus.peek("work", 1_000_000))
            there.update(found.key.removeprefix("end-") for found in bus.peek("ended", 1_000_000))
        assert there == producer.known


def test_a_bus_whose_data_is_gone_is_told_once_to_each_who_uses_it_and_in_the_journal(folder):
    with server(folder, "everysec") as redis, server_bus(redis) as bus, server_bus(redis) as other:
        before = bus.generation()
        bus.publish([message("a")])
        [held] = bus.claim(["work"], "me", 1)
        redis.ask("FLUSHALL")
        for each in (bus, other):
            with pytest.raises(BusUnavailable, match="was reset"):
                each.publish([message("b")])
        assert bus.generation() == other.generation() != before
        assert bus.claim(["work"], "me", 9) == []  # nothing of what failed
        with pytest.raises(LeaseLost):
            bus.commit(Plan(publish=(message("of the past"),)), acknowledge=[held])
        bus.publish([message("c")])
        assert [each.key for each in other.claim(["work"], "me", 9)] == ["c"]
        facts = [fact for entry in bus.journal(0, 100) for fact in entry.facts]
        assert [fact.kind for fact in facts] == [FactKind.ALERT, FactKind.PUBLISHED]
        assert "was reset" in facts[0].text
