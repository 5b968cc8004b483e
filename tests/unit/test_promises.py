"""What the readme of the Go program promises and its code does not keep, each shown to hold here."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from msgspec.structs import replace

from flowlord.config import resolve
from flowlord.decide.context import Context
from flowlord.decide.done import Done, on_done
from flowlord.decide.file import FileEvent, on_file
from flowlord.decide.tick import on_tick
from flowlord.model.plan import FactKind, Plan
from flowlord.model.task import Result, Task
from flowlord.rules.metastring import parse_meta
from flowlord.rules.moments import time_of_info
from support.flows import flows_of, workflow

NOW = datetime(2020, 1, 2, 1, tzinfo=UTC)
CTX = Context(now=NOW)


def tick(rule: str, template: str) -> list[Task]:
    [phase] = workflow("a.toml", [{"task": "t", "rule": rule, "template": template}]).phases
    return [message.task for message in on_tick(phase, NOW, CTX).publish]


@pytest.mark.parametrize("option", ["offset=-6h", "Offset=-6h", "OFFSET=-6h"])
def test_the_worked_example_of_the_readme_gives_what_it_says_however_offset_is_written(option: str) -> None:
    [task] = tick(f"cron=0 0 * * * *&{option}", "?date={yyyy}-{mm}-{dd}T{hh}")
    assert task.info == "?date=2020-01-01T19"


@pytest.mark.parametrize("token", ["{ts}", "{TS}"])
def test_the_whole_time_is_written_in_either_case(token: str) -> None:
    [task] = tick("cron=0 * * * *", token)
    assert task.info == "20200102T010000"


@pytest.mark.parametrize(
    ("info", "hour"),
    [
        ("?time=2020-01-02T03:04:05Z", 3),
        ("?time=2020-01-02T03:04:05+02:00", 1),
        ("?time=2020-01-02T03:04:05-07:00", 10),
    ],
)
def test_a_time_in_an_info_may_have_an_offset(info: str, hour: int) -> None:
    found = time_of_info(info)
    assert found is not None
    assert found.astimezone(UTC) == datetime(2020, 1, 2, hour, 4, 5, tzinfo=UTC)


def test_history_is_kept_for_ninety_days_unless_it_is_set(tmp_path) -> None:
    assert resolve({}, {}, tmp_path).cache.retention_ns == 90 * 86_400 * 10**9


FILES = {
    "a.toml": [
        {"task": "first", "rule": "files=/in/*.csv", "template": "{meta:file}"},
        {"task": "second", "dependsOn": "first", "rule": "pass=file,rows", "template": "?n=1"},
        {"task": "third", "dependsOn": "second", "template": "{meta:file}|{meta:rows}"},
    ]
}


def only(plan: Plan) -> Task:
    [message] = plan.publish
    return message.task


def test_meta_that_a_child_passes_on_reaches_the_next_generation() -> None:
    flows = flows_of(FILES)
    first = only(on_file(FileEvent("/in/x.csv"), flows, CTX))
    done = replace(first, result=Result.COMPLETE, meta=f"{first.meta}&rows=7")
    second = only(on_done(Done(done, "k1"), flows, CTX))
    third = only(on_done(Done(replace(second, result=Result.COMPLETE), "k2"), flows, CTX))
    assert (third.type, third.info) == ("third", "/in/x.csv|7")


def test_a_task_that_a_file_started_is_recorded_when_it_is_sent_with_what_started_it() -> None:
    plan = on_file(FileEvent("/in/x.csv"), flows_of(FILES), CTX)
    [told] = [fact for fact in plan.facts if fact.kind is FactKind.FILE]
    assert told.file is not None
    assert told.file.path == "/in/x.csv"
    assert parse_meta(only(plan).meta)["file"] == ["/in/x.csv"]


def test_phases_of_one_name_in_two_files_have_their_own_retries_and_children() -> None:
    flows = flows_of(
        {
            "a.toml": [
                {"task": "t", "rule": "cron=@daily", "retry": 3},
                {"task": "a", "dependsOn": "t"},
            ],
            "b.toml": [{"task": "t", "rule": "cron=@daily"}, {"task": "b", "dependsOn": "t"}],
        }
    )

    def decided(result: Result, name: str) -> Plan:
        task = Task(type="t", info="", id="1", result=result, meta=f"workflow={name}")
        return on_done(Done(task, "k"), flows, CTX)

    assert [len(decided(Result.ERROR, name).later) for name in ("a.toml", "b.toml")] == [1, 0]
    assert [only(decided(Result.COMPLETE, name)).type for name in ("a.toml", "b.toml")] == ["a", "b"]


@pytest.mark.parametrize(
    ("rule", "infos"),
    [
        ("cron=30 1 * * *&offset=-90m", ["01T23:30"]),
        ("cron=30 1 * * *&offset=-90m&for=-48h&by=day", ["01T23:00", "31T23:00", "30T23:00"]),
    ],
)
def test_an_offset_moves_a_single_task_by_the_minute_and_a_batch_to_the_hour(
    rule: str, infos: list[str]
) -> None:
    assert [task.info for task in tick(rule, "{dd}T{hh}:{min}")] == infos


@pytest.mark.parametrize("name", ["workflow", "cron", "job", "retry", "retried", "delayed"])
def test_what_flowlord_itself_writes_into_the_meta_is_never_passed_on(name: str) -> None:
    flows = flows_of(
        {
            "a.toml": [
                {"task": "p", "rule": "cron=@daily"},
                {"task": "c", "dependsOn": "p", "rule": f"pass={name}"},
            ]
        }
    )
    meta = f"workflow=a.toml&{name}=2020-01-01T05" if name != "workflow" else "workflow=a.toml"
    child = only(
        on_done(Done(Task(type="p", info="", id="1", result=Result.COMPLETE, meta=meta), "k"), flows, CTX)
    )
    assert child.meta.split("&") == ["workflow=a.toml", *(["cron=2020-01-01T05"] if name == "cron" else [])]
