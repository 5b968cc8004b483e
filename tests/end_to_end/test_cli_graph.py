"""`flowlord graph`: chains in the terminal and for programs that draw."""

import pytest

from support.processes import flowlord, write

FLOWS = {
    "w/a.toml": """
[[phase]]
task = "extract:users"
rule = "cron=0 0 * * * *&offset=-6h"
retry = 3

[[phase]]
task = "load"
dependsOn = "extract"
rule = "require={meta:file}&meta=n:1,2"

[[phase]]
task = "lost"
dependsOn = "lod"
""",
    "w/b.yaml": """
phases:
  - {task: "watch", rule: {files: ["in/*.csv", "in/*.gz"], cron: "@daily", tz: Asia/Tokyo}}
  - {task: "by:hand"}
""",
}


def test_chains_are_a_tree_with_what_starts_each(tmp_path):
    write(tmp_path, FLOWS)
    ended = flowlord("graph", "w", cwd=tmp_path)
    assert (ended.code, ended.err) == (0, "")
    assert ended.out.splitlines() == [
        "w/a.toml",
        "extract:users  cron 0 0 * * * *, offset -6h, retry 3",
        "└─ load  meta n, requires file",
        "lost",
        "   ! lod is no phase; did you mean load?",
        "",
        "w/b.yaml",
        "watch  cron @daily Asia/Tokyo, files in/*.csv, files in/*.gz",
        "by:hand",
        "   ! nothing starts it by itself",
    ]


def test_a_document_for_programs(tmp_path):
    write(tmp_path, FLOWS)
    data = flowlord("graph", "w", "--topic", "load", "-o", "json", cwd=tmp_path).data
    assert list(data) == ["phases", "cycles", "left_out"]
    assert data["phases"][1] == {
        "id": "a.toml:load",
        "workflow": "a.toml",
        "task": "load",
        "file": "w/a.toml",
        "line": 6,
        "starts": ["parent"],
        "depends_on": "extract",
        "parents": ["a.toml:extract:users"],
        "children": [],
        "rule": "require={meta:file}&meta=n:1,2",
        "retry": 0,
        "template": "",
        "problem": "",
    }


def test_a_file_with_a_cycle_is_drawn_and_told(tmp_path):
    write(
        tmp_path,
        {"w/a.toml": '[[phase]]\ntask = "a"\ndependsOn = "b"\n[[phase]]\ntask = "b"\ndependsOn = "a"\n'},
    )
    ended = flowlord("graph", "w", "-o", "json", cwd=tmp_path)
    assert (ended.code, ended.data["cycles"]) == (1, [["a.toml:a", "a.toml:b"]])
    assert "FL100" in ended.err
    assert "↻ goes round" in flowlord("graph", "w", cwd=tmp_path).out
    assert "(goes round)" in flowlord("graph", "w", "--ascii", cwd=tmp_path).out


@pytest.mark.parametrize("form", ["text", "json", "mermaid", "dot"])
def test_a_file_that_cannot_be_read_leaves_the_others(form, tmp_path):
    write(tmp_path, {"w/a.toml": "[[phase", "w/b.toml": '[[phase]]\ntask = "fine"\n', "w/c.toml": "\0"})
    ended = flowlord("graph", "w", "-o", form, cwd=tmp_path)
    assert ended.code == 1
    assert "fine" in ended.out
    assert "w/a.toml:1" in ended.err


def test_wrong_questions_get_their_exit_codes(tmp_path):
    write(tmp_path, FLOWS)
    unknown = flowlord("graph", "w", "--topic", "extrakt", cwd=tmp_path)
    assert (unknown.code, unknown.out) == (5, "")
    assert "did you mean extract?" in unknown.err
    assert flowlord("graph", "nowhere", cwd=tmp_path).code == 2
    assert flowlord("graph", "w", "-o", "svg", cwd=tmp_path).code == 2
    (tmp_path / "empty").mkdir()
    assert flowlord("graph", "empty", "-o", "json", cwd=tmp_path).data == {
        "phases": [],
        "cycles": [],
        "left_out": 0,
    }
