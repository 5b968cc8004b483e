"""Workflows as people write them are told nothing about, and what they stumbled over is told in words that help."""

from datetime import UTC, datetime

import pytest

from corpus.write import HOME
from flowlord.model.problem import Problem
from flowlord.spec.author.inspect import inspect, verdict
from flowlord.spec.author.mend import mend
from flowlord.spec.load import load

NOW = datetime(2026, 11, 27, tzinfo=UTC)
QUIET = sorted(each.name for each in (HOME / "quiet").iterdir())


def told(text: str, name: str = "f.toml") -> list[Problem]:
    found = inspect(text.encode(), name, name, NOW)
    return verdict([found], found.problems, looked_at_files=False)


def phase(rule: str, *more: str) -> str:
    return "\n".join(("[[phase]]", 'task = "a"', f'rule = "{rule}"', *more, ""))


@pytest.mark.parametrize("name", QUIET)
def test_nothing_is_told_of_a_workflow_as_people_write_it(name):
    assert told((HOME / "quiet" / name).read_text("utf-8"), name) == []


def test_a_partition_behind_a_dollar_is_no_slip_and_a_shell_variable_is():
    assert told(phase("cron=@daily", 'template = "bq://house.orders${yyyy}{mm}{dd}"')) == []
    [found] = told(phase("cron=@daily", 'template = "/in/${yyyy}/x"'))
    assert (found.code, found.column) == ("FL040", 17)


@pytest.mark.parametrize(
    ("name", "text"),
    [
        (
            "f.yaml",
            "x-tries: &tries 3\nphases:\n- task: a\n  rule: cron=@daily\n  retry: *tries\n  x-owner: me\n",
        ),
        ("f.toml", "x-note = 1\n" + phase("cron=@daily", 'x-owner = "me"')),
    ],
)
def test_keys_that_begin_with_x_are_the_authors_own(name, text):
    assert told(text, name) == []


def test_a_phase_that_starts_itself_by_the_topic_of_its_parent_hears_which_name_is_meant():
    text = phase("files=/in/*") + '[[phase]]\ntask = "a:confirm"\ndependsOn = "a"\n'
    [found] = told(text)
    assert found.code == "FL100"
    assert (
        found.hint
        == "dependsOn = 'a' means every job of that topic, 'a:confirm' too: name the job that is meant"
    )


def test_a_parent_in_a_broken_file_is_told_as_one_in_another_file(tmp_path):
    (tmp_path / "one.toml").write_text(phase("cron=@daily", 'retry = "x"').replace('"a"', '"extract:users"'))
    (tmp_path / "two.toml").write_text('[[phase]]\ntask = "extract:user"\nrule = "cron=@daily"\n'
                                       '[[phase]]\ntask = "load"\ndependsOn = "extract:users"\n')  # fmt: skip
    [found] = [each for each in load(tmp_path).problems if each.path.endswith("two.toml")]
    assert (found.code, found.fix) == ("FL103", None)


def test_blanks_around_a_duration_are_taken_out_by_a_fix():
    text = phase("cron=@daily&offset = -6h")
    result = mend(
        text.encode(), "f.toml", "f.toml", NOW, told=told(text), wanted=lambda each: each.code == "FL050"
    )
    assert result.data.decode() == text.replace("= -6h", "=-6h")


def test_a_misspelt_priority_gets_the_nearest_word():
    [found] = told(phase("cron=@daily&priority=hihg"))
    assert (found.code, found.hint) == ("FL023", "did you mean 'high'?")


def test_the_clocks_are_looked_at_also_where_local_and_a_zone_stand_in_one_rule():
    found = told(phase("cron=TZ=Local 0 30 2 * * *&tz=Europe/Berlin"))
    assert [each.code for each in found] == ["FL028", "FL033"]
    assert found[1].text == "02:30 Europe/Berlin does not exist on 2027-03-28; runs 03:00"
    assert (found[1].column, found[1].end) == (23, 35)
