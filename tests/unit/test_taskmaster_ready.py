"""Starts that are made ready before they are due: the same as others, and thrown away when something has changed."""

from __future__ import annotations

from datetime import timedelta

import msgspec
import pytest

from flowlord.bus.pauses import change_pauses
from flowlord.model.errors import InvalidTask
from flowlord.model.paused import MARK, Pause, Paused
from flowlord.model.plan import Mark, Plan
from flowlord.model.task import Task
from flowlord.taskmaster import ticks
from flowlord.taskmaster.scheduler import Scheduler
from flowlord.taskmaster.surroundings import Surroundings
from support.farm import CHAIN, START, Farm, scheduler_of
from support.flows import flows_of

NOON = START.replace(second=0)


def made_ready(farm: Farm, name: str = "d1") -> Scheduler:
    """A scheduler that knows its phase, a second before the next start, which it has made ready."""
    scheduler = scheduler_of(farm.daemon(flows_of(CHAIN), name))
    scheduler.decide_due()
    farm.clock.jump((NOON + timedelta(seconds=59) - farm.clock.now()).total_seconds())
    scheduler.decide_due()
    scheduler._prepare()
    [entry] = scheduler._heap
    assert entry.ready is not None
    return scheduler


def started(farm: Farm) -> list[Task]:
    return [held.task() for held in farm.bus.claim(["root"], "w", 10)]


def test_it_is_the_same_start_stamped_when_it_goes() -> None:
    farm, other = Farm(), Farm()
    scheduler = made_ready(farm)
    farm.clock.advance(1.5)
    scheduler.decide_due()
    [entry] = scheduler._heap
    assert entry.next == NOON + timedelta(minutes=2)
    plain = scheduler_of(other.daemon(flows_of(CHAIN)))
    plain.decide_due()
    other.clock.advance(31)
    plain.decide_due()
    [ready], [usual] = started(farm), started(other)
    assert ready.created.startswith("2026-03-01T12:01:00.5")
    assert msgspec.structs.replace(ready, created="") == msgspec.structs.replace(usual, created="")


def test_what_looks_like_a_stamp_in_a_template_stays_as_it_is() -> None:
    farm = Farm()
    text = '?a="created":"1970-01-01T00:00:00.000000Z"'
    files = {"f.toml": [{"task": "root", "rule": "cron=* * * * *", "template": text}]}
    scheduler = scheduler_of(farm.daemon(flows_of(files)))
    scheduler.decide_due()
    farm.clock.advance(25)
    scheduler._prepare()
    [entry] = scheduler._heap
    assert entry.ready is not None
    farm.clock.advance(5)
    scheduler.decide_due()
    [task] = started(farm)
    assert (task.info, task.created[:19]) == (text, "2026-03-01T12:01:00")
    [told] = [fact.task for entry in farm.bus.journal(0, 99) for fact in entry.facts]
    assert told == task


def test_making_ready_stops_now_and_then_to_see_what_else_is_to_be_done() -> None:
    farm = Farm()
    names = [f"root:{n}" for n in range(3)]
    files = {"f.toml": [{"task": name, "rule": "cron=* * * * *", "template": "x"} for name in names]}
    scheduler = scheduler_of(farm.daemon(flows_of(files)))
    scheduler.decide_due()
    farm.clock.advance(25)
    made = ticks.prepare

    def slow(around: Surroundings, entry: ticks.Entry) -> None:
        farm.clock.advance(0.15)
        made(around, entry)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("flowlord.taskmaster.scheduler.prepare", slow)
        assert scheduler._prepare()
        assert sum(entry.ready is not None for entry in scheduler._heap) == 2
        assert not scheduler._prepare()
    assert all(entry.ready for entry in scheduler._heap)


def test_when_another_daemon_was_faster_it_goes_nowhere() -> None:
    farm = Farm()
    scheduler = made_ready(farm)
    farm.clock.advance(1)
    another = scheduler_of(farm.daemon(flows_of(CHAIN), "d2", 2))
    another.decide_due()
    assert len(started(farm)) == 1
    scheduler.decide_due()
    assert started(farm) == []


def test_a_pause_that_came_meanwhile_holds_it_up() -> None:
    farm = Farm()
    scheduler = made_ready(farm)
    assert change_pauses(farm.bus, farm.bus.marks([MARK]).get(MARK), Paused((Pause("f.toml", START),)), ())
    scheduler._around.look_at_pauses()
    farm.clock.advance(1)
    scheduler.decide_due()
    assert started(farm) == []


def test_when_it_is_no_longer_on_time_a_look_tells_what_to_do() -> None:
    farm = Farm()
    scheduler = made_ready(farm)
    farm.clock.advance(150)
    while scheduler.decide_due():
        pass
    assert [task.info[-5:] for task in started(farm)] == ["12:01", "12:02", "12:03"]


def test_what_cannot_be_made_ready_hinders_nobody_and_is_told_when_it_is_due() -> None:
    farm = Farm()
    farm.bus.commit(Plan(), marks=[Mark("tick:f.toml:root", None, "yesterday")])
    scheduler = scheduler_of(farm.daemon(flows_of(CHAIN)))
    scheduler.decide_due()
    farm.clock.advance(59)
    scheduler._prepare()
    assert "cannot be scheduled" in str(scheduler._around.health.faults())


def test_a_start_that_no_bus_can_carry_hinders_none_of_those_that_land_with_it() -> None:
    farm = Farm()
    files = {"f.toml": [{"task": name, "rule": "cron=* * * * *"} for name in ("bad", "good")]}
    around = farm.daemon(flows_of(files))
    land = farm.bus.commit_many

    def picky(commits: list[object]) -> object:
        if any(message.topic == "bad" for commit in commits for message in commit.plan.publish):  # type: ignore[attr-defined]
            raise InvalidTask("too large", b"")
        return land(commits)  # type: ignore[arg-type]

    farm.bus.commit_many = picky  # type: ignore[method-assign,assignment]
    scheduler = scheduler_of(around)
    scheduler.decide_due()
    farm.clock.advance(60)
    scheduler.decide_due()
    assert len(farm.bus.claim(["good"], "w", 9)) == 1
    assert "tick:f.toml:bad" in around.health.faults()
