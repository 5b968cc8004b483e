"""Files that are meant to hurt: refused with a problem, and without work that grows faster than they do."""

from itertools import pairwise

import pytest

from flowlord.spec.parse import parse
from flowlord.spec.source import MAX_BYTES, MAX_NODES

LETTERS = "abcdefghijkl"
BOMB = "a: &a [x,x,x,x,x,x,x,x,x]\n" + "".join(
    f"{letter}: &{letter} [{','.join([f'*{before}'] * 9)}]\n" for before, letter in pairwise(LETTERS)
)
HOSTILE = {
    "a key of dots.toml": ".".join("a" * 20_000) + " = 1",
    "many keys of dots.toml": "\n".join(f"{'.'.join('a' * 200)}.b{n} = 1" for n in range(2_000)),
    "deep lists.toml": "a = " + "[" * 60_000,
    "deep lists over lines.toml": "a = [\n" + "[\n" * 200_000,
    "deep tables.toml": "a = " + "{a = " * 12_000,
    "an open string.toml": 'a = """' + ('\\"""' * 15_000 + "\n") * 15,
    "open strings.toml": ('a = "' + '\\"' * 30_000 + "\n") * 15,
    "quotes.toml": ("'" * 60_000 + "\n") * 15,
    "phases.toml": "[[phase]]\n" * 100_000,
    "tables.toml": "\n".join(f"[a{n}]" for n in range(100_000)),
    "keys.toml": "\n".join(f"k{n} = 1" for n in range(90_000)),
    "a long number.toml": "a = " + "9" * 60_000,
    "options.toml": '[[phase]]\ntask = "a"\nrule = "' + "&a" * 30_000 + '"',
    "escapes.toml": "[[phase]]\ntask = 'a'\nrule = '''" + ("&abcd%2=+%ff" * 5_000 + "\n") * 15 + "'''",
    "tokens.toml": "[[phase]]\ntask = 'a'\ntemplate = '" + "{yyy}" * 12_000 + "'",
    "braces.toml": "[[phase]]\ntask = 'a'\ntemplate = '" + "{a" * 30_000 + "'",
    "a schedule.toml": "[[phase]]\ntask = 'a'\nrule = 'cron=" + "1," * 30_000 + " * * * *'",
    "orphans.toml": "".join(f'[[phase]]\ntask = "t{n}"\ndependsOn = "u{n}"\n' for n in range(5_000)),
    "circles.toml": "".join(f'[[phase]]\ntask = "t:{n}"\ndependsOn = "t"\n' for n in range(5_000)),
    "a long circle.toml": "".join(
        f'[[phase]]\ntask = "t{n}"\ndependsOn = "t{(n + 1) % 5_000}"\n' for n in range(5_000)
    ),
    "twins.toml": '[[phase]]\ntask = "t"\nrule = "cron=@daily"\n' * 5_000,
    "strays.toml": "".join(f"[[phase]]\nretrx{n} = 1\n" for n in range(5_000)),
    "a bomb.yaml": BOMB + "phases: *l\n",
    "deep lists.yaml": "a: " + "[" * 500_000,
    "deep tables.yaml": "\n".join(" " * n + "a:" for n in range(1_400)),
    "dashes.yaml": "- " * 500_000,
    "questions.yaml": "? " * 500_000,
    "values.yaml": "a: [" + "a," * 500_000 + "]",
    "pairs.yaml": "[" + "a: b, " * 150_000 + "]",
    "anchors.yaml": "phases:\n" + "\n".join(f"- &a{n} x" for n in range(70_000)),
    "folded.yaml": "phases:\n- task: a\n  rule: >\n" + "    a&zz\n" * 90_000,
    "tabs.yaml": "\t" * 1_000_000,
    "directives.yaml": "%TAG ! tag:x\n" * 70_000,
}


