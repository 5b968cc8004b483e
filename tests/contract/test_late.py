"""Tasks that do not come to their end are told once each, on every bus, whoever looks and however often."""

from datetime import timedelta

from contract.given import message, take
from flowlord.model.message import Message
from flowlord.model.plan import ANY, FactKind, Mark, Plan
from flowlord.taskmaster import late
from flowlord.taskmaster.chance import Chance, Stamps
from flowlord.taskmaster.late import LateWatch
from flowlord.taskmaster.surroundings import Surroundings
from support.flows import flows_of

HOUR_S = 3600
HOUR_NS = HOUR_S * 1_000_000_000
FLOWS = flows_of(
    {
        "f.toml": [
            {"task": "extract", "rule": "cron=@daily"},
            {"task": "extract:quick", "rule": "cron=@daily&ttl=2s"},
            {"task": "extract:slow", "rule": "cron=@daily&ttl=8h"},
            {"task": "quiet", "rule": "cron=@daily&no_alert"},
        ]
    }
)
PLAIN = flows_of({})


def daemon(bus, clock, name="d1", flows=FLOWS):
    around = Surroundings(bus, clock, Chance(7), Stamps(clock, 1), name, workflows=flows)
    return LateWatch(around, 4 * HOUR_NS, {"files"})


def walk(*watches):
    """Let daemons look until there is nothing more."""
    while sum(watch.step() for watch in watches):
        pass


def told(bus, kind=FactKind.LATE):
    return [fact for entry in bus.journal(0, 100_000) for fact in entry.facts if fact.kind is kind]


def keys(bus, kind=FactKind.LATE):
    return [fact.key for fact in told(bus, kind)]


def test_what_waits_or_runs_too_long_is_told_once_by_any_number_of_daemons(bus, clock):
    bus.publish([message(key="done"), message(key="runs"), message(key="waits")])
    [done, _] = take(bus, limit=2, consumer="w1")
    watches = [daemon(bus, clock), daemon(bus, clock, "d2")]
    clock.advance(4 * HOUR_S)
    walk(*watches)
    assert keys(bus) == []
    bus.commit(Plan(), acknowledge=[done])
    clock.advance(1)
    walk(*watches)
    walk(daemon(bus, clock, "d3"))
    assert sorted(keys(bus)) == ["runs", "waits"]
    assert sorted(keys(bus, FactKind.ALERT)) == ["runs", "waits"]
    texts = {fact.key: fact.text for fact in told(bus)}
    assert texts["runs"].endswith("has not come to its end within 4h: it runs on w1")
    assert texts["waits"].endswith("within 4h: it waits, and no worker takes tasks of extract")
    bus.publish([message(key="new")])
    clock.advance(4 * HOUR_S + 1)
    walk(*watches)
    assert sorted(keys(bus)) == ["new", "runs", "waits"]


def test_each_phase_has_its_own_time_and_its_own_say(bus, clock):
    bus.publish(
        [
            message(key="plain", phase="f.toml:extract"),
            message(key="quick", phase="f.toml:extract:quick"),
            message(key="slow", phase="f.toml:extract:slow"),
            message("quiet", key="quiet", phase="f.toml:quiet"),
            message("other", key="nobody's"),
        ]
    )
    watch = daemon(bus, clock)
    walk(watch)
    clock.advance(3)
    walk(watch)
    assert keys(bus) == ["quick"]
    assert watch.pause_s == 1.0
    clock.advance(4 * HOUR_S)
    walk(watch)
    assert sorted(keys(bus)) == ["nobody's", "plain", "quick", "quiet"]
    assert sorted(keys(bus, FactKind.ALERT)) == ["nobody's", "plain", "quick"]
    clock.advance(4 * HOUR_S)
    walk(watch)
    assert keys(bus)[-1] == "slow"


def test_a_shorter_time_counts_for_what_was_passed_over_before(bus, clock):
    bus.publish([message(key="slow", phase="f.toml:extract:slow")])
    clock.advance(5 * HOUR_S)
    walk(daemon(bus, clock))
    assert keys(bus) == []
    walk(daemon(bus, clock, flows=flows_of({"f.toml": [{"task": "extract:slow", "rule": "cron=@daily"}]})))
    assert keys(bus) == ["slow"]


