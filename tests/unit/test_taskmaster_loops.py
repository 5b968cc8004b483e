"""The daemon's loops one step at a time, on the memory bus and a clock that the test moves."""

from __future__ import annotations

import threading
from pathlib import Path

import msgspec
import pytest

from flowlord.bus.clock import SystemClock
from flowlord.bus.port import QUARANTINE, Move
from flowlord.model.errors import BusUnavailable
from flowlord.model.message import REPLAYED, Message
from flowlord.model.plan import FactKind
from flowlord.model.task import Task, decode
from flowlord.model.workflow import Workflows
from flowlord.rules.stamps import stamp
from flowlord.taskmaster.chance import Stamps
from flowlord.taskmaster.health import Health
from flowlord.taskmaster.reaper import move_due, reap
from flowlord.taskmaster.reload import Reloader
from flowlord.taskmaster.router import Round, Router
from flowlord.taskmaster.supervisor import Supervisor
from support.clock import VirtualClock
from support.farm import CHAIN, START, Farm, scheduler_of
from support.flows import flows_of


def test_a_new_phase_starts_counting_now_and_then_ticks_once_each_minute() -> None:
    farm = Farm()
    around = farm.daemon(flows_of(CHAIN))
    scheduler = scheduler_of(around)
    scheduler.decide_due()
    assert farm.bus.claim(["root"], "w", 10) == []
    farm.clock.advance(30)
    scheduler.decide_due()
    scheduler.decide_due()
    [delivery] = farm.bus.claim(["root"], "w", 10)
    assert delivery.task().info == "?t=2026-03-01T12:01"
    assert delivery.cause == "tick:f.toml:root:2026-03-01T12:01:00Z"


def test_two_daemons_share_the_ticks_and_never_double_one() -> None:
    farm = Farm()
    schedulers = [scheduler_of(farm.daemon(flows_of(CHAIN), f"d{n}", n)) for n in (1, 2)]
    for scheduler in schedulers:
        scheduler.decide_due()
    for minute in range(20):
        farm.clock.advance(60)
        for scheduler in schedulers if minute % 2 else reversed(schedulers):
            scheduler.decide_due()
    infos = [delivery.task().info for delivery in farm.bus.claim(["root"], "w", 100)]
    assert infos == [f"?t=2026-03-01T12:{minute:02}" for minute in range(1, 21)]


def test_a_daemon_that_was_down_catches_up_with_the_planned_instants() -> None:
    farm = Farm()
    scheduler_of(farm.daemon(flows_of(CHAIN))).decide_due()
    farm.clock.advance(3 * 3600)
    again = scheduler_of(farm.daemon(flows_of(CHAIN), "d2"))
    while again.decide_due():
        pass
    infos = [delivery.task().info for delivery in farm.bus.claim(["root"], "w", 500)]
    assert infos[0] == "?t=2026-03-01T14:01"
    assert infos[-1] == "?t=2026-03-01T15:00"
    assert len(infos) == 60
    [missed] = farm.facts(FactKind.MISSED)
    assert "2026-03-01T12:01:00Z to 2026-03-01T14:00:00Z (120 starts)" in missed
    assert farm.facts(FactKind.ALERT) == [missed]


def test_a_clock_that_goes_back_fires_nothing_again() -> None:
    farm = Farm()
    scheduler = scheduler_of(farm.daemon(flows_of(CHAIN)))
    scheduler.decide_due()
    farm.clock.advance(600)
    scheduler.decide_due()
    assert len(farm.work("root")) == 10
    farm.clock.jump(-600)
    scheduler_of(farm.daemon(flows_of(CHAIN), "d2")).decide_due()
    assert farm.work("root") == []


def test_a_chain_ends_with_every_child_once_though_the_result_is_told_twice() -> None:
    farm = Farm()
    around = farm.daemon(flows_of(CHAIN))
    scheduler = scheduler_of(around)
    scheduler.decide_due()
    farm.clock.advance(30)
    scheduler.decide_due()
    [root] = farm.work("root")
    twice = msgspec.structs.replace(root.task(), result="complete")
    farm.bus.publish(
        [Message("done", twice, "")]
    )  # a foreign worker that ran it too hands back the JSON alone
    router = Router(around)
    assert router.step(0.0) == 2
    leaves = farm.work("leaf")
    assert [leaf.task().info for leaf in leaves] == ["1", "2"]
    assert {leaf.task().id for leaf in leaves} == {root.task().id}
    assert router.step(0.0) == 2
    assert len(farm.facts(FactKind.DONE)) == 3


