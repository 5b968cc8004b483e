"""What must not stop a daemon, lose work or stay unsaid: one test for each way that was found."""

from __future__ import annotations

import gzip
import threading
from datetime import UTC, datetime, timedelta
from pathlib import Path

import msgspec
import pytest

from flowlord.bus.clock import SystemClock
from flowlord.bus.port import Presence
from flowlord.decide.context import Context
from flowlord.decide.done import Done, on_done
from flowlord.decide.schedule import look
from flowlord.model.errors import BusUnavailable, BusUnusable
from flowlord.model.message import Message
from flowlord.model.plan import Fact, FactKind, FrozenBatch, Mark, Plan
from flowlord.model.task import Task
from flowlord.model.workflow import Phase, Rule, Workflow, Workflows
from flowlord.rules.cron import Cron
from flowlord.rules.timetable import Timetable
from flowlord.taskmaster.daemon import Pace, Taskmaster
from flowlord.taskmaster.health import Health
from flowlord.taskmaster.reaper import reap
from flowlord.taskmaster.reload import Reloader
from flowlord.taskmaster.router import Router
from flowlord.taskmaster.supervisor import Supervisor
from support.farm import CHAIN, START, Farm, scheduler_of
from support.flows import flows_of

GOOD = Task(
    type="root", info="?t=2026-01-01T00", id="r", created="c", meta="workflow=f.toml", result="complete"
)


def test_a_result_whose_dead_letter_outgrows_the_bus_is_set_aside_and_the_others_are_decided() -> None:
    farm = Farm()
    around = farm.daemon(flows_of(CHAIN))
    swollen = msgspec.structs.replace(
        GOOD, result="error", meta="a=" + "#" * 400_000
    )  # escaped it is three times that
    farm.bus.publish([Message("done", swollen, "big"), Message("done", GOOD, "good")])
    assert Router(around).step(0.0) == 2
    assert len(farm.bus.claim(["leaf"], "w", 10)) == 2
    [aside] = farm.bus.peek("quarantine", 10)
    assert b"####" in aside.payload
    assert "cannot land" in farm.facts(FactKind.QUARANTINED)[0]


def test_a_poison_whose_dead_letter_outgrows_the_bus_does_not_stop_the_reaper() -> None:
    farm = Farm()
    around = farm.daemon(flows_of(CHAIN))
    swollen = Task(type="leaf", info="", id="r", meta="a=" + "#" * 400_000)
    farm.bus.publish(
        [Message("leaf", swollen, "big"), Message("leaf", Task(type="leaf", info="", id="s"), "small")]
    )
    for _ in range(3):
        while farm.bus.claim(["leaf"], "victim", 10):
            pass
        farm.clock.advance(61)
        reap(around)
    assert farm.bus.claim(["leaf"], "w", 10) == []
    assert [p.key for p in farm.bus.peek("retry-failed", 10)] == ["small:dead"]
    assert len(farm.bus.peek("quarantine", 10)) == 1


def test_a_damaged_meta_file_hinders_no_other_phase_and_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        "flowlord.taskmaster.readings.PATIENCE_S", 60.0
    )  # reading it is not the question here
    rows = tmp_path / "rows.json.gz"
    packed = bytearray(gzip.compress(b'{"k":1}\n' * 1000))
    packed[20:40] = b"\xff" * 20
    rows.write_bytes(bytes(packed))
    files = {
        "f.toml": [
            {"task": "bad", "rule": f"cron=* * * * *&meta-file={rows}"},
            {"task": "good", "rule": "cron=* * * * *"},
        ]
    }
    farm = Farm()
    scheduler = scheduler_of(farm.daemon(flows_of(files)))
    scheduler.decide_due()
    farm.clock.advance(60)
    scheduler.decide_due()
    assert len(farm.bus.claim(["good"], "w", 10)) == 1
    assert "bad could not start" in farm.facts(FactKind.ALERT)[0]


def test_a_mark_that_cannot_be_read_stops_its_phase_alone_and_is_told_once() -> None:
    farm = Farm()
    around = farm.daemon(
        flows_of({"f.toml": [{"task": t, "rule": "cron=* * * * *"} for t in ("bad", "good")]})
    )
    farm.bus.commit(Plan(), marks=[Mark("tick:f.toml:bad", None, "yesterday")])
    scheduler = scheduler_of(around)
    scheduler.decide_due()
    for _ in range(5):
        farm.clock.advance(60)
        scheduler.decide_due()
    assert len(farm.bus.claim(["good"], "w", 10)) == 5
    assert len([text for text in farm.facts(FactKind.ALERT) if "bad" in text]) == 1
    assert around.health.colour() == "red"


