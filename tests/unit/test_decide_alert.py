"""How an alert is told, and where: what `alert=` and `alert_to=` of a phase say goes along with each."""

from datetime import UTC, datetime

import pytest

from flowlord.decide.batch import halt_commit
from flowlord.decide.context import Context
from flowlord.decide.done import Done, on_done
from flowlord.decide.lapse import on_lapse
from flowlord.decide.recipe import Position, decode_recipe
from flowlord.decide.tick import failed, on_tick
from flowlord.model.message import Delivery
from flowlord.model.plan import FactKind
from flowlord.model.task import Task, encode
from flowlord.model.workflow import Workflows
from flowlord.spec.parse import parse
from flowlord.taskmaster.landing import quarantine

NOW = datetime(2026, 8, 1, tzinfo=UTC)
CTX = Context(now=NOW)


def loaded(rule, **more):
    lines = "".join(f"{key} = {value!r}\n" for key, value in more.items())
    flow, problems = parse(f'[[phase]]\ntask = "load:users"\nrule = "{rule}"\n{lines}'.encode(), "a.toml")
    assert flow is not None, problems
    return Workflows({"a.toml": flow}), flow.phases[0]


def alerts(facts):
    return [(fact.mode, fact.to) for fact in facts if fact.kind is FactKind.ALERT]


def reported(result):
    return Done(
        Task(type="load", job="users", info="", meta="workflow=a.toml&job=users", result=result, msg="boom"),
        "k",
        phase="a.toml:load:users",
    )


@pytest.mark.parametrize("result", ["error", "alert", "odd"])
def test_a_result_is_told_in_the_way_and_to_the_channel_of_its_phase(result):
    flows, _ = loaded("cron=@daily&alert=digest&alert_to=oncall")
    assert alerts(on_done(reported(result), flows, CTX).facts) == [("digest", "oncall")]


def test_with_alert_none_a_failure_is_told_to_nobody_and_a_result_alert_all_the_same():
    flows, _ = loaded("cron=@daily&alert=none&alert_to=oncall")
    plan = on_done(reported("error"), flows, CTX)
    assert alerts(plan.facts) == []
    assert [fact.kind for fact in plan.facts] == [FactKind.DONE, FactKind.DEAD]
    assert alerts(on_done(reported("alert"), flows, CTX).facts) == [("", "oncall")]


def test_a_task_without_a_phase_is_told_as_the_configuration_says():
    assert alerts(on_done(reported("error"), Workflows(), CTX).facts) == [("", "")]


def test_a_phase_that_cannot_start_is_told_in_its_way_also_with_alert_none():
    for word, mode in (("every", "every"), ("none", "")):
        flows, phase = loaded(f"cron=@daily&alert={word}&alert_to=oncall&meta-file=gone.csv")
        assert alerts(on_tick(phase, NOW, CTX).facts) == [(mode, "oncall")]
        assert alerts([failed(phase, "c", "x")]) == [(mode, "oncall")]
        assert flows.rule_of(phase.identity) is phase.rule


def test_poison_and_what_is_set_aside_are_told_in_the_way_of_their_phase():
    flows, phase = loaded("cron=@daily&alert=every&alert_to=oncall")
    good = encode(Task(type="load", job="users", info="", meta="workflow=a.toml&job=users"))
    for payload in (good, b"\xff"):
        lapsed = Delivery("load", "1", payload, "t", "c", deliveries=3, key="k", phase=phase.identity)
        plan = on_lapse(lapsed, flows, CTX)
        assert plan is not None
        assert alerts(plan.facts) == [("every", "oncall")]
        assert alerts(quarantine(lapsed, "no JSON", flows.rule_of(lapsed.phase)).facts) == [
            ("every", "oncall")
        ]
        assert alerts(on_lapse(lapsed, Workflows(), CTX).facts) == [("", "")]


def test_a_batch_remembers_how_its_phase_wants_it_told_that_it_stopped():
    _, phase = loaded("cron=@daily&for=-500d&by=hour&alert=every&alert_to=oncall")
    plan = on_tick(phase, NOW, CTX)
    [opened] = plan.opened
    recipe = decode_recipe(opened.recipe)
    commit = halt_commit(opened.key, recipe, Position(), "the rows changed")
    assert alerts(commit.plan.facts) == [("every", "oncall")]
    assert alerts(halt_commit(opened.key, recipe, Position(), "", by="ana").plan.facts) == []
