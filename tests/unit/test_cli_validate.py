"""What `flowlord validate` prints: lines for people and machines, marks below the text on a terminal."""

import io
import json
import os
import sys

import pytest
from typer.testing import CliRunner

from flowlord.cli import convert, validate
from flowlord.cli.author import app
from flowlord.cli.validate import Wanted, run
from flowlord.model.errors import InvalidConfig

BAD = '[[phase]]\ntask = "u"\nrule = "cron=@daily&ofset=1h"\n\ttemplate = "{yyy}"\n'


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "a.toml").write_text(BAD, "utf-8")
    return tmp_path


def test_text_has_a_line_and_a_hint_for_each_problem(folder, capsys):
    assert run(["a.toml"]) == 1
    out, err = capsys.readouterr()
    assert out.splitlines() == [
        "a.toml:3:21: FL021 error: unknown rule option 'ofset' [fixable]",
        "    hint: did you mean 'offset'?",
        "a.toml:4:14: FL040 warning: unknown token '{yyy}' [fixable, unsafe]",
        "    hint: did you mean '{yyyy}'?",
    ]
    assert err == "1 file, 1 phase: 1 error, 1 warning (1 fixable with --fix, 1 with --fix --unsafe-fixes)\n"


def test_a_terminal_shows_the_line_and_marks_the_place(folder, capsys, monkeypatch):
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True, raising=False)
    assert run(["a.toml"], color="never") == 1
    assert capsys.readouterr().out.splitlines() == [
        "a.toml:3:21: FL021 error: unknown rule option 'ofset' [fixable]",
        "  |",
        '3 | rule = "cron=@daily&ofset=1h"',
        "  |                     ^^^^^",
        "    hint: did you mean 'offset'?",
        "a.toml:4:14: FL040 warning: unknown token '{yyy}' [fixable, unsafe]",
        "  |",
        '4 |  template = "{yyy}"',
        "  |              ^^^^^",
        "    hint: did you mean '{yyyy}'?",
    ]


def test_colour_is_asked_for(folder, capsys):
    run(["a.toml"], Wanted("concise"), color="always")
    assert "\x1b[31merror\x1b[0m" in capsys.readouterr().out


def test_a_hostile_name_or_line_does_not_reach_the_terminal(tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    name = "a\x1b]8;;x\x07\n.toml"
    (tmp_path / name).write_text('[[phase]]\ntask = "t"\n"\\u001b[31m\\u202e" = 1\nx\u202e = 1\n', "utf-8")
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True, raising=False)
    run(["."], color="never")
    out, err = capsys.readouterr()
    assert not {"\x1b", "\x07", "\u202e"} & set(out + err)


def test_json_is_one_list_and_jsonl_one_object_a_line(folder, capsys):
    run(["a.toml"], Wanted("json"))
    found = json.loads(capsys.readouterr().out)
    assert found[0] == {
        "code": "FL021", "severity": "error", "message": "unknown rule option 'ofset'", "file": "a.toml",
        "line": 3, "column": 21, "end_column": 26, "hint": "did you mean 'offset'?", "fixable": "safe",
        "docs": "flowlord rule FL021",
    }  # fmt: skip
    run(["a.toml"], Wanted("jsonl"))
    assert [json.loads(line) for line in capsys.readouterr().out.splitlines()] == found


def test_exit_codes(folder, capsys):
    assert run(["a.toml"], Wanted(exit_zero=True)) == 0
    assert run(["a.toml"], Wanted(ignore=("FL021",))) == 0
    assert run(["a.toml"], Wanted(ignore=("FL021",), strict=True)) == 1
    assert run(["a.toml"], Wanted(select=("FL1",), strict=True)) == 0
    assert run(["nowhere"]) == 2
    assert run(["a.toml"], Wanted("jsn")) == 2
    assert "write one of text, concise, json, jsonl" in capsys.readouterr().err


def test_a_folder_without_workflows_says_so(tmp_path, capsys):
    (tmp_path / "README.md").touch()
    assert run([str(tmp_path)]) == 1
    out, err = capsys.readouterr()
    assert out == ""
    assert "no workflow files (.toml, .yaml, .yml)" in err
    assert "1 file ignored, no workflows: README.md" in err


