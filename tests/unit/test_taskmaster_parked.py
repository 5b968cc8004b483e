"""A child's meta-file on a server that does not answer holds up the results that need it, and no other."""

from __future__ import annotations

import socket
import threading

import pytest

from flowlord.model.message import Message
from flowlord.model.plan import FactKind
from flowlord.model.task import Task
from flowlord.storage.open import Storage
from flowlord.storage.port import Access
from flowlord.taskmaster import parked
from flowlord.taskmaster.reaper import reap
from flowlord.taskmaster.router import Router
from support.farm import Farm
from support.flows import flows_of
from support.processes import until

ROWS = "s3://b/rows.json"
FLOWS = flows_of(
    {
        "f.toml": [
            {"task": "wide", "template": "x"},
            {"task": "row", "dependsOn": "wide", "rule": f"meta-file={ROWS}", "template": "{meta:n}"},
            {"task": "after", "dependsOn": "wide", "template": "after"},
            {"task": "narrow", "template": "x"},
            {"task": "leaf", "dependsOn": "narrow", "template": "leaf"},
        ]
    }
)


class Slow(Storage):
    """A bucket that answers each question when it is told to, with what the file holds then."""

    def __init__(self, tmp_path) -> None:
        super().__init__()
        self.file = tmp_path / "rows.json"
        self.put(1, 2)
        self.local = Storage()
        self.asked = 0
        self._turns = threading.Semaphore(0)

    def put(self, *numbers) -> None:
        self.file.write_text("".join(f'{{"n": {n}}}\n' for n in numbers))

    def answer(self, times: int = 1) -> None:
        self._turns.release(times)

    def paths(self, pattern):
        self.asked += 1
        assert self._turns.acquire(timeout=60)
        return self.local.paths(str(self.file))

    def lines(self, path, *arguments, **more):
        return self.local.lines(path, *arguments, **more)


@pytest.fixture
def farm(tmp_path):
    farm = Farm()
    farm.around = farm.daemon(FLOWS)
    farm.around.storage = farm.storage = Slow(tmp_path)
    farm.router = Router(farm.around)
    yield farm
    farm.storage.answer(1_000)


def report(farm, *names):
    """Tell that tasks of these types are complete; the number behind a name tells them apart."""
    farm.bus.publish(
        [
            Message(
                "done",
                Task(
                    type=name.rstrip("0123456789"), info="x", id=name, created=f"c-{name}",
                    meta="workflow=f.toml", result="complete",
                ),
                f"key-{name}",
            )
            for name in names
        ]
    )  # fmt: skip


def infos(farm, topic):
    return [each.task().info for each in farm.bus.claim([topic], "worker", 2_000)]


def routed(farm, topic, count):
    """Let the router go on until a topic got so many tasks; returns their infos."""
    got = []

    def there():
        farm.router.step(0.0)
        got.extend(infos(farm, topic))
        return len(got) >= count

    until(there, f"{count} tasks of {topic}")
    return got


def test_other_results_go_on_while_a_bucket_does_not_answer(farm):
    report(farm, "wide1", "narrow1")
    assert farm.router.step(0.0) == 2
    assert infos(farm, "leaf") == ["leaf"]
    report(farm, "narrow2")
    farm.router.step(0.0)
    assert infos(farm, "leaf") == ["leaf"]
    assert infos(farm, "after") == [], "all children of one result land in one step"
    farm.storage.answer()
    assert routed(farm, "row", 2) == ["1", "2"]
    assert infos(farm, "after") == ["after"]
    assert farm.bus.peek("done", 10) == []
    assert farm.storage.asked == 1


def test_results_that_wait_for_the_same_file_share_one_reading_and_keep_their_order(farm):
    report(farm, "wide1")
    farm.router.step(0.0)
    until(lambda: farm.storage.asked == 1, "the first reading")
    report(farm, *(f"wide{n}" for n in range(2, 12)))
    farm.router.step(0.0)
    farm.storage.answer(2)
    routed(farm, "row", 22)
    assert farm.storage.asked == 2
    told = [
        fact.key
        for entry in farm.bus.journal(0, 10_000)
        for fact in entry.facts
        if fact.kind is FactKind.DONE
    ]
    assert told == [f"key-wide{n}" for n in range(1, 12)]


