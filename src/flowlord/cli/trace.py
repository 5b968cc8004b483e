"""`flowlord trace`: from a file or a start down to the last task that followed, and back up."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING

import msgspec

from flowlord.bus.clock import SystemClock
from flowlord.cache.attempt import OPEN, Attempt, State
from flowlord.cache.queries import History
from flowlord.cache.seen import SeenFile
from flowlord.cli import printer
from flowlord.cli.attempts import SYMBOLS, told_by_bus
from flowlord.cli.exits import DONE, NO_SUCH_THING
from flowlord.cli.lineage import Node, bounded, only_down, only_up, trees
from flowlord.cli.printer import Look
from flowlord.cli.sources import Sources, opened
from flowlord.cli.table import cells_wide
from flowlord.cli.texts import LONGEST_NAME, printable
from flowlord.cli.times import iso, to_us, took
from flowlord.model.clock import Clock
from flowlord.model.errors import FlowlordError

if TYPE_CHECKING:
    from flowlord.config import Settings

FIELDS = (
    "depth", "kind", "task", "moment", "state", "tries", "info", "id", "key", "at", "started", "ended", "took_s",
    "reason", "count", "asked",
)  # fmt: skip
MOST = 5_000
"""Attempts of one run that are looked at."""
ROOTS = 50
VERSIONS = 5
FORMS = ("tree", "json", "dot", "table", "jsonl", "csv", "tsv", "name")


class Several(msgspec.Struct, frozen=True):
    """What a name may mean, which then means none of them."""

    attempts: Sequence[Attempt]


def run(
    settings: Settings,
    what: str,
    output: str,
    look: Look,
    *,
    up: bool,
    down: bool,
    clock: Clock | None = None,
) -> int:
    """Print the tree around a task, a batch or a file; returns the exit code."""
    if output and output not in FORMS:
        raise FlowlordError(
            f"-o {printable(output)!r} is no form of a tree", hint=f"write {', '.join(FORMS)}"
        )
    clock = clock or SystemClock()
    cache_path = settings.cache.path if settings.cache.enabled else None

    def body() -> int:
        from flowlord.cli.task import ambiguous

        with opened(settings.bus, cache_path, clock) as sources:
            roots = found(sources, what)
            if isinstance(roots, Several):
                return ambiguous(what, roots.attempts, to_us(clock.now()))
            if roots is None:
                printer.error(
                    f"there is no task, batch or file {what[:LONGEST_NAME]}",
                    hint="flowlord tasks and flowlord files list them; more letters of an id may be needed",
                )
                return NO_SUCH_THING
        if up != down:
            roots = only_up(roots) if up else only_down(roots)
        _print(roots, output or "tree", look, to_us(clock.now()))
        return DONE

    return printer.quietly(body)


def found(sources: Sources, what: str) -> list[Node] | Several | None:
    """Return the trees that hold what was asked for; the tasks that it may mean, None when nobody knows it."""
    from flowlord.cli.task import find

    history = sources.history(fresh=True)
    if what.startswith("b-") and (roots := _of_batch(sources, history, what)):
        return roots
    seen = seen_versions(history, what)
    if seen:
        return [_of_file(sources, history, each) for each in seen]
    attempts = find(sources, history, what)
    if len(attempts) != 1:
        return Several(attempts) if attempts else None
    return _of_attempt(sources, history, attempts[0])


def _of_attempt(sources: Sources, history: History, of: Attempt) -> list[Node]:
    some = history.run(of.id, MOST) if of.id else [of]
    known = {each.key for each in some}
    if of.key not in known:
        some = [*_above(history, of), *some]
    nodes = trees(some, frozenset((of.key,)))
    _finish(sources, history, nodes)
    if len(some) >= MOST:
        nodes.append(Node("more", "tasks of this run", text=f"only {MOST:,} of them were looked at"))
    held = [node for node in nodes if any(each.asked for _, each in node.walk())] or nodes
    first = held[0].attempts[0] if held[0].attempts else of
    top = _origin(history, first)
    top.children = held
    return [top]


def _above(history: History, of: Attempt) -> list[Attempt]:
    """Return the way up from a task of a run that is too large to be read whole, and what it started itself."""
    way = history.attempts(of)
    while (parent := way[0].parent) and (before := history.by_keys([parent]).get(parent)):
        way = [*history.attempts(before), *way]
    return [*way, *history.children(history.attempts(of))]


def _origin(history: History, first: Attempt) -> Node:
    """Return what started a run: a file, a schedule, a backload or a person."""
    cause = first.cause
    head = f":{first.phase}:"
    for kind in ("file", "files"):
        if cause.startswith(kind + head):
            path = cause.removeprefix(kind + head).rpartition(":")[0]
            seen = seen_versions(history, path)[:1]
            return Node("file", path, _file_words(seen[0]) if seen else "", seen[0].at_us if seen else 0)
    if cause.startswith("tick" + head):
        return Node("start", f"schedule of {first.name}", f"planned for {cause.removeprefix('tick' + head)}")
    if cause.startswith("backload:"):
        return Node("start", f"backload {cause.removeprefix('backload:')}", "")
    if cause.startswith("ask:"):
        return Node("start", f"sent by hand ({printable(cause.removeprefix('ask:'))[:40]})", "")
    return Node("start", cause or "not known what started it", "")


def _of_file(sources: Sources, history: History, seen: SeenFile) -> Node:
    top = Node("file", seen.path, _file_words(seen), seen.at_us, asked=True)
    keys = [each for each in seen.keys.split(",") if each]
    by_key = history.by_keys(keys)
    first = [by_key[key] for key in keys if key in by_key]
    some: dict[str, Attempt] = {}
    for run_id in dict.fromkeys(each.id for each in first[:ROOTS]):
        some |= {each.key: each for each in (history.run(run_id, MOST) if run_id else [])}
    some |= {each.key: each for each in first if not each.id}
    started = {each.key for each in first}
    nodes = [node for node in trees(list(some.values())) if node.attempts[0].key in started]
    _finish(sources, history, nodes)
    top.children = bounded(nodes)
    if seen.tasks > len(first):
        counts: dict[str, int] = {}
        batches = {each.batch for each in first if each.batch}
        for batch in batches:
            counts |= {str(state): number for state, number in history.states_of_batch(batch).items()}
        words = f"{seen.tasks - len(first):,} more tasks" + (
            f" of batch {min(batches)[:12]}" if batches else ""
        )
        top.children.append(Node("more", words, counts=counts, text="in all" if counts else ""))
    return top


def _of_batch(sources: Sources, history: History, batch: str) -> list[Node]:
    counts = {str(state): number for state, number in history.states_of_batch(batch).items()}
    if not counts:
        return []
    sql = "SELECT key FROM tasks WHERE batch = ? AND number = 1 AND batch <> '' ORDER BY happened_us LIMIT ?"
    keys = [str(key) for (key,) in history.rows(sql, (batch, ROOTS))]
    keys += [each.key for each in history.newer.values() if each.batch == batch][:ROOTS]
    first = list(history.by_keys(dict.fromkeys(keys)).values())
    some: dict[str, Attempt] = {}
    for each in first:
        some |= {one.key: one for one in history.run(each.id, 200)}
    nodes = [node for node in trees(list(some.values())) if node.attempts[0].batch == batch]
    _finish(sources, history, nodes)
    shown = bounded(nodes)
    total = ", ".join(f"{number:,} {state}" for state, number in sorted(counts.items()))
    return [Node("start", f"backload {batch}", f"attempts: {total}", children=shown, asked=True)]


def seen_versions(history: History, path: str) -> list[SeenFile]:
    """Return what was told of a file, its last versions first, by the first spelling of its path that is known."""
    if "/" not in path and "." not in path:
        return []
    from flowlord.cache.seen import versions
    from flowlord.cli.filemeant import spellings

    for each in (path, *spellings(path)):
        if found := versions(history, each, VERSIONS):
            return found
    return []


def _file_words(seen: SeenFile) -> str:
    return f"seen {iso(seen.at_us)}  {seen.state}" + ("" if seen.tasks else f"  {seen.text}")


def _finish(sources: Sources, history: History, nodes: Iterable[Node]) -> None:
    """Ask the bus about what is open, and tell what waits and what was left out."""
    from flowlord.cache.decided import of_keys
    from flowlord.cli.terms import flow_named

    tasks = [each for node in nodes for _, each in node.walk() if each.kind == "task"]
    unsure = [node.last for node in tasks if node.last and node.last.state in OPEN]
    if unsure:
        sources.ask(lambda bus: told_by_bus(unsure[:500], bus), None)
    keys = {each.key: node for node in tasks for each in node.attempts}
    told = [each for each in of_keys(history, list(keys)[:2_000]) if each.kind == "skipped"]
    for each in told:
        name = each.phase.partition(":")[2] or each.topic
        keys[each.key].children.append(Node("skipped", name, each.text, each.at_us))
    flows = {}
    for node in tasks[:500]:
        last = node.last
        if last is None or last.state in ("complete", "cancelled") or not last.workflow:
            continue
        if last.workflow not in flows:
            flows[last.workflow] = flow_named(history, last.workflow)
        flow = flows[last.workflow]
        for phase in flow.children(last.topic, last.job) if flow else ():
            node.children.append(Node("waits", phase.base_name, f"waits for {last.name}"))


def _print(roots: Sequence[Node], form: str, look: Look, now_us: int) -> None:
    if form == "json":
        printer.document([_document(root, now_us) for root in roots])
    elif form == "dot":
        printer.lines(_dot(roots, now_us))
    elif form in ("tree", "table"):
        printer.lines(_tree(roots, now_us, plain=look.plain()))
    else:
        rows = ({"depth": depth, **record(node, now_us)} for root in roots for depth, node in root.walk())
        printer.rows(rows, FIELDS, name="key", look=Look(form, look.no_headers))


def record(node: Node, now_us: int) -> dict[str, object]:
    """Return what machines get of a node."""
    last = node.last
    return {
        "kind": node.kind,
        "task": node.name,
        "moment": last.moment if last else "",
        "state": last.state_at(now_us).value if last else "",
        "tries": len(node.attempts) or None,
        "info": last.info if last else "",
        "id": last.id if last else "",
        "key": last.key if last else "",
        "at": iso(node.at_us or (node.attempts[0].published_us if node.attempts else 0)) or None,
        "started": (iso(last.started_us) if last else "") or None,
        "ended": (iso(last.ended_us) if last else "") or None,
        "took_s": last.took_us / 1e6 if last and last.took_us else None,
        "reason": (last.msg or last.reason) if last else node.text,
        "count": node.counts or None,
        "asked": node.asked,
    }


def _document(root: Node, now_us: int) -> dict[str, object]:
    top: dict[str, object] = {}
    open_: list[tuple[Node, dict[str, object]]] = [(root, top)]
    while open_:  # not by recursion: a chain may be thousands deep
        node, into = open_.pop()
        below: list[dict[str, object]] = [{} for _ in node.children]
        into |= {**record(node, now_us), "children": below}
        open_ += zip(node.children, below, strict=True)
    return top


def _tree(roots: Sequence[Node], now_us: int, *, plain: bool) -> Iterator[str]:
    rows = [row for root in roots for row in _branches(root, plain=plain)]
    wide = min(max((cells_wide(label) for label, _ in rows), default=0), 72)
    for label, node in rows:
        words = "  ".join(part for part in _words(node, now_us, plain=plain) if part)
        yield f"{label}{' ' * max(wide - cells_wide(label), 0)}  {printable(words)}".rstrip()


def _branches(root: Node, *, plain: bool) -> Iterator[tuple[str, Node]]:
    last, middle, bar = ("`- ", "|- ", "|  ") if plain else ("└─ ", "├─ ", "│  ")
    waiting: list[tuple[Node, str, str]] = [(root, "", "")]
    while waiting:
        node, own, below = waiting.pop()
        moment = f" {node.last.moment.removesuffix('T00')}" if node.last and node.last.moment else ""
        more = "… " if node.kind == "more" and not plain else ""
        yield own + printable(more + node.name + moment), node
        children = node.children
        for at in range(len(children) - 1, -1, -1):
            ends = at == len(children) - 1
            waiting.append(
                (children[at], below + (last if ends else middle), below + ("   " if ends else bar))
            )


def _words(node: Node, now_us: int, *, plain: bool) -> Iterator[str]:
    last = node.last
    if node.kind in ("waits", "skipped"):
        yield f"{('.' if plain else '⌛') if node.kind == 'waits' else '-'} {node.text}"
        return
    if last is None:
        yield node.kind if node.kind == "file" else ""
        yield ", ".join(f"{number:,} {state}" for state, number in sorted(node.counts.items()))
        yield node.text
        return
    state = last.state_at(now_us)
    yield f"{SYMBOLS[State(state)][plain]} {state}"
    yield f"{len(node.attempts)} tries" if len(node.attempts) > 1 else ""
    yield took(last.took_us) if last.took_us else ""
    yield last.key[:8]
    yield ("<-" if plain else "◀") if node.asked else ""
    if state not in (State.COMPLETE, State.WAITING, State.RUNNING):
        yield last.msg or last.reason


def _dot(roots: Sequence[Node], now_us: int) -> Iterator[str]:
    def quoted(text: str) -> str:
        return '"' + printable(text).replace("\\", "\\\\").replace('"', '\\"') + '"'

    yield "digraph trace {"
    yield "  rankdir=LR; node [shape=box];"
    numbers: dict[int, int] = {}
    for root in roots:
        for _, node in root.walk():
            number = numbers.setdefault(id(node), len(numbers))
            words = " ".join(part for part in _words(node, now_us, plain=True) if part)
            yield f"  n{number} [label={quoted(f'{node.name} | {words}')}];"
    for root in roots:
        for _, node in root.walk():
            for child in node.children:
                yield f"  n{numbers[id(node)]} -> n{numbers[id(child)]};"
    yield "}"
