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


@pytest.mark.parametrize(
    "behind",
    [
        "because of x",
        "# more",
        "- it is meant so",
        "(7 beats)",
        "#",
        ": reason",
        ", see above",
        "since flows are so",
    ],
)
def test_what_follows_the_codes_says_why(behind):
    assert codes(f"{ODD}  # flowlord: ignore FL034 {behind}\n") == []
    assert codes(f"{ODD}  # flowlord: ignore FL034{behind if behind[0] in ':,#' else ''}\n") == []


@pytest.mark.parametrize("slip", ["FL999", "FL03", "fl034", "FL043x", "FLO34", "F034", "GL034"])
def test_what_looks_like_a_code_is_told_and_what_stands_first_is_always_taken_for_one(slip):
    problems = told(f"{ODD}  # flowlord: ignore FL034 {slip} # more\n")
    assert [(each.code, each.text) for each in problems] == [("FL091", f"there is no code {slip!r}")]
    [problem] = told(f"{ODD.replace('*/7', '*/5')}  # flowlord: ignore nonsense FL034x\n")[:1]
    assert problem.text == "there is no code 'nonsense'"


def test_an_idle_comment_goes_without_a_further_one_behind_it():
    text = f"{ODD.replace('*/7', '*/5')}  # flowlord: ignore FL034 # more\n"
    [problem] = told(text)
    assert problem.fix is not None
    assert edited(text.encode(), problem.fix.edits) == f"{ODD.replace('*/7', '*/5')}  # more\n".encode()


@pytest.mark.parametrize("header", [">-", "|", "|+2", "&x >-", "!!str |", "&x !!str >"])
def test_a_comment_behind_the_header_of_a_block_is_about_the_block(header):
    text = f"phases:\n- task: a\n  rule: {header} # flowlord: ignore FL034\n    cron=*/7 * * * *\n"
    assert codes(text, "a.yaml") == []
    assert codes(text.replace("*/7", "*/5"), "a.yaml") == ["FL090"]
    assert codes(text.replace("FL034\n", "FL034\n    # flowlord: ignore FL034\n"), "a.yaml") != []  # text


_ALONE = "# flowlord: ignore FL101"


@pytest.mark.parametrize(
    "text",
    [
        f'{_ALONE}\n[[phase]]\ntask = "a"\n',
        f'[[phase]] {_ALONE}\ntask = "a"\n',
        f'[[phase]] {_ALONE}\n\n# it\ntemplate = "x"\nTask = """\\\na"""\n',
        f'[[phase]]\ntask = "b" {_ALONE}\n\n{_ALONE}\n\n# it\n[[phase]]\nretry = 1\ntask = "a"\n',
    ],
)
def test_a_comment_at_the_head_of_a_phase_is_about_its_task_too(text):
    assert codes(text) == []
    assert codes(text + 'rule = "cron=@daily"\n') == ["FL090"]


@pytest.mark.parametrize(
    "text",
    [
        f"phases:\n{_ALONE}\n- task: a\n",
        f"phases:\n- task: a {_ALONE}\n",
        f"phases:\n{_ALONE}\n- template: x\n  task: a\n",
        f"phases:\n- template: x {_ALONE}\n  task: a\n",
        f"phases:\n- {_ALONE}\n  task: a\n",
        f"phases:\n{_ALONE}\n-\n  template: x\n  task: a\n",
        f"phases:\n- {_ALONE}\n  template: x {_ALONE}\n  task: a {_ALONE}\n",
    ],
)
def test_a_comment_at_the_dash_of_a_phase_is_about_its_task_too(text):
    assert codes(text, "a.yaml") == []
    assert set(codes(text + "  rule: cron=@daily\n", "a.yaml")) == {"FL090"}


def test_a_comment_at_the_head_of_a_phase_is_about_no_other_line():
    text = f'{_ALONE} FL034\n[[phase]]\ntask = "a"\nrule = "cron=*/7 * * * *"\n'
    assert codes(text) == ["FL090", "FL090", "FL034"]


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