@pytest.mark.parametrize(
    ("text", "name", "code"),
    [
        ('[[phase]]\ntask="a"\nrule="cron=@daily"', "stdin.toml", 0),
        ("phases: [{task: a, rule: cron=@daily}]", "stdin.toml", 0),
        ("phases: [{task: a, rule: cron=@daily}]", "x.yaml", 0),
        ("phases: [{task: a, rule: cron=@daily}]", "x.toml", 1),
        ("not anything", "stdin.toml", 1),
    ],
)
def test_stdin_is_read(text, name, code, monkeypatch, capsys):
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(text.encode())))
    assert run(["-"], Wanted(stdin_name=name)) == code
    assert all(line.startswith(("<stdin>:", "    hint:")) for line in capsys.readouterr().out.splitlines())


@pytest.mark.parametrize(
    "text", ["phases: [", "# daily\n\nphases:\n  - task: a\n   rule: x\n", "---\nphases:\n\t- task: a\n"]
)
def test_stdin_that_begins_as_no_toml_does_is_told_as_yaml(text, monkeypatch, capsys):
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(text.encode())))
    assert run(["-"]) == 1
    assert ": FL006 error: " in capsys.readouterr().out


@pytest.mark.parametrize("form", ["sarif", "github", "gitlab", "junit"])
def test_a_form_that_has_no_counts_is_refused_with_statistics(folder, form, capsys):
    assert run(["a.toml"], Wanted(form, statistics=True)) == 2
    assert capsys.readouterr().out == ""


def test_a_folder_that_vanishes_is_watched_on(tmp_path, monkeypatch, capsys):
    seen = iter([["stamp"], [None], KeyboardInterrupt()])
    answers = iter([0, 2])

    def stamps(path, config):
        following = next(seen)
        if isinstance(following, BaseException):
            raise following
        return following[0]

    monkeypatch.setattr(validate, "_stamps", stamps)
    monkeypatch.setattr(validate, "LOOK_S", 0)
    monkeypatch.setattr(validate, "run", lambda *_, **__: next(answers))
    assert validate.watch([str(tmp_path)], Wanted()) == 130


def test_one_missing_path_does_not_hide_what_is_wrong_elsewhere(folder, capsys):
    (folder / "good.toml").write_text('[[phase]]\ntask = "a"\nrule = "cron=@daily"\n', "utf-8")
    assert run(["good.toml", "missing.toml", "a.toml"]) == 2
    out, err = capsys.readouterr()
    assert "a.toml:3:21: FL021 error" in out
    assert "error: missing.toml: there is no such file or folder" in err
    assert "2 files, 2 phases: 1 error, 1 warning" in err
    assert run(["missing.toml", "a.toml"], Wanted(fix="fix")) == 2
    assert (folder / "a.toml").read_text("utf-8") == BAD  # mended is what was named in full


def test_a_link_to_nowhere_is_an_error(tmp_path, capsys):
    (tmp_path / "x.toml").symlink_to("nowhere")
    assert run([str(tmp_path)]) == 1
    out, _ = capsys.readouterr()
    assert "x.toml: FL001 error: cannot be read: it is a link to a file that is not there" in out


def test_a_path_without_letters_is_named(capsys):
    assert run([""]) == 2
    assert "error: '': there is no such file or folder" in capsys.readouterr().err


def test_a_pipe_is_told_how_it_is_read(tmp_path, capsys):
    os.mkfifo(tmp_path / "pipe")
    assert run([str(tmp_path / "pipe")]) == 1
    out, _ = capsys.readouterr()
    assert "no regular file" in out
    assert "hint: - is stdin: flowlord validate - < FILE" in out


def test_that_there_are_more_problems_is_told_last(tmp_path, capsys):
    (tmp_path / "a.toml").write_text(
        '[[phase]]\ntask = "a"\nrule = "cron=@daily"\ntemplate = "{yyy}"\n' * 2000, "utf-8"
    )
    run([str(tmp_path)], Wanted("concise"))
    lines = capsys.readouterr().out.splitlines()
    assert [number for number, line in enumerate(lines) if " FL009 " in line] == [len(lines) - 1]


def test_a_configuration_that_is_not_there_is_told(folder):
    found = CliRunner().invoke(app, ["validate", "a.toml", "--config", "nope.toml"])
    assert isinstance(found.exception, InvalidConfig)
    assert "names a file that is not there" in str(found.exception)


def test_convert_and_validate_call_stdin_the_same(monkeypatch, capsys):
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(b"[[phase]]\ntask = 1\n")))
    assert convert.run("-", source="flowlord") == 1
    err = capsys.readouterr().err
    assert "<stdin>:2:8: FL010" in err
    assert "<stdin> is not converted" in err
