"""What `flowlord validate` prints for machines, and on a terminal where letters are wide."""

import json
import sys
from pathlib import Path
from xml.etree import ElementTree

import pytest

from flowlord.cli.problems import OUTPUTS, marked
from flowlord.cli.sarif import address
from flowlord.cli.validate import Wanted, run
from support.sarif import published

BAD = (
    '[[phase]]\ntask = "a"\nrule = "cron=@daily&ofset=1h"\ntemplate = "?x=100%:,{yyy}"\n'
    '[[phase]]\ntask = "b"\nrule = "cron=@daily&colour=red&until=2020-01-01"\n'
)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "a b.toml").write_text(BAD, "utf-8")
    return tmp_path


def test_sarif_is_what_its_published_schema_asks_for_and_says_what_json_says(folder, capsys):
    run(["."], Wanted("json"))
    told = json.loads(capsys.readouterr().out)
    assert run(["."], Wanted("sarif")) == 1
    log = json.loads(capsys.readouterr().out)
    published().validate(log)
    [one] = log["runs"]
    rules = [rule["id"] for rule in one["tool"]["driver"]["rules"]]
    assert rules == sorted({each["code"] for each in told})
    assert len(one["results"]) == len(told) == 4
    for result, each in zip(one["results"], told, strict=True):
        assert result["ruleId"] == rules[result["ruleIndex"]] == each["code"]
        assert result["level"] == each["severity"]
        place = result["locations"][0]["physicalLocation"]
        assert place["artifactLocation"]["uri"] == "a%20b.toml"
        assert place["region"] == {
            "startLine": each["line"], "startColumn": each["column"], "endLine": each["line"],
            "endColumn": each["end_column"],
        }  # fmt: skip


def test_sarif_of_nothing_is_a_run_without_results(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "a.toml").write_text('[[phase]]\ntask = "a"\nrule = "cron=@daily"\n', "utf-8")
    assert run(["a.toml"], Wanted("sarif")) == 0
    log = json.loads(capsys.readouterr().out)
    published().validate(log)
    assert log["runs"][0]["results"] == []


def test_addresses_are_uris():
    assert address("./a b/c:d?é.toml") == "a%20b/c%3Ad%3F%C3%A9.toml"
    assert address("/x/a.toml") == "file:///x/a.toml"


def test_github_gets_one_command_for_each_problem_with_what_it_takes_for_its_own_escaped(folder, capsys):
    run(["a b.toml"], Wanted("github"))
    assert capsys.readouterr().out.splitlines() == [
        (
            "::error file=a b.toml,line=3,col=21,endLine=3,endColumn=26,title=FL021 a misspelt rule option::"
            "unknown rule option 'ofset'%0Ahint: did you mean 'offset'?"
        ),
        (
            "::warning file=a b.toml,line=4,col=22,endLine=4,endColumn=27,title=FL040 an unknown token::"
            "unknown token '{yyy}'%0Ahint: did you mean '{yyyy}'?"
        ),
        (
            "::warning file=a b.toml,line=7,col=21,endLine=7,endColumn=27,title=FL020 an unknown rule option::"
            "unknown rule option 'colour'%0Ahint: it only travels into the meta of file tasks"
        ),
        (
            "::notice file=a b.toml,line=7,col=38,endLine=7,endColumn=48,title=FL037 until has passed::"
            "until=2020-01-01 has passed: nothing starts any more%0Ahint: take the phase out, or move until="
        ),
    ]


