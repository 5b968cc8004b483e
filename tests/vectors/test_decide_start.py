"""What a tick, a batch and a file start: job_run, batch_expand, meta_file and file_event."""

from __future__ import annotations

import gzip
import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from flowlord.decide.context import Context
from flowlord.decide.expand import CannotExpand, Start, root_messages
from flowlord.decide.file import FileEvent, on_file
from flowlord.decide.tick import on_tick
from flowlord.model.plan import FactKind
from flowlord.model.task import Task
from flowlord.model.workflow import Phase, Rule
from flowlord.rules.batch import parse_lists, rows_of_lists
from flowlord.rules.durations import parse_duration
from flowlord.storage.local import paths_of
from flowlord.storage.open import Storage
from flowlord.taskmaster.surroundings import read_sources
from flowlord.watch.notices import NoNotice, read_notices
from support.flows import flows_of, workflow
from vectors.cases import cases

NOW = datetime(2024, 1, 15, 10, 7, 30, tzinfo=UTC)


def shape(task: Task, like: dict[str, Any]) -> dict[str, str]:
    return {key: getattr(task, key) for key in like}


def lay(folder: Path, files: Any) -> None:
    named = files.items() if isinstance(files, dict) else [(name, "") for name in files]
    for name, text in named:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(gzip.compress(text.encode()) if name.endswith(".gz") else text.encode())


