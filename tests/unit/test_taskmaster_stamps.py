"""No two tasks of one daemon have the same `created`, however its threads decide side by side."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

from flowlord.model.message import Message
from flowlord.model.task import Task
from flowlord.rules.stamps import stamp
from flowlord.taskmaster import filedesk, ticks
from flowlord.taskmaster.chance import Stamps
from flowlord.taskmaster.router import Router
from flowlord.taskmaster.surroundings import Surroundings
from support.clock import VirtualClock
from support.farm import CHAIN, START, Farm, scheduler_of
from support.files import Watcher, put
from support.flows import flows_of


class Interrupted(VirtualClock):
    """A clock under which another thread comes in whenever somebody looks how much time has gone by."""

    def __init__(self, other: Callable[[], None]) -> None:
        super().__init__(START)
        self._other = other

    def monotonic_ns(self) -> int:
        self._other()
        return super().monotonic_ns()


def createds(farm: Farm, topic: str) -> list[str]:
    return [delivery.task().created for delivery in farm.bus.claim([topic], "w", 100)]


def test_stamps_never_repeat_and_end_with_the_daemons_digit() -> None:
    stamps = Stamps(VirtualClock(START), 7)
    first = stamps.now()
    assert stamps.widen(first, 50)
    second = stamps.now()
    assert second - first >= timedelta(microseconds=50 * 10)
    assert first.microsecond % 10 == second.microsecond % 10 == 7


def test_a_span_grows_only_while_nobody_has_what_lies_behind_it() -> None:
    stamps = Stamps(VirtualClock(START), 7)
    first = stamps.take(3)
    assert stamps.widen(first, 5, room=3)
    other = stamps.now()
    assert not stamps.widen(first, 6, room=5)
    assert stamps.widen(first, 4, room=5), "what was handed out stays so"
    assert stamps.widen(other, 2)
    assert stamps.now() - first >= timedelta(microseconds=7 * 10)


def test_children_of_one_round_share_no_stamp_with_what_other_threads_decide_meanwhile() -> None:
    farm = Farm()
    around = farm.daemon(flows_of(CHAIN))
    others: list[str] = []
    around.clock = Interrupted(lambda: others.append(stamp(around.stamps.now())))
    farm.bus.publish(
        Message("root", Task(type="root", info="", meta="workflow=f.toml"), f"k{n}", phase="f.toml:root")
        for n in range(5)
    )
    farm.work("root")
    assert Router(around).step(0.0) == 5
    found = createds(farm, "leaf")
    assert len(found) == 10
    assert len(others) >= 5
    assert len({*found, *others}) == len(found) + len(others)


def test_a_round_keeps_its_moment_while_nobody_comes_between() -> None:
    farm = Farm()
    around = farm.daemon(flows_of(CHAIN))
    farm.bus.publish(
        Message("root", Task(type="root", info="", meta="workflow=f.toml"), f"k{n}", phase="f.toml:root")
        for n in range(3)
    )
    farm.work("root")
    Router(around).step(0.0)
    whole = Stamps(farm.clock, 1)
    assert createds(farm, "leaf") == [stamp(whole.now()) for _ in range(6)]


def between(around: Surroundings, decide: Callable, others: list[str]) -> Callable:
    """`decide`, and another thread that takes a stamp while it runs the first time."""

    def decided(*args: object) -> object:
        if not others:
            others.append(stamp(around.stamps.now()))
        return decide(*args)

    return decided


def test_a_start_of_several_shares_no_stamp_with_another_threads(monkeypatch) -> None:
    farm = Farm()
    around = farm.daemon(flows_of({"f.toml": [{"task": "many", "rule": "cron=* * * * *&meta=n:1,2,3"}]}))
    others: list[str] = []
    monkeypatch.setattr(ticks, "on_tick", between(around, ticks.on_tick, others))
    scheduler = scheduler_of(around)
    scheduler.decide_due()
    farm.clock.advance(30)
    scheduler.decide_due()
    found = createds(farm, "many")
    assert len(found) == 3
    assert len({*found, *others}) == 4


def test_a_file_that_starts_several_shares_no_stamp_with_another_threads(tmp_path: Path, monkeypatch) -> None:
    watcher = Watcher(f"files={tmp_path}/*.csv&meta=n:1,2,3")
    watcher.settle()
    others: list[str] = []
    decide = between(watcher.around, filedesk.decide_file, others)
    monkeypatch.setattr(filedesk, "decide_file", decide)
    put(tmp_path / "new.csv")
    watcher.settle()
    found = createds(watcher.farm, "t0")
    assert len(found) == 3
    assert len({*found, *others}) == 4
