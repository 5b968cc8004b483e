"""Phases out of files: names, spellings, rules as tables, and problems as people read them."""

import pytest

from flowlord.model.workflow import Phase
from flowlord.spec.parse import parse
from flowlord.spec.rule import parse_rule


def phases(text: str, name: str = "a.toml") -> tuple[Phase, ...]:
    flow, problems = parse(text.encode(), name)
    assert flow is not None, [str(problem) for problem in problems]
    return flow.phases


def told(text: str, name: str = "a.toml") -> list[str]:
    return [str(problem) for problem in parse(text.encode(), name)[1]]


def test_all_problems_are_told_at_once_sorted_by_place():
    text = '[[phase]]\ntask = "users"\nrule = "cron=0 0 1 * * *&Ofset=-6h"\nretry = "3"\n\n[[phase]]\nretry = 1\n'
    assert told(text, "workflows/users.toml") == [
        "workflows/users.toml:3:26: FL021 error: unknown rule option 'Ofset'",
        "workflows/users.toml:4:9: FL010 error: retry is text, not an integer",
        "workflows/users.toml:6:1: FL011 error: the phase has no task",
    ]


def test_both_spellings_of_the_table_are_one_list_in_the_order_of_the_file():
    text = '[[Phase]]\ntask = "a"\n[[phase]]\ntask = "b"\n[[PHASES]]\ntask = "c"\n[[Phase]]\ntask = "d"\n'
    assert [(phase.task, phase.line) for phase in phases(text)] == [("a", 1), ("b", 3), ("c", 5), ("d", 7)]


def test_toml_and_yaml_say_the_same():
    toml = (
        '[[phase]]\ntask = "a:b"\ndepends_on = "p"\nretry = 2\ntemplate = "{yyyy}"\n'
        'rule = {offset = "-1h", require = ["{meta:x}", "{meta:y}"], no_alert = true, count = 3}\n'
    )
    yaml = (
        "phases:\n- task: a:b\n  dependsOn: p\n  retry: 2\n  template: '{yyyy}'\n"
        "  rule:\n    offset: -1h\n    require: ['{meta:x}', '{meta:y}']\n    no_alert: true\n    count: 3\n"
    )
    [one], [other] = phases(toml), phases(yaml, "a.yaml")
    assert one.rule == other.rule
    assert (one.name, one.retry, one.template, one.depends_on) == (
        other.name,
        other.retry,
        other.template,
        other.depends_on,
    )
    assert one.rule.require == ("x", "y")
    assert one.rule.no_alert


def test_a_table_is_taken_literally_and_its_text_means_the_same():
    [phase] = phases(
        '[[phase]]\ntask = "a"\nrule = {files = ["/a+b/*.gz", "/c%20d"], job = "x&y", team = "z;1"}\n'
    )
    assert phase.rule.files == ("/a+b/*.gz", "/c%20d")
    assert phase.rule.unknown == (("team", "z;1"),)
    again, findings = parse_rule(phase.rule_text)
    assert again == phase.rule
    assert {found.code for found in findings} <= {"FL020"}


def test_yaml_words_stay_words():
    [phase] = phases(
        "phases:\n- task: no\n  template: 1:30:00\n  rule: {job: on, cron: '@daily', tz: ~}\n", "a.yml"
    )
    assert (phase.task, phase.template, phase.job) == ("no", "1:30:00", "on")


def test_an_empty_field_in_yaml_is_as_good_as_none():
    [phase] = phases("phases:\n- task: a\n  dependsOn:\n  rule:\n  template:\n  retry: 0\n", "a.yaml")
    assert (phase.depends_on, phase.rule_text, phase.template) == ("", "", "")


@pytest.mark.parametrize(
    ("task", "rule", "topic", "job", "name"),
    [
        ("a", "", "a", "", "a"),
        ("a", "job=b", "a", "b", "a:b"),
        ("a:", "job=b", "a", "b", "a:b"),
        ("a:c", "job=b", "a", "c", "a:c"),
        ("a:b:c", "", "a", "b:c", "a:b:c"),
    ],
)
def test_a_phase_is_named_by_topic_and_job(task, rule, topic, job, name):
    [phase] = phases(f'[[phase]]\ntask = "{task}"\nrule = "{rule}"\n')
    assert (phase.topic, phase.job, phase.name, phase.base_name) == (topic, job, name, name)


