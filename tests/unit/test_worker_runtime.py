"""A whole worker on a bus: what it claims, what it reports, how it keeps its leases and how it leaves."""

import asyncio
import hashlib
import threading
from datetime import timedelta
from urllib.parse import parse_qs

import pytest
from msgspec.structs import replace

from flowlord.bus.clock import SystemClock
from flowlord.bus.memory import MemoryBus
from flowlord.bus.open import open_bus
from flowlord.bus.port import QUARANTINE
from flowlord.model.crashpoint import arm
from flowlord.model.errors import BusUnavailable
from flowlord.model.message import Message, Report
from flowlord.model.plan import ANY, FactKind, Mark, Plan
from flowlord.model.task import Result, Task
from flowlord.worker import Outcome, TryAgain
from flowlord.worker.builtin import Echo, Noop
from flowlord.worker.command import Command
from flowlord.worker.completion import again_mark, merged
from flowlord.worker.handler import Ran, Why
from flowlord.worker.pace import Pace
from flowlord.worker.python import Function
from support.workers import (
    SECOND,
    Calling,
    Running,
    await_that,
    done_messages,
    drained,
    infos,
    message,
    reports,
    working,
)


class Moving(SystemClock):
    """The system's clock, moved on by hand."""

    def __init__(self):
        self.ahead = timedelta()

    def now(self):
        return super().now() + self.ahead

    def boottime_ns(self):
        return super().boottime_ns() + self.ahead // timedelta(microseconds=1) * 1000

    def move(self, **by):
        self.ahead += timedelta(**by)


@pytest.fixture
def clock():
    """What the buses go by."""
    return Moving()


@pytest.fixture(params=["memory", "sqlite"])
def bus(request, tmp_path, clock):
    """Both buses that are always there."""
    address = "memory:" if request.param == "memory" else f"sqlite:///{tmp_path}/bus.db"
    opened = open_bus(address, by="test", clock=clock)
    yield opened
    opened.close()


@pytest.fixture
def memory(clock):
    return MemoryBus(clock)


def count_on(bus, topic):
    """Waiting, running and delayed messages of a topic."""
    return next(((t.waiting, t.running, t.later) for t in bus.topics() if t.topic == topic), (0, 0, 0))


def test_a_task_is_done_and_reported_with_all_that_its_dispatch_carried(bus):
    given = message(
        "load", "a", key="k", job="daily", meta="workflow=f&b=1", priority=8, phase="f:load", batch="b7"
    )
    bus.publish([given])
    left = drained(bus, {"load": Function(lambda context: Outcome(msg="5 rows", meta={"rows": 5}))})
    assert (left.completed, left.handed_back, left.abandoned) == (1, 0, 0)
    [report] = reports(bus, 10)
    task = report.task()
    assert (report.key, report.priority, report.phase, report.batch) == ("k", 8, "f:load", "b7")
    assert report.report == Report("me", 1, "")
    assert (task.type, task.job, task.info, task.id) == ("load", "daily", "a", "id-a")
    assert (task.result, task.msg, task.meta) == ("complete", "5 rows", "b=1&rows=5&workflow=f")
    assert task.started.endswith("Z")
    assert task.started <= task.ended
    assert count_on(bus, "load") == (0, 0, 0)


def test_a_command_reports_too_with_the_output_it_left(bus):
    bus.publish([message("load", "a")])
    drained(bus, {"load": Command("sh -c 'echo flowlord:meta n=1; echo oops >&2; exit 3'")})
    [report] = reports(bus, 10)
    assert (report.task().result, report.task().msg, report.task().meta) == ("error", "oops", "n=1")
    assert report.report == Report("me", 1, "--- stdout\nflowlord:meta n=1\n--- stderr\noops\n")