def test_a_failure_waits_on_the_bus_and_a_later_one_is_a_dead_letter() -> None:
    farm = Farm()
    around = farm.daemon(flows_of(CHAIN))
    scheduler = scheduler_of(around)
    scheduler.decide_due()
    farm.clock.advance(30)
    scheduler.decide_due()
    farm.work("root", "error", msg="boom")
    Router(around).step(0.0)
    assert farm.bus.claim(["root"], "w", 1) == []
    other = farm.daemon(flows_of(CHAIN), "another daemon altogether")
    farm.clock.advance(2)
    assert move_due(other) == 1
    [again] = farm.work("root", "error", msg="boom again")
    assert "retry=1" in again.task().meta
    Router(other).step(0.0)
    [letter] = farm.bus.peek("retry-failed", 10)
    assert b"retry=failed" in letter.payload
    assert farm.facts(FactKind.DEAD) == ["boom again"]
    assert other.counters.dead == 1


def test_results_that_are_decided_together_share_neither_a_stamp_nor_the_chance_of_their_waits() -> None:
    farm = Farm()
    around = farm.daemon(flows_of(CHAIN))
    done = Task(type="root", info="", id="run", meta="workflow=f.toml")
    ended = [(f"c{n}", "complete") for n in range(3)] + [(f"e{n}", "error") for n in range(3)]
    farm.bus.publish(
        [
            Message("done", msgspec.structs.replace(done, created=key, result=result), key)
            for key, result in ended
        ]
    )
    assert Router(around).step(0.0) == 6
    leaves = farm.bus.peek("leaf", 10)
    retries = [each for each in farm.bus.peek("root", 10) if each.state == "later"]
    made = [decode(each.payload).created for each in (*leaves, *retries)]
    assert (len(leaves), len(retries), len(set(made))) == (6, 3, 9)
    assert len({each.due_us for each in retries}) == 3
    assert max(made) < stamp(around.stamps.now())


@pytest.mark.parametrize("wrong_s", [-86_400, -5, 5, 86_400])
def test_a_retry_waits_by_the_clock_of_the_bus_however_wrong_that_of_its_daemon_is(wrong_s: float) -> None:
    farm = Farm()
    clock = VirtualClock(START)
    clock.jump(wrong_s)
    wrong = farm.daemon(flows_of(CHAIN))
    wrong.clock, wrong.stamps = clock, Stamps(clock, 3)
    farm.bus.publish(
        [Message("root", Task(type="root", info="", meta="workflow=f.toml"), "k", phase="f.toml:root")]
    )
    farm.work("root", "error", msg="boom")
    Router(wrong).step(0.0)
    assert farm.bus.claim(["root"], "w", 1) == [], "not at once"
    [state] = [each for each in farm.bus.topics() if each.later]
    assert state.topic == "root"
    farm.clock.advance(2)
    assert move_due(farm.daemon(flows_of(CHAIN), "another")) == 1


@pytest.mark.parametrize(
    ("payload", "words"),
    [
        (b"not json", "not JSON"),
        (b"[1,2]", "array"),
        (b'{"type":"root","info":5}', "number"),
        (b'{"type":"root","info":"","result":"finished"}', "unknown result"),
        (b"", "not JSON"),
        (b'{"type":"' + b"\xff" + b'"}', "not JSON"),
        (b"[" * 100_000, ""),
    ],
)
def test_a_message_that_is_no_result_is_set_aside_with_its_reason_and_the_loop_goes_on(
    payload: bytes, words: str
) -> None:
    farm = Farm()
    around = farm.daemon(flows_of(CHAIN))
    good = Task(type="root", info="", id="r", created="c", meta="workflow=f.toml", result="complete")
    farm.bus.publish([Message("done", Task(type="x", info=""), "k1"), Message("done", good, "k2")])
    [first] = farm.bus.claim(["done"], "hand", 1)
    poisoned = msgspec.structs.replace(first, payload=payload)
    router = Router(around)
    answers = farm.bus.commit_many([router._commit(poisoned, Round(around.workflows, around.context()), {})])
    assert len(answers) == 1
    router.step(0.0)
    quarantined = farm.facts(FactKind.QUARANTINED)
    assert farm.facts(FactKind.ALERT) == quarantined, "what is set aside is told to people"
    assert any(words in text for text in quarantined)
    assert len(farm.bus.claim(["leaf"], "w", 10)) == 2


def test_a_result_that_was_set_aside_and_mended_counts_and_only_once() -> None:
    farm = Farm()
    around = farm.daemon(flows_of(CHAIN))
    odd = Task(type="root", info="", id="r", created="c", meta="workflow=f.toml", result="finished")
    farm.bus.publish([Message("done", odd, "k")])
    router = Router(around)
    assert router.step(0.0) == 1
    [aside] = farm.bus.peek(QUARANTINE, 9)
    mended = aside.payload.replace(b"finished", b"complete")
    assert farm.bus.move([Move(QUARANTINE, aside.entry, "done", mended, "k", REPLAYED)]) == 1
    assert router.step(0.0) == 1
    assert len(farm.bus.claim(["leaf"], "w", 10)) == 2
    farm.bus.publish([Message("done", msgspec.structs.replace(odd, result="complete"), "k")])
    assert router.step(0.0) == 1
    assert farm.bus.claim(["leaf"], "w", 10) == [], "the worker's own, after all"


