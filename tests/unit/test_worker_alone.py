"""A task with which workers crashed runs with nothing beside it, whatever else its worker could do meanwhile."""

import threading
from datetime import timedelta

import pytest

from flowlord.bus.clock import SystemClock
from flowlord.bus.open import open_bus
from flowlord.bus.port import ALONE_AFTER
from flowlord.model.errors import BusUnavailable
from flowlord.worker.builtin import Echo
from flowlord.worker.handler import Ran
from support.workers import SECOND, await_that, done_messages, drained, infos, message, working


@pytest.fixture(params=["memory", "sqlite"])
def bus(request, tmp_path):
    address = "memory:" if request.param == "memory" else f"sqlite:///{tmp_path}/bus.db"
    opened = open_bus(address, by="test")
    yield opened
    opened.close()


class Gates:
    """A handler in which each task waits for its own gate; tells who was inside together."""

    def __init__(self, *shut: str):
        self.gates = {info: threading.Event() for info in shut}
        self.inside: list[str] = []
        self.together: set[frozenset[str]] = set()
        self._lock = threading.Lock()

    def run(self, run):
        info = run.task.info
        with self._lock:
            self.inside.append(info)
            self.together.add(frozenset(self.inside))
        gate = self.gates.get(info)
        while gate and not gate.wait(0.005) and run.stop.why is None:
            pass
        with self._lock:
            self.inside.remove(info)
        return Ran(stopped=run.stop.why)

    def beside(self, info):
        """Everything that ran at the same time."""
        return set().union(*(group for group in self.together if info in group)) - {info}


def crashed(bus, *messages, times=ALONE_AFTER):
    """Publish tasks and let as many consumers die with all of them."""
    bus.publish(messages)
    left = {each.key: times for each in messages}
    while any(left.values()):
        for held in bus.claim([messages[0].topic], "dead", 10, lease_ns=1):
            left[held.key] -= 1
        bus.release(bus.reclaim("reaper", 10))


def on(bus, topic="load"):
    return next(((t.waiting, t.running) for t in bus.topics() if t.topic == topic), (0, 0))


def counted(bus):
    """Count the claims from now on."""
    claims, claim = [], bus.claim

    def counting(*args, **terms):
        claims.append(args)
        return claim(*args, **terms)

    bus.claim = counting
    return claims


def test_a_suspect_waits_for_the_slots_and_keeps_them_for_itself(bus, caplog):
    crashed(bus, message("load", "s"))
    bus.publish([message("load", "a", priority=9), message("load", "b")])
    gates = Gates("a", "s")
    claims = counted(bus)
    with working(bus, {"load": gates}, concurrency=3) as running:
        await_that(lambda: "waits to run alone" in caplog.text)
        await_that(lambda: on(bus) == (2, 1))
        before = len(claims)
        threading.Event().wait(0.3)
        assert (gates.inside, on(bus), len(claims)) == (["a"], (2, 1), before)  # nor does it spin
        gates.gates["a"].set()
        await_that(lambda: gates.inside == ["s"])
        threading.Event().wait(0.3)
        assert (gates.inside, on(bus)) == (["s"], (1, 1))
        gates.gates["s"].set()
        await_that(lambda: len(done_messages(bus)) == 3)
        assert running.end().completed == 3
    assert gates.beside("s") == set()
    assert caplog.text.count("waits to run alone: 2 workers died with it") == 1


def test_what_crashed_once_runs_beside_others(bus):
    crashed(bus, message("load", "s"), times=1)
    bus.publish([message("load", "a")])
    gates = Gates("s", "a")
    with working(bus, {"load": gates}, concurrency=2):
        await_that(lambda: sorted(gates.inside) == ["a", "s"])


@pytest.mark.parametrize("now", [False, True])
def test_a_worker_can_leave_while_a_suspect_waits_which_is_not_counted(bus, caplog, now):
    crashed(bus, message("load", "s"))
    bus.publish([message("load", "a", priority=9)])
    with working(bus, {"load": Gates("a")}, concurrency=3, grace_s=0.05) as running:
        await_that(lambda: "waits to run alone" in caplog.text)
        left = running.end(now=now)
    assert left.completed == 0
    [a] = bus.claim(["load"], "next", 10)
    [s] = bus.claim(["load"], "next", 10)
    assert [(each.key, each.deliveries) for each in (a, s)] == [("a", 1), ("s", ALONE_AFTER + 1)]


