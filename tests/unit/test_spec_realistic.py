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


@pytest.mark.parametrize(
    ("long", "what"),
    [
        (f"[{', '.join(['v'] * 5_001)}]", "a list with more than 5,000 values"),
        (f"{{{', '.join(f'k{n}: v' for n in range(1_001))}}}", "a table with more than 1,000 keys"),
    ],
)
def test_a_list_or_table_that_no_phase_file_has_hears_how_long_one_may_be_and_where_it_may_stand(long, what):
    [found] = told(f"x-notes: {long}\nphases:\n- task: a\n  rule: cron=@daily\n", "f.yaml")
    assert (found.code, found.text) == ("FL003", what)
    assert found.hint == "phases may stand in several files; keep elsewhere what is no phase"


@pytest.mark.parametrize(
    ("text", "hint"),
    [
        ("phases:\n- task: ''\n", 'write task: "TOPIC" or "TOPIC:JOB"'),
        ("phases:\n- {task: a, rule: {cron: '@daily', retries: 3}}\n", "write retry: 3 beside the rule"),
        ("x-note: 1\n", "a phase is - task: TOPIC below phases:"),
    ],
)
def test_hints_about_a_file_in_yaml_are_yaml(text, hint):
    [found] = told(text, "f.yaml")
    assert found.hint.endswith(hint)


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


SEEDS = {
    "X1 a quote that is not closed": (
        '[[phase]]\ntask = "a"\nrule = "cron=0 0 * * * *&for=-2d&by=day\n', "3:8", "FL005", "closing quote",
    ),
    "X2 require with a colon": (
        phase("cron=@daily") + '[[phase]]\ntask = "b"\ndependsOn = "a"\nrule = "require:{meta:file}"\n',
        "7:9", "FL027", "write it with '='",
    ),
    "X3 an option in another case": (phase("cron=0 0 * * * *&Offset=-6h"), "", "", ""),
    "X4 an equals sign in meta": (
        phase("cron=@daily&meta=k:1,2|key2=1,2", 'template = "{meta:k}{meta:key2}"'), "3:36", "FL027", "write ':'",
    ),
    "X6 meta_file": (phase("cron=@daily&meta_file=rows.json", 'template = "{meta:k}"'), "", "", ""),
    "X7 a question mark in front": (phase("?cron=0 0 * * * *&for=-48h", 'template = "{yyyy}{mm}{dd}"'), "", "", ""),
    "X7 a schedule without cron=": (phase("0 0 * * * *"), "3:9", "FL026", "did you mean 'cron=0 0 * * * *'?"),
    "X11 an hour under the name of a day": (
        phase("cron=0 0 * * * *&offset=-6h", 'template = "?date={yyyy}-{mm}-{dd}T{hh}"'), "4:14", "FL048", "hour=",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", SEEDS)
def test_a_mistake_in_the_examples_of_the_seeds_is_taken_or_told_at_its_character(name):
    text, place, code, words = SEEDS[name]
    found = sorted(told(text), key=lambda each: each.code != code)[:1]
    assert [each.place.removeprefix("f.toml:") for each in found] == [place] * bool(code)
    assert [each.code for each in found] == [code] * bool(code)
    assert words in "".join(each.text + each.hint for each in found)