@pytest.mark.parametrize("days", [3, 365])
def test_only_the_window_is_caught_up_however_long_nothing_ran(days: int) -> None:
    cron = Cron.parse("* * * * *")
    phase = Phase("f.toml", "a", name="a", rule=Rule(cron="* * * * *"))
    watermark, now = START, START + timedelta(days=days)
    ticks: list[datetime] = []
    missed = 0
    for _ in range(10):
        due = look(phase, Timetable(cron), watermark, now)
        ticks += due.ticks
        missed += sum(m.count for m in due.missed)
        watermark = due.watermark
    assert len(ticks) == 60
    assert min(ticks) >= now - timedelta(hours=1)
    assert missed == min(days * 1440 - 60, 5_000) or days == 3


def test_last_starts_one_tick_however_many_were_missed() -> None:
    cron = Cron.parse("* * * * * *")
    rule = Rule(cron="* * * * * *", catchup="last", catchup_window_ns=3_600_000_000_000)
    watermark, now = START, START + timedelta(hours=1)
    ticks: list[datetime] = []
    for _ in range(10):
        due = look(Phase("f.toml", "a", name="a", rule=rule), Timetable(cron), watermark, now)
        ticks += due.ticks
        watermark = due.watermark
    assert ticks == [now]


def test_a_result_that_killed_daemons_is_never_turned_into_a_failure() -> None:
    farm = Farm()
    around = farm.daemon(flows_of(CHAIN))
    farm.bus.publish([Message("done", GOOD, "k")])
    for _ in range(9):
        assert len(farm.bus.claim(["done"], "victim", 10)) == 1
        farm.clock.advance(61)
        reap(around)
    assert Router(around).step(0.0) == 1
    assert len(farm.bus.claim(["leaf"], "w", 10)) == 2


def test_a_result_that_kills_every_daemon_is_set_aside_as_it_is_with_an_alert() -> None:
    farm = Farm()
    around = farm.daemon(flows_of(CHAIN))
    farm.bus.publish([Message("done", GOOD, "k")])
    for _ in range(10):
        farm.bus.claim(["done"], "victim", 10)
        farm.clock.advance(61)
        reap(around)
    [aside] = farm.bus.peek("quarantine", 10)
    assert b'"result":"complete"' in aside.payload
    assert "10 taskmasters died" in farm.facts(FactKind.ALERT)[0]


def test_a_result_of_a_workflow_that_another_daemon_runs_starts_its_children(tmp_path: Path) -> None:
    farm = Farm()
    (tmp_path / "f.toml").write_text('[[phase]]\ntask="root"\n[[phase]]\ntask="leaf"\ndependsOn="root"\n')
    Reloader(farm.daemon(Workflows(), "owner"), str(tmp_path)).start()
    farm.bus.publish([Message("done", GOOD, "k")])
    Router(farm.daemon(Workflows(), "other")).step(0.0)
    assert len(farm.bus.claim(["leaf"], "w", 10)) == 1


def test_a_result_of_a_workflow_that_nobody_knows_is_told() -> None:
    farm = Farm()
    farm.bus.publish([Message("done", GOOD, "k")])
    Router(farm.daemon(Workflows())).step(0.0)
    assert farm.facts(FactKind.SKIPPED) == ["nothing follows root: no workflow f.toml is loaded"]


def test_the_alert_of_a_broken_file_is_told_even_when_the_bus_was_away_at_first(tmp_path: Path) -> None:
    away = threading.Event()

    def fault(step: str) -> None:
        if away.is_set() and step.startswith("commit"):
            raise BusUnavailable("away")

    farm = Farm(fault)
    around = farm.daemon(Workflows())
    (tmp_path / "a.toml").write_text('[[phase]]\ntask="a"\nrule="cron=@daily"\n')
    reloader = Reloader(around, str(tmp_path))
    reloader.start()
    (tmp_path / "a.toml").write_text('[[phase]]\ntask="a"\nrule="cron=nope"\n')
    away.set()
    with pytest.raises(BusUnavailable):
        reloader.step()
    away.clear()
    reloader.step()
    assert "a.toml:3:" in farm.facts(FactKind.ALERT)[0]


def test_a_clock_that_was_far_ahead_is_told_when_it_comes_back() -> None:
    farm = Farm()
    around = farm.daemon(flows_of(CHAIN))
    scheduler_of(around).decide_due()
    farm.clock.jump(30 * 86_400)
    scheduler_of(around).decide_due()
    farm.clock.jump(-30 * 86_400)
    scheduler_of(around).decide_due()
    assert "ahead of this clock" in farm.facts(FactKind.ALERT)[-1]
    assert around.health.colour() == "yellow"


def test_twins_of_one_name_have_their_own_retries() -> None:
    twins = [{"task": "load", "rule": "cron=@daily"}, {"task": "load", "rule": "cron=@hourly", "retry": 5}]
    flows = Workflows({"f.toml": _with_twins(twins)})
    failed = Task(type="load", info="", id="r", created="c", meta="workflow=f.toml", result="error")
    ctx = Context(now=START)
    assert on_done(Done(failed, "k", phase="f.toml:load#2"), flows, ctx).later
    assert on_done(Done(failed, "k", phase="f.toml:load"), flows, ctx).dead


