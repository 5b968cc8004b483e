"""Backloads as existing programs ask for them over HTTP, and where we do better."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec
import pytest
import tomli_w

from flowlord.decide import backload
from flowlord.decide.backload import (
    BadRequest,
    Request,
    on_backload,
    phase_of,
    read_request,
    reply,
    source_of,
)
from flowlord.decide.context import Context
from flowlord.model.workflow import Workflow, Workflows
from flowlord.spec.load import parse
from flowlord.taskmaster.surroundings import read_sources
from vectors.cases import cases

NOW = datetime(2024, 1, 15, 10, 7, 30, tzinfo=UTC)


def flows_of(files: dict[str, Any]) -> Workflows:
    """Load what can be loaded: a phase with a rule that cannot be honoured is off."""
    found: dict[str, Workflow] = {}
    for name, phases in files.items():
        kept = [{key: value for key, value in phase.items() if value != ""} for phase in phases]
        flow, _ = parse(tomli_w.dumps({"phase": kept}).encode(), name, name)
        if flow is not None:
            found[name] = flow
    return Workflows(found)


def asked(given: dict[str, Any], folder: Path) -> tuple[int, dict[str, Any]]:
    """Answer a request as the HTTP API will."""
    for path, text in given.get("files", {}).items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_text(text)
    flows = flows_of(given["workflows"])
    try:
        request = read_request(given["body"].encode())
        source = source_of(request, phase_of(request, flows))
        ctx = Context(
            now=datetime.fromisoformat(given["now"]), sources=read_sources([source] if source else [])
        )
        found = on_backload(request, flows, ctx, "id")
        return 200, msgspec.to_builtins(reply(found, executed=request.execute))
    except BadRequest as error:
        return 400, {"error": str(error)}


def shape(task: dict[str, Any]) -> dict[str, Any]:
    return {name: task.get(name, "") for name in ("type", "job", "info", "meta")}


@pytest.mark.parametrize("case", cases("backload"))
def test_a_request_is_answered_as_the_vectors_say(
    case: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    expected = case["expected"]
    if case["op"] == "backload_meta":
        body = f'{{"task": "t", "template": "x", "meta": {case["input"]}}}'
        if case.get("error"):
            with pytest.raises(BadRequest):
                read_request(body.encode())
        else:
            assert {key: list(found) for key, found in read_request(body.encode()).meta.items()} == expected
        return
    code, answer = asked(case["input"], tmp_path)
    assert code == expected["code"], answer
    if code != 200:
        return
    assert (answer["Status"], answer["Count"]) == (expected["status"], expected["count"])
    assert expected["sent"] == (answer["Count"] if answer["Status"].startswith("Executed") else 0)
    tasks = answer["Tasks"]
    if "tasks" in expected:
        assert (tasks and [shape(task) for task in tasks]) == expected["tasks"]
    else:
        assert [shape(tasks[0]), shape(tasks[-1])] == expected["tasks_first_last"]


def deviation(name: str) -> dict[str, Any]:
    found = [param.values[0] for param in cases("deviations", where="backload")]
    if found == [{}]:
        pytest.skip("no vectors")
    [case] = [case for case in found if case["name"] == name]
    return dict(case["input"])


def test_a_phase_without_a_template_takes_that_of_the_request(tmp_path: Path) -> None:
    code, answer = asked(deviation("phase with an empty template"), tmp_path)
    assert code == 200
    assert [task["info"] for task in answer["Tasks"]] == ["mine"]


def test_the_workflow_of_the_request_chooses_the_file(tmp_path: Path) -> None:
    _, answer = asked(deviation("workflow of the request does not choose the file"), tmp_path)
    assert [task["info"] for task in answer["Tasks"]] == ["b"]
    assert answer["Status"] == "DRY RUN ONLY: phase found in b.toml, using default day iterator"


def test_the_year_one_is_refused(tmp_path: Path) -> None:
    code, answer = asked(deviation("year one panics"), tmp_path)
    assert (code, answer["error"]) == (400, '"0001-01-02" is no year for tasks')


def test_a_large_range_is_shown_by_its_ends_and_sent_only_when_confirmed(tmp_path: Path) -> None:
    given = deviation("large range is not limited")
    code, answer = asked(given, tmp_path)
    assert (code, answer["Count"]) == (200, 35_065)
    assert [task["info"] for task in answer["Tasks"]] == ["20200101T000000", "20240101T000000"]
    body = json.loads(given["body"])
    code, answer = asked({**given, "body": json.dumps({**body, "execute": True})}, tmp_path)
    assert (code, "confirm" in answer["error"]) == (400, True)
    code, answer = asked({**given, "body": json.dumps({**body, "execute": True, "confirm": True})}, tmp_path)
    assert (code, answer["Count"]) == (200, 35_065)
    code, answer = asked(
        {**given, "body": json.dumps({**body, "from": "2000-01-01", "to": "2024-01-01"})}, tmp_path
    )
    assert (code, "more than 100000 tasks" in answer["error"]) == (400, True)


@pytest.mark.parametrize(
    "body",
    [
        '{"task": "t", "template": "x", "meta": {"a": 1}}',
        '{"task": "t", "template": "x", "meta": {"a": "1", "b": ["2"]}}',
        '{"task": "t", "template": "x", "meta": ["a"]}',
        '{"task": "t", "template": "x", "meta": {"a": ["1"], "b": ["2", "3"]}}',
        '{"task": "t", "template": "x", "meta": {"a": "1"}, "meta-file": "r.json"}',
        '{"task": 5}',
        "[]",
        "[" * 100_000,
    ],
)
def test_a_body_of_the_wrong_kind_is_refused(body: str, tmp_path: Path) -> None:
    code, answer = asked({"workflows": {}, "body": body, "now": "2024-01-15T10:07:30Z"}, tmp_path)
    assert code == 400, answer


@pytest.mark.parametrize(
    ("more", "text"),
    [
        ({"start": "2024-13-01"}, "is no time"),
        ({"by": "fortnight"}, "is no step"),
        ({"workflow": "none.toml"}, "none.toml has no phase t"),
        ({"task": "zz", "template": ""}, "no template found for zz"),
    ],
)
def test_a_person_is_told_what_a_program_gets_a_note_about(more: dict[str, str], text: str) -> None:
    request = msgspec.structs.replace(Request(task="t", template="x", is_strict=True), **more)
    with pytest.raises(BadRequest, match=text):
        on_backload(request, Workflows(), Context(now=NOW))


@pytest.mark.parametrize(
    ("order", "start", "end", "days"),
    [
        ("", "2024-01-01", "2024-01-03", ["01", "02", "03"]),
        ("", "2024-01-03", "2024-01-01", ["03", "02", "01"]),
        ("newest", "2024-01-01", "2024-01-03", ["03", "02", "01"]),
        ("newest", "2024-01-03", "2024-01-01", ["03", "02", "01"]),
        ("oldest", "2024-01-03", "2024-01-01", ["01", "02", "03"]),
    ],
)
def test_the_order_is_that_of_the_range_or_the_one_asked_for(
    order: str, start: str, end: str, days: list[str]
) -> None:
    request = Request(task="t", template="{dd}", start=start, end=end, order=order)
    answer: Any = reply(on_backload(request, Workflows(), Context(now=NOW)), executed=False)
    assert [task.info for task in answer["Tasks"]] == days


def test_dates_are_those_of_the_zone_that_the_phase_has() -> None:
    flows = flows_of({"f.toml": [{"task": "t", "rule": "cron=0 3 * * *&tz=Asia/Tokyo", "template": "{ts}"}]})
    answer: Any = reply(
        on_backload(Request(task="t", at="2024-01-02T03"), flows, Context(now=NOW)), executed=False
    )
    assert [(task.info, task.meta) for task in answer["Tasks"]] == [
        ("20240102T030000", "cron=2024-01-02T03&workflow=f.toml")
    ]


def test_every_deviation_of_backloads_has_a_test() -> None:
    source = Path(__file__).read_text("utf-8")
    known = [param.values[0].get("name", "") for param in cases("deviations", where="backload")]
    assert [name for name in known if f'deviation("{name}")' not in source and name] == []


# Each of these has a test here or in tests/unit/test_decide_file.py that an entry without an expectation fails.
COVERED = {
    "backload", "batch_expand", "done_process", "file_event", "job_run", "phase_lookup", "phase_parse",
    "template_parse",
}  # fmt: skip


def test_deviations_belong_to_vectors_whose_deviations_are_tested() -> None:
    homes = {param.values[0].get("file", "").removesuffix(".json") for param in cases("deviations")} - {""}
    assert homes <= COVERED


def test_a_phase_that_is_loaded_without_a_template_is_told_to_have_none() -> None:
    flows = flows_of({"a.toml": [{"task": "t"}]})
    with pytest.raises(BadRequest) as refused:
        on_backload(Request(task="t", start="2024-01-01", is_strict=True), flows, Context(now=NOW))
    assert "has none: give one, --template TEXT" in refused.value.hint


def test_a_person_who_asks_for_too_much_is_told_how_much_it_is_and_the_flag_that_allows_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    flows = flows_of({"b.toml": [{"task": "b", "rule": "cron=@yearly", "template": "{dd}"}]})
    ctx = Context(now=NOW)
    asked_for = Request("b", start="2000-01-01", end="2019-12-31", by="hour", is_strict=True, limit=99)
    with pytest.raises(BadRequest, match="these are 175,297 tasks, and 99 are allowed") as told:
        on_backload(asked_for, flows, ctx)
    assert "--limit 175297" in told.value.hint
    across = msgspec.structs.replace(asked_for, meta={"n": ("1", "2", "3")}, limit=9)
    with pytest.raises(BadRequest, match="these are 525,891 tasks, and 9 are allowed"):
        on_backload(across, flows, ctx)
    monkeypatch.setattr(backload, "COUNTED", 10)
    with pytest.raises(BadRequest, match="more than 30 tasks") as told:
        on_backload(msgspec.structs.replace(across, by="day"), flows, ctx)
    assert "--limit N" in told.value.hint


def test_one_date_has_no_iterator_to_tell_of() -> None:
    flows = flows_of({"b.toml": [{"task": "b", "rule": "cron=@yearly", "template": "{dd}"}]})
    found = on_backload(Request("b", at="2026-07-01", is_strict=True), flows, Context(now=NOW))
    assert found.notes == ("phase found in b.toml",)
