"""Any text at all: workflows or problems with places inside the text, never an exception."""

import tomli
from hypothesis import example, given
from hypothesis import strategies as st

from flowlord.model.problem import Severity
from flowlord.rules.metastring import unescape
from flowlord.rules.template import Template
from flowlord.spec import toml, toml_plain, yaml_plain
from flowlord.spec.document import Document, Node
from flowlord.spec.near import distance, near_miss
from flowlord.spec.parse import parse
from flowlord.spec.phases import _ODD_TOKEN
from flowlord.spec.rule import decoded, parse_rule
from flowlord.spec.source import Refused, Source
from flowlord.spec.yaml import read as read_yaml
from flowlord.spec.yaml_events import read_events

TOML = """\
# the whole language in one file
[[phase]]
task = "extract:users"
rule = "cron=0 0 1 * * *&offset=-6h&retry_delay=10s"
retry = 3
template = "s3://b/{yyyy}/{mm}/{dd}?x={meta:x}"

[[Phase]]
"task" = 'load'
dependsOn = "extract:users"
rule = { require = ["{meta:file}", "{meta:n}"], backoff = 1.5, no_alert = true }
template = '''
{meta:file}'''

[[phase]]
task = "pack\\u00e9"
depends_on = \"\"\"load\"\"\"
rule = "meta=a:1,2|b:3,4&for=-2d&by=day"
[phase.notes]
a.b = [1, 2.5, 2024-01-01 10:00:00, {c = "d"}]
"""
YAML = """\
# the same
phases:
  - task: extract:users
    rule: "cron=0 0 1 * * *&offset=-6h"
    retry: 3
    template: 's3://b/{yyyy}/{mm}/{dd}?it''s'
  - task: load
    dependsOn: &parent extract:users
    rule: {require: ["{meta:file}"], backoff: 1.5, no_alert: true}
    template: >
      {meta:file}
      more
  - task: pack
    dependsOn: *parent
    rule: meta=a:1,2|b:3,4&for=-2d
"""
NAMES = st.sampled_from(["flow.toml", "flow.yaml"])
SNIPPETS = st.sampled_from([
    "[", "]", "{", "}", '"', "'", '"""', "'''", "\n", "\\", "=", ":", "- ", "#", "&", "*", "%", "+", "|", ">", ".", ",",
    "\t", "[[phase]]", "task", "rule", "retry = -1", "dependsOn", "<<: *parent", "!!python/object:os.system x", "? ",
    "---", "~", "cron=", "&cron=61 * * * *", "&retry_delya=1", "{meta:a b}", "{yyy}", "\ufeff", "\0", "\x85", "\u2028",
    "é", "𝄞", "\r\n", "\r", "\n[[x-a]]\n", "\n[x-a.b]\n", "\n[phase.x-b]\n", "\n[[phases]]\n",
])  # fmt: skip


def problems_are_inside(data: bytes, name: str) -> None:
    flow, problems = parse(data, name)
    lines = data.decode("utf-8", "replace").removeprefix("\ufeff").replace("\r\n", "\n").split("\n")
    for problem in problems:
        assert problem.path == name
        assert problem.line <= len(lines)
        assert (problem.line == 0) == (problem.column == 0)
        if problem.line:
            width = len(lines[problem.line - 1])
            assert 1 <= problem.column <= width + 1
            assert problem.end == 0 or problem.column <= problem.end <= width + 1
    places = [(problem.line, problem.column) for problem in problems if problem.code != "FL009"]
    assert list(places) == sorted(places)
    assert (flow is None) == any(problem.severity is Severity.ERROR for problem in problems)


@given(st.binary(max_size=300), NAMES)
def test_any_bytes_are_a_workflow_or_problems(data, name):
    problems_are_inside(data, name)


@given(st.lists(SNIPPETS | st.text(max_size=6), max_size=40), NAMES)
@example(["[[phase]]", "\n", "task = ", '"""', "\n", "[[phase]]", '"""'], "flow.toml")
def test_any_text_of_the_languages_words_is_a_workflow_or_problems(parts, name):
    problems_are_inside("".join(parts).encode(), name)


@st.composite
def edited(draw: st.DrawFn) -> tuple[bytes, str]:
    """A valid file with up to four random edits."""
    name = draw(NAMES)
    text = TOML if name.endswith("toml") else YAML
    for _ in range(draw(st.integers(0, 4))):
        start = draw(st.integers(0, len(text)))
        end = min(len(text), start + draw(st.integers(0, 12)))
        text = text[:start] + draw(SNIPPETS | st.text(max_size=4)) + text[end:]
    return text.encode(), name


