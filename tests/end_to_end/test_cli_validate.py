"""`flowlord validate`: every problem at once, in every form, with exit codes that a build can use."""

import json
import os
import re
from itertools import pairwise

import pytest

from support.processes import FLOWLORD, ROOT, flowlord, ran, write

GOOD = """
[[phase]]
task = "ok"
rule = "cron=@yearly"
"""
WARNS = """
[[phase]]
task = "ok"
rule = "cron=@yearly&colour=red"
"""
LETTERS = "abcdefghij"
BOMB = "a: &a [x,x,x,x,x,x,x,x,x]\n" + "".join(
    f"{letter}: &{letter} [{','.join([f'*{before}'] * 9)}]\n" for before, letter in pairwise(LETTERS)
)
BOMB += "phases: *j\n"
BAD = """
[[phase]]
task = "ok"
rule = "cron=@yearly&ofset=-1h"
retry = "3"

[[phase]]
tsk = "missing"
"""


def test_what_is_fine_says_nothing_on_stdout_and_exits_with_zero(tmp_path):
    ended = flowlord("validate", "workflows", cwd=write(tmp_path, {"workflows/a.toml": GOOD}))
    assert (ended.code, ended.out) == (0, "")
    assert "1 file" in ended.err
    assert "ok" in ended.err


def test_every_problem_is_told_at_once_with_its_place_and_a_hint(tmp_path):
    ended = flowlord(
        "validate", "workflows", cwd=write(tmp_path, {"workflows/a.toml": BAD, "workflows/b.toml": WARNS})
    )
    assert ended.code == 1
    places = re.findall(r"(?m)^(workflows/[ab]\.toml):(\d+):(\d+): (FL\d{3}) (error|warning): ", ended.out)
    assert [(path[-6], line, severity) for path, line, _, _, severity in places] == [
        ("a", "3", "error"), ("a", "4", "error"), ("a", "6", "error"), ("a", "7", "error"), ("b", "3", "warning"),
    ]  # fmt: skip
    assert "did you mean 'offset'?" in ended.out
    assert "4 errors, 1 warning" in ended.err


def test_warnings_count_with_strict_only(tmp_path):
    write(tmp_path, {"workflows/a.toml": WARNS})
    assert flowlord("validate", "workflows", cwd=tmp_path).code == 0
    assert flowlord("validate", "workflows", "--strict", cwd=tmp_path).code == 1


def test_it_reads_files_folders_and_stdin(tmp_path):
    write(tmp_path, {"workflows/a.toml": BAD, "good.toml": GOOD})
    assert flowlord("validate", "good.toml", cwd=tmp_path).code == 0
    assert flowlord("validate", "good.toml", "workflows/a.toml", cwd=tmp_path).code == 1
    assert flowlord("validate", cwd=tmp_path).code == 1, "./workflows without a path"
    assert flowlord("validate", "-", cwd=tmp_path, stdin=GOOD).code == 0
    piped = flowlord("validate", "-", cwd=tmp_path, stdin=BAD)
    assert piped.code == 1
    assert "FL021" in piped.out
    text = "phases:\n  - task: ok\n    rule: cron=@yearly\n"
    yaml = flowlord("validate", "-", "--stdin-name", "a.yaml", cwd=tmp_path, stdin=text)
    assert yaml.code == 0, yaml.out


def test_a_path_that_is_not_there_is_wrong_use(tmp_path):
    ended = flowlord("validate", "nowhere", cwd=tmp_path)
    assert ended.code == 2
    assert "nowhere" in ended.err + ended.out


@pytest.mark.parametrize("form", ["text", "concise", "json", "jsonl"])
def test_every_form_tells_the_same_problems(tmp_path, form):
    ended = flowlord("validate", "workflows", "-o", form, cwd=write(tmp_path, {"workflows/a.toml": BAD}))
    assert ended.code == 1
    match form:
        case "json":
            found = ended.data
        case "jsonl":
            found = [json.loads(line) for line in ended.out.splitlines()]
        case _:
            found = re.findall(r"(?m)^workflows/a\.toml:", ended.out)
    assert len(found) == 4
    if "json" in form:
        assert {"code", "file", "line", "column", "hint"} <= set(found[0])
    assert ended.out.count("FL021") == (2 if "json" in form else 1)  # of which one says how to ask more
    assert ("hint" in ended.out) == (form != "concise")


def test_nothing_wrong_is_an_empty_list_for_machines(tmp_path):
    ended = flowlord("validate", "workflows", "-o", "json", cwd=write(tmp_path, {"workflows/a.toml": GOOD}))
    assert (ended.code, ended.data) == (0, [])


@pytest.mark.parametrize(
    "path", ["workflows", "examples/phases", "examples/quickstart/workflows", "examples"], ids=str
)
def test_what_the_repository_ships_is_without_errors_and_warnings(path):
    ended = flowlord("validate", str(ROOT / path), "--strict", cwd=ROOT)
    assert (ended.code, ended.out) == (0, "")


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("bomb.yaml", BOMB),
        ("deep.yaml", "phases: " + "[" * 50_000),
        ("deep.toml", "phase = " + "[" * 50_000),
        ("dotted.toml", ".".join("a" * 20_000) + " = 1\n"),
        ("binary.toml", "\x00\x01\x02"),
    ],
)  # fmt: skip
def test_a_hostile_file_is_refused_quickly(tmp_path, name, text):
    # Of processor time: how long it takes says more about what else the machine does.
    quickly = ["sh", "-c", 'ulimit -t 8; exec "$@"', "sh", *FLOWLORD, "validate", name]
    ended = ran(quickly, cwd=write(tmp_path, {name: text}))
    assert ended.code == 1
    assert name in ended.out
    assert "Traceback" not in ended.err


@pytest.mark.parametrize("form", ["text", "concise", "json", "jsonl"])
def test_a_file_name_that_is_not_utf_8_is_told_in_every_form(tmp_path, form):
    write(tmp_path, {"workflows/a.toml": GOOD})
    with open(os.fsencode(tmp_path) + b"/workflows/w\xff.toml", "wb") as file:
        file.write(GOOD.encode())
    ended = flowlord("validate", "workflows", "-o", form, cwd=tmp_path)
    assert ended.code == 1
    assert "Traceback" not in ended.err
    assert "the name of the file is not UTF-8" in ended.out
    if form in ("json", "jsonl"):
        [found] = ended.data if form == "json" else [ended.data]
        assert found["file"] == "workflows/w\\udcff.toml"


def test_a_file_name_that_is_not_utf_8_does_not_keep_the_daemon_from_its_start(tmp_path):
    write(tmp_path, {"workflows/a.toml": GOOD})
    with open(os.fsencode(tmp_path) + b"/workflows/w\xff.toml", "wb") as file:
        file.write(GOOD.encode())
    ended = flowlord("run", "workflows", "--once", cwd=tmp_path)
    assert "Traceback" not in ended.err
    assert "a.toml was loaded" in ended.err
    assert "the name of the file is not UTF-8" in ended.err