def test_an_exception_is_an_error_and_the_next_task_is_done(bus):
    def load(context):
        if context.info == "bad":
            raise ValueError("no such column")

    bus.publish([message("load", "bad"), message("load", "good")])
    drained(bus, {"load": Function(load)})
    assert sorted((t.info, t.result, t.msg) for t in done_messages(bus)) == [
        ("bad", "error", "no such column"),
        ("good", "complete", ""),
    ]


def test_a_message_that_is_no_task_is_quarantined_with_its_bytes_and_the_loop_goes_on(bus):
    bus.publish([message("load", "good"), message("load", "odd", type=""), message("load", "bad")])
    poison = b'{"type": 5}'
    foreign(bus, {"bad": poison})
    drained(bus, {"load": Noop()})
    kept = bus.peek(QUARANTINE, 10)
    assert poison in [each.payload for each in kept]
    assert len(kept) == 2
    told = [f for entry in bus.journal(0, 100) for f in entry.facts if f.kind is FactKind.QUARANTINED]
    assert {(fact.key, fact.text) for fact in told} == {
        ("odd", "the task has no type"),
        ("bad", "field 'type' is a JSON number, not a string"),
    }
    assert infos(done_messages(bus)) == ["good"]
    assert count_on(bus, "load") == (0, 0, 0)


def foreign(bus, payloads):
    """Have the bus give these bytes for these keys, as if a foreign program had put them there."""
    claim = bus.claim

    def claims(*args, **terms):
        return [replace(each, payload=payloads.get(each.key, each.payload)) for each in claim(*args, **terms)]

    bus.claim = claims


def test_a_job_goes_before_its_type_and_a_topic_before_the_type_of_the_task(memory):
    memory.publish(
        [
            message("load", "a", job="daily"),
            message("load", "b"),
            Message(topic="load", task=Task(type="other", info="c"), key="c"),
        ]
    )
    by = {name: Function(lambda context, name=name: name) for name in ("load:daily", "load", "other")}
    drained(memory, by)
    assert {t.info: t.msg for t in done_messages(memory)} == {"a": "load:daily", "b": "load", "c": "load"}


def test_a_handler_that_answers_nonsense_hurts_only_its_task(memory):
    answers = {"a": Ran(result=None, meta={"k": 5}), "b": None}
    memory.publish([message("load", info) for info in (*answers, "d")])

    class Odd:
        def run(self, run):
            return answers.get(run.task.info, Ran())

    drained(memory, {"load": Odd()})
    told = {task.info: task.result for task in done_messages(memory)}
    assert told == {"a": "error", "b": "error", "d": "complete"}


def test_the_routing_keys_of_a_task_are_not_for_its_worker_to_change():
    back = {"workflow": ["evil"], "retry": ["0"], "job": ["x"], "cron": ["2026-01-01T00"], "b": ["y&z", "w"]}
    assert merged("workflow=f&retry=2&b=1", back) == "b=y%26z&b=w&cron=2026-01-01T00&retry=2&workflow=f"
    assert merged("test-key=master", {"worker": ["abc"]}) == "test-key=master&worker=abc"
    assert merged("a=1&a=2", {"b": ["x", "y"]}) == "a=1&a=2&b=x&b=y"


@pytest.mark.parametrize("meta", [{f"k{n}": "v" for n in range(300)}, {"k": "v" * 70_000}])
def test_sec_28_more_meta_than_travels_is_an_error(memory, meta):
    memory.publish([message("load", "a", meta="a=1")])
    drained(memory, {"load": Function(lambda context: Outcome(meta=meta))})
    [task] = done_messages(memory)
    assert (task.result, task.meta) == ("error", "a=1")
    assert "256 keys" in task.msg


def test_a_result_that_no_message_holds_is_an_error_instead(bus):
    info = "x" * ((1 << 20) - 60_000)
    bus.publish([message("load", info, key="k"), message("load", "b")])
    drained(bus, {"load": Function(lambda context: Outcome(meta={"k": "v" * 65_000}))})
    told = {task.info[:1]: task for task in done_messages(bus)}
    assert told["b"].result == "complete"
    assert (told["x"].result, told["x"].meta) == ("error", "")
    assert "its result cannot be sent" in told["x"].msg


