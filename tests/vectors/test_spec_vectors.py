"""Phase files, rules and the finding of phases, as the vectors tell them."""

import json
from datetime import UTC, datetime
from typing import Any

import pytest

from flowlord.model.problem import Severity
from flowlord.model.workflow import Phase, Workflow, Workflows
from flowlord.rules.durations import go_duration
from flowlord.rules.metastring import parse_meta
from flowlord.spec.author.inspect import inspect, verdict
from flowlord.spec.check import Parsed
from flowlord.spec.parse import parse_file
from flowlord.spec.rule import parse_rule
from vectors.cases import FOLDER, cases

NOT_SCHEDULED = "non-scheduled phase: use depends_on, cron or files"


def read(text: str, name: str = "flow.toml") -> Parsed:
    return parse_file(text.encode(), name, name)


def toml(phases: list[dict[str, Any]]) -> str:
    """Write phases as TOML; JSON strings are TOML strings."""
    lines: list[str] = []
    for phase in phases:
        lines.append("[[phase]]")
        lines += [f"{key} = {json.dumps(value, ensure_ascii=False)}" for key, value in phase.items()]
    return "\n".join(lines)


def errors(parsed: Parsed) -> list[str]:
    return [problem.code for problem in parsed.problems if problem.severity is Severity.ERROR]


def seen(phase: Phase) -> dict[str, Any]:
    """A phase in the words of the vectors."""
    idle = not (phase.rule.cron or phase.rule.files or phase.depends_on)
    return {
        "task": phase.task,
        "topic": phase.topic,
        "job": phase.job,
        "stored_task": phase.base_name,
        "depends_on": phase.depends_on,
        "rule": phase.rule_text,
        "retry": phase.retry,
        "template": phase.template,
        "status": NOT_SCHEDULED if idle else "",
    }


@pytest.mark.parametrize("case", cases("phase_parse"))
def test_phase_files_are_read_as_the_vectors_tell(case):
    if case["op"] == "validate":
        parsed = read(toml([{"task": "t", **case["input"]}]))
        told = {problem.code for problem in parsed.problems}
        assert not errors(parsed)
        assert ("FL101" in told) == (case["expected"] == NOT_SCHEDULED)
        return
    parsed = read(case["input"])
    if case.get("error"):
        assert errors(parsed)
        assert parsed.workflow is None
        return
    assert errors(parsed) == []
    assert parsed.workflow is not None
    found = [seen(phase) for phase in parsed.workflow.phases]
    assert len(found) == len(case["expected"])
    for phase, expected in zip(found, case["expected"], strict=True):
        assert {key: phase[key] for key in expected} == expected
    idle = sum(phase["status"] != "" for phase in found)
    told = [problem.code for problem in parsed.problems]
    assert told.count("FL101") + told.count("FL026") == idle  # where cron= is missing, that is what is told


@pytest.mark.parametrize("case", cases("phase_parse"))
def test_what_is_good_here_gets_no_error_from_the_checks_for_authors_either(case):
    text = case["input"] if case["op"] != "validate" else toml([{"task": "t", **case["input"]}])
    inspected = inspect(text.encode(), "flow.toml", "flow.toml", datetime(2026, 11, 27, tzinfo=UTC))
    told = verdict([inspected], inspected.problems, looked_at_files=False)
    is_told = Severity.ERROR in {each.severity for each in told}
    assert is_told == bool(case.get("error")), [str(each) for each in told]


@pytest.mark.parametrize("case", cases("deviations", where="phase_parse"))
def test_what_the_go_program_took_wrongly_is_refused(case):
    wanted = {"report a dependency cycle": "FL100", "an error": "FL014"}[case["wanted"]]
    assert errors(read(case["input"])) == [wanted]


