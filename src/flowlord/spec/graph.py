"""How phases hang together, as a value that can be drawn: who starts whom, what starts by itself, what never starts."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Final

from flowlord.model.workflow import Phase, Workflow
from flowlord.spec.near import nearest

MOST_EDGES: Final = 100_000


@dataclass(slots=True)
class Node:
    """One phase: `parents` and `children` are numbers of nodes; `lost` tells why its parent will never start it.

    `starts` has what starts it: `cron`, `files`, `parent`; nothing when only a person can.
    """

    number: int
    phase: Phase
    path: str
    starts: tuple[str, ...]
    parents: list[int] = field(default_factory=list)
    children: list[int] = field(default_factory=list)
    lost: str = ""
    in_cycle: bool = False

    @property
    def place(self) -> str:
        """File and line."""
        return f"{self.path}:{self.phase.line}"


@dataclass(frozen=True, slots=True)
class Graph:
    """All phases in the order of files and lines. `cycles` are numbers of nodes that start each other for ever.

    `dropped` counts the arrows that were left out because there are too many.
    """

    nodes: tuple[Node, ...]
    cycles: tuple[tuple[int, ...], ...] = ()
    dropped: int = 0

    def roots(self) -> list[Node]:
        """Return what no other phase starts, and of each cycle that nothing outside leads into its first phase."""
        found = [node for node in self.nodes if not node.parents]
        reached = _below(self.nodes, [node.number for node in found])
        for node in self.nodes:  # what is left hangs on cycles
            if node.number not in reached:
                found.append(node)
                reached |= _below(self.nodes, [node.number])
        return sorted(found, key=lambda node: node.number)


def graph_of(flows: Iterable[Workflow]) -> Graph:
    """Return the graph of some workflows; children hang on parents of their own file only, as they start."""
    nodes: list[Node] = []
    dropped = drawn = 0
    flows = list(flows)
    places: dict[str, str] = {}
    for flow in flows:
        for phase in flow.phases:
            places.setdefault(phase.base_name, f"{flow.path}:{phase.line}")
            places.setdefault(phase.topic, f"{flow.path}:{phase.line}")
    for flow in flows:
        own = [
            Node(len(nodes) + number, phase, flow.path, _starts(phase))
            for number, phase in enumerate(flow.phases)
        ]
        dropped += _joined(flow, own, MOST_EDGES - drawn)
        drawn += sum(len(node.children) for node in own)
        names = {node.phase.base_name for node in own} | {node.phase.topic for node in own}
        for node in own:
            if node.phase.parent and not node.parents and not dropped:
                node.lost = _lost(node.phase, names, places)
        nodes += own
    cycles = _cycles(nodes)
    for cycle in cycles:
        for number in cycle:
            nodes[number].in_cycle = True
    return Graph(tuple(nodes), cycles, dropped)


def only(graph: Graph, topic: str) -> Graph:
    """Return the chains that a topic, or a `topic:job`, takes part in: what leads to it and what follows."""
    meant = [
        node.number
        for node in graph.nodes
        if topic in (node.phase.topic, node.phase.base_name, node.phase.name)
    ]
    kept = sorted(_below(graph.nodes, meant) | _above(graph.nodes, meant))
    fresh = {number: at for at, number in enumerate(kept)}
    nodes = tuple(
        Node(
            fresh[number],
            graph.nodes[number].phase,
            graph.nodes[number].path,
            graph.nodes[number].starts,
            [fresh[each] for each in graph.nodes[number].parents if each in fresh],
            [fresh[each] for each in graph.nodes[number].children if each in fresh],
            graph.nodes[number].lost,
            graph.nodes[number].in_cycle,
        )
        for number in kept
    )
    cycles = tuple(
        tuple(fresh[each] for each in cycle) for cycle in graph.cycles if fresh.keys() >= set(cycle)
    )
    return Graph(nodes, cycles, graph.dropped)


def _starts(phase: Phase) -> tuple[str, ...]:
    known = {"cron": phase.rule.cron, "files": phase.rule.files, "parent": phase.parent}
    return tuple(name for name, given in known.items() if given)


def _joined(flow: Workflow, nodes: Sequence[Node], room: int) -> int:
    """Draw the arrows of one file, as many as there is room for; returns how many were left out."""
    numbers = {node.phase.name: node.number for node in nodes}
    first = nodes[0].number if nodes else 0
    dropped = 0
    for node in nodes:
        children = flow.children(node.phase.topic, node.phase.job)
        if len(children) > room:
            dropped += len(children) - room
            children = children[:room]
        room -= len(children)
        node.children += sorted(numbers[child.name] for child in children)
        for number in node.children:
            nodes[number - first].parents.append(node.number)
    return dropped


def _lost(phase: Phase, names: set[str], places: dict[str, str]) -> str:
    elsewhere = places.get(phase.depends_on)
    if elsewhere:
        return f"{phase.depends_on} is in another file ({elsewhere}); children start only in the file of their parent"
    like = nearest(phase.depends_on, sorted(names - {phase.base_name}))
    return f"{phase.depends_on} is no phase" + (f"; did you mean {like}?" if like else "")


def _below(nodes: Sequence[Node], start: Iterable[int]) -> set[int]:
    return _reached(start, lambda number: nodes[number].children)


def _above(nodes: Sequence[Node], start: Iterable[int]) -> set[int]:
    return _reached(start, lambda number: nodes[number].parents)


def _reached(start: Iterable[int], more: Callable[[int], Iterable[int]]) -> set[int]:
    found = set(start)
    open_ = list(found)
    while open_:
        for number in more(open_.pop()):
            if number not in found:
                found.add(number)
                open_.append(number)
    return found


def _cycles(nodes: Sequence[Node]) -> tuple[tuple[int, ...], ...]:
    """Return groups of nodes that start each other: strongly connected ones, found in one walk without recursion."""
    order: dict[int, int] = {}
    low: dict[int, int] = {}
    held: list[int] = []
    on_hold: set[int] = set()
    found: list[tuple[int, ...]] = []
    for start in range(len(nodes)):
        if start in order:
            continue
        order[start] = low[start] = len(order)
        held.append(start)
        on_hold.add(start)
        walk = [(start, iter(nodes[start].children))]
        while walk:
            number, rest = walk[-1]
            step = next(rest, None)
            if step is None:
                walk.pop()
                if walk:
                    above = walk[-1][0]
                    low[above] = min(low[above], low[number])
                if low[number] == order[number]:
                    group = []
                    while True:
                        last = held.pop()
                        on_hold.discard(last)
                        group.append(last)
                        if last == number:
                            break
                    if len(group) > 1 or number in nodes[number].children:
                        found.append(tuple(sorted(group)))
            elif step not in order:
                order[step] = low[step] = len(order)
                held.append(step)
                on_hold.add(step)
                walk.append((step, iter(nodes[step].children)))
            elif step in on_hold:
                low[number] = min(low[number], order[step])
    return tuple(sorted(found))