def test_a_task_that_no_report_can_hold_is_quarantined(bus):
    room = (1 << 20) - len('{"type":"load","info":"","id":"' + "id-" + "x" * 37 + '"}')
    bus.publish([message("load", "x" * room, key="k")])
    drained(bus, {"load": Noop()})
    assert [each.key for each in bus.peek(QUARANTINE, 10)] == ["k"] or len(bus.peek(QUARANTINE, 10)) == 1
    assert count_on(bus, "load") == (0, 0, 0)


# --- try again ---------------------------------------------------------------------------------------------------


def test_a_task_that_asks_to_be_tried_again_waits_in_later_by_growing_waits(bus, clock):
    seen = []

    def early(context):
        seen.append((context.key, context.task))
        raise TryAgain("not there yet")

    bus.publish([message("load", "a", key="k", priority=9, timeout_ns=SECOND, phase="f:load")])
    waits = []
    for _ in range(11):
        before = clock.now()
        drained(bus, {"load": Function(early)}, clock=clock)
        assert count_on(bus, "load") == (0, 0, 1)
        [waiting] = bus.find(["k"])
        assert waiting.priority == 9
        waits.append((waiting.due_us - before.timestamp() * 1e6) / 1e6)
        clock.move(minutes=8)
        assert bus.promote() == 1
    for wait, base in zip(waits, [1, 2, 4, 8, 16, 32, 64, 128, 256, 300, 300], strict=True):
        assert base <= wait <= 1.4 * base + 5
    assert done_messages(bus) == []
    assert {key for key, _ in seen} == {"k"}
    assert len({task for _, task in seen}) == 1  # nothing of ours was put into the task


def test_what_is_put_back_tells_how_often_by_whom_why_and_until_when(bus, clock):
    bus.publish([message("load", "a", key="k", phase="f:load")])
    for _ in range(2):
        drained(bus, {"load": Command("sh -c 'echo orders not there yet >&2; exit 75'")})
        clock.move(minutes=8)
        bus.promote()
    facts = [fact for entry in bus.journal(0, 100) for fact in entry.facts]
    first, second = [fact for fact in facts if fact.kind is FactKind.AGAIN]
    assert (second.key, second.topic, second.phase) == ("k", "load", "f:load")
    assert first.text.startswith("put back once by me: orders not there yet; gives up at 20")
    assert second.text == first.text.replace("once by me", "2 times, last by me"), "the same end"


def test_exit_75_counts_no_attempt_and_no_delivery(bus, clock):
    bus.publish([message("load", "a", key="k")])
    drained(bus, {"load": Command("sh -c 'exit 75'")})
    clock.move(seconds=2)
    assert bus.promote() == 1
    drained(bus, {"load": Function(lambda context: f"delivery {context.deliveries}")})
    [task] = done_messages(bus)
    assert (task.result, task.msg, task.meta) == ("complete", "delivery 1", "")


def test_after_24_hours_of_trying_again_a_task_is_an_error(bus):
    day_ago = int((SystemClock().now() - timedelta(hours=24, minutes=1)).timestamp() * 1e6)
    bus.commit(Plan(), marks=[Mark(again_mark("k"), ANY, f"290,{day_ago}")])
    bus.publish([message("load", "a", key="k")])
    drained(bus, {"load": Command("sh -c 'echo no file >&2; exit 75'")})
    [task] = done_messages(bus)
    assert (task.result, task.msg) == ("error", "asked to be tried again for 24 hours: no file")


def test_a_mark_that_cannot_be_read_starts_the_24_hours_again(bus):
    bus.commit(Plan(), marks=[Mark(again_mark("k"), ANY, "nonsense")])
    bus.publish([message("load", "a", key="k")])
    drained(bus, {"load": Command("sh -c 'exit 75'")})
    assert bus.marks([again_mark("k")])[again_mark("k")].startswith("1,")