def test_a_second_phase_of_one_name_gets_a_number_that_is_its_own():
    names = [
        phase.name
        for phase in phases(
            '[[phase]]\ntask="a"\n' * 2 + '[[phase]]\ntask="a#3"\n' + '[[phase]]\ntask="a"\n' * 2
        )
    ]
    assert names == ["a", "a#2", "a#3", "a#4", "a#5"]


def test_the_path_of_a_circle_is_shown():
    text = "".join(f'[[phase]]\ntask = "{a}"\ndependsOn = "{b}"\n' for a, b in ("ab", "bc", "ca"))
    assert told(text) == ["a.toml:3:13: FL100 error: the phases start each other for ever: a -> c -> b -> a"]


def test_phases_of_one_topic_may_start_each_other_by_job():
    text = '[[phase]]\ntask = "w:b"\ndependsOn = "w:a"\n[[phase]]\ntask = "w:a"\nrule = "cron=@daily"\n'
    assert told(text) == []


def test_a_job_that_any_job_of_its_topic_starts_is_a_circle():
    assert "FL100" in told('[[phase]]\ntask = "w:b"\ndependsOn = "w"\n')[0]


def test_nothing_is_said_about_meta_that_a_parent_or_a_row_may_give():
    text = (
        '[[phase]]\ntask = "a"\nrule = "files=/d/*"\ntemplate = "{meta:x}"\n'
        '[[phase]]\ntask = "b"\ndependsOn = "a"\ntemplate = "{meta:x}"\n'
        '[[phase]]\ntask = "c"\nrule = "cron=@daily&meta=x:1,2"\ntemplate = "{meta:x}{meta:cron}"\n'
        '[[phase]]\ntask = "d"\nrule = "cron=@daily&meta-file=f.json"\ntemplate = "{meta:x}"\n'
    )
    assert told(text) == []


@pytest.mark.parametrize("key", ["file", "filename", "tags", "key", "fo", "team"])
def test_what_is_no_near_miss_is_only_unknown(key):
    _, findings = parse_rule(f"{key}=1")
    assert [found.code for found in findings] == ["FL020"]


@pytest.mark.parametrize(
    "key", ["corn", "crn", "Ofset", "file_", "retrydelay", "metafile", "requier", "timout", "bactch_limit"]
)
def test_what_was_surely_meant_is_an_error(key):
    _, findings = parse_rule(f"{key}=1")
    assert [found.code for found in findings] == ["FL021"]


def test_options_are_read_into_their_fields():
    rule, findings = parse_rule(
        "cron=@every+5m&tz=Europe/Berlin&retry_delay=10s&backoff=2&max_delay=1h&priority=high&timeout=90s&count=3"
        "&batch_limit=7&catchup=LAST&catchup_window=2d&pass=a,b&pass=c&NO_ALERT&for=0&by=Week"
    )
    assert findings == ()
    assert (rule.cron, rule.tz, rule.retry_delay_ns, rule.backoff, rule.max_delay_ns) == (
        "@every 5m", "Europe/Berlin", 10 * 10**9, 2.0, 3600 * 10**9,
    )  # fmt: skip
    assert (rule.priority, rule.timeout_ns, rule.count, rule.batch_limit, rule.catchup) == (
        7,
        90 * 10**9,
        3,
        7,
        "last",
    )
    assert (rule.catchup_window_ns, rule.pass_on, rule.no_alert, rule.for_ns) == (
        2 * 86400 * 10**9,
        ("a", "b", "c"),
        True,
        0,
    )
    assert not rule.is_batch


def test_alert_none_is_no_alert_and_nothing_else_is():
    for text in ("alert=none", "no_alert", "alert=NONE&no_alert"):
        rule, findings = parse_rule(text)
        assert (rule.no_alert, findings) == (True, ()), text
    for word in ("every", "edge", "digest"):
        rule, findings = parse_rule(f"alert={word}&alert_to=on-call&no_alert=false")
        assert (rule.no_alert, rule.alert, rule.alert_to, findings) == (False, word, "on-call", ())


def test_a_word_that_is_no_way_to_alert_is_told_with_the_one_that_was_meant():
    _, [found] = parse_rule("alert=digset")
    assert (found.code, found.hint, found.better) == ("FL023", "did you mean 'digest'?", "digest")
    assert found.text == '"digset" is none of every, edge, digest, none'


def test_alert_and_no_alert_that_contradict_are_refused():
    for text in ("no_alert&alert=edge", "alert=every&no_alert", "no_alert=false&alert=none"):
        _, [found] = parse_rule(text)
        assert (found.code, found.hint) == ("FL077", "keep one of them"), text
