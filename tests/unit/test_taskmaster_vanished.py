"""Processes that vanish, and what their tasks become: told once, and only when it is certain."""

from __future__ import annotations

import pytest

from flowlord.alert.events import happenings
from flowlord.alert.state import Ending, Event, EventKind, State
from flowlord.alert.take import take
from flowlord.bus.port import Presence
from flowlord.model.errors import BusUnavailable
from flowlord.model.message import Message
from flowlord.model.plan import FactKind
from flowlord.model.task import Task
from flowlord.model.workflow import Workflows
from flowlord.taskmaster.reaper import reap
from flowlord.taskmaster.vanished import Vanished
from support.alerts import POLICY
from support.farm import LEASE, Farm

LEASE_S = LEASE // 1_000_000_000
WORKER = Presence("w1", "worker", "etl-3", 4711, ("load",), running=("9f3c1e7a",), lease_ns=LEASE)


class Ward(Farm):
    """A daemon that looks after the others every five seconds."""

    def __init__(self) -> None:
        super().__init__()
        self.around = self.daemon(Workflows())
        self.watch = Vanished(self.around, LEASE)

    def look_for(self, seconds: int, watch: Vanished | None = None) -> int:
        found = 0
        for _ in range(seconds // 5):
            self.clock.advance(5)
            found += (watch or self.watch).step()
        return found


def test_a_worker_that_is_not_heard_of_for_a_lease_and_a_half_is_told_with_what_it_held() -> None:
    ward = Ward()
    ward.bus.beat(WORKER)
    assert ward.look_for(90) == 0
    assert ward.look_for(5) == 1
    assert ward.look_for(600) == 0
    [text] = ward.facts(FactKind.VANISHED)
    assert ward.facts(FactKind.ALERT) == [text]
    assert "worker w1 (process 4711 on etl-3) vanished" in text
    assert "it held 9f3c1e7a, offered again" in text


def test_the_parts_of_one_process_vanish_as_one_incident_that_a_living_taskmaster_ends() -> None:
    ward = Ward()
    ward.bus.beat(WORKER)
    ward.bus.beat(Presence("d9", "taskmaster", "etl-3", 4711, lease_ns=LEASE))
    ward.bus.beat(Presence("w2", "worker", "etl-3", 4712, ("load",), lease_ns=LEASE))
    assert ward.look_for(120) == 3
    told = happenings(ward.bus.journal(0, 1000), ())
    events = [each for each in told if isinstance(each, Event)]
    assert sorted(each.subject for each in events) == ["etl-3:4711", "etl-3:4711", "etl-3:4712"]
    assert [each.subject for each in told if isinstance(each, Ending)] == ["etl-3:4711"] * 2
    state = take(State(), told, POLICY)
    both, alone = sorted(state.incidents.values(), key=lambda each: each.subject)
    assert (both.name, both.kind, both.total, bool(both.good_us)) == (
        "etl-3:4711",
        EventKind.PROCESS,
        2,
        True,
    )
    assert (alone.total, alone.good_us) == (1, 0), "of a worker alone nobody knows whether another one came"


def test_one_that_said_goodbye_or_goes_on_beating_has_not_vanished() -> None:
    ward = Ward()
    ward.bus.beat(WORKER)
    ward.look_for(30)
    ward.bus.leave("w1")
    assert ward.look_for(300) == 0
    for _ in range(20):
        ward.bus.beat(WORKER)
        assert ward.look_for(60) == 0


def test_two_daemons_tell_it_once_and_a_worker_that_comes_back_may_vanish_again() -> None:
    ward = Ward()
    ward.bus.beat(WORKER)
    other = Vanished(ward.daemon(Workflows(), "d2"), LEASE)
    for _ in range(40):
        ward.clock.advance(5)
        ward.watch.step()
        other.step()
    assert len(ward.facts(FactKind.VANISHED)) == 1
    ward.bus.beat(WORKER)
    assert ward.look_for(120) == 1


def test_nobody_has_vanished_only_because_the_bus_or_this_machine_was_away() -> None:
    ward = Ward()
    ward.bus.beat(WORKER)
    ward.look_for(60)
    presences = ward.bus.presences

    def none():
        raise BusUnavailable("away")

    ward.bus.presences = none  # type: ignore[method-assign]
    with pytest.raises(BusUnavailable):
        ward.look_for(60)
    ward.bus.presences = presences  # type: ignore[method-assign]
    assert ward.look_for(60) == 0, "what it saw before the outage does not count"
    ward.clock.advance(3600)  # this process was stopped
    assert ward.watch.step() == 0
    ward.bus.beat(WORKER)
    assert ward.look_for(60) == 0


def published(ward: Ward) -> None:
    ward.bus.publish([Message("load", Task(type="load", info="a", id="run"), "k", phase="f.toml:load")])


def test_each_crash_of_a_worker_is_told_with_its_task_until_the_task_is_poison() -> None:
    ward = Ward()
    published(ward)
    for crash in range(1, 4):
        assert len(ward.bus.claim(["load"], f"w{crash}", 1, lease_ns=LEASE)) == 1
        ward.clock.advance(LEASE_S + 1)
        assert reap(ward.around) == 1
        assert len(ward.facts(FactKind.LOST)) == crash
    texts = ward.facts(FactKind.LOST)
    assert texts[0] == "load lost its worker w1, 1 of 3 that may die with it; it is offered again"
    assert texts[2] == "load lost its worker w3, 3 of 3 that may die with it; it is not offered again"
    assert len(ward.facts(FactKind.DEAD)) == 1


def test_a_reaper_that_dies_after_telling_leaves_it_to_the_next_and_nothing_is_told_twice(
    monkeypatch,
) -> None:
    ward = Ward()
    published(ward)
    ward.bus.claim(["load"], "w1", 1, lease_ns=LEASE)
    ward.clock.advance(LEASE_S + 1)

    def die(*_: object, **__: object) -> None:
        raise RuntimeError("killed")

    with monkeypatch.context() as patch:
        patch.setattr(ward.bus, "release", die)
        with pytest.raises(RuntimeError):
            reap(ward.around)
    assert len(ward.facts(FactKind.LOST)) == 1
    ward.clock.advance(LEASE_S + 1)
    assert reap(ward.daemon(Workflows(), "d2")) == 1
    assert len(ward.facts(FactKind.LOST)) == 1
    assert [each.deliveries for each in ward.bus.claim(["load"], "w2", 1, lease_ns=LEASE)] == [2]