# --- claiming ----------------------------------------------------------------------------------------------------


class Gate:
    """A handler that waits until it is opened; tells who is inside."""

    def __init__(self):
        self.open = threading.Event()
        self.inside = []
        self.most = 0

    def run(self, run):
        self.inside.append(run.task.info)
        self.most = max(self.most, len(self.inside))
        while not self.open.wait(0.005) and run.stop.why is None:
            pass
        self.inside.remove(run.task.info)
        return Ran(stopped=run.stop.why)


def test_only_as_many_tasks_are_claimed_as_there_are_free_slots(bus):
    bus.publish([message("load", str(n)) for n in range(10)])
    gate = Gate()
    with working(bus, {"load": gate}, concurrency=3) as running:
        await_that(lambda: len(gate.inside) == 3)
        assert count_on(bus, "load") == (7, 3, 0)
        gate.open.set()
        await_that(lambda: count_on(bus, "load") == (0, 0, 0))
        assert running.end().completed == 10
    assert gate.most == 3


def test_short_tasks_are_claimed_in_growing_batches(memory):
    memory.publish([message("noop", str(n)) for n in range(3000)])
    sizes = []
    claim = memory.claim

    def counted(topics, consumer, limit, **terms):
        found = claim(topics, consumer, limit, **terms)
        sizes.append(len(found))
        return found

    memory.claim = counted
    assert drained(memory, {"noop": Noop()}).completed == 3000
    assert sizes[0] == 1
    assert max(sizes) > 100
    assert len(sizes) < 200


def test_the_pace_grows_only_while_tasks_are_short():
    pace = Pace()
    for _ in range(6):
        pace.note(pace.batch, pace.batch * 10_000)
    assert pace.batch == 500
    pace.note(
        500, 500 * 1_000_000
    )  # of tasks that take a millisecond a slot is given no more than a tenth of a second
    assert pace.batch == 100
    pace.note(100, 100 * 3_000_000)
    assert (pace.batch, pace.low) == (1, 0)


def test_the_pace_grows_too_while_the_bus_is_slower_than_the_tasks():
    pace = Pace()
    for _ in range(6):
        pace.note_bus(20_000_000)
        pace.note(pace.batch, pace.batch * 10_000_000)
    assert (pace.batch, pace.low) == (10, 3)
    pace.note(10, 10 * 60_000_000)
    assert pace.batch == 1


def test_a_long_task_among_short_ones_does_not_keep_the_others(memory):
    memory.publish([message("load", f"{n:04}") for n in range(2000)])
    gate = threading.Event()

    def load(context):
        if context.info == "1500":
            gate.wait(40)

    with working(memory, {"load": Function(load)}) as running:
        await_that(lambda: len(done_messages(memory)) >= 1500 and count_on(memory, "load")[1] == 1)
        drained(memory, {"load": Noop()}, consumer="other")
        assert len(done_messages(memory)) == 1999
        gate.set()
        await_that(lambda: len(done_messages(memory)) == 2000)
        running.end()
    assert len(set(infos(done_messages(memory)))) == 2000


def test_a_worker_ends_after_as_many_tasks_as_it_was_told(bus):
    bus.publish([message("load", str(n)) for n in range(10)])
    with working(bus, {"load": Echo()}, max_tasks=4, concurrency=2) as running:
        assert running.wait().completed == 4
    assert count_on(bus, "load") == (6, 0, 0)


def test_every_task_is_done_once_by_many_slots(bus):
    bus.publish([message("load", f"{n:04}") for n in range(1000)])
    assert drained(bus, {"load": Echo()}, concurrency=8).completed == 1000
    assert infos(done_messages(bus)) == [f"{n:04}" for n in range(1000)]


# --- leases ------------------------------------------------------------------------------------------------------


