"""`overlap` and pauses through the daemon's loops, with retries, crashes and foreign workers."""

from __future__ import annotations

import logging
from datetime import timedelta

import msgspec
import pytest

from flowlord.bus.pauses import change_pauses
from flowlord.decide.pause import on_pause, on_resume
from flowlord.model.errors import BusUnavailable
from flowlord.model.message import Message
from flowlord.model.paused import MARK, Pause, Paused
from flowlord.model.plan import ANY, FactKind, Mark, Plan
from flowlord.taskmaster.batches import Batches
from flowlord.taskmaster.reaper import move_due, reap
from flowlord.taskmaster.router import Router
from flowlord.taskmaster.timejump import JumpWatch
from support.clock import VirtualClock
from support.farm import LEASE, START, Farm, scheduler_of
from support.flows import flows_of

MINUTE = timedelta(minutes=1)


def flow(rule: str, **more: object) -> dict[str, list[dict[str, object]]]:
    root = {"task": "root", "rule": f"cron=* * * * *&{rule}", "template": "{hh}:{min}", "retry": 1, **more}
    return {
        "f.toml": [
            root,
            {"task": "leaf:x", "dependsOn": "root", "template": "{meta:k} b", "rule": "meta=k:it's"},
        ]
    }


class Office(Farm):
    """One daemon whose loops go round once a minute."""

    def __init__(self, rule: str, **more: object) -> None:
        super().__init__()
        self.around = self.daemon(flows_of(flow(rule, **more)))
        self.scheduler = scheduler_of(self.around)
        self.router = Router(self.around)
        self.scheduler.decide_due()

    def minute(self) -> list[str]:
        """Let a minute pass; returns what waits on the topic then."""
        self.clock.advance(60)
        return self.settle()

    def settle(self) -> list[str]:
        self.around.look_at_pauses()
        self.router.step(0.0)
        move_due(self.around)
        while self.scheduler.decide_due(at_once=True):
            pass
        return [seen.payload.decode().split('"info":"')[1][:5] for seen in self.bus.peek("root", 100)]

    def pause(self, target: str, **more: object) -> None:
        now = self.clock.now()
        before = self.around.paused or Paused()
        new, fact = on_pause(before, Pause(target, now, **more), now)  # type: ignore[arg-type]
        assert change_pauses(self.bus, self.bus.marks([MARK]).get(MARK), new, (fact,))

    def resume(self, target: str, *, catchup: bool = False) -> None:
        self.around.look_at_pauses()
        found = on_resume(self.around.paused or Paused(), target, self.clock.now(), catchup=catchup)
        assert found is not None
        assert change_pauses(self.bus, self.bus.marks([MARK]).get(MARK), found[0], (found[1],))


def test_skip_leaves_a_start_out_until_the_task_has_come_to_its_end() -> None:
    office = Office("overlap=skip")
    assert office.minute() == ["12:01"]
    assert office.minute() == ["12:01"], "it waits for a worker: that is open too"
    [held] = office.bus.claim(["root"], "w", 1, lease_ns=LEASE)
    office.minute()
    assert len(office.facts(FactKind.SKIPPED)) == 2
    assert office.facts(FactKind.ALERT) == []
    task = msgspec.structs.replace(held.task(), result="complete")
    office.bus.commit(Plan(publish=(Message("done", task, held.key),)), acknowledge=[held])
    assert office.minute() == ["12:04"]


def test_a_failure_that_is_tried_again_is_open_until_its_last_try() -> None:
    office = Office("overlap=skip&retry_delay=90s")
    office.minute()
    office.work("root", "error")
    assert office.minute() == ["12:01"], "the second try waits for its time"
    office.clock.advance(90 * 1.4)
    assert office.settle() == ["12:01"]
    office.work("root", "error")
    office.settle()
    assert len(office.facts(FactKind.DEAD)) == 1
    assert office.minute()[-1:] == ["12:05"]


def test_a_foreign_worker_that_returns_only_the_json_ends_it() -> None:
    office = Office("overlap=skip")
    office.minute()
    [held] = office.bus.claim(["root"], "foreign", 1)
    office.bus.commit(Plan(), acknowledge=[held])
    assert office.minute() == []
    task = msgspec.structs.replace(held.task(), result="complete", msg="ok")
    office.bus.publish([Message("done", task, "")])
    assert office.minute() == ["12:03"]


def test_a_crash_keeps_it_open_and_poison_ends_it() -> None:
    office = Office("overlap=skip")
    office.minute()
    for _ in range(3):
        assert len(office.bus.claim(["root"], "victim", 1, lease_ns=LEASE)) == 1
        office.clock.advance(61)
        office.settle()
        assert len(office.facts(FactKind.DEAD)) == 0
        reap(office.around)
    assert len(office.facts(FactKind.DEAD)) == 1
    assert office.minute() == ["12:05"]


def test_cancelling_what_waits_ends_it() -> None:
    office = Office("overlap=skip")
    office.minute()
    assert office.bus.cancel([office.bus.peek("root", 1)[0].key]) == 1
    assert office.minute() == ["12:02"]


