"""How phases hang together, and the forms in which that is drawn."""

import re
from collections.abc import Mapping, Sequence

from hypothesis import given
from hypothesis import strategies as st

from flowlord.cli.drawing import dot, mermaid
from flowlord.cli.graph import DEEPEST, tree
from flowlord.cli.texts import printable
from flowlord.model.workflow import Phase, Rule, Workflow
from flowlord.spec.graph import Graph, graph_of, only


def flow(phases: Mapping[str, str] | Sequence[tuple[str, str]], path: str = "a.toml") -> Workflow:
    """A workflow of names and their parents."""
    made: list[Phase] = []
    for line, (task, parent) in enumerate(phases.items() if isinstance(phases, Mapping) else phases, 1):
        topic, _, job = task.partition(":")
        above, _, above_job = parent.partition(":")
        name = f"{topic}:{job}" if job else topic
        name += f"#{line}" if name in {each.name for each in made} else ""
        made.append(
            Phase(path, topic, job, name, above, above_job, Rule(), depends_on=parent, task=task, line=line)
        )
    return Workflow(path, tuple(made), path=path)


def arrows(graph: Graph) -> set[tuple[str, str]]:
    names = [node.phase.name for node in graph.nodes]
    return {(names[node.number], names[child]) for node in graph.nodes for child in node.children}


def test_a_parent_without_a_job_is_each_of_its_jobs():
    graph = graph_of([flow({"a:x": "", "a:y": "", "b": "a", "c": "a:y"})])
    assert arrows(graph) == {("a:x", "b"), ("a:y", "b"), ("a:y", "c")}
    assert [node.phase.name for node in graph.roots()] == ["a:x", "a:y"]


def test_a_parent_that_is_not_there_is_told_with_what_was_meant():
    graph = graph_of(
        [
            flow({"load:users": "", "b": "load:user", "c": "far:away", "d": "zzz"}),
            flow({"far:away": ""}, "z.toml"),
        ]
    )
    assert [node.lost for node in graph.nodes[1:4]] == [
        "load:user is no phase; did you mean load:users?",
        "far:away is in another file (z.toml:1); children start only in the file of their parent",
        "zzz is no phase",
    ]


def test_cycles_are_found_and_drawn_once():
    graph = graph_of([flow({"a": "c", "b": "a", "c": "b", "d": "c", "e": "e"})])
    assert graph.cycles == ((0, 1, 2), (4,))
    assert list(tree(graph)) == [
        "a.toml",
        "a",
        "└─ b",
        "   └─ c",
        "      ├─ a  ↻ goes round",
        "      └─ d",
        "e",
        "└─ e  ↻ goes round",
    ]


def test_what_has_several_parents_is_drawn_whole_once():
    graph = graph_of([flow({"a:x": "", "a:y": "", "b": "a", "c": "b"})])
    assert list(tree(graph, plain=True)) == [
        "a.toml",
        "a:x",
        "|  ! nothing starts it by itself",
        "`- b  2 parents",
        "   `- c",
        "a:y",
        "|  ! nothing starts it by itself",
        "`- b  (see above)",
    ]


def test_a_part_of_the_graph_is_what_leads_there_and_what_follows():
    graph = graph_of([flow({"a": "", "b": "a", "c": "b", "d": "b", "e": "a", "x": "", "y": "x"})])
    assert arrows(only(graph, "c")) == {("a", "b"), ("b", "c")}
    assert arrows(only(graph, "b")) == {("a", "b"), ("b", "c"), ("b", "d")}
    assert only(graph, "nobody").nodes == ()
    ring = graph_of([flow({"a": "b", "b": "a", "c": ""})])
    assert only(ring, "a").cycles == ((0, 1),)
    assert only(ring, "c").cycles == ()


def test_a_very_deep_chain_is_drawn_in_pieces_and_a_wide_one_in_lines():
    deep = graph_of([flow([("t0", ""), *((f"t{n}", f"t{n - 1}") for n in range(1, 3000))])])
    lines = list(tree(deep))
    assert max(map(len, lines)) < 3 * DEEPEST + 40
    assert all(any(re.search(rf"\bt{n}\b", line) for line in lines) for n in range(0, 3000, 97))
    wide = graph_of([flow([("a", ""), *((f"b:{n}", "a") for n in range(2000))])])
    assert len(list(tree(wide))) == 2003


def test_too_many_arrows_are_left_out_and_counted():
    crowd = flow([*((f"a:{n}", "") for n in range(400)), *((f"b:{n}", "a") for n in range(400))])
    graph = graph_of([crowd])
    assert (len(arrows(graph)), graph.dropped) == (100_000, 60_000)
    assert not any(node.lost for node in graph.nodes)


words = st.text(st.sampled_from("ab:") | st.characters(exclude_categories=["Cs"]), max_size=8)
files = st.lists(st.tuples(words, words), min_size=1, max_size=8)


@given(files)
def test_the_arrows_are_those_that_results_follow(phases):
    made = flow(phases)
    graph = graph_of([made])
    for node in graph.nodes:
        assert [graph.nodes[each].phase for each in node.children] == sorted(
            made.children(node.phase.topic, node.phase.job), key=lambda phase: phase.line
        )


@given(files, st.booleans(), st.booleans())
def test_every_phase_is_in_the_tree_and_no_text_acts_on_a_terminal(phases, plain, colored):
    graph = graph_of([flow(phases)])
    lines = list(tree(graph, plain=plain, colored=colored))
    for node in graph.nodes:
        assert any(printable(node.phase.name) in line for line in lines)
    bare = [re.sub("\x1b\\[[0-9;]*m", "", line) for line in lines]
    assert [printable(line) for line in bare] == bare


@given(files, words)
def test_names_stay_names_in_mermaid_and_in_graphviz(phases, path):
    graph = graph_of([flow(phases, path)])
    drawn = list(mermaid(graph))
    labels = [found[1] for line in drawn if (found := re.fullmatch(r'    n\d+\["([^"\]]*)"\]', line))]
    assert len(labels) == len(graph.nodes)
    for label, node in zip(labels, graph.nodes, strict=True):
        name = label.split("<br/>")[0]
        assert re.sub(r"#(\d+);", lambda found: chr(int(found[1])), name) == printable(node.phase.name)
        assert re.fullmatch(r"(?:[A-Za-z0-9 _.,/*?=+-]|#\d+;|<br/>)*", label)
    texts = list(dot(graph))
    inside = [
        found[1] for line in texts if (found := re.match(r'    n\d+ \[label="((?:[^"\\]|\\.)*)"', line))
    ]
    assert len(inside) == len(graph.nodes)
    for label, node in zip(inside, graph.nodes, strict=True):
        first = re.match(r"(?:[^\\]|\\[^n])*", label)
        assert first is not None
        shown = re.sub(r"\\(.)", r"\1", first[0]).replace("&amp;", "&")
        assert shown == printable(node.phase.name)
    assert texts[-1] == "}"
