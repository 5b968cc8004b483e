"""What results start: done_process.json, require.json, and the deviations told in words."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from flowlord.decide.context import Context
from flowlord.decide.done import Done, missing, on_done, sources_of
from flowlord.model.plan import FactKind, Plan
from flowlord.model.problem import Severity
from flowlord.model.task import Task, encode
from flowlord.rules.durations import go_duration, parse_duration
from flowlord.rules.metastring import parse_first, parse_meta
from flowlord.spec.load import parse
from flowlord.taskmaster.surroundings import read_sources
from support.flows import flows_of, workflow
from vectors.cases import cases

NOW = datetime(2024, 1, 15, 10, 7, 30, tzinfo=UTC)
HIGHEST = 1 - 1e-12


def decide(given: dict[str, Any]) -> Plan:
    task = Task(**{"type": "", "info": "", **given["task"]})
    flows = flows_of(given["workflows"])
    ctx = Context(
        now=NOW,
        jitter=HIGHEST if given.get("jitter") == "max" else 0.0,
        failed_topic=given.get("failedtopic", "retry-failed"),
        sources=read_sources(sources_of(task, flows)),
    )
    return on_done(Done(task, "the-key"), flows, ctx)


def shape(task: Task, like: dict[str, Any]) -> dict[str, str]:
    return {key: getattr(task, key) for key in like}


@pytest.mark.parametrize("case", cases("done_process"))
def test_a_result_starts_what_the_vectors_say(case: dict[str, Any]) -> None:
    plan = decide(case["input"])
    expected = case["expected"]
    sent = [*plan.publish, *plan.later, *plan.dead]
    assert [(m.topic, shape(m.task, e["task"])) for m, e in zip(sent, expected["sent"], strict=True)] == [
        (e["topic"], e["task"]) for e in expected["sent"]
    ]
    # What nobody understands is told as well; the Go program only logs it.
    told = () if plan.quarantine else plan.facts
    alerts = [fact.task for fact in told if fact.kind is FactKind.ALERT]
    assert [
        shape(task, like) for task, like in zip(alerts, expected["alerts"], strict=True) if task
    ] == expected["alerts"]
    if "delays" in expected:
        waits = [m.due - NOW if m.due else NOW - NOW for m in sent]
        wanted = [parse_duration(text) // 1000 for text in expected["delays"]]
        assert [
            wait.days * 86_400_000_000 + wait.seconds * 1_000_000 + wait.microseconds for wait in waits
        ] == wanted
        assert [go_duration(parse_duration(text)) for text in expected["delays"]]  # the vector is readable
    if "error" in expected:
        assert plan.quarantine, "an unknown result is set aside"
        assert encode(Task(**{"type": "", "info": "", **case["input"]["task"]})) == plan.quarantine[0].payload


@pytest.mark.parametrize("case", cases("require"))
def test_require_holds_a_child_back_until_the_parent_returned_it(case: dict[str, Any]) -> None:
    rule = case["input"]["rule"]
    flow, problems = parse(_toml(rule), "f.toml", "f.toml")
    if flow is None:  # refused when loaded: it certainly does not start
        assert case["expected"] is False
        assert any(problem.severity is Severity.ERROR for problem in problems)
        return
    [phase] = flow.phases
    assert (missing(phase, parse_first(case["input"]["meta"])) == "") is case["expected"]


def _toml(rule: str) -> bytes:
    import tomli_w

    return tomli_w.dumps({"phase": [{"task": "b", "dependsOn": "a", "rule": rule}]}).encode()


DEVIATIONS = {
    case.values[0]["name"]: case.values[0]
    for case in cases("deviations", where="done_process")
    if case.values[0]
}


def deviation(name: str, tmp_path: Any = None, monkeypatch: Any = None) -> dict[str, Any]:
    given = DEVIATIONS[name]["input"]
    if tmp_path is not None:
        monkeypatch.chdir(tmp_path)
        for path, text in given.get("files", {}).items():
            (tmp_path / path).write_text(text)
    return given


def infos(plan: Plan) -> list[str]:
    return [message.task.info for message in plan.messages]


def test_a_task_is_judged_by_the_workflow_that_it_names() -> None:
    plan = decide(deviation("task1 no retry"))
    assert [fact.kind for fact in plan.facts] == [FactKind.DONE, FactKind.DEAD, FactKind.ALERT]
    plan = decide(deviation("retry: phase of another file is used"))
    assert not plan.later
    assert plan.dead


def test_the_offset_of_a_child_moves_its_time() -> None:
    given = deviation("child offset is ignored")
    plain = {
        **given,
        "workflows": {"f.toml": [{"task": "a"}, {"task": "b", "dependsOn": "a", "template": "{dd}T{hh}"}]},
    }
    moved = {
        **given,
        "workflows": {
            "f.toml": [
                {"task": "a"},
                {"task": "b", "dependsOn": "a", "rule": "offset=-6h", "template": "{dd}T{hh}"},
            ]
        },
    }
    assert infos(decide(plain)) == ["01T05"]
    assert infos(decide(moved)) == ["31T23"]
    assert decide(given).messages[0].task.info != "01"


def test_a_child_with_for_is_a_batch() -> None:
    plan = decide(deviation("child with for: one task only"))
    assert infos(plan) == ["01", "31", "30"]
    assert [m.task.meta for m in plan.publish] == [
        "workflow=f.toml&cron=2024-01-01T05",
        "workflow=f.toml&cron=2023-12-31T05",
        "workflow=f.toml&cron=2023-12-30T05",
    ]
    assert len({m.key for m in plan.publish}) == 3
    assert len({m.task.created for m in plan.publish}) == 3
    assert {m.task.id for m in plan.publish} == {"ID1"}


def test_a_child_with_a_list_makes_a_task_for_each_value() -> None:
    plan = decide(deviation("child with a meta list of two: nothing is sent"))
    assert [(m.task.info, m.task.meta) for m in plan.publish] == [
        ("v1", "workflow=f.toml&k=v1"),
        ("v2", "workflow=f.toml&k=v2"),
    ]


def test_lists_of_one_child_do_not_reach_another() -> None:
    plan = decide(deviation("child with a meta list spoils the next children too"))
    assert [m.topic for m in plan.publish] == ["b", "b", "c"]
    assert infos(decide(deviation("a child meta value leaks into later children"))) == ["leak", "[]"]


def test_rows_of_a_file_see_the_parents_meta_under_their_own(tmp_path: Any, monkeypatch: Any) -> None:
    name = "child with a meta file: one extra task, and no parent values"
    assert infos(decide(deviation(name, tmp_path, monkeypatch))) == ["1|f.txt", "2|f.txt"]


def test_a_child_whose_rows_cannot_be_read_is_told_and_the_others_go_on() -> None:
    files = {
        "f.toml": [
            {"task": "a"},
            {"task": "b", "dependsOn": "a", "rule": "meta-file=none.json"},
            {"task": "c", "dependsOn": "a"},
        ]
    }
    task = {"type": "a", "id": "ID1", "result": "complete", "meta": "workflow=f.toml", "created": "x"}
    plan = decide({"workflows": files, "task": task})
    assert [m.topic for m in plan.publish] == ["c"]
    [alert] = [fact for fact in plan.facts if fact.kind is FactKind.ALERT]
    assert "none.json" in alert.text
    assert "b could not be started" in alert.text


def test_a_repeated_key_of_the_parent_does_not_stop_children() -> None:
    assert len(decide(deviation("parent meta with a repeated key blocks children")).publish) == 1


def test_undocumented_keys_of_a_child_rule_change_nothing() -> None:
    [message] = decide(deviation("child rule with a capital Template key overrides the template")).publish
    assert (message.topic, message.task.info) == ("b", "x")


def test_a_path_that_reads_as_an_early_year_stops_nothing() -> None:
    assert infos(decide(deviation("info path read as the year 3 crashes the process"))) == ["x"]


def test_a_short_delay_is_no_fault() -> None:
    plan = decide(deviation("retry: delay of 2ns crashes"))
    assert len(plan.publish) + len(plan.later) == 1


def test_what_cannot_be_read_in_the_meta_is_kept() -> None:
    [message] = decide(deviation("retry: unreadable pair is lost")).later
    assert parse_meta(message.task.meta) == {"rate": ["50%"], "retry": ["1"], "workflow": ["f.toml"]}


def test_a_failed_task_that_no_phase_made_is_dead_lettered_and_told() -> None:
    plan = decide(deviation("retry: unknown task"))
    assert [m.topic for m in plan.dead] == ["retry-failed"]
    assert [fact.kind for fact in plan.facts] == [FactKind.DONE, FactKind.DEAD, FactKind.ALERT]


@pytest.mark.parametrize(
    ("name", "alerts"),
    [("failed: no_alert without a value still alerts", 0), ("failed: no_alert=false is no alert", 1)],
)
def test_no_alert_means_what_it_says(name: str, alerts: int) -> None:
    plan = decide(deviation(name))
    assert sum(fact.kind is FactKind.ALERT for fact in plan.facts) == alerts
    assert len(plan.dead) == 1


def test_an_alert_is_handled_and_not_an_unknown_result() -> None:
    plan = decide(deviation("alert"))
    assert [fact.kind for fact in plan.facts] == [FactKind.DONE, FactKind.ALERT]
    assert not plan.quarantine
    assert not plan.messages


def test_the_readme_form_of_require_holds_the_child_back() -> None:
    plan = decide(deviation("README require form"))
    assert not plan.messages
    assert [fact.kind for fact in plan.facts] == [FactKind.DONE, FactKind.SKIPPED]


@pytest.mark.parametrize(
    "name",
    [
        "retry: unreadable delay means none",
        "retry: delay as a number means none",
        "retry: negative delay crashes",
        "a phase that depends on itself starts itself again",
    ],
)
def test_what_cannot_be_honoured_is_refused_when_loaded(name: str) -> None:
    with pytest.raises(AssertionError):
        workflow("f.toml", deviation(name)["workflows"]["f.toml"])


def test_every_deviation_has_a_test() -> None:
    source = Path(__file__).read_text("utf-8")
    assert [name for name in DEVIATIONS if f'"{name}"' not in source] == []
