"""Usual results: decided in the form in which what follows travels, they come to what `on_done` says."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from hypothesis import event, given
from hypothesis import strategies as st
from msgspec.structs import replace

from flowlord.bus.landing import Landing, facts_of, prepare
from flowlord.bus.redis_entry import About, about_from, about_of
from flowlord.bus.redis_names import names_of
from flowlord.decide.context import Context
from flowlord.decide.done import Done, on_done
from flowlord.decide.keys import outcome_identities
from flowlord.decide.usual import Usual
from flowlord.model.message import REPLAYED, Delivery, Report
from flowlord.model.paused import Pause, Paused
from flowlord.model.plan import Commit, Plan
from flowlord.model.task import Task, encode
from flowlord.model.workflow import Phase, Rule, Workflow, Workflows
from flowlord.rules.metastring import format_sorted

NOW = datetime(2026, 3, 1, 9, 59, 59, 999_960, tzinfo=UTC)
NOW_US = 1_800_000_000_000_000
texts = st.text(st.characters(codec="utf-8"), max_size=12) | st.sampled_from(
    ["", "x", '"', "\\", "\n", "\u2028", "é", "%", "+", "&", "=", "2026-01-02T03", "s3://b/2026/01/02/x.gz"]
)
names = st.sampled_from(["a", "b", "a:j", "é", '"'])
FILE, OTHER = "f.toml", 'g/"h".yaml'


@st.composite
def workflows(draw: st.DrawFn) -> Workflows:
    flows = {}
    for file in (FILE, OTHER):
        phases = []
        for n in range(draw(st.integers(0, 4))):
            rule = Rule(
                require=draw(st.sampled_from([(), (), ("k",), ("k", "x")])),
                pass_on=draw(st.sampled_from([(), (), ("file",), ("k", "x", "cron")])),
                priority=draw(st.sampled_from([5, 5, 9, 0])),
                timeout_ns=draw(st.sampled_from([0, 7])),
                offset_ns=draw(st.sampled_from([0, 0, 0, 0, 3_600_000_000_000])),
                has_meta=draw(st.sampled_from([False] * 5 + [True])),
                meta={"k": ("1", "2")},
            )
            topic, job = draw(names), draw(st.sampled_from(["", "", "j", '"']))
            phases.append(
                Phase(
                    file,
                    topic,
                    job,
                    f"{topic}#{n}",
                    parent=draw(st.sampled_from(["", "a", "a", "b"])),
                    parent_job=draw(st.sampled_from(["", "", "j", "j:i"])),
                    rule=rule,
                    template=draw(
                        st.sampled_from(
                            [
                                "",
                                "plain é",
                                "{meta:k}|{uuid}|{host}{uuid}",
                                '"{yyyy}/{mm}" {meta:x} {uuid}',
                                "{meta:workflow}?{meta:job}&{meta:cron}#{dd}",
                                "\\{meta:file}",
                                "{meta:workflow}|{meta:job}|{meta:cron}",
                                "{meta:k}{meta:k}" * 2_000,
                            ]
                        )
                    ),
                )
            )
        flows[file] = Workflow(file, tuple(phases), revision="r")
    return Workflows(flows)


@st.composite
def deliveries(draw: st.DrawFn) -> Delivery:
    meta = {"workflow": draw(st.sampled_from([FILE, FILE, OTHER, "none", "*", ""]))}
    meta |= draw(st.dictionaries(st.sampled_from(["file", "k", "cron", "job", "x"]), texts, max_size=4))
    task = Task(
        type=draw(names),
        job=draw(st.sampled_from(["", "", "j", "j:i"])),
        info=draw(texts),
        created=draw(st.sampled_from(["2026-01-01T00:00:00.000001Z", ""])),
        id=draw(st.sampled_from(["run-1", "run-1", "é", '"', ""])),
        meta=draw(st.sampled_from([format_sorted(meta), format_sorted(meta), draw(texts)])),
        result=draw(st.sampled_from(["complete"] * 5 + ["error", "odd"])),
        msg=draw(texts),
        ended=draw(st.sampled_from(["", "2026-01-01T00:00:00Z"])),
    )
    payload = encode(task)
    form = draw(st.integers(0, 9))
    if form == 0:
        payload = payload.replace(b"{", b'{"more":1,', 1)
    elif form == 1:
        payload = payload.replace(b",", b" , ").replace(b'"type"', b'"job":"gone","type"')
    return Delivery(
        "done",
        "7",
        payload,
        "token",
        "me",
        key=draw(st.sampled_from([f"{7:032x}", f"{7:032x}", "key", "é", '"', ""])),
        phase=draw(texts),
        revision=draw(texts),
        cause=draw(st.sampled_from(["tick:1", "", '"', REPLAYED])),
        batch=draw(st.sampled_from(["", "b", '"'])),
        report=draw(st.none() | st.builds(Report, worker=texts, deliveries=st.integers(0, 3), output=texts)),
    )


def plainly(delivery: Delivery, flows: Workflows, ctx: Context, stamps: int = 0) -> Commit:
    """What the router lands for a result that is not usual."""
    d, task = delivery, delivery.task()
    done = Done(
        task, d.key, d.phase, d.revision, d.cause, d.batch, d.priority, d.timeout_ns, d.report
    )  # fmt: skip
    outcomes = outcome_identities(d.key, task.type, task.job, task.id, task.created)
    return Commit(on_done(done, flows, ctx, None, stamps), (delivery,), (), outcomes)


def abouts(landing: Landing) -> list[About]:
    """What Redis keeps beside each task."""
    pairs = zip(landing.rows, landing.commons, strict=True)
    return [about_from(names_of("load")[row.rank], about_of(row, common)) for row, common in pairs]


def same(usual: Commit, plain: Commit) -> None:
    """Hold the two against each other, as decided and as prepared for a bus."""
    plan = usual.plan
    assert replace(plan, children=(), told=b"") == Plan()
    assert plan.messages == plain.plan.publish
    assert plan.all_facts == plain.plan.facts
    assert plan.size == plan.stamps == plain.plan.size
    assert plain.plan == Plan(publish=plain.plan.publish, facts=plain.plan.facts)
    assert replace(usual, plan=Plan()) == replace(plain, plan=Plan())
    ours, theirs = prepare(usual, NOW_US), prepare(plain, NOW_US)
    assert (ours.rows, ours.digests) == (theirs.rows, theirs.digests)
    assert abouts(ours) == abouts(theirs)
    assert facts_of([ours.told]) == facts_of([theirs.told])
    assert not ours.frozen
    assert not ours.holds


@given(st.lists(deliveries(), min_size=1, max_size=6), workflows(), st.integers(0, 8))
def test_a_usual_result_comes_to_what_any_result_would(
    some: list[Delivery], flows: Workflows, stamps: int
) -> None:
    ctx, usual = Context(now=NOW, host="one-two-three"), Usual(flows, "one-two-three")
    for delivery in some:
        found = usual.commit(delivery, ctx, stamps)
        if found is None:
            event("left to on_done")
            continue
        event(f"{min(len(found.plan.children), 2)} children")
        same(found, plainly(delivery, flows, ctx, stamps))


def delivery(task: Task, **more: object) -> Delivery:
    about = {"key": f"{7:032x}", "phase": "f.toml:a", "revision": "r", "cause": "tick:1", **more}
    return Delivery("done", "7", encode(task), "token", "me", **about)  # type: ignore[arg-type]


def ended(meta: str = "workflow=f.toml&k=v", **more: str) -> Task:
    about = {"info": "s3://b/x", "created": "2026-01-01T00:00:00.000001Z", "id": "run", **more}
    return Task(type="a", result="complete", meta=meta, **about)


def flows_with(*rules: Rule, template: str = "{meta:k}", topic: str = "b", job: str = "") -> Workflows:
    phases = tuple(
        Phase(FILE, topic, job, name=f"{topic}#{n}", parent="a", rule=rule, template=template)
        for n, rule in enumerate(rules)
    )
    return Workflows({FILE: Workflow(FILE, phases, revision="r")})


USUAL = {
    "one child": (ended(), flows_with(Rule()), 1),
    "three": (ended(), flows_with(Rule(), Rule(priority=9), Rule(timeout_ns=1)), 3),
    "none": (ended(), flows_with(), 0),
    "no workflow": (ended(meta=""), flows_with(Rule()), 0),
    "other letters": (ended("workflow=f.toml&k=é", id="ü"), flows_with(Rule(), template='"é"'), 1),
    "an escape in the info": (ended(info='{"a":1}'), flows_with(Rule()), 1),
    "an escape in the meta": (ended("workflow=f.toml&k=%26"), flows_with(Rule()), 1),
    "a time": (ended(info="?day=2026-01-02"), flows_with(Rule(), template='{yyyy}"{meta:k}"{uuid}'), 1),
    "an hour": (ended("workflow=f.toml&cron=2026-01-02T03"), flows_with(Rule(), template="{hh}"), 1),
    "names of ours": (
        ended("workflow=f.toml&cron=2026-01-02T03&job=j"),
        flows_with(Rule(pass_on=("cron", "job")), template="{meta:workflow}|{meta:job}|{meta:cron}", job="i"),
        1,
    ),
    "required": (ended(), flows_with(Rule(require=("k",))), 1),
    "passed on": (ended("workflow=f.toml&k=a%26b"), flows_with(Rule(pass_on=("k", "gone"))), 1),
}


@pytest.mark.parametrize("name", USUAL)
def test_what_most_workflows_do_is_usual(name: str) -> None:
    task, flows, children = USUAL[name]
    some = delivery(task, report=Report("w", 1), batch="b")
    found = Usual(flows, "").commit(some, Context(now=NOW), 2)
    assert found is not None
    assert len(found.plan.children) == children
    same(found, plainly(some, flows, Context(now=NOW), 2))


UNUSUAL = {
    "a failure": (replace(ended(), result="error"), flows_with(Rule()), {}),
    "no id": (ended(id=""), flows_with(Rule()), {}),
    "no key": (ended(), flows_with(Rule()), {"key": ""}),
    "replayed": (ended(), flows_with(Rule()), {"cause": REPLAYED}),
    "no such workflow": (ended("workflow=g.toml"), flows_with(Rule()), {}),
    "not returned": (ended(), flows_with(Rule(require=("x",))), {}),
    "a batch": (ended(), flows_with(Rule(), Rule(for_ns=1)), {}),
    "a file of rows": (ended(), flows_with(Rule(meta_file="f")), {}),
    "no time": (ended(), flows_with(Rule(), template="{yyyy}"), {}),
    "an escaped quote": (ended("workflow=f.toml&k=%22"), flows_with(Rule()), {}),
    "a long info": (
        ended(f"workflow=f.toml&k={'v' * 9_000}"),
        flows_with(Rule(), template="{meta:k}" * 2),
        {},
    ),
    "a child for the router": (ended(), flows_with(Rule(), topic="done"), {}),
    "many children": (ended(), flows_with(*[Rule()] * 101), {}),
}


@pytest.mark.parametrize("name", UNUSUAL)
def test_everything_else_is_left_alone(name: str) -> None:
    task, flows, more = UNUSUAL[name]
    assert Usual(flows, "").commit(delivery(task, **more), Context(now=NOW), 0) is None


def test_a_child_that_is_paused_is_left_alone_and_others_are_not() -> None:
    paused = Paused((Pause("f.toml:b#0", NOW),))
    for topic, is_usual in (("b", False), ("c", True)):
        found = Usual(flows_with(Rule(), topic=topic), "").commit(
            delivery(ended()), Context(now=NOW, paused=paused), 0
        )
        assert (found is not None) is is_usual
