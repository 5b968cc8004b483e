"""What the daemon's loops make of a bus that is away, and of one that comes back empty."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path

import pytest

from flowlord.bus.clock import SystemClock
from flowlord.bus.memory import MemoryBus
from flowlord.cache.historian import Historian
from flowlord.model.errors import BusUnavailable
from flowlord.model.message import Message
from flowlord.model.task import Task
from flowlord.model.workflow import Workflows
from flowlord.taskmaster.follower import Follower
from flowlord.taskmaster.health import Health
from flowlord.taskmaster.reload import Reloader
from flowlord.taskmaster.supervisor import Supervisor
from support.clock import VirtualClock
from support.farm import CHAIN, Farm, scheduler_of
from support.flows import flows_of
from support.processes import until, write


def test_an_outage_is_told_once_for_all_loops_and_the_first_that_returns_wakes_the_others(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Nobody waits out the pause of a minute, for the loop with the short one ends it for all."""
    health = Health()
    supervisor = Supervisor(health, SystemClock(), first_pause_s=60)
    away, tried, back = threading.Event(), threading.Semaphore(0), threading.Semaphore(0)
    away.set()

    def step() -> None:
        if away.is_set():
            tried.release()
            raise BusUnavailable(f"refused, says {threading.current_thread().name}")
        back.release()
        supervisor.stop.wait(40)

    names = ("one", "two", "three")
    for name in names:
        supervisor.start(name, step)
    for _ in names:
        assert tried.acquire(timeout=40)
    until(lambda: set(health.faults()) == set(names))
    assert health.colour() == "red"
    supervisor.start("quick", lambda: _once(away, supervisor))
    until(lambda: "quick" in health.faults())
    away.clear()
    supervisor._reached("quick")  # as its next step would; its own pause is as long
    for _ in names:
        assert back.acquire(timeout=40)
    assert supervisor.join(40) == []
    told = [record.getMessage() for record in caplog.records if record.levelname == "ERROR"]
    assert len(told) == 1


def test_that_the_bus_answers_again_is_told_before_a_loop_rests(caplog: pytest.LogCaptureFixture) -> None:
    """A sweeper that comes once a minute does not keep the health red for a minute."""
    health = Health()
    supervisor = Supervisor(health, SystemClock(), first_pause_s=0.001)
    away = threading.Event()
    away.set()

    def step() -> float:
        if away.is_set():
            raise BusUnavailable("refused")
        return 3_600.0

    supervisor.start("sweeper", step)
    until(lambda: health.colour() == "red")
    with caplog.at_level("WARNING"):
        away.clear()
        until(lambda: health.colour() == "green")
        until(lambda: "the bus answers again" in caplog.messages)
    assert supervisor.join(40) == [], "the rest ends with the daemon"


def _once(away: threading.Event, supervisor: Supervisor) -> None:
    if away.is_set():
        raise BusUnavailable("refused")
    supervisor.stop.wait(40)


def test_a_bus_that_was_emptied_is_told_up_to_where_the_calendar_was_decided() -> None:
    farm = Farm()
    arounds = [farm.daemon(flows_of(CHAIN), f"d{n}", n) for n in (1, 2)]
    schedulers = [scheduler_of(around) for around in arounds]
    for scheduler in schedulers:
        scheduler.decide_due()
    farm.clock.advance(60)
    for scheduler in schedulers:
        scheduler.decide_due()
        scheduler.decide_due()
    empty = MemoryBus(farm.clock)
    for around in arounds:
        around.bus = empty
    farm.clock.advance(180)
    for _ in range(3):
        for scheduler in schedulers:
            scheduler.decide_due()
    infos = [delivery.task().info for delivery in empty.claim(["root"], "w", 100)]
    assert infos == [f"?t=2026-03-01T12:{minute:02}" for minute in (2, 3, 4)], (
        "none is missed, none comes twice"
    )


def test_workflows_are_kept_again_on_a_bus_that_was_emptied(tmp_path: Path) -> None:
    write(tmp_path, {"a.toml": '[[phase]]\ntask = "load"\nrule = "cron=@yearly"\n'})
    farm = Farm()
    around = farm.daemon(Workflows())
    reloader = Reloader(around, str(tmp_path))
    reloader.start()
    around.bus = MemoryBus(farm.clock)
    reloader.step()
    assert set(around.bus.marks_like("workflow:")) == {"workflow:a.toml"}


def test_history_begins_again_when_the_bus_lost_what_it_told_last(tmp_path: Path) -> None:
    clock = VirtualClock()
    bus = MemoryBus(clock)
    historian = Historian(tmp_path / "tasks.db", clock)
    follower = Follower(bus, clock, lambda: historian, timedelta(days=1))

    def tell(*keys: str) -> None:
        for key in keys:
            bus.publish([Message("load", Task(type="load", info="", id=key), key)])

    tell("kept", "lost")
    assert follower.step(0.0) == 2
    del bus._store.journal[1:]  # as a server does that comes back with an older snapshot
    tell("new", "newer")
    with away(bus), pytest.raises(BusUnavailable):
        follower.step(0.0)
    follower.step(0.0)
    keys = {key for (key,) in historian.connection.execute("SELECT key FROM tasks")}
    assert keys == {"kept", "lost", "new", "newer"}


@contextmanager
def away(bus: MemoryBus) -> Iterator[None]:
    """Let the bus be out of reach."""

    def ask(*_: object, **__: object) -> None:
        raise BusUnavailable("away")

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(bus, "journal", ask)
        yield


def test_what_landed_is_told_although_the_bus_goes_away_before_the_rest(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Lines about starts come after all that is due has landed, and are not forgotten when that goes wrong."""
    farm = Farm()
    phases = [{"task": f"t{n}", "rule": "cron=* * * * *"} for n in range(3)]
    scheduler = scheduler_of(farm.daemon(flows_of({"f.toml": phases})))
    scheduler.decide_due()
    farm.clock.advance(60)
    monkeypatch.setattr("flowlord.taskmaster.scheduler.LAND_AT", 1)
    land, left = farm.bus.commit_many, [2]

    def commit_many(commits: object) -> object:
        if not left[0]:
            raise BusUnavailable("away")
        left[0] -= 1
        return land(commits)  # type: ignore[arg-type]

    monkeypatch.setattr(farm.bus, "commit_many", commit_many)
    with caplog.at_level("INFO", "flowlord.scheduler"):
        with pytest.raises(BusUnavailable):
            scheduler.decide_due()
        assert len(told(caplog)) == 2
        left[0] = 3
        scheduler.decide_due()
        assert sorted(told(caplog)) == ["t0 ", "t1 ", "t2 "]


def told(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [each.getMessage() for each in caplog.records if getattr(each, "action", "") == "tick.sent"]
