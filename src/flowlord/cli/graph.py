"""`flowlord graph`: the chains of phases as a tree for people, and in the notations of programs that draw."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, NamedTuple

from flowlord.cli import printer
from flowlord.cli.drawing import dot, mermaid
from flowlord.cli.exits import ANSWER_IS_BAD, DONE, WRONG_USE
from flowlord.cli.texts import printable
from flowlord.model.problem import Severity
from flowlord.rules.durations import short_duration
from flowlord.spec.graph import Graph, Node, graph_of, only

if TYPE_CHECKING:
    from flowlord.config import StorageSettings
    from flowlord.model.workflow import Rule

FORMS = ("text", "json", "mermaid", "dot")
DEEPEST = 40
"""How deep a tree is drawn in one piece: no terminal shows more."""


def run(
    path: str,
    *,
    where: StorageSettings | None = None,
    topic: str = "",
    output: str = "",
    look: printer.Look | None = None,
) -> int:
    """Print how the phases at `path` hang together; returns the exit code, 1 when a file is broken."""
    output = output or "text"
    if output not in FORMS:
        printer.error(f"-o {output!r} is no form of a graph", hint=f"write one of {', '.join(FORMS)}")
        return WRONG_USE
    look = look or printer.Look()
    from flowlord.cli.places import place_at, unknown_topic, unreadable
    from flowlord.spec.load import load

    try:
        loaded = load(place_at(path, where=where))
    except OSError as error:
        return unreadable(path, error, "graph")
    for problem in loaded.problems:
        if problem.severity is Severity.ERROR:
            printer.problem(problem)
    graph = graph_of(loaded.drafts)
    if topic:
        graph = only(graph, topic)
        if not graph.nodes:
            return unknown_topic(topic, (phase for flow in loaded.drafts for phase in flow.phases))

    def body() -> int:
        match output:
            case "json":
                printer.document(_document(graph))
            case "mermaid":
                printer.lines(mermaid(graph))
            case "dot":
                printer.lines(dot(graph))
            case _:
                printer.lines(tree(graph, plain=look.plain(), colored=look.colored()))
        if graph.dropped:
            printer.say(f"note: {graph.dropped:,} arrows are left out; --topic draws a part of the graph")
        if not graph.nodes:
            printer.say("there are no phases")
        return ANSWER_IS_BAD if loaded.failed else DONE

    return printer.quietly(body)


def tree(graph: Graph, *, plain: bool = False, colored: bool = False) -> Iterator[str]:
    """Yield the graph as lines: a tree for each file, with what starts each phase.

    A phase below several parents is drawn whole the first time and named again below the others; what lies very deep
    is drawn as a tree of its own.
    """
    drawer = _Drawer(graph, _PLAIN_MARKS if plain else _MARKS, colored)
    file: str | None = None
    for root in graph.roots():
        if root.path != file:
            if file is not None:
                yield ""
            file = root.path
            yield drawer.paint(printable(file), "1")
        yield from drawer.draw(root.number)


class _Marks(NamedTuple):
    branch: str
    last: str
    line: str
    seen: str
    round: str
    deep: str


_MARKS = _Marks("├─ ", "└─ ", "│  ", "↑ above", "↻ goes round", "↓ goes on below")
_PLAIN_MARKS = _Marks("|- ", "`- ", "|  ", "(see above)", "(goes round)", "(goes on below)")


class _Step(NamedTuple):
    """A phase to be drawn, what stands in front of it and in front of its children, and how deep it lies."""

    number: int
    before: str
    below: str
    depth: int


class _Drawer:
    """Draws trees one after another, and remembers what it drew."""

    def __init__(self, graph: Graph, marks: _Marks, colored: bool) -> None:
        self.graph = graph
        self.marks = marks
        self.colored = colored
        self.drawn: set[int] = set()

    def paint(self, text: str, code: str) -> str:
        return f"\x1b[{code}m{text}\x1b[0m" if self.colored and text else text

    def draw(self, root: int) -> Iterator[str]:
        deep = [_Step(root, "", "", 0)]
        while deep:
            open_ = [deep.pop(0)]
            path: list[int] = []  # from the root to the phase that is being drawn
            on_path: set[int] = set()
            while open_:
                step = open_.pop()
                while len(path) > step.depth:
                    on_path.discard(path.pop())
                node = self.graph.nodes[step.number]
                again = self._again(node, step, on_path)
                name = printable(node.phase.name)
                if again:
                    yield f"{step.before}{name}  {self.paint(again, '31' if again == self.marks.round else '2')}"
                    if again == self.marks.deep:
                        deep.append(_Step(step.number, "… " if "─" in self.marks.last else "... ", "", 0))
                    continue
                self.drawn.add(step.number)
                path.append(step.number)
                on_path.add(step.number)
                told = printable(", ".join(describe(node)))
                yield f"{step.before}{name}" + (f"  {self.paint(told, '2')}" if told else "")
                rest = self.marks.line if node.children else "   "
                for warning in _warnings(node):
                    yield f"{step.below}{rest}{self.paint(f'! {printable(warning)}', '33')}"
                open_ += self._below(node, step)

    def _again(self, node: Node, step: _Step, on_path: set[int]) -> str:
        """Return why the phase is only named here; nothing when it is to be drawn."""
        if step.number in on_path:
            return self.marks.round
        if step.number in self.drawn:
            return self.marks.seen if node.children else ""
        return self.marks.deep if step.depth == DEEPEST and node.children else ""

    def _below(self, node: Node, step: _Step) -> Iterator[_Step]:
        """Yield the children, the last one first, as they are taken from the end."""
        before, below = step.below + self.marks.last, step.below + "   "
        for child in reversed(node.children):
            yield _Step(child, before, below, step.depth + 1)
            before, below = step.below + self.marks.branch, step.below + self.marks.line


def describe(node: Node) -> list[str]:
    """Return what starts a phase and how it goes on, as short parts for people."""
    rule = node.phase.rule
    parts: list[str] = []
    if rule.cron:
        parts.append(f"cron {rule.cron}" + (f" {rule.tz}" if rule.tz else ""))
    parts += [f"files {pattern}" for pattern in rule.files]
    parts += _options(rule)
    if node.phase.retry:
        parts.append(f"retry {node.phase.retry}")
    if len(node.parents) > 1:
        parts.append(f"{len(node.parents)} parents")
    return parts


def _options(rule: Rule) -> list[str]:
    shown: list[tuple[bool, Callable[[], str]]] = [
        (bool(rule.offset_ns), lambda: f"offset {short_duration(rule.offset_ns)}"),
        (bool(rule.for_ns), lambda: f"for {short_duration(rule.for_ns)} by {rule.by or 'day'}"),
        (rule.has_meta, lambda: f"meta {', '.join(rule.meta)}"),
        (bool(rule.meta_file), lambda: f"meta-file {rule.meta_file}"),
        (bool(rule.require), lambda: f"requires {', '.join(rule.require)}"),
    ]
    return [text() for given, text in shown if given]


def _warnings(node: Node) -> Iterator[str]:
    if node.lost:
        yield node.lost
    elif not node.starts:
        yield "nothing starts it by itself"


def _document(graph: Graph) -> dict[str, object]:
    names = [node.phase.identity for node in graph.nodes]
    return {
        "phases": [
            {
                "id": node.phase.identity,
                "workflow": node.phase.workflow,
                "task": node.phase.base_name,
                "file": node.path,
                "line": node.phase.line,
                "starts": list(node.starts),
                "depends_on": node.phase.depends_on,
                "parents": [names[each] for each in node.parents],
                "children": [names[each] for each in node.children],
                "rule": node.phase.rule_text,
                "retry": node.phase.retry,
                "template": node.phase.template,
                "problem": node.lost,
            }
            for node in graph.nodes
        ],
        "cycles": [[names[each] for each in cycle] for cycle in graph.cycles],
        "left_out": graph.dropped,
    }
