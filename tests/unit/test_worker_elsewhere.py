"""A worker for some jobs of a type leaves the others to other workers: said once, counted, and not for ever."""

import threading
from datetime import timedelta

import pytest

from flowlord.bus.clock import SystemClock
from flowlord.bus.open import open_bus
from flowlord.model.plan import ANY, Mark, Plan
from flowlord.worker.builtin import Echo, Noop
from flowlord.worker.completion import aside_mark
from support.workers import await_that, done_messages, drained, infos, message, working


class Moving(SystemClock):
    """The system's clock, moved on by hand."""

    ahead = timedelta()

    def now(self):
        return super().now() + self.ahead


@pytest.fixture
def clock():
    return Moving()


@pytest.fixture(params=["memory", "sqlite"])
def bus(request, tmp_path, clock):
    address = "memory:" if request.param == "memory" else f"sqlite:///{tmp_path}/bus.db"
    opened = open_bus(address, by="test", clock=clock)
    yield opened
    opened.close()


def states(bus, *keys):
    return {each.key: each.state for each in bus.find(keys)}


def test_other_jobs_are_left_to_other_workers_and_that_is_said_once_for_each(bus, caplog):
    caplog.set_level("INFO", "flowlord.worker")
    bus.publish([message("load", "a", job="daily"), message("load", "none")])
    bus.publish([message("load", f"w{n}", job="weekly") for n in range(3)])
    left = drained(bus, {"load:daily": Echo(), "load:hourly": Noop()})
    assert (left.completed, left.handed_back) == (1, 4)
    [leave] = [r.getMessage() for r in caplog.records if getattr(r, "action", "") == "leave"]
    assert leave.endswith("leaves: 1 completed")  # nobody asked about what others do
    assert infos(done_messages(bus)) == ["a"]
    assert set(states(bus, "none", "w0", "w1", "w2").values()) == {"later"}
    told = [r.getMessage() for r in caplog.records if getattr(r, "action", "") == "elsewhere"]
    reason = "is left to another worker: this worker does not do {}, only load:daily, load:hourly"
    assert sorted(told) == [f"{name} {reason.format(name)}" for name in ("load", "load:weekly")]


def test_the_waits_grow_to_half_a_minute_and_the_message_stays_as_it_was(bus, clock):
    bus.publish([message("load", "a", key="k", job="b", priority=9)])
    bus.claim(["load"], "dead", 1, lease_ns=1)
    bus.release(bus.reclaim("reaper", 1))
    published = len(bus.journal(0, 100))
    for base in [min(0.1 * 1.5**n, 30) for n in range(16)]:
        before = clock.now()
        drained(bus, {"load:a": Noop()}, clock=clock)
        [waiting] = bus.find(["k"])
        assert base - 0.001 <= waiting.due_us / 1e6 - before.timestamp() <= 1.4 * base + 3
        assert (waiting.state, waiting.deliveries, waiting.priority) == ("later", 1, 9)
        clock.ahead += timedelta(minutes=1)
        assert bus.promote() == 1
    assert len(bus.journal(0, 100)) == published
    [held] = bus.claim(["load"], "right", 1)
    assert held.deliveries == 2  # its one crash counts on, what was put back does not


def test_what_nobody_did_for_24_hours_is_an_error(bus):
    day_ago = int((SystemClock().now() - timedelta(hours=24, minutes=1)).timestamp() * 1e6)
    bus.commit(Plan(), marks=[Mark(aside_mark("k"), ANY, f"290,{day_ago}")])
    bus.publish([message("load", "a", key="k", job="b"), message("load", "c", job="b")])
    drained(bus, {"load:a": Noop()})
    [task] = done_messages(bus)
    told = "for 24 hours no worker took it that does it: this worker does not do load:b, only load:a"
    assert (task.info, task.result, task.msg) == ("a", "error", told)
    assert states(bus, "c") == {"c": "later"}


def test_many_tasks_of_other_jobs_keep_a_worker_neither_busy_nor_from_its_own(bus, clock):
    bus.publish([message("load", f"b{n}", job="b") for n in range(1000)])
    bus.publish([message("load", "mine", job="a")])
    claims, claim = [], bus.claim

    def counting(*args, **terms):
        claims.append(args)
        return claim(*args, **terms)

    bus.claim = counting
    with working(bus, {"load:a": Echo()}, concurrency=2) as running:
        await_that(lambda: infos(done_messages(bus)) == ["mine"])
        await_that(lambda: next(t.later for t in bus.topics() if t.topic == "load") == 1000)
        before, begun_ns = len(claims), clock.monotonic_ns()
        threading.Event().wait(0.6)
        passed_s = (clock.monotonic_ns() - begun_ns) / 1e9  # a loaded machine may look up later
        assert (
            len(claims) - before <= 40 * passed_s / 0.6
        )  # it looks every 50 ms or so, to let others go first
        assert running.end().handed_back == 1000


def test_two_workers_of_different_jobs_share_a_topic(bus, clock):
    jobs = {f"{n:02}": "ab"[n % 2] for n in range(40)}
    bus.publish([message("load", info, job=job) for info, job in jobs.items()])
    with (
        working(bus, {"load:a": Echo()}, consumer="a", clock=clock),
        working(bus, {"load:b": Echo()}, consumer="b", clock=clock),
    ):

        def all_done():
            clock.ahead += timedelta(milliseconds=200)  # the waits pass quickly
            bus.promote()
            return len(done_messages(bus)) == 40

        await_that(all_done)
    assert {task.result for task in done_messages(bus)} == {"complete"}
    assert infos(done_messages(bus)) == sorted(jobs)
    by = {each.task().info: each.report.worker for each in bus.claim(["done"], "taskmaster", 100)}
    assert by == jobs