@pytest.mark.parametrize("case", cases("job_run"))
def test_a_tick_starts_what_the_vectors_say(
    case: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    given = case["input"]
    lay(tmp_path, given.get("files", {}))
    monkeypatch.chdir(tmp_path)
    [phase] = workflow(given["path"], [given["phase"]]).phases
    instant = datetime.fromisoformat(given["now"]).astimezone(ZoneInfo(given.get("tz", "UTC")))
    sources = read_sources([phase.rule.meta_file] if phase.rule.meta_file else [])
    plan = on_tick(phase, instant, Context(now=NOW, sources=sources))
    expected = case["expected"]
    assert [
        (m.topic, shape(m.task, e["task"])) for m, e in zip(plan.messages, expected["sent"], strict=True)
    ] == [(e["topic"], e["task"]) for e in expected["sent"]]
    assert sum(fact.kind is FactKind.ALERT for fact in plan.facts) == len(expected["alerts"])


def expand(given: dict[str, Any]) -> list[Task]:
    zone = ZoneInfo(given.get("tz", "UTC"))
    start = datetime.fromisoformat(given["start"]).replace(tzinfo=zone)
    if "end" in given:
        end = datetime.fromisoformat(given["end"]).replace(tzinfo=zone)
        wall = end - start if given.get("by", "") != "hour" else end.astimezone(UTC) - start.astimezone(UTC)
        length = wall // timedelta(microseconds=1) * 1000
    else:
        length = parse_duration(given.get("for", "0"))
    rule = Rule(
        for_ns=length,
        by=given.get("by", ""),
        meta=given.get("meta", {}),
        has_meta="meta" in given,
        meta_file=given.get("metafile", ""),
    )
    phase = Phase(
        given.get("workflow", ""),
        given["task"],
        given.get("job", ""),
        name="x",
        rule=rule,
        template=given["template"],
    )
    sources = read_sources([rule.meta_file] if rule.meta_file else [])
    return [m.task for m in root_messages(phase, Start("slot"), start, Context(now=NOW, sources=sources), "")]


@pytest.mark.parametrize("case", cases("batch_expand"))
def test_a_batch_expands_as_the_vectors_say(
    case: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    given = case["input"]
    if case["op"] == "create_meta":
        assert rows_of_lists(given) == case["expected"]
        return
    lay(tmp_path, given.get("files", {}))
    monkeypatch.chdir(tmp_path)
    if case.get("error"):
        with pytest.raises(CannotExpand):
            expand(given)
        return
    tasks = expand(given)
    assert [shape(task, like) for task, like in zip(tasks, case["expected"], strict=True)] == case["expected"]
    assert len({task.id for task in tasks}) == len(tasks)


@pytest.mark.parametrize("case", cases("meta_file"))
def test_a_meta_file_is_found_and_read_as_the_vectors_say(
    case: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    given = case["input"]
    lay(tmp_path, given["files"])
    if case["op"] == "glob":
        try:
            found = paths_of(given["pattern"])
        except OSError:
            found = []
        assert ["./" + path.removeprefix("./") for path in found] == case["expected"]
    else:
        lines = [line for path in paths_of(given["path"]) for line, _ in Storage().lines(path)]
        texts = [line[:-1].removesuffix("\r") if line.endswith("\n") else line for line in lines]
        assert [text for text in texts if text] == case["expected"]


STALE = {  # part A of the semantics decides otherwise: of the known options only `job` and `files` travel
    "rule keys are carried into meta": {"retry_delay"},
    "no_alert and require are just meta": {"require"},
}


@pytest.mark.parametrize(
    "case", [case for case in cases("file_event") if case.values[0].get("op") != "stat_parse"]
)
def test_a_file_starts_what_the_vectors_say(case: dict[str, Any]) -> None:
    given = case["input"]
    files: dict[str, list[dict[str, Any]]] = {}
    for rule in given["rules"]:
        files.setdefault(rule["workflow"], []).append({k: v for k, v in rule.items() if k != "workflow"})
    try:
        flows = flows_of(files)
    except AssertionError:
        assert case["name"] == "bad pattern never matches"  # refused when loaded
        return
    event = json.loads(given["message"])
    plan = on_file(FileEvent(event["path"]), flows, Context(now=NOW))
    expected = case["expected"]["sent"]
    left_out = STALE.get(case["name"], set())
    for message, like in zip(plan.publish, expected, strict=True):
        wanted = {**like["task"]}
        wanted["meta"] = "&".join(p for p in wanted["meta"].split("&") if p.partition("=")[0] not in left_out)
        assert (message.topic, shape(message.task, wanted)) == (like["topic"], wanted)
    [told] = [fact for fact in plan.facts if fact.kind is FactKind.FILE]
    assert ("no phase matches" in told.text) is (expected == [])


@pytest.mark.parametrize(
    "case", [case for case in cases("file_event") if case.values[0].get("op") == "stat_parse"]
)
def test_a_notice_is_read_as_the_vectors_say(case: dict[str, Any]) -> None:
    expected = case["expected"]
    try:
        [notice] = read_notices(case["input"].encode())
    except NoNotice:
        assert expected["path"] == ""  # such a message is quarantined with its reason
        return
    found = {
        "path": notice.path, "size": notice.size, "checksum": notice.checksum, "created": notice.created,
        "linecnt": notice.lines, "bytecnt": notice.bytes_, "files": notice.files, "isDir": notice.is_folder,
    }  # fmt: skip
    assert found == expected


BETTER = {
    "meta tokens of a single job stay": ["?d=15"],
    "batch in a half-hour zone truncates on UTC hours": ["15:00a"],
}


@pytest.mark.parametrize("case", cases("deviations", where="job_run"))
def test_a_tick_where_we_do_better(case: dict[str, Any]) -> None:
    given = case["input"]
    [phase] = workflow(given["path"], [given["phase"]]).phases
    instant = datetime.fromisoformat(given["now"]).astimezone(ZoneInfo(given.get("tz", "UTC")))
    plan = on_tick(phase, instant, Context(now=NOW))
    assert [message.task.info for message in plan.publish] == BETTER[case["name"]]


def test_row_values_are_written_as_json_writes_them(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    lay(tmp_path, {"f.json": '{"a":true,"b":[1,{"x":null}],"c":12345678901234567890}\n'})
    given = {
        "template": "{meta:a}|{meta:b}|{meta:c}",
        "task": "t",
        "start": "2024-01-15",
        "metafile": "f.json",
    }
    assert [task.info for task in expand(given)] == ['true|[1,{"x":null}]|12345678901234567890']


def test_a_batch_beyond_its_limit_is_refused_and_told() -> None:
    [phase] = workflow(
        "wf.toml", [{"task": "t", "rule": "cron=@daily&for=48h&by=hour&batch_limit=48"}]
    ).phases
    plan = on_tick(phase, NOW, Context(now=NOW))
    assert not plan.messages
    assert "batch_limit" in plan.facts[0].text
    assert parse_lists("k:a,b") == {"k": ("a", "b")}