def test_a_result_gets_what_the_file_held_after_it_came(farm):
    """The parent may have written the file that its child reads."""
    report(farm, "wide1")
    farm.router.step(0.0)
    until(lambda: farm.storage.asked == 1, "the first reading")
    report(farm, "wide2")
    farm.router.step(0.0)
    farm.storage.answer()
    assert routed(farm, "row", 2) == ["1", "2"]
    farm.storage.put(7, 8, 9)
    farm.storage.answer()
    assert routed(farm, "row", 3) == ["7", "8", "9"]


def test_what_is_held_keeps_its_lease_for_as_long_as_it_takes(farm):
    report(farm, "wide1")
    farm.router.step(0.0)
    other = farm.daemon(FLOWS, "d2", 2)
    for _ in range(30):
        farm.clock.advance(10)
        farm.router.step(0.0)
        assert reap(other) == 0
    farm.storage.answer()
    assert routed(farm, "row", 2) == ["1", "2"]


def test_what_somebody_else_took_over_is_let_go(farm):
    report(farm, "wide1")
    farm.router.step(0.0)
    farm.clock.advance(61)  # this daemon stood still
    other = farm.daemon(FLOWS, "d2", 2)
    assert reap(other) == 1
    other.storage = farm.storage
    second = Router(other)
    second.step(0.0)
    farm.router.step(0.0)
    farm.storage.answer(2)
    got = []

    def landed():
        farm.router.step(0.0)
        second.step(0.0)
        got.extend(infos(farm, "row"))
        return got

    until(landed, "the rows of the daemon that took over")
    assert got == ["1", "2"]
    assert farm.bus.peek("done", 10) == []


def test_what_there_is_no_room_for_waits_on_the_bus_and_hinders_nobody(farm, monkeypatch):
    monkeypatch.setattr(parked, "MOST_HELD", 3)
    report(farm, *(f"wide{n}" for n in range(10, 20)), "narrow1")
    farm.router.step(0.0)
    assert infos(farm, "leaf") == ["leaf"]
    states = [each.state for each in farm.bus.peek("done", 100)]
    assert (states.count("running"), states.count("later")) == (3, 7)
    farm.storage.answer(1_000)
    rows = []

    def all_landed():
        farm.router.step(0.0)
        farm.clock.advance(1)
        farm.bus.promote()
        rows.extend(infos(farm, "row"))
        return len(rows) == 20

    until(all_landed, "all rows")


def test_a_daemon_that_ends_gives_back_what_it_held_and_no_crash_is_counted(farm):
    report(farm, "wide1")
    farm.router.step(0.0)
    farm.router.close()
    [given_back] = farm.bus.claim(["done"], "d2", 10)
    assert given_back.deliveries == 1


def test_a_file_that_cannot_be_read_is_told_and_the_other_children_follow(farm, tmp_path):
    report(farm, "wide1")
    farm.router.step(0.0)
    farm.storage.file.unlink()
    farm.storage.answer()
    assert routed(farm, "after", 1) == ["after"]
    [told] = farm.facts(FactKind.ALERT)
    assert "row could not be started by wide" in told
    assert ROWS in told


def test_a_server_that_takes_calls_and_never_answers_holds_up_its_own_children_only(farm, monkeypatch):
    monkeypatch.setattr("flowlord.storage.remote.CALL_LIMIT_S", 2.0)
    monkeypatch.setattr("flowlord.storage.remote.RETRY_LIMIT_S", 1.0)
    with socket.create_server(("127.0.0.1", 0)) as mute:
        endpoint = f"http://127.0.0.1:{mute.getsockname()[1]}"
        farm.around.storage = Storage(Access(endpoint=endpoint, access_key="a", secret_key="b"))
        report(farm, "wide1", "narrow1")
        farm.router.step(0.0)
        assert infos(farm, "leaf") == ["leaf"]
        assert farm.facts(FactKind.ALERT) == []
        assert routed(farm, "after", 1) == ["after"]
    assert "did not answer in time" in farm.facts(FactKind.ALERT)[0]