@pytest.mark.parametrize("case", cases("rule_parse"))
def test_rules_are_read_as_the_vectors_tell(case):
    parsed = read(toml([{"task": "t", **case["input"]}]))
    rule, findings = parse_rule(case["input"]["rule"])
    phase = parsed.workflow.phases[0] if parsed.workflow else None
    shape = {
        "kind": "batch" if rule.cron and rule.is_batch else "cron" if rule.cron else "unscheduled",
        "cron": rule.cron,
        "files": rule.files[0] if rule.files else "",
        "job": phase.job if phase else rule.job,
        "retry_delay": "" if rule.retry_delay_ns is None else dict(rule.pairs)["retry_delay"],
        "no_alert": rule.no_alert,
        "require": list(rule.require),
        "offset": go_duration(rule.offset_ns),
        "for": go_duration(rule.for_ns),
        "by": rule.by,
        "meta": {key: list(items) for key, items in rule.meta.items()},
        "meta_file": rule.meta_file,
    }
    codes = {problem.code for problem in parsed.problems if problem.severity is Severity.ERROR}
    if any(finding.code in codes for finding in findings):
        shape = {"kind": "error"}
    expected = case["expected"]
    assert {key: shape.get(key) for key in expected} == expected
    # Unequal lists are lists, but no rule that could ever run.
    assert parsed.workflow is not None or expected["kind"] == "error" or codes == {"FL061"}


def load_all(files: dict[str, list[dict[str, Any]]]) -> Workflows:
    flows: dict[str, Workflow] = {}
    for name, phases in files.items():
        parsed = read(toml(phases), name)
        assert parsed.workflow is not None, parsed.problems
        flows[name] = parsed.workflow
    return Workflows(flows)


@pytest.mark.parametrize("case", [*cases("phase_lookup"), *cases("deviations", where="phase_lookup")])
def test_phases_are_found_as_the_vectors_tell(case):
    flows = load_all(case["input"]["workflows"])
    task = case["input"]["task"]
    workflow = parse_meta(task.get("meta", "")).get("workflow", [""])[0]
    if case["input"].get("children"):
        found = flows.children(workflow, task["type"], task.get("job", ""))
        assert len(found) == len(case["expected"])
        for child, expected in zip(found, case["expected"], strict=True):
            shown = {**seen(child), "task": child.base_name}
            assert {key: shown[key] for key in expected} == expected
        return
    phase = flows.phase_of(workflow, task["type"], task.get("job", ""))
    if case.get("wanted") == "found":
        assert phase is not None
        return
    expected = case["expected"]
    if expected is None:
        assert phase is None
        return
    assert phase is not None
    shown = {**seen(phase), "task": phase.base_name, "file": phase.workflow}
    assert {key: shown[key] for key in expected} == expected


# Phase files of other vectors that must be refused, with the code that says why.
REFUSED = {
    ("done_process", "retry: unreadable delay means none"): "FL050",
    ("done_process", "retry: delay as a number means none"): "FL050",
    ("done_process", "retry: negative delay crashes"): "FL051",
    ("backload", "phase rule with a bad meta"): "FL060",
    ("backload", "phase rule with both meta and meta-file"): "FL062",
    ("file_event", "bad pattern never matches"): "FL070",
    ("done_process", "a phase that depends on itself starts itself again"): "FL100",
}


def files_of(case: dict[str, Any]) -> dict[str, list[dict[str, Any]]]:
    given = case["input"]
    if not isinstance(given, dict):
        return {}
    if "workflows" in given:
        return given["workflows"]
    phases = given.get("rules") or ([given["phase"]] if isinstance(given.get("phase"), dict) else [])
    return {"a.toml": [{key: value for key, value in phase.items() if key != "workflow"} for phase in phases]}


def every_file() -> list[Any]:
    found = []
    for path in sorted(FOLDER.glob("*.json")):
        for case in json.loads(path.read_text("utf-8")):
            home = case.get("file", path.name).removesuffix(".json")
            for name, phases in files_of(case).items() if path.stem != "rule_parse" else ():
                if phases and all(isinstance(phase, dict) for phase in phases):
                    found.append(
                        pytest.param(home, case["name"], phases, id=f"{path.stem}: {case['name']} {name}")
                    )
    return found


@pytest.mark.parametrize(("file", "name", "phases"), every_file())
def test_no_phase_file_of_the_vectors_is_refused_without_a_reason(file, name, phases):
    refused = errors(read(toml(phases)))
    assert set(refused) == ({REFUSED[file, name]} if (file, name) in REFUSED else set())