@given(edited())
def test_an_edited_file_is_a_workflow_or_problems(file):
    problems_are_inside(*file)


def test_the_files_to_be_edited_are_good():
    for text, name in ((TOML, "flow.toml"), (YAML, "flow.yaml")):
        flow, problems = parse(text.encode(), name)
        assert flow is not None, problems
        assert len(flow.phases) == 3


LINES = st.sampled_from([
    "", "  ", "# words", "[[phase]]", "[[phase]] # first", " [[ phase ]]", "[phase]", "[[a.b]]", '[["phase"]]', "a = 1",
    'task = "a"', "task = 'a'", 'task="b" # c', 'task = ""', "task = ''", 'task = """a"""', "task = '''",
    'task = "\\t"', 'task = "a\\"b"', 'task = "\\x"', 'task = "\\u00e9\\\\"',
    "retry = 0", "retry = 03", "retry = 1_0", "retry = -1", "retry = 3.5", "retry = 1e3", "retry = 123456789",
    "x = 12345678901", 'k = "a" b', "k = ", "= 1", "-1 = 'x'", "é = 1", 'k = "a\tb"', "k = 'a\x7f'",
    "# \x01", 'k = "a\r"', "phase = 1", "phase.x = 1", "k == 1", "[phase.rule]", "[[phases]]", "rule = {a = 1,",
    "b = 2 # }", "}",
    "phase = [", "{task = 'a'},", "]", "x = '''", "'''", 'x = """', '"""', 'task = "\\e\\x41"', "at = 07:32",
])  # fmt: skip


@given(st.lists(LINES | st.text(max_size=12), max_size=12))
@example(["[[phase]]", 'task = "a"', "[[phases]]", "", "[[phase]]", "retry = 3 # times"])
def test_plain_toml_is_read_as_tomli_reads_it(lines):
    text = "\n".join(lines)
    plain = toml_plain.read_plain(text, lines := text.split("\n"))
    if plain is not None:
        assert plain.data == tomli.loads(text)
        tables = {key: value for key, value in plain.data.items() if isinstance(value, list)}
        assert {key: len(value) for key, value in tables.items()} == {
            key: len(found) for key, found in plain.headers.items()
        }
        assert all(key in lines[line - 1] for key, found in plain.headers.items() for line in found)


@given(st.lists(LINES | st.text(max_size=12), max_size=12))
def test_the_places_in_one_phase_are_those_that_a_look_at_the_whole_file_finds(lines):
    try:
        document = toml.read(Source("f", "\n".join(lines)))
    except Refused:
        return
    near = [document.node(item.path) for item in document.items]
    whole = toml.scan(document.source.text)
    for item, node in zip(document.items, near, strict=True):
        key, number = item.path
        assert written_out(node) == written_out(whole.inside[key].inside[number])


YAML_LINES = st.sampled_from([
    "", "  ", "# words: all", "phases:", "phases: # here", "phase:", "x-own:", "- task: a", "  - task: b",
    "- rule: a#b ",
    "  retry: 3", "    retry: +7", "  rule: cron=0 6 * * *&offset=-24h", "    rule: 'a: b # c'", '  rule: "a" # c: d',
    "  template: a:b", "  template: a: b", "  template: a:", "  template: {yyyy}", "  template: a{yyyy}", "  a-b: ~",
    "  template: true", "  template: 'true'", "  template: Null", "  on: no", "  retry: 03", "  retry: 1e3",
    "  retry: 12345678901234567890", "  a: 'it''s'", '  a: "\\t"', "  a: 'b", "    b'", "  a: b", "    b", "  a:",
    "  a: ",
    "  - a", "-  task: a", "- ", "-", "- - a: b", "--- a", "---", "...", "%YAML 1.1", "  <<: a", "  a: *b", "  a: &b c",
    "  a: !!str c", "  ? a", "  a: |", "  a: [b, c]", "  é: a", "  a: é", "  a: b\tc", "\ta: b", "  a: .", "  a: ...",
    "  a: \x85", "  a: b\u2028", "  a: \ufeff", "  a: ²", "  a: \U0001d11e", "other: a", "  a : b", "  a:  b  ",
    " a: b",
])  # fmt: skip
PLAIN_YAML = st.sampled_from([
    "", " # a: b", "- task: a", "- task: b:c # d", "  retry: 3", "  rule: cron=@daily&for=2d", "  template: '{yyyy}'",
    '  dependsOn: "a"', "  own: no", "  é: 1", "  x: a  #b", "  y: a #b", "- retry: 0  ", "  on: TRUE", "  off: '#'",
])  # fmt: skip