def test_a_task_that_kills_its_workers_becomes_a_dead_letter_and_the_others_run() -> None:
    farm = Farm()
    around = farm.daemon(flows_of(CHAIN))
    farm.bus.publish(
        [Message("leaf", Task(type="leaf", info=name, id=name), name) for name in ("poison", "fine")]
    )
    for _ in range(3):
        [held] = farm.bus.claim(["leaf"], "victim", 1)
        assert held.key == "poison"
        farm.clock.advance(61)
        reap(around)
    [fine] = farm.bus.claim(["leaf"], "w", 10)
    assert fine.key == "fine"
    assert [p.key for p in farm.bus.peek("retry-failed", 10)] == ["poison:dead"]
    assert "3 workers died" in farm.facts(FactKind.DEAD)[0]


def test_a_lost_answer_of_the_bus_changes_nothing() -> None:
    lost = {"commit.applied": 3}

    def fault(step: str) -> None:
        if lost.get(step, 0) > 0:
            lost[step] -= 1
            raise BusUnavailable("the answer was lost")

    farm = Farm(fault)
    around = farm.daemon(flows_of(CHAIN))
    scheduler = scheduler_of(around)
    scheduler.decide_due()
    farm.clock.advance(30)
    scheduler.decide_due()
    assert lost["commit.applied"] == 0
    assert len(farm.work("root")) == 1
    Router(around).step(0.0)
    assert len(farm.work("leaf")) == 2


GOOD = '[[phase]]\ntask = "a"\nrule = "cron=@daily"\n'
BROKEN = '[[phase]]\ntask = "a"\nrule = "cron=nope"\n'


def test_a_file_that_breaks_keeps_its_last_good_version_also_over_a_restart(tmp_path: Path) -> None:
    farm = Farm()
    (tmp_path / "a.toml").write_text(GOOD)
    (tmp_path / "b.toml").write_text(GOOD.replace('"a"', '"b"'))
    around = farm.daemon(Workflows())
    health = around.health
    reloader = Reloader(around, str(tmp_path))
    reloader.start()
    before = around.workflows.by_name["a.toml"]
    (tmp_path / "a.toml").write_text(BROKEN)
    reloader.step()
    assert around.workflows.by_name["a.toml"] == before
    assert health.colour() == "yellow"
    [alert] = farm.facts(FactKind.ALERT)
    assert "a.toml:3:" in alert
    reloader.step()
    assert len(farm.facts(FactKind.ALERT)) == 1

    restarted = farm.daemon(Workflows(), "d2")
    Reloader(restarted, str(tmp_path)).start()
    assert restarted.workflows.by_name["a.toml"].phases == before.phases
    (tmp_path / "a.toml").write_text(GOOD + "retry = 2\n")
    (tmp_path / "b.toml").unlink()
    reloader.step()
    assert around.workflows.by_name["a.toml"].phases[0].retry == 2
    assert sorted(around.workflows.by_name) == ["a.toml", "b.toml"], "gone for one look is not removed"
    reloader.step()
    assert list(around.workflows.by_name) == ["a.toml"]
    assert health.colour() == "green"


def test_a_loop_that_fails_turns_health_red_and_is_started_again() -> None:
    health = Health()
    supervisor = Supervisor(health, SystemClock(), first_pause_s=0.001)
    colours: list[str] = []
    works = threading.Event()

    def step() -> None:
        colours.append(health.colour())
        if len(colours) < 3:
            raise RuntimeError("planned")
        if health.colour() == "green":
            works.set()
            supervisor.stop.wait(40)

    supervisor.start("planned", step)
    assert works.wait(40)
    assert supervisor.join(40) == []
    assert colours == ["green", "red", "red", "green"]


def test_a_loop_that_is_let_go_ends_closes_what_it_used_and_leaves_no_fault() -> None:
    health = Health()
    supervisor = Supervisor(health, SystemClock(), first_pause_s=40)
    began, go, closed = threading.Event(), threading.Event(), threading.Event()

    def step() -> None:
        began.set()
        assert go.wait(40)
        raise RuntimeError("planned")  # its pause must not hold it up

    supervisor.start("planned", step)
    assert began.wait(40)
    supervisor.end("planned", closed.set)
    assert supervisor.steps == {}
    assert not closed.is_set()
    go.set()
    assert closed.wait(40)
    assert health.faults() == {}
    assert supervisor.join(40) == []
