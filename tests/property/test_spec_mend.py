"""Fixes: what was spoilt loads again as it was meant, every other byte stays, and mending twice changes nothing."""

import re
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from flowlord.model.problem import Edit, Severity
from flowlord.model.workflow import Phase
from flowlord.spec.author.inspect import inspect, verdict
from flowlord.spec.author.mend import Mended, edited, mend
from flowlord.spec.parse import parse

NOW = datetime(2026, 11, 27, tzinfo=UTC)

TOML = """\
# comments   stay\t
[[phase]]
task     = "extract:users"   # and blanks
rule     = "cron=0 0 1 * * *&offset=-6h&retry_delay=10s"
retry    = 3
template = "s3://b/{yyyy}/{mm}/{dd}?x=1"

[[Phase]]
"task" = 'load'
dependsOn = "extract:users"
rule = { require = ["{meta:file}"], backoff = 1.5, timeout = "5m" }
retry = 1
template = '''
{meta:file} é𝄞'''

[[phase]]
task = "pack"
dependsOn = \"\"\"load\"\"\"
rule = "?meta=a:1,2|b:3,4&for=-2d&by=day&job=%20x"
template = "{meta:a}{meta:b}"
"""
YAML = """\
# the same
phases:
  - task: extract:users
    rule: "cron=0 0 1 * * *&offset=-6h"
    retry: 3
    template: 's3://b/{yyyy}/{mm}/{dd}?it''s'
  - task: load      # words
    dependsOn: &parent extract:users
    rule: {require: ["{meta:file}"], backoff: 1.5, timeout: 5m}
    retry: 1
    template: >
      {meta:file}
      more
  - task: pack
    dependsOn: load
    rule: >-
      meta=a:1,2|b:3,4&for=-2d
    template: "{meta:a}"
"""
# What is spoilt, and what it becomes; each is told and mended. Unsafe ones behind the bar.
SAFE = [
    ("retry ", "retyr "), ("retry:", "rerty:"), ("template", "tempalte"), ("dependsOn", "dependOn"),
    ("offset=", "ofset="), ("offset=", "offst="), ("cron=", "crn="), ("timeout", "tiemout"), ("backoff", "backof"),
    ("require ", "requrie "), ("require:", "requier:"), ("retry_delay=", "retry_dealy="),
    ("retry    = 3", 'retry    = "3"'), ("retry: 3", "retry: '3'"),
    ('= "extract:users"\nrule = {', '= ["extract:users"]\nrule = {'),
    ("a:1,2", "a=1,2"), ("|b:3", "|b=3"),
]  # fmt: skip
UNSAFE = [("{yyyy}", "{yyy}"), ("cron=0 0 1", "0 0 1"), ("by=day", "by=dya"), ('"""load"""', '"""laod"""')]


def phases(data: bytes, name: str) -> list[Phase]:
    flow, problems = parse(data, name)
    assert flow is not None, [str(each) for each in problems]
    return [_anywhere(phase) for phase in flow.phases]


def _anywhere(phase: Phase) -> Phase:
    return replace(phase, line=0, column=0, rule_text="", rule=replace(phase.rule, pairs=()))


def mended(data: bytes, name: str, *, unsafe: bool = False) -> Mended:
    found = inspect(data, name, name, NOW)
    told = verdict([found], found.problems)
    return mend(
        data,
        name,
        name,
        NOW,
        told=told,
        wanted=lambda each: each.fix is not None and (each.fix.safe or unsafe),
    )


@st.composite
def spoilt(draw: st.DrawFn, *, unsafe: bool) -> tuple[str, bytes, bytes]:
    """A good file, the same with some mistakes, and its name; with Windows line ends and a BOM now and then."""
    name = draw(st.sampled_from(["flow.toml", "flow.yaml"]))
    text = TOML if name.endswith("toml") else YAML
    wrong = text
    for good, bad in draw(
        st.lists(st.sampled_from(SAFE + (UNSAFE if unsafe else [])), unique=True, max_size=6)
    ):
        places = [found.start() for found in re.finditer(re.escape(good), wrong)]
        if places:
            at = draw(st.sampled_from(places))
            wrong = wrong[:at] + bad + wrong[at + len(good) :]
    before, after = text.encode(), wrong.encode()
    if draw(st.booleans()):
        before, after = before.replace(b"\n", b"\r\n"), after.replace(b"\n", b"\r\n")
    if draw(st.booleans()):
        before, after = b"\xef\xbb\xbf" + before, b"\xef\xbb\xbf" + after
    return name, before, after