def test_reports_hold_what_json_says_and_no_name_of_a_file_breaks_them(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    name = 'a"<&\x1b\n]]>\uffff.toml'
    Path(name).write_text(
        '[[phase]]\ntask = "a"\nrule = "cron=1"\n[[phase]]\ntask = "a b"\nowner = 1\n', "utf-8"
    )
    run(["."], Wanted("json"))
    listed = json.loads(capsys.readouterr().out)
    run(["."], Wanted("gitlab"))
    quality = json.loads(capsys.readouterr().out)
    assert [each["location"]["lines"]["begin"] for each in quality] == [each["line"] for each in listed]
    assert [each["severity"] for each in quality].count("critical") == 1
    assert len({each["fingerprint"] for each in quality}) == len(listed)
    run(["."], Wanted("junit"))
    suites = ElementTree.fromstring(capsys.readouterr().out)
    assert (suites.attrib["tests"], suites.attrib["failures"]) == (str(len(listed)), "1")
    [failure] = suites.iter("failure")
    assert failure.text is not None
    assert failure.text.startswith(next(each["message"] for each in listed if each["severity"] == "error"))
    assert [each.attrib["line"] for each in suites.iter("testcase")] == [str(each["line"]) for each in listed]


def test_what_moves_to_another_line_keeps_its_fingerprint(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    prints = []
    for head in ("", "# moved\n\n"):
        Path("a.toml").write_text(head + '[[phase]]\ntask = "a"\n' * 2, "utf-8")
        run(["."], Wanted("gitlab"))
        prints.append([each["fingerprint"] for each in json.loads(capsys.readouterr().out)])
    assert prints[0] == prints[1]
    assert len(set(prints[0])) == len(prints[0]) == 3


def test_a_file_name_cannot_break_out_of_a_command(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "a,line=1::x%\n::error::y.toml").write_text("x", "utf-8")
    run(["."], Wanted("github"))
    [line] = capsys.readouterr().out.splitlines()
    assert line.startswith("::error file=a%2Cline=1%3A%3Ax%25%0A%3A%3Aerror%3A%3Ay.toml,line=1,")


def test_statistics_count_codes_the_most_frequent_first(folder, capsys):
    (folder / "c.toml").write_text(BAD.replace("ofset", "offset"), "utf-8")
    assert run(["."], Wanted(statistics=True)) == 1
    assert capsys.readouterr().out.splitlines() == [
        "      2  FL020  warning  an unknown rule option",
        "      2  FL037  note     until has passed",
        "      2  FL040  warning  an unknown token",
        "      1  FL021  error    a misspelt rule option",
    ]
    run(["."], Wanted("json", statistics=True))
    found = json.loads(capsys.readouterr().out)
    assert found[3] == {
        "count": 1, "code": "FL021", "severity": "error", "fixable": "safe", "title": "a misspelt rule option",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("text", "column", "end", "shown", "marks"),
    [
        ('\ttask = "漢字x"', 9, 13, ' task = "漢字x"', "        ^^^^^^"),
        ('日本 = "x"', 6, 9, '日本 = "x"', "       ^^^"),
        ("a\u0301b", 3, 4, "a\u0301b", "  ^"),
        ("x", 9, 9, "x", " ^"),
        ("key = hunter2", 7, 14, "key = *******", "      ^^^^^^^"),
    ],
)
def test_marks_stand_below_what_they_mark_whatever_its_width(text, column, end, shown, marks):
    line, below = marked(text, column, end, hide="hunter2" in text)
    assert line == shown
    assert below.rstrip() == marks or len(below) == len(marks) + 1


def test_a_long_line_is_cut_around_the_place():
    line, below = marked("x" * 1_000 + "HERE" + "y" * 1_000, 1_001, 1_005)
    assert len(line) == 160
    assert line[below.index("^") : below.rindex("^") + 1] == "HERE"


def test_a_secret_is_not_shown_on_a_terminal(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    text = '[[phase]]\ntask = "a"\nrule = "cron=@daily"\ntemplate = "postgres://etl:hunter2@db/x"\n'
    (tmp_path / "a.toml").write_text(text, "utf-8")
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True, raising=False)
    for output in OUTPUTS:
        run(["a.toml"], Wanted(output), color="never")
        out, err = capsys.readouterr()
        assert "FL080" in out
        assert "hunter2" not in out + err