def same_document(plain: Document, events: Document) -> None:
    assert plain.data == events.data
    assert [type(each) for each in plain.data] == [type(each) for each in events.data]
    assert plain.items == events.items
    for item in plain.items:
        assert written_out(plain.node(item.path)) == written_out(events.node(item.path))
    assert sorted(plain.spans()) == sorted(events.spans())
    assert written_out(plain.root) == written_out(events.root)


@given(
    st.lists(YAML_LINES | st.text(max_size=12), max_size=10)
    | st.lists(PLAIN_YAML, min_size=1, max_size=10).map(lambda lines: ["phases:", *lines])
    | st.lists(PLAIN_YAML, max_size=10).map(
        lambda lines: ["# a", "phase:", "  - task: a", *(f"  {each}" for each in lines)]
    )
)
@example(["phases:", "- task: a", "  rule: b # c", "", "# d", "- task: e", "  retry: 3", "", ""])
def test_plain_yaml_is_read_as_libyaml_reads_it_with_the_same_places(lines):
    source = Source("f", "\n".join(lines))
    if yaml_plain.read_plain(source) is not None:
        same_document(read_yaml(source), read_events(source))


def test_plain_files_are_read_as_such():
    lines = [
        "# what",
        "phases:  # all",
        "  - task: a:b",
        "    rule: cron=0 6 * * *  # daily",
        "",
        "  - task: 'c'",
    ]
    plain = yaml_plain.read_plain(Source("f", "\n".join(lines)))
    assert plain is not None
    assert plain.data == {"phases": [{"task": "a:b", "rule": "cron=0 6 * * *"}, {"task": "c"}]}
    text = "# what\n[[phase]] # a\ntask = \"a:b\"\nretry=3\n\n  [[phase]]\ntask = 'c' # d\n"
    assert toml_plain.read_plain(text, text.split("\n")) == (
        {"phase": [{"task": "a:b", "retry": 3}, {"task": "c"}]},
        {"phase": [2, 6]},
    )


def written_out(node: Node) -> tuple[object, ...]:
    """A place with all that is inside, whatever has looked for that already."""
    match node.inside:
        case dict(inside):
            parts: object = {key: written_out(each) for key, each in inside.items()}
        case list(inside):
            parts = [written_out(each) for each in inside]
        case none:
            parts = none
    return node.start, node.end, node.key, node.key_end, parts


@given(st.text(st.sampled_from("ab=&%+2fé;# 4"), max_size=40) | st.text(max_size=20))
def test_a_rule_keeps_its_text_and_its_findings_lie_inside(text):
    rule, findings = parse_rule(text)
    for found in findings:
        assert 0 <= found.start <= found.end <= len(text)
        assert found.path == ()
    written = [each for each in text.removeprefix("?").split("&") if each]
    assert [value for _, value in rule.pairs] == [unescape(each.partition("=")[2]) for each in written]


@given(st.text(st.sampled_from("%+a2fFcCé0bB89"), max_size=30))
def test_every_decoded_character_has_its_place(raw):
    text, places = decoded(raw)
    assert text == unescape(raw)
    assert len(places) == len(text) + 1
    assert list(places) == sorted(places)
    assert places[-1] == len(raw)


@given(st.text(st.sampled_from("{}meta:yMdh_ts#x"), max_size=30))
def test_an_odd_token_is_one_that_templates_leave_as_it_is(text):
    for found in _ODD_TOKEN.finditer(text):
        compiled = Template.compile(found[0])
        assert not compiled.has_time
        assert not compiled.meta_names


@given(st.text("abcd", max_size=7), st.text("abcd", max_size=7))
def test_distance_is_a_distance(one, other):
    far = distance(one, other)
    assert far == distance(other, one)
    assert (far == 0) == (one == other)
    assert abs(len(one) - len(other)) <= far <= max(len(one), len(other))


@given(st.text("abcd", max_size=5))
def test_nothing_is_a_near_miss_of_a_short_word(word):
    assert near_miss(word, ["abc", "b", "cd"]) == ""