def _with_twins(phases: list[dict[str, object]]) -> Workflow:
    return flows_of({"f.toml": phases}).by_name["f.toml"]


def test_idle_is_not_said_while_a_batch_is_being_published() -> None:
    farm = Farm()
    around = farm.daemon(flows_of(CHAIN))
    master = Taskmaster(around, "nowhere", presence=Presence("d1", "taskmaster", "h", 1))
    assert master._is_idle()
    messages = tuple(Message("leaf", Task(type="leaf", info=""), f"k{n}") for n in range(3))
    farm.bus.commit(Plan(frozen=(FrozenBatch("b", messages),)))
    assert not master._is_idle()
    farm.bus.advance()
    assert not master._is_idle()


def test_idle_is_not_said_when_a_result_opens_a_batch_between_the_two_looks(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    farm = Farm()
    around = farm.daemon(flows_of(CHAIN))
    master = Taskmaster(around, "nowhere", presence=Presence("d1", "taskmaster", "h", 1))
    done = Task(type="root", info="", id="r", created="c", meta="workflow=f.toml", result="complete")
    farm.bus.publish([Message(around.done_topic, done, "d")])
    leaf = Message("leaf", Task(type="leaf", info=""), "k")
    look = farm.bus.marks_like

    def late_look(prefix: str) -> dict[str, str]:
        seen = look(prefix)
        result = farm.bus.claim([around.done_topic], "d1", 1)
        told = Fact(FactKind.DONE, key="r", topic="root", phase="f.toml:root")
        farm.bus.commit(Plan(frozen=(FrozenBatch("b", (leaf,)),), facts=(told,)), acknowledge=result)
        return seen

    monkeypatch.setattr(farm.bus, "marks_like", late_look)
    assert not master._is_idle()


def test_a_bus_that_must_not_be_used_ends_the_daemon(tmp_path: Path) -> None:
    broken = threading.Event()

    def fault(step: str) -> None:
        if broken.is_set():
            raise BusUnusable("it was replaced")

    farm = Farm(fault)
    (tmp_path / "a.toml").write_text('[[phase]]\ntask="a"\nrule="cron=@daily"\n')
    presence = Presence("d1", "taskmaster", "h", 1)
    around = farm.daemon(Workflows())
    master = Taskmaster(around, str(tmp_path), pace=Pace(reload_s=0.05), presence=presence)
    master.load()
    broken.set()
    with pytest.raises(BusUnusable, match="replaced"):
        master.run(threading.Event())


def test_a_daemon_that_ends_leaves_results_to_the_next_one_when_there_are_very_many(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    farm = Farm()
    master = Taskmaster(farm.daemon(Workflows()), "nowhere", presence=Presence("d1", "taskmaster", "h", 1))
    stepped: list[float] = []

    def long_step(router: Router, wait_s: float = 0.0) -> int:
        stepped.append(wait_s)
        farm.clock.advance(4)
        return 8_000

    monkeypatch.setattr(Router, "step", long_step)
    master._drain()
    assert len(stepped) == 3


def test_a_router_that_does_not_end_in_time_is_left_to_its_own_thread(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    begun, ended = threading.Event(), threading.Event()
    by: list[str] = []

    def hanging_step(router: Router, wait_s: float = 0.0) -> int:
        by.append(threading.current_thread().name)
        begun.set()
        assert ended.wait(40)
        return 0

    monkeypatch.setattr(Router, "step", hanging_step)
    monkeypatch.setattr("flowlord.taskmaster.daemon.STEP_LIMIT_S", 0.05)
    master = Taskmaster(Farm().daemon(Workflows()), "nowhere", presence=Presence("d1", "taskmaster", "h", 1))
    monkeypatch.setattr(master._supervisor, "_clock", SystemClock())
    master._supervisor.start("router", master._route)
    assert begun.wait(40)
    draining = threading.Thread(target=master._drain)
    draining.start()
    draining.join(20)
    is_stuck = draining.is_alive()
    ended.set()
    draining.join(40)
    assert not is_stuck
    assert by == ["flowlord-router"]


def test_a_supervisor_remembers_what_is_fatal() -> None:
    supervisor = Supervisor(Health(), SystemClock(), first_pause_s=0.001)
    seen = threading.Event()

    def step() -> None:
        seen.set()
        raise BusUnusable("gone")

    supervisor.start("planned", step)
    assert seen.wait(40)
    assert supervisor.join(40) == []
    assert isinstance(supervisor.fatal, BusUnusable)
    assert START.tzinfo is UTC


def test_a_plan_knows_how_many_messages_it_puts_on_the_bus() -> None:
    one = Message("leaf", Task(type="leaf", info=""), "k")
    plan = Plan(publish=(one,), later=(one, one), dead=(one,), frozen=(FrozenBatch("b", (one,) * 3),))
    assert plan.size == len(plan.messages) == 7