def test_the_setting_is_one_hour_at_least(bus, clock):
    bus.publish([message(key="a")])
    around = Surroundings(bus, clock, Chance(7), Stamps(clock, 1), "d1")
    clock.advance(HOUR_S)
    walk(LateWatch(around, 60_000_000_000))
    assert keys(bus) == []
    clock.advance(1)
    walk(LateWatch(around, 60_000_000_000))
    assert keys(bus) == ["a"]


def test_results_dead_letters_notices_and_what_nobody_can_read_are_no_late_tasks(bus, clock):
    done = message("extract", key="k").task
    bus.publish(
        [Message("done", done, "k"), Message("retry-failed", done, "k:dead"), Message("files", done, "n")]
    )
    walk(daemon(bus, clock))
    clock.advance(99 * HOUR_S)
    walk(daemon(bus, clock))
    assert told(bus) == []


def test_a_task_without_a_key_is_told_once_too(bus, clock):
    bus.publish([Message("extract", message().task, "")])
    clock.advance(5 * HOUR_S)
    walk(daemon(bus, clock))
    walk(daemon(bus, clock, flows=flows_of({})))
    assert [fact.topic for fact in told(bus)] == ["extract"]


def test_a_daemon_that_dies_between_two_parts_leaves_nothing_out_and_tells_nothing_twice(
    bus, clock, monkeypatch
):
    monkeypatch.setattr(late, "PART", 3)
    monkeypatch.setattr(late, "PARTS", 1)
    bus.publish([message(key=f"{n}") for n in range(10)])
    clock.advance(5 * HOUR_S)
    assert daemon(bus, clock, flows=PLAIN).step() == 3
    [(name, _)] = bus.marks_like("late:").items()
    bus.commit(
        Plan(), marks=[Mark(name, bus.marks([name])[name], None)]
    )  # as if it had died before its place landed
    walk(daemon(bus, clock, "d2", PLAIN))
    assert keys(bus) == [f"{n}" for n in range(10)]


def test_what_waits_for_its_time_is_late_only_after_it(bus, clock):
    bus.publish([message(key="later", due=clock.now() + timedelta(hours=10))])
    walk(daemon(bus, clock))
    clock.advance(10 * HOUR_S)
    walk(daemon(bus, clock))
    bus.promote()
    walk(daemon(bus, clock))
    assert keys(bus) == []
    clock.advance(4 * HOUR_S + 1)
    walk(daemon(bus, clock))
    assert keys(bus) == ["later"]


def test_the_place_goes_on_so_that_late_tasks_are_not_read_again(bus, clock):
    bus.publish([message(key="a"), message(key="b")])
    clock.advance(5 * HOUR_S)
    watch = daemon(bus, clock, flows=PLAIN)
    assert watch.step() == 2
    assert watch.step() == 0


def test_a_huge_task_is_told_with_its_beginning(bus, clock):
    bus.publish([message(key="huge", info="x" * 500_000)])
    clock.advance(5 * HOUR_S)
    walk(daemon(bus, clock))
    [fact] = told(bus)
    assert fact.task.info == "x" * 4_000
    assert fact.task.id


def test_a_strange_place_in_a_mark_stops_no_walk(bus, clock):
    bus.publish([message(key="waits")])
    clock.advance(5 * HOUR_S)
    watch = daemon(bus, clock)
    for strange in ("garbage", "1-0", "9" * 5_000):
        for key in bus.marks_like("late:"):
            bus.commit(Plan(), marks=[Mark(key, ANY, strange)])
        walk(watch)
        clock.advance(HOUR_S)
        bus.publish([message(key=f"after {strange[:3]}")])
        clock.advance(5 * HOUR_S)
        walk(watch)
    assert keys(bus)[0] == "waits"
    assert len(keys(bus)) == len(set(keys(bus)))
