"""A graph in the notations of mermaid and of Graphviz; whatever names hold, they stay names there."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from itertools import groupby

from flowlord.cli.texts import printable
from flowlord.spec.graph import Graph, Node

# Everything else becomes a character reference, so that no text of a file ends a label or begins something else.
_PLAIN = re.compile(r"[^A-Za-z0-9 _.,/*?=+-]")


def mermaid(graph: Graph) -> Iterator[str]:
    """Yield a flowchart of mermaid: a frame for each file, an arrow from each parent to its children."""
    yield "flowchart LR"
    for frame, (path, nodes) in enumerate(_files(graph)):
        yield f'  subgraph f{frame}["{_in_mermaid(path)}"]'
        for node in nodes:
            yield f'    n{node.number}["{"<br/>".join(map(_in_mermaid, _label(node)))}"]'
        yield "  end"
    for node in graph.nodes:
        for child in node.children:
            yield f"  n{node.number} --> n{child}"
    if marked := [f"n{node.number}" for node in graph.nodes if node.lost or node.in_cycle]:
        yield "  classDef wrong stroke:#c00,stroke-width:2px"
        yield f"  class {','.join(marked)} wrong"


def dot(graph: Graph) -> Iterator[str]:
    """Yield a directed graph in the language of Graphviz: `flowlord graph -o dot | dot -Tsvg`."""
    yield "digraph flowlord {"
    yield "  rankdir=LR;"
    yield '  node [shape=box, fontname="sans-serif"];'
    for frame, (path, nodes) in enumerate(_files(graph)):
        yield f"  subgraph cluster_{frame} {{"
        yield f'    label="{_in_dot(path)}";'
        for node in nodes:
            label = "\\n".join(map(_in_dot, _label(node)))
            yield f'    n{node.number} [label="{label}"' + (
                ", color=red];" if node.lost or node.in_cycle else "];"
            )
        yield "  }"
    for node in graph.nodes:
        for child in node.children:
            yield f"  n{node.number} -> n{child};"
    yield "}"


def _files(graph: Graph) -> Iterator[tuple[str, Iterator[Node]]]:
    path: Callable[[Node], str] = lambda node: node.path  # noqa: E731 - a key for one place
    return groupby(graph.nodes, key=path)


def _label(node: Node) -> list[str]:
    rule = node.phase.rule
    lines = [node.phase.name]
    if rule.cron:
        lines.append(f"cron {rule.cron}")
    lines += [f"files {pattern}" for pattern in rule.files]
    if node.lost:
        lines.append(f"waits for {node.phase.depends_on}")
    return lines


def _in_mermaid(text: str) -> str:
    return _PLAIN.sub(lambda found: f"#{ord(found[0])};", printable(text))


def _in_dot(text: str) -> str:
    """Escape quotes and backslashes, and the ampersand: Graphviz reads character references in labels."""
    return printable(text).replace("\\", "\\\\").replace('"', '\\"').replace("&", "&amp;")