def test_a_drain_ends_after_the_suspects_too(bus):
    crashed(bus, *(message("load", f"s{n}") for n in range(3)))
    bus.publish([message("load", f"{n}", priority=9) for n in range(4)])
    bus.publish([message("load", f"z{n}") for n in range(4)])
    gates = Gates()
    assert drained(bus, {"load": gates}, concurrency=4).completed == 11
    assert [gates.beside(f"s{n}") for n in range(3)] == [set()] * 3


def test_a_suspect_that_was_put_back_is_none_of_the_tasks_that_a_worker_was_told_to_do(bus):
    crashed(bus, message("load", "s"))
    bus.publish([message("load", "a", priority=9), message("load", "b")])
    with working(bus, {"load": Echo()}, concurrency=3, max_tasks=2) as running:
        assert running.wait().completed == 2
    assert infos(done_messages(bus)) == ["a", "s"]


def test_a_worker_goes_on_when_another_one_took_the_suspect(bus, caplog, monkeypatch):
    monkeypatch.setattr("flowlord.worker.runtime.LOOK_AGAIN_NS", SECOND // 10)
    crashed(bus, message("load", "s"))
    bus.publish([message("load", "a", priority=9)])
    gates = Gates("a", "b")
    with working(bus, {"load": gates}, concurrency=2):
        await_that(lambda: "waits to run alone" in caplog.text)
        with working(bus, {"load": Echo()}, consumer="other", max_tasks=1) as other:
            assert other.wait().completed == 1
        bus.publish([message("load", "b")])
        await_that(lambda: sorted(gates.inside) == ["a", "b"])
    assert "s" in infos(done_messages(bus))


def test_a_suspect_that_could_not_be_put_back_at_once_is_put_back_later(bus, caplog):
    crashed(bus, message("load", "s"))
    bus.publish([message("load", "a", priority=9)])
    release, out = bus.release, iter([True])

    def flaky(deliveries, **terms):
        if next(out, False):
            raise BusUnavailable("gone fishing")
        release(deliveries, **terms)

    bus.release = flaky
    gates = Gates("a")
    with working(bus, {"load": gates}, concurrency=2) as running:
        await_that(lambda: "waits to run alone" in caplog.text)
        await_that(lambda: on(bus) == (1, 1))
        gates.gates["a"].set()
        await_that(lambda: len(done_messages(bus)) == 2)
        assert running.end().completed == 2
    assert gates.beside("s") == set()


def test_a_suspect_for_another_worker_is_not_waited_for(bus):
    crashed(bus, message("load", "s", job="weekly"))
    bus.publish([message("load", "a", priority=9, job="daily"), message("load", "b", job="daily")])
    gates = Gates("a", "b")
    with working(bus, {"load:daily": gates}, concurrency=2):
        await_that(lambda: sorted(gates.inside) == ["a", "b"])
        await_that(lambda: [each.state for each in bus.find(["s"])] == ["later"])


def test_one_that_was_put_back_keeps_its_place_and_its_crashes_over_workers(bus):
    """Three workers, each busy with one task of its own: whoever is free first has it, and once."""
    crashed(bus, message("load", "s"))
    bus.publish([message("load", f"{n}", priority=9) for n in range(3)])
    gates = [Gates("0", "1", "2") for _ in range(3)]
    clock = SystemClock()
    with (
        working(bus, {"load": gates[0]}, consumer="w0", concurrency=2),
        working(bus, {"load": gates[1]}, consumer="w1", concurrency=2),
        working(bus, {"load": gates[2]}, consumer="w2", concurrency=2),
    ):
        await_that(lambda: sum(len(each.inside) for each in gates) == 3)
        before = clock.now()
        for each in gates:
            for gate in each.gates.values():
                gate.set()
        await_that(lambda: len(done_messages(bus)) == 4)
        assert clock.now() - before < timedelta(seconds=4)
    assert [each.beside("s") for each in gates] == [set()] * 3
    assert infos(done_messages(bus)) == ["0", "1", "2", "s"]
