"""Where keys and values stand, against tomli, tree-sitter and libyaml."""

from typing import Any

import tomli
import tomli_w
import tree_sitter
import tree_sitter_toml
import yaml
from hypothesis import given
from hypothesis import strategies as st

from flowlord.spec import toml, yaml_places
from flowlord.spec import yaml as our_yaml
from flowlord.spec.document import Node
from flowlord.spec.source import Source
from flowlord.spec.toml_places import scan, spell

PARSER = tree_sitter.Parser(tree_sitter.Language(tree_sitter_toml.language()))

KEYS = st.text(st.sampled_from("abé.-_ \"'#=\n"), min_size=0, max_size=5) | st.sampled_from(["a", "b", "c-d"])
TEXTS = st.text(st.sampled_from("ab\"'\\\n\té𝄞{}[]#=,&"), max_size=12)
PLAIN = st.integers(-5, 10**9) | st.booleans() | st.floats(allow_nan=False, allow_infinity=False)
TIMES = st.dates() | st.datetimes() | st.times()
VALUES = st.recursive(
    TEXTS | PLAIN | TIMES,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=3),
    max_leaves=12,
)
DOCUMENTS = st.dictionaries(KEYS, VALUES, max_size=5)


def walk(node: Node, value: object, text: str) -> int:
    """Every value of the data has a place, and what stands there reads as that value; returns how many."""
    if isinstance(value, dict):
        assert isinstance(node.inside, dict)
        assert list(node.inside) == list(value) or set(node.inside) == set(value)
        return sum(walk(node.inside[key], each, text) for key, each in value.items())
    if isinstance(value, list):
        assert isinstance(node.inside, list)
        assert len(node.inside) == len(value)
        return sum(walk(each, item, text) for each, item in zip(node.inside, value, strict=True))
    assert tomli.loads(f"v = {text[node.start : node.end]}")["v"] == value
    if isinstance(value, str):
        spelt = spell(text, node)
        assert len(spelt) == len(value) + 1
        assert spelt == sorted(spelt)
        for character, place in zip(value, spelt, strict=False):
            assert text[place] in (character, "\\")
    return 1


@given(DOCUMENTS, st.booleans())
def test_every_value_stands_where_the_scanner_says(data, multiline):
    text = tomli_w.dumps(data, multiline_strings=multiline)
    walk(scan(text), tomli.loads(text), text)


def spread(value: object) -> str:
    """The value over many lines, as TOML 1.1 allows in braces, too."""
    if isinstance(value, dict):
        pairs = [
            f"{tomli_w.dumps({key: 1})[: -len(' = 1') - 1]} = {spread(each)},\n"
            for key, each in value.items()
        ]
        return "".join(["{ # }\n", *pairs, "}"])
    if isinstance(value, list):
        return "".join(["[\n", *(f"{spread(each)} # ]\n,\n" for each in value), "]"])
    return tomli_w.dumps({"v": value}).removeprefix("v = ").strip("\n")


@given(DOCUMENTS)
def test_tables_in_braces_go_over_many_lines(data):
    text = f"all = {spread(data)}\n"
    assert tomli.loads(text) == {"all": data}
    walk(scan(text), {"all": data}, text)


HAND_WRITTEN = """\
a.b."c d" = 1
u = {
  # as TOML 1.1 has it
  a = "\\e\\x41b", b.c = 1, # inside
  d = [ { e = 07:32, },
  ],
}
x = [ # list
  {y = 1, z.w = "ü\\u00e9\\n"}, [ 'q', \"\"\"r\\
     s\"\"\" ], ]
'q"r' = '''
it's'''
t = \"\"\"a\\\\\"\"\"
e = \"\"\"\"two\"\" \"\"\"
[t1]
d = 1979-05-27 07:32:00Z
[t1.sub]
n = +1_000
[[many]]
[many.inside]
f = inf
[[many.more]]
[[many]]
[[many.more]]
b = true
[ t1 . "other" ]
"""


def test_the_rarer_ways_of_writing_are_known():
    walk(scan(HAND_WRITTEN), tomli.loads(HAND_WRITTEN), HAND_WRITTEN)


def strings_of(tree: Any) -> list[tuple[int, int]]:
    """The byte offsets of every value that is a string, as tree-sitter sees them."""
    found = []
    todo = [tree.root_node]
    while todo:
        node = todo.pop()
        if node.type == "string":
            found.append((node.start_byte, node.end_byte))
        todo.extend(node.children)
    return sorted(found)


