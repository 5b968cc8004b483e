"""The tree of a run: attempts folded into tasks, what each started, bounded where siblings are many. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence

import msgspec

from flowlord.cache.attempt import FAILED, Attempt, State

SHOWN = 20
"""Siblings of one name that are shown; of more the first few, those that failed before others."""
FEW = 5


class Node(msgspec.Struct):
    """One thing in the tree.

    `kind` is task, file, start (a schedule, a backload, a hand), skipped, waits, or more (siblings left out, which
    `counts` tells by state). `attempts` are those of a task, the first one first; `asked` marks what was asked for.
    """

    kind: str
    name: str
    text: str = ""
    at_us: int = 0
    attempts: Sequence[Attempt] = ()
    counts: dict[str, int] = msgspec.field(default_factory=dict)
    children: list[Node] = msgspec.field(default_factory=list)
    asked: bool = False

    @property
    def last(self) -> Attempt | None:
        """The attempt that says where the task is."""
        return self.attempts[-1] if self.attempts else None

    def walk(self, depth: int = 0) -> Iterator[tuple[int, Node]]:
        """Yield this and all below with their depth, from the top down."""
        waiting = [(depth, self)]
        while waiting:
            deep, node = waiting.pop()
            yield deep, node
            waiting += [(deep + 1, child) for child in reversed(node.children)]


def trees(attempts: Sequence[Attempt], asked: frozenset[str] = frozenset()) -> list[Node]:
    """Return the tasks that no other of these started, each with what followed from it.

    Args:
        attempts: of one or more runs, in the order in which they were published.
        asked: keys of attempts whose tasks are marked.
    """
    known = {each.key: each for each in attempts}
    chains: dict[str, list[Attempt]] = {}
    chain_of: dict[str, str] = {}
    for each in attempts:
        first = chain_of.get(each.retry_of, each.key) if each.retry_of in known else each.key
        chain_of[each.key] = first
        chains.setdefault(first, []).append(each)
    nodes = {
        first: Node("task", some[-1].name, attempts=some, asked=any(each.key in asked for each in some))
        for first, some in chains.items()
    }
    roots: list[Node] = []
    for first, node in nodes.items():
        parent = chain_of.get(chains[first][0].parent, "")
        if parent and parent != first:
            nodes[parent].children.append(node)
        else:
            roots.append(node)
    for node in nodes.values():
        node.children = bounded(node.children)
    return roots


def bounded(nodes: Sequence[Node]) -> list[Node]:
    """Return these siblings, of many with one name a few, and how many more there are in which state."""
    if len(nodes) <= SHOWN:
        return list(nodes)
    by_name: dict[str, list[Node]] = {}
    for node in nodes:
        by_name.setdefault(node.name, []).append(node)
    found: list[Node] = []
    for name, some in by_name.items():
        if len(some) <= SHOWN:
            found += some
            continue
        first = sorted(some, key=_rank)[:FEW]
        shown = {id(node) for node in first} | {id(node) for node in some if _holds_asked(node)}
        found += [node for node in some if id(node) in shown]
        rest = Counter(node.last.state for node in some if id(node) not in shown and node.last)
        found.append(Node("more", name, counts=dict(rest)))
    return found


def only_up(roots: Iterable[Node]) -> list[Node]:
    """Return the ways from the top down to what was asked for, and nothing beside them."""
    found = []
    for root in roots:
        if root.asked:
            found.append(_alone(root))
        elif below := only_up(root.children):
            top = _alone(root)
            top.children = below
            found.append(top)
    return found


def only_down(roots: Iterable[Node]) -> list[Node]:
    """Return what was asked for with all that followed from it."""
    found = []
    for root in roots:
        found += [root] if root.asked else only_down(root.children)
    return found


def _alone(node: Node) -> Node:
    return Node(node.kind, node.name, node.text, node.at_us, node.attempts, node.counts, [], node.asked)


def _rank(node: Node) -> int:
    last = node.last
    if last is None:
        return 1
    return 0 if State(last.state) in FAILED else 2 if last.state == "complete" else 1


def _holds_asked(node: Node) -> bool:
    return any(each.asked for _, each in node.walk())
