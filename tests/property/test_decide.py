"""Decisions: the same event twice gives the same plan; the order of unrelated events does not matter."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime, timedelta

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from flowlord.decide.absent import look as look_for
from flowlord.decide.context import Context
from flowlord.decide.done import Done, on_done, on_poison, origin_of, phase_of
from flowlord.decide.file import FileEvent, on_file
from flowlord.decide.lapse import on_lapse
from flowlord.decide.late import Open, on_late
from flowlord.decide.schedule import ON_TIME, Missed, look
from flowlord.decide.tick import on_missed, on_tick
from flowlord.model.message import Delivery, Message
from flowlord.model.plan import FactKind, Plan
from flowlord.model.task import Task, encode
from flowlord.model.workflow import Phase, Rule, Workflow, Workflows
from flowlord.rules.cron import Cron
from flowlord.rules.timetable import Timetable

START = datetime(2026, 3, 1, tzinfo=UTC)
names = st.sampled_from("abcdef")
times = st.datetimes(datetime(2000, 1, 1), datetime(2100, 1, 1)).map(lambda t: t.replace(tzinfo=UTC))
texts = st.text(max_size=20)
metas = st.dictionaries(st.sampled_from(["file", "k", "cron", "retry", "job", "x"]), texts, max_size=4)
results = st.sampled_from(["complete", "error", "warn", "alert", "", "odd"])
templates = st.sampled_from(
    ["", "?d={yyyy}-{mm}-{dd}", "{meta:file}|{uuid}", "{meta:k}#{dd}", "{ts}{meta:k}{meta:x}"]
)


@st.composite
def rules(draw: st.DrawFn) -> Rule:
    meta = draw(st.sampled_from([None, {"k": ("1", "2")}, {"k": ()}, {"k": ("1",), "x": ("1", "2")}]))
    return Rule(
        offset_ns=draw(st.sampled_from([0, -3_600_000_000_000, 86_400_000_000_000])),
        for_ns=draw(st.sampled_from([0, 0, 172_800_000_000_000, -172_800_000_000_000])),
        by=draw(st.sampled_from(["", "hour", "month"])),
        meta=meta or {},
        has_meta=meta is not None,
        require=draw(st.sampled_from([(), ("file",)])),
        pass_on=draw(st.sampled_from([(), ("file", "x")])),
        retry_delay_ns=draw(st.sampled_from([None, 0, 1_000_000_000])),
        no_alert=draw(st.booleans()),
        alert=draw(st.sampled_from(["every", "edge", "digest"])),
        alert_to=draw(st.sampled_from(["", "oncall"])),
        batch_limit=draw(st.sampled_from([1, 100_000])),
        files=draw(st.sampled_from([(), ("/d/*",), ("/d/[", "/d/x*")])),
    )


@st.composite
def workflows(draw: st.DrawFn) -> Workflows:
    flows = {}
    for file in ("f.toml", "g/h.yaml"):
        phases = []
        for n in range(draw(st.integers(0, 5))):
            topic = draw(names)
            phases.append(
                Phase(
                    file,
                    topic,
                    name=f"{topic}#{n}",
                    parent=draw(st.sampled_from(["", "a", "b", "c"])),
                    rule=draw(rules()),
                    retry=draw(st.integers(0, 3)),
                    template=draw(templates),
                )
            )
        flows[file] = Workflow(file, tuple(phases), revision="r")
    return Workflows(flows)


@st.composite
def tasks(draw: st.DrawFn) -> Task:
    from flowlord.rules.metastring import format_sorted

    meta = {"workflow": draw(st.sampled_from(["f.toml", "g/h.yaml", "none", "*"])), **draw(metas)}
    return Task(
        type=draw(names),
        job=draw(st.sampled_from(["", "j"])),
        info=draw(st.sampled_from(["", "?day=2026-01-02", "s3://b/2026/01/02/x.gz", "\x00%"])),
        created="2026-01-01T00:00:00.000001Z",
        id=draw(st.sampled_from(["", "run-1"])),
        meta=format_sorted(meta),
        result=draw(results),
        msg=draw(texts),
    )


def same(one: Plan, other: Plan) -> bool:
    return _timeless(one) == _timeless(other)


def _timeless(plan: Plan) -> tuple[object, ...]:
    def plain(message: Message) -> Message:
        task = msgspec.structs.replace(message.task, created="")
        return msgspec.structs.replace(message, task=task, due=None)

    return (
        [plain(m) for m in plan.publish],
        [plain(m) for m in plan.later],
        [plain(m) for m in plan.dead],
        [(b.key, [plain(m) for m in b.messages]) for b in plan.frozen],
        plan.quarantine,
        plan.facts,
    )


@given(tasks(), workflows(), times, times)
def test_a_result_redelivered_to_another_daemon_at_another_time_gives_the_same_plan(
    task: Task, flows: Workflows, first: datetime, later: datetime
) -> None:
    done = Done(task, "key")
    assert same(on_done(done, flows, Context(now=first)), on_done(done, flows, Context(now=later)))


@given(tasks(), workflows())
def test_every_result_ends_in_a_record_and_no_two_messages_share_a_key(task: Task, flows: Workflows) -> None:
    plan = on_done(Done(task, "key"), flows, Context(now=START))
    assert plan.facts
    keys = [message.key for message in plan.messages]
    assert len(set(keys)) == len(keys)
    stamps = [message.task.created for message in plan.publish]
    assert len(set(stamps)) == len(stamps)
    if plan.later or plan.dead:
        assert task.result == "error"


def _told_as(rule: Rule) -> str:
    return rule.alert if rule.alert in ("every", "digest") and not rule.no_alert else ""


@given(tasks(), workflows())
def test_every_alert_of_a_result_is_told_as_its_phase_asks_and_none_asks_for_silence(
    task: Task, flows: Workflows
) -> None:
    done = Done(task, "key")
    for plan in (on_done(done, flows, Context(now=START)), on_poison(done, flows, Context(now=START))):
        made = phase_of(done, origin_of(task), flows)
        own = [fact for fact in plan.facts if fact.kind is FactKind.ALERT and fact.key == "key"]
        for alert in own:
            rule = made.rule if made else Rule()
            assert (alert.mode, alert.to) == (_told_as(rule), rule.alert_to)
        dead = any(fact.kind is FactKind.DEAD for fact in plan.facts)
        if dead:
            assert len(own) == (0 if made and made.rule.no_alert else 1)
        for alert in plan.facts:
            if alert.kind is FactKind.ALERT and alert not in own:  # a child that could not start
                rule = flows.rule_of(alert.phase)
                assert (alert.mode, alert.to) == (_told_as(rule), rule.alert_to)


@given(workflows(), st.sampled_from(["every", "edge", "digest", "none"]))
def test_whatever_does_not_happen_is_told_as_its_phase_asks(flows: Workflows, word: str) -> None:
    for flow in flows.by_name.values():
        for phase in flow.phases:
            silent = word == "none"
            rule = msgspec.structs.replace(phase.rule, alert=word, alert_to="ops", no_alert=silent, late="2h")
            asked = msgspec.structs.replace(phase, rule=rule)
            late = Open("n", "k", phase.topic, phase.identity, Task(type=phase.topic, info=""), START)
            missed = Missed(START, START, 1, "the daemon was down")
            since = "2026-01-01T00:00:00Z"
            facts = (
                *on_late(late, 1, asked).facts,
                *on_missed(asked, missed).facts,
                *look_for(asked, "r", "UTC", since, None, START).facts,
            )
            kinds = Counter(fact.kind for fact in facts)
            assert kinds[FactKind.LATE] == kinds[FactKind.MISSED] == kinds[FactKind.ABSENT] == 1
            assert kinds[FactKind.ALERT] == (0 if silent else 3)
            assert {(fact.mode, fact.to) for fact in facts if fact.kind is FactKind.ALERT} <= {
                (_told_as(rule), "ops")
            }


@given(st.lists(tasks(), min_size=2, max_size=4), workflows(), st.randoms(use_true_random=False))
def test_the_order_of_unrelated_results_does_not_matter(
    flowing: list[Task], flows: Workflows, random: object
) -> None:
    done = [Done(task, f"key{n}") for n, task in enumerate(flowing)]
    forward = {d.key: _timeless(on_done(d, flows, Context(now=START))) for d in done}
    shuffled = list(done)
    random.shuffle(shuffled)  # type: ignore[attr-defined]
    assert forward == {d.key: _timeless(on_done(d, flows, Context(now=START))) for d in shuffled}


@given(workflows(), times, times)
def test_a_tick_decided_by_two_daemons_makes_the_same_tasks(
    flows: Workflows, one: datetime, other: datetime
) -> None:
    for flow in flows.by_name.values():
        for phase in flow.phases:
            assert same(on_tick(phase, START, Context(now=one)), on_tick(phase, START, Context(now=other)))


@given(workflows(), st.sampled_from(["/d/x", "/d/2026/01/02/x", "\udc80", ""]), times)
def test_a_file_decided_twice_makes_the_same_tasks_and_is_always_told(
    flows: Workflows, path: str, now: datetime
) -> None:
    event = FileEvent(path, "v1")
    plan = on_file(event, flows, Context(now=now))
    assert same(plan, on_file(event, flows, Context(now=START)))
    assert any(fact.kind is FactKind.FILE for fact in plan.facts)


@given(st.binary(max_size=40) | tasks().map(encode), st.integers(0, 5))
def test_a_lapsed_task_is_offered_again_until_it_is_poison(payload: bytes, crashes: int) -> None:
    lapsed = Delivery("a", "1", payload, "t", "c", deliveries=crashes, key="k")
    plan = on_lapse(lapsed, Workflows(), Context(now=START, max_deliveries=3))
    assert (plan is None) is (crashes < 3)
    if plan is not None:
        assert plan.dead or plan.quarantine


crons = st.sampled_from(
    ["* * * * *", "*/5 * * * *", "0 * * * *", "30 2 * * *", "0 0 1 * *", "*/10 * * * * *", "@every 90s"]
)
policies = st.sampled_from(["", "none", "last", "all"])
gaps = st.lists(st.integers(1, 10_000), min_size=1, max_size=4)


@given(crons, policies, gaps)
def test_looking_often_or_seldom_accounts_for_every_tick_exactly_once(
    expression: str, policy: str, gaps: list[int]
) -> None:
    cron = Cron.parse(expression)
    phase = Phase("f.toml", "a", name="a", rule=Rule(cron=expression, catchup=policy))
    watermark = look(phase, Timetable(cron), None, START).watermark
    ticks: list[datetime] = []
    missed = 0
    now = START
    for gap in gaps:
        now += timedelta(seconds=gap)
        for _ in range(1000):
            due = look(phase, Timetable(cron), watermark, now)
            assert due.watermark >= watermark, "a watermark never goes back"
            ticks += due.ticks
            missed += sum(m.count for m in due.missed)
            for m in due.missed:
                assert on_missed(phase, m).facts[0].kind is FactKind.MISSED
            watermark = due.watermark
            if due.next is None or due.next > now:
                break
    expected = 0
    upcoming = cron.next(START)
    while upcoming is not None and upcoming <= now:
        expected += 1
        upcoming = cron.next(upcoming)
    assert len(ticks) + missed == expected
    assert ticks == sorted(set(ticks))
    assert look(phase, Timetable(cron), watermark, now - timedelta(days=1)).ticks == (), (
        "time going back never fires again"
    )


@given(crons)
def test_a_tick_on_time_starts_whatever_the_policy(expression: str) -> None:
    cron = Cron.parse(expression)
    first = cron.next(START)
    assert first is not None
    for policy in ("none", "last", "all"):
        phase = Phase("f.toml", "a", name="a", rule=Rule(cron=expression, catchup=policy))
        assert look(phase, Timetable(cron), START, first + ON_TIME / 20).ticks == (first,)
