"""Slips in the written examples and test files of the system we follow: each is taken, or told with what to write.

Those about other things than phase files (addresses of Redis, ports, names of topics) are not looked at here.
"""

from datetime import UTC, datetime

import pytest

from flowlord.model.problem import Problem
from flowlord.spec.author.inspect import inspect, verdict

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