def ours(node: Node, value: object, text: str) -> list[tuple[int, int]]:
    if isinstance(value, dict) and isinstance(node.inside, dict):
        return [place for key, each in value.items() for place in ours(node.inside[key], each, text)]
    if isinstance(value, list) and isinstance(node.inside, list):
        return [p for each, item in zip(node.inside, value, strict=True) for p in ours(each, item, text)]
    if isinstance(value, str):
        return [(len(text[: node.start].encode()), len(text[: node.end].encode()))]
    return []


@given(DOCUMENTS)
def test_strings_stand_where_tree_sitter_sees_them(data):
    text = tomli_w.dumps(data)
    tree = PARSER.parse(text.encode())
    if tree.root_node.has_error:  # its grammar is stricter about some keys
        return
    assert sorted(ours(scan(text), tomli.loads(text), text)) == strings_of(tree)


def test_phases_come_in_the_order_of_the_file_however_they_are_written():
    text = 'Phase = [{task="a"},\n {task="b"}]\n[[phase]]\ntask = "c"\n[["PHASE"]]\ntask = "d"\n  [[phase]]\ntask="e"\n'
    items = toml.read(Source("x", text)).items
    assert [(item.value["task"], item.line, item.column) for item in items] == [
        ("a", 1, 10), ("b", 2, 2), ("c", 3, 1), ("d", 5, 1), ("e", 7, 3),
    ]  # fmt: skip


SPLIT = """\
[[phase]]
task = "a"
[[x-other]]
n = 1
[[phases]]
task = "b"
[phase.x-notes]
n = [
  2 ]
[x-other.sub]
n = 3
[[x-other]]
n = { n = 4,
}
[[phase]]
task = "c"
x-a.n = 5
"""


def test_the_places_in_one_phase_are_those_in_the_whole_file_whatever_stands_between():
    """Tables of others go on in its lines, which began before them."""
    document = toml.read(Source("x", SPLIT))
    assert document.part is not None
    for path, value in ((item.path, item.value) for item in document.items):
        walk(document.node(path), value, SPLIT)
        parts = [(*path, *rest) for rest in ((), ("task",), ("x-notes", "n", 0), ("x-a", "n"))]
        found = [(node.start, node.end, node.key) for node in map(document.node, parts)]
        document.root = scan(SPLIT)
        assert found == [(node.start, node.end, node.key) for node in map(document.node, parts)]
        del document.root


YAML_TEXTS = st.text(st.sampled_from("ab'\"\\ :#{}[]-é𝄞\n&*|>"), max_size=12)
STYLES = st.sampled_from([None, "'", '"', "|", ">"])


@given(st.lists(st.tuples(YAML_TEXTS, STYLES), max_size=5), st.booleans())
def test_yaml_texts_stand_where_they_are_written(texts, flow):
    node = yaml.SequenceNode(
        "tag:yaml.org,2002:seq",
        [yaml.ScalarNode("tag:yaml.org,2002:str", text, style=style) for text, style in texts],
        flow_style=flow,
    )
    root = yaml.MappingNode(
        "tag:yaml.org,2002:map", [(yaml.ScalarNode("tag:yaml.org,2002:str", "texts"), node)], flow_style=False
    )
    text = yaml.serialize(root, allow_unicode=True, width=20)
    document = our_yaml.read(Source("x", text))
    written = document.data["texts"]
    assert isinstance(written, list)
    assert [each if each is not None else "" for each in written] == [each for each, _ in texts]
    for number, value in enumerate(written):
        if not isinstance(value, str):
            continue
        place = document.node(("texts", number))
        spelt = yaml_places.spell(text, place, value)
        assert len(spelt) == len(value) + 1
        assert spelt == sorted(spelt)
        for character, offset in zip(value, spelt, strict=False):
            if character not in " \n":
                assert text[offset] in (character, "\\"), (value, text, offset)


YAML = """\
phases:
- &p { task: &t "a
    b", rule: cron, retry: *t }
- task: |
    c

  ? 'template'
  : {yyyy: , x: []}
- *p
"""


def test_the_texts_of_yaml_stand_where_a_walk_through_all_places_finds_them():
    document = our_yaml.read(Source("x.yaml", YAML))
    found = sorted(document.spans())
    assert document.leaves is not None
    assert len(found) == 8  # four of them behind aliases
    document.leaves = None
    assert found == sorted(document.spans())
