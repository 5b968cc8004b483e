"""Ignore comments: on a line, above it, for a file; in strings they are text; idle ones are told and go."""

from datetime import UTC, datetime

import pytest

from flowlord.model.problem import Problem
from flowlord.spec.author.inspect import inspect, verdict
from flowlord.spec.author.mend import edited

NOW = datetime(2026, 11, 27, tzinfo=UTC)
ODD = '[[phase]]\ntask = "a"\nrule = "cron=*/7 * * * *"'


def told(text: str, name: str = "a.toml") -> list[Problem]:
    found = inspect(text.encode(), name, name, NOW)
    return verdict([found], found.problems)


def codes(text: str, name: str = "a.toml") -> list[str]:
    return [each.code for each in told(text, name)]


@pytest.mark.parametrize(
    "text",
    [
        f"{ODD}  # flowlord: ignore FL034\n",
        f"{ODD}  #flowlord:ignore FL034\n",
        '[[phase]]\ntask = "a"\n# flowlord: ignore FL034\nrule = "cron=*/7 * * * *"\n',
        '[[phase]]\ntask = "a"\n# flowlord: ignore FL034\n\n# why: it is so\nrule = "cron=*/7 * * * *"\n',
        f"# about the file\n# flowlord: ignore-file FL034\n\n{ODD}\n",
        '[[phase]]\ntask = "a"\n# flowlord: ignore FL034\nrule = """\\\n  cron=*/7 * * * *"""\n',
        '[[phase]]\ntask = "a"\nrule = """\\\n  cron=*/7 * * * *\\\n  """  # flowlord: ignore FL034\n',
        '[[phase]]\ntask = "a"\nrule = {\'cron\' = "*/7 * * * *"} # flowlord: ignore FL034',
    ],
)
def test_a_comment_keeps_a_warning_quiet(text):
    assert codes(text) == []


@pytest.mark.parametrize(
    "text",
    [
        'phases:\n- task: a\n  rule: "cron=*/7 * * * *" # flowlord: ignore FL034\n',
        "phases:\n- task: a\n  # flowlord: ignore FL034\n  rule: >-\n    cron=*/7 * * *\n    *\n",
        "# flowlord: ignore-file FL034\nphases: [{task: a, rule: cron=*/7 * * * *}]\n",
        "phases:\n- task: a\n  rule: cron=*/7 * * * *   # flowlord: ignore FL034\n",
    ],
)
def test_a_comment_in_yaml_does_the_same(text):
    assert codes(text, "a.yaml") == []


def test_what_looks_like_a_comment_inside_a_text_is_text():
    toml = '[[phase]]\ntask = "a"\nrule = "cron=*/7 * * * *"\ntemplate = """\n# flowlord: ignore FL034\n"""\n'
    assert codes(toml) == ["FL034"]
    yaml = (
        "phases:\n- task: a\n  rule: cron=*/7 * * * *\n  template: |\n    x # flowlord: ignore FL034\n"
        "    # flowlord: ignore FL034\n- task: b\n  rule: cron=@daily\n  template: 'x # flowlord: ignore FL034'\n"
    )
    assert codes(yaml, "a.yaml") == ["FL034"]


def test_several_codes_are_several_comments_and_an_idle_one_is_told_and_can_be_taken_out():
    text = f"{ODD}  # flowlord: ignore FL035, FL034 FL080\n"
    first, second = told(text)
    assert (first.code, first.text, second.code) == (
        "FL090",
        "there is no FL035 in line 3 to ignore",
        "FL090",
    )
    assert first.fix is not None
    assert second.fix is not None
    assert edited(text.encode(), first.fix.edits) == f"{ODD}  # flowlord: ignore FL034 FL080\n".encode()
    assert edited(text.encode(), second.fix.edits) == f"{ODD}  # flowlord: ignore FL035, FL034\n".encode()


@pytest.mark.parametrize(
    ("text", "without"),
    [
        (
            '[[phase]]\ntask = "a" # flowlord: ignore FL034\nrule = "cron=@daily"\n',
            '[[phase]]\ntask = "a"\nrule = "cron=@daily"\n'),
        (
            '[[phase]]\n  # flowlord: ignore FL034\ntask = "a"\nrule = "cron=@daily"\n',
            '[[phase]]\ntask = "a"\nrule = "cron=@daily"\n'),
    ],
)  # fmt: skip
def test_an_idle_comment_goes_whole(text, without):
    [problem] = told(text)
    assert problem.fix is not None
    assert edited(text.encode(), problem.fix.edits).decode() == without


@pytest.mark.parametrize(
    ("comment", "words"),
    [
        ("# flowlord: ignore", "names what to ignore"),
        ("# flowlord: ignroe FL034", "names what to ignore"),
        ("# flowlord: ignore FL999", "there is no code 'FL999'"),
        ("# flowlord: ignore FL021", "FL021 is an error"),
        ("# flowlord: ignore-file FL034", "above everything else"),
    ],
)
def test_a_comment_that_cannot_work_is_told(comment, words):
    problems = told(f'[[phase]]\ntask = "a"\nrule = "cron=@daily"  {comment}\n')
    assert [each.code for each in problems] == ["FL091"]
    assert words in problems[0].text


def test_an_error_is_never_ignored():
    text = '[[phase]]\ntask = "a"\nrule = "crn=@daily"  # flowlord: ignore FL021\n'
    assert codes(text) == ["FL021", "FL091"]


def test_what_could_not_be_looked_at_makes_no_comment_idle():
    text = '[[phase]]\ntask = "a"\nrule = "cron=@daily&meta-file=x.csv"  # flowlord: ignore FL066\n'
    found = inspect(text.encode(), "a.toml", "a.toml", NOW)
    assert verdict([found], found.problems, looked_at_files=False) == []
    assert [each.code for each in verdict([found], found.problems)] == ["FL090"]
