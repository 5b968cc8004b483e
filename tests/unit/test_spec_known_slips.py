"""Slips in the written examples and test files of the system we follow: each is taken, or told with what to write.

One of them, a port for two servers, is about a server that is not there yet: its setting is noted.
"""

from datetime import UTC, datetime
from pathlib import Path

import pytest

from flowlord.config import resolve
from flowlord.decide.context import Context
from flowlord.decide.done import Done, on_done
from flowlord.decide.tick import on_tick
from flowlord.model.errors import InvalidConfig
from flowlord.model.problem import Problem
from flowlord.model.task import Result, Task
from flowlord.spec.author.inspect import inspect, verdict
from support.flows import flows_of, workflow

NOW = datetime(2026, 11, 27, tzinfo=UTC)
PARENT = '[[phase]]\ntask = "a"\nrule = "cron=@daily"\n'


def told(text: str) -> list[Problem]:
    inspected = inspect(text.encode(), "f.toml", "f.toml", NOW)
    return verdict([inspected], inspected.problems, looked_at_files=False)


def of_rule(rule: str, template: str = "") -> list[Problem]:
    return told(f'[[phase]]\ntask = "b"\ndependsOn = "a"\nrule = "{rule}"\ntemplate = "{template}"\n{PARENT}')


def test_a_missing_closing_quote_is_told_where_the_string_begins():
    [found] = told('[[phase]]\ntask = "a"\nrule="cron=0 30 4 * * *&for=-24h&by=day\n')
    assert (found.place, found.code, found.text) == ("f.toml:3:6", "FL005", "the string is not closed")


def test_require_with_a_colon_is_taken_and_has_a_fix():
    [found] = of_rule("require:{meta:file}")
    assert (found.code, found.severity, found.line) == ("FL027", "warning", 4)
    assert found.fix is not None
    assert found.fix.safe


@pytest.mark.parametrize("rule", ["Offset=1h", "META-FILE=/x.csv", "meta_file=/x.csv", "meta-file=/x.csv"])
def test_names_of_options_are_taken_in_any_case_and_with_either_dash(rule):
    assert told(f'[[phase]]\ntask = "a"\nrule = "cron=@daily&{rule}"\n') == []


def test_a_list_of_meta_with_an_equals_sign_is_taken_and_has_a_fix():
    rule, template = "cron=@daily&meta=key1:1,2,3|key2=1,2,3", "{meta:key1}{meta:key2}"
    [found] = told(f'[[phase]]\ntask = "a"\nrule = "{rule}"\ntemplate = "{template}"\n')
    assert (found.code, found.severity) == ("FL027", "warning")
    assert found.fix is not None
    assert [edit.text for edit in found.fix.edits] == [":"]


def test_a_leading_question_mark_is_no_fault():
    assert told('[[phase]]\ntask = "a"\nrule = "?cron=@daily&for=-48h"\n') == []


def test_a_bare_schedule_is_told_with_the_missing_word():
    found = told('[[phase]]\ntask = "a"\nrule = "0 0 * * * *"\n')
    assert ("FL026", "did you mean 'cron=0 0 * * * *'?") in {(each.code, each.hint) for each in found}


def test_a_date_with_an_hour_is_told_with_the_option_that_says_hour():
    [found] = told('[[phase]]\ntask = "a"\nrule = "cron=@hourly"\ntemplate = "?date={yyyy}-{mm}-{dd}T{hh}"\n')
    assert (found.code, found.severity) == ("FL048", "note")
    assert found.hint.startswith("write hour=")
    assert found.fix is not None
    assert [edit.text for edit in found.fix.edits] == ["hour"]


def test_rows_of_a_batch_read_what_their_template_names_and_no_more_than_that():
    rule, template = (
        "cron=0 6 * * *&meta=name:a,b|value:1,2",
        "?name={meta:name}&value={meta:value}&day={yyyy}-{mm}-{dd}",
    )
    [phase] = workflow("a.toml", [{"task": "t", "rule": rule, "template": template}]).phases
    sent = on_tick(phase, datetime(2026, 8, 1, 6, tzinfo=UTC), Context(now=NOW)).publish
    assert [each.task.info for each in sent] == [
        "?name=a&value=1&day=2026-08-01", "?name=b&value=2&day=2026-08-01",
    ]  # fmt: skip


def test_the_address_of_a_bus_may_be_a_host_and_a_port():
    assert resolve({}, {"REDIS_URL": "redis:6379"}).bus.address == "redis://redis:6379"


def test_a_port_for_a_server_that_is_not_there_yet_is_noted_and_changes_nothing(tmp_path: Path):
    (tmp_path / "flowlord.toml").write_text("[http]\nport = 8080\n", "utf-8")
    settings = resolve({"config": str(tmp_path / "flowlord.toml")}, {})
    assert [(each.code, each.severity) for each in settings.notes] == [("FL203", "note")]


@pytest.mark.parametrize(
    ("text", "code", "words"),
    [
        ('[topics.load]\nkind = "list"\n', "FL204", "a list loses the task of a worker that dies"),
        ('topics.load.kind = "list"\n', "FL204", "a list loses the task of a worker that dies"),
        ("[topics.load]\npriority = 3\n", "FL201", "a topic needs no setting"),
        ("[topics]\nload = 3\n", "FL201", "a topic needs no setting"),
    ],
)
def test_topics_are_no_plain_lists_and_what_those_would_lose_is_told(tmp_path: Path, text, code, words):
    (tmp_path / "flowlord.toml").write_text(text, "utf-8")
    with pytest.raises(InvalidConfig) as caught:
        resolve({"config": str(tmp_path / "flowlord.toml")}, {})
    [found] = caught.value.problems
    assert found.code == code
    assert words in found.hint


@pytest.mark.parametrize("set_to, topic", [("", "retry-failed"), ("failed_tasks", "failed_tasks")])
def test_dead_letters_lie_on_retry_failed_unless_another_topic_is_set(set_to, topic):
    settings = resolve({}, {"FLOWLORD_FAILED_TOPIC": set_to} if set_to else {})
    assert settings.taskmaster.failed_topic == topic
    flows = flows_of({"a.toml": [{"task": "t", "rule": "cron=@daily"}]})
    task = Task(
        type="t", info="", id="1", created="2026-08-01T00:00:00Z", meta="workflow=a.toml", result=Result.ERROR
    )
    context = Context(now=NOW, failed_topic=settings.taskmaster.failed_topic)
    assert [each.topic for each in on_done(Done(task, "k"), flows, context).dead] == [topic]
