"""Reading commands in a pipe: data on stdout in every form, words on stderr, exit codes as documented."""

import csv
import io
import json
import re
from pathlib import Path

import pytest

from support.processes import flowlord, write

FLOW = """
[[phase]]
task = "ok:hourly"
rule = "cron=@yearly"
[[phase]]
task = "bad"
rule = "cron=@yearly"
"""
ODD = 'tab\there, "quotes", a comma, ünïcödé, \x1b[31mred\x1b[0m'
READING = [
    ("tasks",),
    ("tasks", "--failed"),
    ("topics",),
    ("topics", "peek", "retry-failed"),
    ("workers",),
    ("config",),
    ("quarantine",),
    ("tasks", "--group-by", "error"),
]


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder in which three tasks came to their end, and one still waits."""
    here = write(tmp_path_factory.mktemp("look"), {"workflows/a.toml": FLOW})
    for name, info in (("ok:hourly", "first"), ("ok:hourly", ODD), ("bad", "third")):
        assert flowlord("send", name, info, cwd=here).code == 0
    workers = ("--worker", "ok=builtin:echo", "--worker", "bad=sh -c 'echo no luck >&2; exit 1'")
    assert flowlord("run", "workflows", "--once", *workers, cwd=here).code == 1
    assert flowlord("send", "waits", cwd=here).code == 0
    return here


@pytest.fixture(scope="module")
def empty(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("empty")


def parsed(form: str, text: str) -> list:
    """The rows that a machine reads out of an output."""
    match form:
        case "json":
            found = json.loads(text)
            assert isinstance(found, list)
            return found
        case "jsonl":
            return [json.loads(line) for line in text.splitlines()]
        case "csv":
            return list(csv.DictReader(io.StringIO(text)))
        case "tsv":
            lines = text.splitlines()
            assert len({line.count("\t") for line in lines}) <= 1, text
            return lines[1:]
        case _:
            return text.splitlines()


@pytest.mark.parametrize("form", ["json", "jsonl", "csv", "tsv", "name"])
def test_every_form_of_tasks_can_be_parsed_and_has_no_escape_codes(home, form):
    found = flowlord("tasks", "-o", form, cwd=home)
    assert found.code == 0, found.err
    assert "\x1b" not in found.out
    assert len(parsed(form, found.out)) == 4
    if form == "json":
        assert ODD in [row["info"] for row in json.loads(found.out)]
        assert {row["state"] for row in json.loads(found.out)} == {"complete", "dead", "waiting"}


@pytest.mark.parametrize(
    ("where", "form"),
    [("home", form) for form in ("json", "jsonl", "csv", "tsv", "name", "table")]
    + [("empty", form) for form in ("json", "table")],
)
@pytest.mark.parametrize("command", READING, ids=" ".join)
def test_every_reading_command_in_every_form_empty_and_full(where, command, form, request):
    found = flowlord(*command, "-o", form, cwd=request.getfixturevalue(where))
    assert found.code == 0, found.err
    assert "\x1b" not in found.out + found.err
    assert "Traceback" not in found.err
    parsed(form, found.out)


def test_a_pipe_gets_tabs_and_whole_values_without_words(home):
    found = flowlord("tasks", cwd=home)
    assert found.code == 0
    assert "\t" in found.out
    assert "…" not in found.out
    whole = json.loads(flowlord("tasks", "-o", "json", cwd=home).out)
    for row in whole:
        assert row["info"].partition("\t")[0] in found.out
    assert re.search(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d", found.out), "times are ISO 8601"
    assert " ago" not in found.out


def test_headers_may_be_left_out(home):
    with_headers = flowlord("tasks", "-o", "tsv", cwd=home).out.splitlines()
    without = flowlord("tasks", "-o", "tsv", "--no-headers", cwd=home).out.splitlines()
    assert with_headers[1:] == without


def test_nothing_found_is_an_empty_list_and_no_error(home, empty):
    for here, more in ((empty, ()), (home, ("--topic", "nobody")), (home, ("--state", "cancelled"))):
        found = flowlord("tasks", *more, "-o", "json", cwd=here)
        assert (found.code, json.loads(found.out)) == (0, [])
    assert not (empty / ".flowlord").exists(), "looking makes nothing"


def test_filters_find_what_they_name(home):
    def infos(*filters: str) -> list[str]:
        found = flowlord("tasks", *filters, "-o", "json", cwd=home)
        assert found.code == 0, found.err
        return sorted(row["info"] for row in found.data)

    assert infos("--failed") == ["third"]
    assert infos("--state", "complete") == sorted(["first", ODD])
    assert infos("--topic", "waits") == [""]
    assert infos("--since", "1h") == infos()
    assert len(flowlord("tasks", "--limit", "2", "-o", "jsonl", cwd=home).out.splitlines()) == 2


def test_one_task_is_told_by_its_id_a_beginning_of_it_or_as_the_last(home):
    [failed] = flowlord("tasks", "--failed", "-o", "json", cwd=home).data
    for name in (failed["id"], failed["id"][:8], "@failed"):
        found = flowlord("task", name, cwd=home)
        assert found.code == 0, found.err
        assert "no luck" in found.out
        assert failed["id"] in found.out
    told = flowlord("task", failed["id"], "-o", "json", cwd=home)
    assert "no luck" in json.dumps(json.loads(told.out))
    assert flowlord("task", "@last", cwd=home).code == 0


@pytest.mark.parametrize("name", ["ffffffff-ffff", "nothing-like-it"])
def test_an_unknown_id_is_no_such_thing(home, name):
    found = flowlord("task", name, cwd=home)
    assert found.code == 5
    assert name in found.err
    assert found.out == ""


def test_in_an_empty_folder_no_task_is_there(empty):
    assert flowlord("task", "@last", cwd=empty).code == 5


def test_tasks_without_a_cache_are_told_from_the_journal_and_it_says_so(tmp_path):
    write(tmp_path, {"workflows/a.toml": FLOW})
    assert flowlord("send", "ok:hourly", "x", cwd=tmp_path).code == 0
    assert (
        flowlord("run", "workflows", "--once", "--no-cache", "--worker", "ok=builtin:noop", cwd=tmp_path).code
        == 0
    )
    assert not (tmp_path / ".flowlord" / "tasks.db").exists()
    found = flowlord("tasks", "-o", "json", cwd=tmp_path)
    assert found.code == 0
    assert [(row["topic"], row["state"]) for row in found.data] == [("ok", "complete")]
    assert "journal" in found.err


def test_peeking_leaves_a_message_where_it_is(home):
    for _ in range(2):
        found = flowlord("topics", "peek", "waits", "-o", "json", cwd=home)
        assert found.code == 0
        assert len(found.data) == 1


def test_topics_count_what_waits(home):
    states = {row["topic"]: row for row in flowlord("topics", "-o", "json", cwd=home).data}
    assert states["waits"]["waiting"] == 1
    assert states["retry-failed"]["waiting"] == 1