def test_queue_starts_them_one_behind_the_other_with_their_own_instants() -> None:
    office = Office("overlap=queue")
    done = []
    for _ in range(3):
        assert office.minute() == ["12:01"]
    for expected in ("12:02", "12:03"):
        done += [held.task().info for held in office.work("root")]
        assert office.settle() == [expected]
    assert done == ["12:01", "12:02"]
    assert office.facts(FactKind.MISSED) == []


def test_a_large_batch_is_open_from_its_first_row_to_its_last() -> None:
    rows = ",".join(map(str, range(600)))
    office = Office(f"overlap=skip&meta=n:{rows}", template="{meta:n}")
    office.clock.advance(30)
    while office.scheduler.decide_due():
        pass
    office.bus.advance()
    office.work("root", limit=500)
    office.router.step(0.0)
    office.clock.advance(60)
    office.scheduler.decide_due()
    assert len(office.facts(FactKind.SKIPPED)) == 1, "100 rows are still to be published"
    office.bus.advance()
    office.work("root", limit=500)
    office.router.step(0.0)
    office.clock.advance(60)
    office.scheduler.decide_due()
    assert len(office.facts(FactKind.SKIPPED)) == 1


def test_a_batch_too_large_to_be_made_at_once_is_open_too() -> None:
    office = Office(
        "overlap=skip&for=200h&by=hour&meta=n:" + ",".join(map(str, range(60))), template="{meta:n}"
    )
    batches = Batches(office.around)
    office.clock.advance(30)
    while office.scheduler.decide_due():
        pass
    [(group, _)] = office.bus.open_counts(["phase:f.toml:root"]).items()
    assert [task.key for task in office.bus.open_tasks(group, 9)], "not a task of it is made yet"
    sent = 0
    while made := batches.step():
        sent += made
    assert sent == 201 * 60
    assert office.bus.open_counts([group]) == {group: sent}


def test_the_state_of_overlap_is_on_the_bus_and_not_in_a_daemon() -> None:
    office = Office("overlap=skip")
    office.minute()
    another = office.daemon(office.around.workflows, "d2", 2)
    office.clock.advance(60)
    scheduler_of(another).decide_due()
    assert len(office.facts(FactKind.SKIPPED)) == 1


# --- pauses


@pytest.mark.parametrize("target", ["f.toml", "f.toml:root"])
def test_what_is_paused_does_not_start_and_what_it_left_out_is_one_fact(target: str) -> None:
    office = Office("catchup=all")
    office.pause(target, by="ann", reason="moving")
    for _ in range(3):
        assert office.minute() == []
    office.resume(target)
    assert office.minute() == ["12:04"]
    [told] = office.facts(FactKind.SKIPPED)
    assert "12:01:00Z to 2026-03-01T12:03:00Z (3 starts)" in told
    assert "paused by ann" in told
    [begun], [ended] = office.facts(FactKind.PAUSED), office.facts(FactKind.RESUMED)
    assert begun == f"{target} is paused by ann: moving"
    assert "what it left out stays left out" in ended


def test_resume_with_catchup_starts_what_was_left_out() -> None:
    office = Office("catchup=none")
    office.pause("f.toml")
    for _ in range(3):
        office.minute()
    office.resume("f.toml", catchup=True)
    assert office.settle() == ["12:01", "12:02", "12:03"]
    assert office.facts(FactKind.SKIPPED) == []


def test_a_pause_for_a_while_needs_nobody_to_end_it() -> None:
    office = Office("catchup=all")
    office.pause("f.toml", until=office.clock.now() + 2 * MINUTE)
    assert [office.minute() for _ in range(3)] == [[], ["12:02"][:0], ["12:03"]]
    assert len(office.facts(FactKind.SKIPPED)) == 1


def test_a_daemon_that_comes_when_all_is_over_still_knows_what_the_pause_left_out() -> None:
    office = Office("catchup=all")
    office.pause("f.toml")
    office.clock.advance(120)
    office.resume("f.toml")
    office.clock.advance(60)
    late = scheduler_of(office.daemon(office.around.workflows, "d2", 2))
    while late.decide_due():
        pass
    assert [held.task().info for held in office.bus.claim(["root"], "w", 9)] == ["12:03"]
    assert len(office.facts(FactKind.SKIPPED)) == 1


def test_children_of_a_paused_phase_are_skipped_with_the_command_that_starts_them() -> None:
    office = Office("")
    office.pause("leaf:x", by="ann")
    office.minute()
    office.work("root")
    office.settle()
    assert office.bus.claim(["leaf"], "w", 9) == []
    [told] = office.facts(FactKind.SKIPPED)
    assert told.startswith("leaf:x was not started: leaf:x was paused by ann at ")
    assert (
        """flowlord send leaf:x 'it'"'"'s b' --workflow f.toml --meta cron=2026-03-01T12 --meta 'k=it'"'"'s'"""
        in told
    )
    office.resume("leaf:x")
    office.minute()
    office.work("root")
    office.settle()
    assert len(office.bus.claim(["leaf"], "w", 9)) == 1