@pytest.mark.timeout(60)
@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_file_is_refused_or_read_and_never_raises(name):
    data = HOSTILE[name].encode()
    assert len(data) <= MAX_BYTES
    _, problems = parse(data, name)
    assert problems
    assert len(problems) <= 901
    assert sum(len(problem.text) + len(problem.hint) for problem in problems) < 400_000


def test_the_nodes_of_yaml_are_counted_while_they_are_made(monkeypatch):
    from flowlord.spec import yaml_events

    seen = 0

    class Counting(yaml_events.LOADER):
        def get_event(self):
            nonlocal seen
            seen += 1
            return super().get_event()

    monkeypatch.setattr(yaml_events, "LOADER", Counting)
    _, [problem] = parse(HOSTILE["values.yaml"].encode(), "a.yaml")
    assert problem.code == "FL003"
    assert seen <= MAX_NODES + 10


def test_a_bomb_of_aliases_counts_as_if_it_were_written_out():
    _, [problem] = parse(BOMB.encode(), "a.yaml")
    assert (problem.code, problem.line) == ("FL003", 6)
    _, [problem] = parse((BOMB + "# what makes a file long\n" * 40_000).encode(), "a.yaml")
    assert (problem.code, problem.text) == ("FL003", "the file has more than 100,000 values")
    flow, _ = parse(
        b"p: &p [x, y]\nphases: [{task: a, rule: {files: *p}}, {task: b, rule: {files: *p}}]", "a.yaml"
    )
    assert flow is not None
    assert [phase.rule.files for phase in flow.phases] == [("x", "y")] * 2


def test_a_long_rule_may_stand_behind_every_alias():
    rule = "cron=@daily&x=" + "y" * 1_500
    text = f"phases:\n- {{task: a, rule: &r {rule}}}\n" + "".join(
        f"- {{task: a{n}, rule: *r}}\n" for n in range(100)
    )
    flow, problems = parse(text.encode(), "a.yaml")
    assert flow is not None, problems


def test_comments_behind_an_anchored_table_do_not_stand_behind_its_aliases():
    comments = "# what may be said of it at length\n" * 100
    text = f"phases:\n- task: a\n  rule: &r\n    cron: '@daily'\n{comments}" + "- task: b\n  rule: *r\n" * 99
    flow, problems = parse(text.encode(), "a.yaml")
    assert flow is not None, problems


def test_a_table_that_ends_with_an_alias_is_counted_whole():
    text = f"a: &a b\nc: &c\n  d: {'e' * 60_000}\n  f: *a\nphases: [{'*c, ' * 9}*c]\n"
    _, [problem] = parse(text.encode(), "a.yaml")
    assert problem.text.endswith("characters stand behind aliases")


def test_a_reader_that_is_deep_down_already_gets_a_problem():
    def dive(depth: int) -> tuple[object, ...]:
        return dive(depth - 1) if depth else parse(b"a = [[[[[[[[[1]]]]]]]]]", "a.toml")[1]

    import inspect
    import sys

    left = sys.getrecursionlimit() - len(inspect.stack(0))
    codes = set()
    for room in range(6, 60):
        try:
            codes |= {problem.code for problem in dive(left - room)}  # type: ignore[attr-defined]
        except RecursionError:  # in our own first steps, before there is anything to read
            codes.add("deep")
    assert codes <= {"FL004", "FL013", "deep"}


@pytest.mark.parametrize("comma", ['"{}"', "'{}'", '"""\n{}"""', "1 # {}"])
def test_commas_in_texts_and_comments_are_no_values(comma):
    text = f'[[phase]]\ntask = "a"\nrule = "cron=@daily"\nx-a = {comma.format("," * 30_000)}\n'
    workflow, problems = parse(text.encode(), "a.toml")
    assert workflow is not None, problems


def test_too_many_values_are_told_before_they_are_read():
    _, [problem] = parse(("a = [" + "1," * 30_000).encode(), "a.toml")
    assert (problem.code, problem.text) == ("FL003", "the file has more than 12,500 values")