def test_a_lease_is_renewed_while_a_handler_computes_without_pause(bus):
    end = threading.Event()

    def compute(context):
        digest = b""
        while not end.is_set():
            digest = hashlib.sha256(digest).digest()

    bus.publish([message("load", "a")])
    with working(bus, {"load": Function(compute)}, lease_ns=3 * SECOND // 2) as running:
        beats = set()

        def more_than_two_leases():
            assert bus.reclaim("thief", 10) == []
            beats.update(presence.beat_us for presence in bus.presences())
            return len(beats) > 7  # one at each third of a lease

        await_that(more_than_two_leases)
        end.set()
        await_that(lambda: done_messages(bus))
        assert running.end().completed == 1


def lose(bus, clock):
    """Let the lease of what runs pass on to another."""
    while not (taken := bus.reclaim("thief", 10)):
        clock.move(hours=1)
    return taken[0]


def test_a_run_whose_lease_has_passed_on_is_ended_and_its_result_dropped(bus, clock):
    bus.publish([message("load", "a")])
    ended = []

    def load(run):
        while run.stop.why is None:
            run.stop.watch(None)
            threading.Event().wait(0.005)
        ended.append(run.stop.why)
        return Ran(stopped=run.stop.why)

    with working(bus, {"load": Calling(load)}, lease_ns=SECOND // 2) as running:
        await_that(lambda: count_on(bus, "load") == (0, 1, 0))
        taken = lose(bus, clock)
        await_that(lambda: ended)
        assert running.end().completed == 0
    assert ended == [Why.LOST]
    assert done_messages(bus) == []
    bus.commit(Plan(), acknowledge=[taken])  # the other still has it


def test_a_result_that_comes_after_its_lease_has_passed_on_is_fenced(bus, clock, caplog):
    bus.publish([message("load", "a")])
    gate = Gate()
    with working(bus, {"load": gate}, lease_ns=600 * SECOND) as running:
        await_that(lambda: gate.inside)
        taken = lose(bus, clock)
        gate.open.set()
        await_that(lambda: [r for r in caplog.records if getattr(r, "action", "") == "fenced"])
        assert running.end().completed == 0
    assert done_messages(bus) == []
    bus.commit(Plan(), acknowledge=[taken])


def test_a_worker_tells_that_it_lives_what_it_runs_and_that_it_left(bus):
    bus.publish([message("load", "a"), message("load", "b")])
    gate = Gate()
    with working(bus, {"load": gate, "x:y": Noop()}, concurrency=2, lease_ns=SECOND // 2) as running:
        await_that(lambda: [p for p in bus.presences() if sorted(p.running) == ["id-a", "id-b"]])
        [presence] = bus.presences()
        assert (presence.consumer, presence.kind, presence.slots, presence.topics) == (
            "me",
            "worker",
            2,
            ("load", "x"),
        )
        gate.open.set()
        running.end()
    assert bus.presences() == []


# --- time-outs ---------------------------------------------------------------------------------------------------


def test_the_timeout_of_a_message_goes_before_that_of_the_worker(bus):
    def wait(context):
        context.cancelled.wait(40)

    bus.publish([message("load", "a", timeout_ns=SECOND // 10), message("load", "b")])
    drained(bus, {"load": Function(wait)}, concurrency=2, timeout_ns=SECOND // 5)
    assert sorted((t.info, t.result, t.msg) for t in done_messages(bus)) == [
        ("a", "error", "ran longer than its timeout of 100ms"),
        ("b", "error", "ran longer than its timeout of 200ms"),
    ]


def test_a_function_that_never_returns_is_given_up_and_its_slot_goes_on(bus, caplog, monkeypatch):
    monkeypatch.setattr("flowlord.worker.handler.HANG_GRACE_NS", 0)
    gate = threading.Event()

    def hang(context):
        if context.info == "hangs":
            gate.wait()
        return "well"

    with working(bus, {"load": Function(hang)}, concurrency=2, timeout_ns=SECOND // 10) as running:
        bus.publish([message("load", "hangs", key="k")])
        await_that(lambda: done_messages(bus))
        bus.publish([message("load", "after")])
        await_that(lambda: len(done_messages(bus)) == 2)
        first, second = done_messages(bus)
        told = (first.info, first.result, first.msg)
        assert told == ("hangs", "error", "ran longer than its timeout of 100ms")
        assert (second.info, second.result) == ("after", "complete")
        gate.set()
        await_that(lambda: "came back after it was given up" in caplog.text)
        left = running.end()
    assert (left.completed, left.abandoned, left.stuck) == (2, 0, False)
    assert len(done_messages(bus)) == 2, "what came back too late is told to nobody"
    hung = next(each for each in reports(bus, 10) if each.task().info == "hangs").report
    assert "gate.wait()" in hung.output, "where it stood"


def test_a_function_that_hangs_is_given_up_also_when_its_lease_was_lost_before(bus, caplog, monkeypatch):
    monkeypatch.setattr("flowlord.worker.handler.HANG_GRACE_NS", 0)
    gate = threading.Event()

    def hang(context):
        if context.info == "hangs":
            [run] = [slot.current for slot in running.worker._slots if slot.current]
            run.stop.set(Why.LOST)
            gate.wait()

    with working(bus, {"load": Function(hang)}, concurrency=1, timeout_ns=2 * SECOND) as running:
        running.worker._hanging._limit = 2  # else the worker leaves
        bus.publish([message("load", "hangs")])
        await_that(lambda: "another worker has its task" in caplog.text)
        bus.publish([message("load", "after")])
        await_that(lambda: done_messages(bus))
        assert [each.info for each in done_messages(bus)] == ["after"], "whoever has it tells what came of it"
        gate.set()
        running.end()


def test_a_worker_whose_slots_all_hang_says_so_and_leaves(bus, caplog, monkeypatch):
    monkeypatch.setattr("flowlord.worker.handler.HANG_GRACE_NS", 0)
    monkeypatch.setattr("flowlord.worker.runtime.KILL_GRACE_NS", 0)
    gate = threading.Event()
    bus.publish([message("load", str(n)) for n in range(3)])
    try:
        hang = Function(lambda context: gate.wait())
        terms = {"concurrency": 2, "timeout_ns": SECOND // 10, "grace_s": 0.1}
        with working(bus, {"load": hang}, **terms) as running:
            left = running.wait()
    finally:
        gate.set()
    assert (left.stuck, left.abandoned >= 2, left.completed >= 2) == (True, True, True)
    assert "as many functions hang as there are slots" in caplog.text
    waiting, leased, _ = count_on(bus, "load")
    assert (waiting + len(done_messages(bus)), leased) == (3, 0), "nothing is left to a lease"


def test_a_coroutine_that_heeds_its_end_keeps_its_slot(bus, monkeypatch):
    monkeypatch.setattr("flowlord.worker.handler.HANG_GRACE_NS", 60 * SECOND)

    async def wait(context):
        await asyncio.Event().wait()

    bus.publish([message("load", str(n), timeout_ns=SECOND // 10) for n in range(2)])
    left = drained(bus, {"load": Function(wait)})
    assert (left.completed, left.abandoned, left.stuck) == (2, 0, False)
    assert {each.msg for each in done_messages(bus)} == {"ran longer than its timeout of 100ms"}


# --- leaving -----------------------------------------------------------------------------------------------------


def test_running_tasks_may_finish_within_the_grace(bus):
    bus.publish([message("load", str(n)) for n in range(5)])
    gate = Gate()
    with working(bus, {"load": gate}, concurrency=2, grace_s=20) as running:
        await_that(lambda: len(gate.inside) == 2)
        running.stop.set()
        await_that(lambda: running.stop.is_set())
        assert not running.is_gone
        gate.open.set()
        left = running.end()
    assert (left.completed, left.handed_back, left.abandoned) == (2, 0, 0)
    assert count_on(bus, "load") == (3, 0, 0)


def test_what_does_not_finish_within_the_grace_is_ended_and_handed_back_uncounted(bus):
    bus.publish([message("load", "a"), message("load", "b")])
    handlers = {"load": Command("sh -c 'trap \"exit 0\" TERM; while :; do sleep 0.01; done'")}
    with working(bus, handlers, concurrency=2, grace_s=0.2) as running:
        await_that(lambda: count_on(bus, "load") == (0, 2, 0))
        left = running.end()
    assert (left.completed, left.handed_back, left.abandoned) == (0, 2, 0)
    again = bus.claim(["load"], "other", 10)
    assert [each.deliveries for each in again] == [1, 1]


def test_a_function_that_will_not_stop_is_left_behind_and_its_task_handed_back(bus, monkeypatch):
    monkeypatch.setattr("flowlord.worker.runtime.KILL_GRACE_NS", 0)
    bus.publish([message("load", "a")])
    gate = threading.Event()
    with working(bus, {"load": Function(lambda context: gate.wait(60))}, grace_s=0.1) as running:
        await_that(lambda: count_on(bus, "load") == (0, 1, 0))
        left = running.end()
        assert (left.completed, left.handed_back, left.abandoned) == (0, 1, 1)
        assert count_on(bus, "load") == (1, 0, 0)
        gate.set()


def test_leaving_at_once_kills_commands_and_hands_everything_back(bus, caplog):
    caplog.set_level("INFO", "flowlord.worker")
    bus.publish([message("load", "a"), message("load", "b")])
    with working(
        bus, {"load": Command("sh -c 'trap \"\" TERM; sleep 300'")}, concurrency=2, grace_s=600
    ) as running:
        await_that(lambda: count_on(bus, "load") == (0, 2, 0))
        running.stop.set()
        left = running.end(now=True)
    assert (left.completed, left.handed_back) == (0, 2)
    [leave] = [r.getMessage() for r in caplog.records if getattr(r, "action", "") == "leave"]
    assert leave.endswith("leaves: 0 completed, 2 handed back unfinished")
    assert count_on(bus, "load") == (2, 0, 0)


def test_what_was_claimed_and_not_begun_goes_back_at_once(memory):
    memory.publish([message("load", str(n)) for n in range(1000)])
    began, gate = threading.Event(), threading.Event()

    def load(context):
        if context.info == "500":
            began.set()
            gate.wait(40)

    with working(memory, {"load": Function(load)}, grace_s=20) as running:
        began.wait(40)
        running.stop.set()
        await_that(lambda: count_on(memory, "load")[1] == 1, "all but the running one to be back")
        gate.set()
        left = running.end()
    assert left.completed + count_on(memory, "load")[0] == 1000
    assert count_on(memory, "load")[1] == 0


def test_what_is_claimed_after_the_signal_goes_back(memory):
    memory.publish([message("load", "a")])
    ran, claim = [], memory.claim

    def late(*args, **terms):
        running.stop.set()
        return claim(*args, **terms)

    with working(memory, {"load": Calling(lambda run: ran.append(run))}) as running:
        memory.claim = late
        left = running.wait()
    assert left.completed + left.handed_back == 1
    assert left.handed_back == 1 or ran  # it may have been begun before the claim was replaced
    assert count_on(memory, "load") == (left.handed_back, 0, 0)


# --- the bus is not there ----------------------------------------------------------------------------------------


class Flaky:
    """Faults of the memory bus: out of reach while it is told to be."""

    def __init__(self):
        self.out = False
        self.asked = 0

    def __call__(self, step):
        if self.out and step.endswith(".before"):
            self.asked += 1
            raise BusUnavailable("gone fishing")


def test_a_worker_waits_for_a_bus_that_is_away_and_says_so_once(caplog):
    fault = Flaky()
    bus = MemoryBus(fault=fault)
    bus.publish([message("load", "a")])
    gate = Gate()
    with working(bus, {"load": gate}, lease_ns=2 * SECOND) as running:
        await_that(lambda: gate.inside)
        fault.out = True
        gate.open.set()  # done while the bus is away: the result must not be lost
        await_that(lambda: [r for r in caplog.records if "out of reach" in r.getMessage()])
        await_that(lambda: fault.asked > 25)  # the bus itself sends the same again ten times
        fault.out = False
        bus.publish([message("load", "b")])
        await_that(lambda: len(done_messages(bus)) == 2)
        assert running.end().completed == 2
    told = [record.getMessage() for record in caplog.records if getattr(record, "action", "") == "bus"]
    assert told == ["the bus is out of reach, trying on: gone fishing", "the bus is back"]


def test_a_worker_can_leave_while_the_bus_is_away(monkeypatch):
    monkeypatch.setattr("flowlord.worker.runtime.TELL_S", 0.2)
    fault = Flaky()
    bus = MemoryBus(fault=fault)
    bus.publish([message("load", "a")])
    gate = Gate()
    with working(bus, {"load": gate}) as running:
        await_that(lambda: gate.inside)
        fault.out = True
        gate.open.set()
        assert running.end().completed == 0
    assert count_on(bus, "load") == (0, 1, 0)  # its lease will lapse


def test_a_lost_answer_does_not_double_a_result():
    lost = iter([True])

    def fault(step):
        if step == "commit.applied" and gate.open.is_set() and next(lost, False):
            raise BusUnavailable("the answer was lost")

    bus, gate = MemoryBus(fault=fault), Gate()
    bus.publish([message("load", "a")])
    with working(bus, {"load": gate}) as running:
        await_that(lambda: gate.inside)
        gate.open.set()
        await_that(lambda: done_messages(bus))
        assert running.end().completed == 1
    assert len(done_messages(bus)) == 1


# --- places to crash ---------------------------------------------------------------------------------------------


def test_every_crash_point_of_a_worker_is_passed(memory):
    passed = []
    # A task that did not stop when its worker left runs on, in a thread of the test that showed it.
    others = set(threading.enumerate()) - {threading.current_thread()}
    arm(lambda name: None if threading.current_thread() in others else passed.append(name))
    try:
        memory.publish([message("load", "a")])
        drained(memory, {"load": Noop()})
    finally:
        arm(None)
    assert [name for name in passed if name.startswith("worker.")] == [
        "worker.claimed",
        "worker.ran",
        "worker.completed",
    ]


def test_each_log_line_carries_an_action_and_the_task(memory, caplog):
    caplog.set_level("DEBUG", "flowlord")
    memory.publish([message("load", "a"), message("load", "bad", job="x")])

    def load(context):
        if context.job:
            raise ValueError("no")

    drained(memory, {"load": Function(load)})
    records = [record for record in caplog.records if record.name.startswith("flowlord")]
    assert all(getattr(record, "action", "") for record in records)
    told = {(record.action, getattr(record, "task", "")) for record in records}
    assert {("start", ""), ("complete", "id-a"), (Result.ERROR, "id-bad"), ("leave", "")} <= told


def test_meta_values_survive_whatever_they_hold(memory):
    memory.publish([message("load", "a")])
    drained(memory, {"load": Function(lambda context: Outcome(meta={"v": "a&b=c+d%20;#\n"}))})
    [task] = done_messages(memory)
    assert parse_qs(task.meta) == {"v": ["a&b=c+d%20;#\n"]}


def test_a_worker_runs_in_a_thread_of_another_program(memory):
    """As `flowlord run --worker` hosts it: no signals, no main thread."""
    memory.publish([message("load", "a")])
    running = Running(
        __import__("flowlord.worker.runtime", fromlist=["Worker"]).Worker(memory, {"load": Echo()})
    )
    await_that(lambda: done_messages(memory))
    assert running.end().completed == 1