def test_pausing_again_keeps_the_beginning_and_pauses_of_others_stay() -> None:
    now = START
    first, _ = on_pause(Paused(), Pause("f.toml", now), now)
    both, _ = on_pause(first, Pause("topic:a", now, now + MINUTE), now)
    again, _ = on_pause(both, Pause("f.toml", now + MINUTE, reason="longer"), now + MINUTE)
    assert {(each.target, each.since, each.reason) for each in again.pauses} == {
        ("f.toml", now, "longer"),
        ("topic:a", now, ""),
    }
    assert on_resume(again, "topic:a", now + 2 * MINUTE) is None, "it ended by itself"
    late, _ = on_pause(again, Pause("b", now), now + timedelta(days=9))
    assert [each.target for each in late.pauses] == ["f.toml", "b"], "what ended long ago is forgotten"


def test_pauses_that_somebody_broke_leave_those_that_are_known(caplog: pytest.LogCaptureFixture) -> None:
    office = Office("")
    office.pause("f.toml")
    assert office.minute() == []
    office.bus.commit(Plan(), marks=[Mark(MARK, office.bus.marks([MARK])[MARK], "{")])
    with caplog.at_level(logging.ERROR):
        for _ in range(3):
            assert office.minute() == []
        assert caplog.text.count("cannot be read") == 1, "each value once"
        office.bus.commit(Plan(), marks=[Mark(MARK, ANY, "[")])
        for _ in range(3):
            assert office.minute() == []
    assert caplog.text.count("cannot be read") == 2
    office.bus.commit(Plan(), marks=[Mark(MARK, ANY, None)])
    assert office.minute() != []


def test_a_daemon_starts_nothing_before_it_knows_what_is_paused() -> None:
    office = Office("catchup=all")
    office.pause("f.toml")
    office.clock.advance(60)
    calls = iter([BusUnavailable("away")])

    class Away:
        def __getattr__(self, name: str) -> object:
            for error in calls:
                raise error
            return getattr(office.bus, name)

    around = office.daemon(office.around.workflows, "d2", 2)
    around.bus = Away()  # type: ignore[assignment]
    scheduler = scheduler_of(around)
    with pytest.raises(BusUnavailable):
        scheduler.decide_due()
    scheduler.decide_due()
    assert office.bus.claim(["root"], "w", 9) == []


# --- clocks


def test_a_jump_of_the_wall_clock_and_a_sleep_of_the_machine_are_told(
    caplog: pytest.LogCaptureFixture,
) -> None:
    class Sleepy(VirtualClock):
        asleep_ns = 0

        def boottime_ns(self) -> int:
            return self.monotonic_ns() + self.asleep_ns

    clock = Sleepy(START)
    watch = JumpWatch(clock)
    with caplog.at_level(logging.WARNING):
        clock.advance(3_600)
        assert abs(watch.look()) < 0.001
        assert caplog.records == []
        clock.jump(-90)
        assert watch.look() == pytest.approx(-90)
        assert "the wall clock was set back by 90.0 s" in caplog.text
        clock.jump(120)
        clock.asleep_ns += 120_000_000_000
        watch.look()
        assert "this machine slept for 120.0 s" in caplog.text
    assert len(caplog.records) == 2


def test_a_start_for_which_the_bus_was_away_is_made_when_it_is_back(monkeypatch: pytest.MonkeyPatch) -> None:
    farm = Farm()
    around = farm.daemon(flows_of({"f.toml": [{"task": "root", "rule": "cron=0 13 * * *", "template": "x"}]}))
    scheduler = scheduler_of(around)
    scheduler.decide_due()
    farm.clock.advance(3_600)

    def away(commits: object) -> None:
        raise BusUnavailable("away")

    with monkeypatch.context() as patch:
        patch.setattr(farm.bus, "commit_many", away)
        with pytest.raises(BusUnavailable):
            scheduler.decide_due()
    farm.clock.advance(5)
    assert scheduler.decide_due() == 1
    assert len(farm.bus.peek("root", 10)) == 1


def test_a_mark_without_a_zone_stops_its_phase_alone_and_is_told() -> None:
    farm = Farm()
    phases = [{"task": name, "rule": "cron=* * * * *", "template": "x"} for name in ("bad", "good")]
    farm.bus.commit(Plan(), marks=[Mark("tick:f.toml:bad", None, "2026-03-01T12:00:00")])
    around = farm.daemon(flows_of({"f.toml": phases}))
    scheduler = scheduler_of(around)
    scheduler.decide_due()
    farm.clock.advance(60)
    scheduler.decide_due()
    assert (len(farm.bus.peek("good", 10)), farm.bus.peek("bad", 10)) == (1, [])
    assert "a time without a zone" in around.health.faults()["tick:f.toml:bad"]


def test_a_pause_whose_time_has_no_zone_cannot_be_read_and_hinders_nobody() -> None:
    office = Office("overlap=allow")
    text = '{"pauses":[{"target":"root","since":"2026-01-01T00:00:00"}]}'
    office.bus.commit(Plan(), marks=[Mark(MARK, None, text)])
    assert office.minute() == ["12:01"]