@given(st.data(), st.booleans())
def test_what_was_spoilt_loads_again_as_it_was_meant(data, unsafe):
    name, good, wrong = data.draw(spoilt(unsafe=unsafe))
    result = mended(wrong, name, unsafe=unsafe)
    assert phases(result.data, name) == phases(good, name)
    again = mended(result.data, name, unsafe=unsafe)
    assert (again.data, again.fixed) == (result.data, ())


@given(st.data())
def test_every_byte_outside_of_the_edits_stays(data):
    name, good, wrong = data.draw(spoilt(unsafe=True))
    result = mended(wrong, name, unsafe=True)
    untouched = {line for line in good.split(b"\n") if line in wrong.split(b"\n")}
    assert untouched <= set(result.data.split(b"\n"))
    assert result.data.count(b"\n") == wrong.count(b"\n")
    assert result.data.count(b"\r") == wrong.count(b"\r")
    assert result.data.startswith(b"\xef\xbb\xbf") == wrong.startswith(b"\xef\xbb\xbf")


def test_every_mistake_of_the_list_is_mended_by_itself():
    for name, text in (("flow.toml", TOML), ("flow.yaml", YAML)):
        for good, bad in SAFE + UNSAFE:
            if good not in text:
                continue
            wrong = text.replace(good, bad, 1).encode()
            result = mended(wrong, name, unsafe=(good, bad) in UNSAFE)
            assert phases(result.data, name) == phases(text.encode(), name), (good, bad, result.data.decode())
            assert len(result.fixed) == 1, (bad, result.fixed)


WORDS = st.sampled_from([
    "[[phase]]\n", 'task = "a"\n', 'tsk = "b"\n', "retry = '3'\n", 'rule = "crn=@daily&ofset=1h&a+b=%"\n', "[",
    '"', "'", "\n", "# flowlord: ignore FL034\n", "# flowlord: ignore FL034, FL001 FL999\n",
    "# flowlord: ignore-file FL101\n",
    "\r\n", "é𝄞",
    'rule = "files=/a//b&no_alert=maybe&meta=a=1|b=2"\n', 'template = "{yyy}?date={yyyy}-{mm}-{dd}T{hh}"\n',
    "dependsOn = ['a']\n", "dependson = 'aa'\n", "- task: a\n", "phases:\n", "  rule: {ofset: 1h, cron: '@dayly'}\n",
    "\ufeff",
])  # fmt: skip


@given(st.lists(WORDS, max_size=14), st.sampled_from(["flow.toml", "flow.yaml"]))
def test_whatever_a_file_is_mending_it_does_no_harm(parts, name):
    data = "".join(parts).encode()
    result = mended(data, name, unsafe=True)

    def errors(text: bytes) -> int:
        return sum(each.severity is Severity.ERROR for each in inspect(text, name, name, NOW).problems)

    assert errors(result.data) <= errors(data)
    assert bool(result.fixed) == (result.data != data)
    assert mended(result.data, name, unsafe=True).data == result.data


@pytest.mark.parametrize("head", [b"", b"\xef\xbb\xbf"])
def test_edits_count_a_line_end_as_one_whatever_it_is(head):
    data = head + "a\r\né = 1\nb\r\n𝄞c\r\n".encode()
    assert edited(data, [Edit(2, 3, "e"), Edit(11, 12, "")]) == head + "a\r\ne = 1\nb\r\n𝄞\r\n".encode()
    assert edited(data, [Edit(2, 8, "")]) == head + "a\r\nb\r\n𝄞c\r\n".encode()


def test_a_misspelt_option_beside_the_right_one_is_left_alone():
    data = b'[[phase]]\ntask = "a"\nrule = "cron=@daily&offset=1h&ofset=2h"\n'
    assert mended(data, "a.toml", unsafe=True) == Mended(data, ())


def test_a_fix_that_would_give_a_field_twice_is_left_out_and_the_others_are_made():
    data = b'[[phase]]\ntask = "a"\nretry = 1\nretyr = 2\nrule = "crn=@daily"\n'
    result = mended(data, "a.toml")
    assert result.data == data.replace(b"crn", b"cron")
    assert [each.code for each in result.fixed] == ["FL021"]
