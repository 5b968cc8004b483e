"""`flowlord task ID`: the whole story of one task."""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

import msgspec

from flowlord.bus.clock import SystemClock
from flowlord.cache.attempt import FAILED, OPEN, Attempt, State
from flowlord.cache.filter import known_text
from flowlord.cache.queries import History
from flowlord.cli import printer
from flowlord.cli.attempts import FIELDS, of_peeked, ran, reason, record, state_words, told_by_bus
from flowlord.cli.exits import DONE, NO_SUCH_THING, WRONG_USE
from flowlord.cli.printer import Look
from flowlord.cli.sources import Sources, opened
from flowlord.cli.texts import LONGEST_NAME, printable
from flowlord.cli.times import iso, relative, to_us, took
from flowlord.model.clock import Clock

if TYPE_CHECKING:
    from flowlord.bus.port import Peeked
    from flowlord.config import BusSettings

LISTED = 10  # candidates of an ambiguous name
DESCENDANTS = 200


class Story(msgspec.Struct, frozen=True):
    """A task with everything that is known of it; `attempts` the first one first, descendants with their depth."""

    attempts: Sequence[Attempt]
    descendants: Sequence[tuple[int, Attempt]]
    decisions: Sequence[tuple[int, str, str]]
    parent: Attempt | None

    @property
    def last(self) -> Attempt:
        """The attempt that says where the task is now."""
        return self.attempts[-1]


def run(
    where: BusSettings,
    cache_path: str | None,
    what: str,
    *,
    look: Look | None = None,
    show: str = "",
    watch: bool = False,
    clock: Clock | None = None,
) -> int:
    """Tell the story of the task that `what` names; returns the exit code.

    `what` is the beginning of a dispatch key or of a run's id, `ID/TYPE[:JOB]` for one task of a run, `@last` or
    `@failed`. `show` asks for its `events` or its `payload` alone; `watch` draws it again until it has ended.
    """
    clock = clock or SystemClock()
    look = look or Look()
    ended: list[bool] = []

    def body() -> int:
        with opened(where, cache_path, clock) as sources:
            history = sources.history(fresh=True)
            found = find(sources, history, what)
            if len(found) == 1:
                story = _story(sources, history, found[0])
                _show(sources, story, look, to_us(clock.now()), show)
                ended[:] = [story.last.state not in OPEN]
                return DONE
            ended[:] = [True]
            if not found:
                return unknown(what)
            return ambiguous(what, found, to_us(clock.now()))

    if watch:
        from flowlord.cli.watching import redraw

        return printer.quietly(lambda: redraw(body, is_final=lambda: any(ended)))
    return printer.quietly(body)


def unknown(what: str) -> int:
    """Say that there is no such task; returns the exit code."""
    words = {"@last": "there is no task yet", "@failed": "no task has failed"}
    hint = "flowlord tasks lists them, with their ids"
    printer.error(words.get(what, f"there is no task {what[:LONGEST_NAME]}"), hint=hint)
    return NO_SUCH_THING


def find(sources: Sources, history: History, what: str) -> list[Attempt]:
    """Return the one attempt that a name means, several when it is ambiguous, none when there is none.

    What is whole means itself. A beginning means a key, which is what lists show as id; the id of a run only where no
    key begins so, and then the first task of that run. Beginnings of several keys mean none of them.
    """
    if what in ("@last", "@failed"):
        newest = history.newest(failed=what == "@failed")
        return [newest] if newest else []
    if not what:
        return []
    if found := _beginning(history, what):
        return found
    of_run, mark, name = what.rpartition("/")
    if mark and (found := _beginning(history, of_run)):
        if len(found) > 1:
            return found
        # One of which too little is known has no run, and is not of the run of all those.
        return _of_name(history.run(found[0].id) if found[0].id else found, name)
    nothing: list[Peeked] = []
    return [of_peeked(each) for each in sources.ask(lambda bus: bus.find([known_text(what)]), nothing)][:1]


def _beginning(history: History, what: str) -> list[Attempt]:
    if not what:
        return []
    ids = history.ids_like(what, LISTED + 1)
    if ids != [what] and (keys := history.keys_like(what, LISTED + 1)):
        return keys
    roots = [_root(history.run(each)) for each in ids]
    return [root for root in roots if root is not None]


def _of_name(run: Sequence[Attempt], name: str) -> list[Attempt]:
    """Return the last attempt of the task of that name; one of each when several tasks of a run have it."""
    some = [attempt for attempt in run if name in (attempt.name, attempt.type)]
    followed = {attempt.retry_of for attempt in some}
    return [attempt for attempt in some if attempt.key not in followed]


def _root(run: Sequence[Attempt]) -> Attempt | None:
    keys = {attempt.key for attempt in run}
    ours = (attempt for attempt in run if attempt.parent not in keys and attempt.retry_of not in keys)
    return next(ours, run[0] if run else None)


def _story(sources: Sources, history: History, of: Attempt) -> Story:
    attempts = history.attempts(of)
    if any(attempt.state in OPEN for attempt in attempts):  # of what has ended, the bus knows nothing
        sources.ask(lambda bus: told_by_bus(attempts, bus), None)
    parents = history.by_keys([attempts[0].parent]) if attempts[0].parent else {}
    descendants = []
    for depth, attempt in _descendants(history, attempts, 0):
        descendants.append((depth, attempt))
        if len(descendants) == DESCENDANTS:
            break
    decisions = history.decisions([attempt.key for attempt in attempts])
    return Story(attempts, descendants, decisions, next(iter(parents.values()), None))


def _descendants(history: History, of: Sequence[Attempt], depth: int) -> Iterator[tuple[int, Attempt]]:
    for child in history.children(of):
        chain = history.attempts(child)
        yield depth, chain[-1]
        yield from _descendants(history, chain, depth + 1)


def _show(sources: Sources, story: Story, look: Look, now_us: int, show: str) -> None:
    if not show:
        _tell(story, look, now_us)
        return
    from flowlord.cli.task_events import print_events, print_payload

    if show == "payload":
        print_payload(sources, story.last)
    else:
        children = [child for depth, child in story.descendants if not depth]
        print_events(story.attempts, story.decisions, children, look, now_us)


def _tell(story: Story, look: Look, now_us: int) -> None:
    form = look.resolved()
    if form == "table":
        printer.lines(_page(story, now_us, plain=look.plain()))
    elif form == "json":
        printer.document(_document(story, now_us))
    else:
        printer.rows(
            [_with_output(attempt, now_us) for attempt in story.attempts],
            (*FIELDS, "output"),
            name="id",
            look=look,
        )


def _document(story: Story, now_us: int) -> dict[str, object]:
    return {
        **record(story.last, now_us),
        "attempts": [_with_output(attempt, now_us) for attempt in story.attempts],
        "parent": record(story.parent, now_us) if story.parent else None,
        "descendants": [{"depth": depth, **record(attempt, now_us)} for depth, attempt in story.descendants],
        "decisions": [{"at": iso(at), "kind": kind, "text": text} for at, kind, text in story.decisions],
    }


def _with_output(attempt: Attempt, now_us: int) -> dict[str, object]:
    return {**record(attempt, now_us), "output": attempt.output}


def _page(story: Story, now_us: int, *, plain: bool) -> Iterator[str]:
    last = story.last
    each = record(last, now_us)
    tries = f" after {len(story.attempts)} tries" if len(story.attempts) > 1 else ""
    yield _line("id", last.id or "-", f"key {last.key}")
    yield _line("state", state_words(each, plain=plain) + tries)
    yield _line("task", last.name, f"topic {last.topic}" if last.topic != last.type else "", _from(last))
    yield _line("info", last.info)
    if last.meta:
        yield _line("meta", last.meta)
    if last.moment:
        yield _line("data time", last.moment)
    yield _line("started by", _started_by(story))
    yield _line("times", *_times(last, now_us))
    for attempt in story.attempts:
        yield _line(f"try {attempt.number}", *_try(attempt, now_us, plain=plain))
    if words := reason(each):
        yield _line("message", words)
    for at, kind, text in story.decisions:
        yield _line(kind, f"{iso(at)}  {text}")
    if last.output:
        yield _line("output", "")
        yield from (f"  {printable(line)}" for line in last.output.splitlines())
    for depth, child in story.descendants:
        told = record(child, now_us)
        label = "children" if (depth, child) == story.descendants[0] else ""
        yield _line(
            label,
            "  " * depth + f"{child.name}  {state_words(told, plain=plain)}  {ran(told)}  {child.key[:8]}",
        )
    if len(story.descendants) == DESCENDANTS:
        yield _line("", "and more")
    for label, command in zip(("next", "", "", ""), _next(story), strict=False):
        yield _line(label, command)


def _line(label: str, *parts: str) -> str:
    return printable(f"{label:<10}  " + "  ".join(part for part in parts if part)).rstrip()


def _from(last: Attempt) -> str:
    revision = f"  revision {last.revision[:8]}" if last.revision else ""
    return f"workflow {last.workflow}{revision}" if last.workflow else ""


def _started_by(story: Story) -> str:
    first = story.attempts[0]
    if not first.parent:
        return first.cause or "-"
    if story.parent is None:
        return f"child of {first.parent[:8]}"
    return f"child of {story.parent.name} ({first.parent[:8]})"


def _times(last: Attempt, now_us: int) -> Iterator[str]:
    if last.published_us:
        yield f"made {iso(last.published_us)}"
    if last.due_us > now_us:
        yield f"due {iso(last.due_us)} ({relative(last.due_us, now_us)})"
    if last.started_us and last.published_us:
        yield f"waited {took(last.waited_us)}"
    if last.took_us:
        yield f"ran {took(last.took_us)}"
    if last.ended_us:
        yield f"ended {iso(last.ended_us)} ({relative(last.ended_us, now_us)})"


def _try(attempt: Attempt, now_us: int, *, plain: bool) -> Iterator[str]:
    told = record(attempt, now_us)
    yield state_words(told, plain=plain)
    yield iso(attempt.started_us or attempt.published_us)
    yield ran(told)
    if attempt.worker:
        yield f"on {attempt.worker}"
    if attempt.deliveries > 1:
        yield f"delivered {attempt.deliveries} times"
    yield reason(told)


def _next(story: Story) -> Iterator[str]:
    """Commands that can be pasted; none is offered with a text that would not survive it."""
    last = story.last
    if last.state in FAILED and last.key.isalnum():
        yield f"flowlord retry {last.key[:12]}"
    if last.state in FAILED:
        flow = f" --workflow {shlex.quote(last.workflow)}" if last.workflow else ""
        command = f"flowlord send {shlex.quote(last.name)} {shlex.quote(last.info)}{flow}"
        if printable(command) == command and not last.info.startswith("-"):
            yield command
    if last.state in OPEN and printable(shlex.quote(last.topic)) == last.topic:
        yield f"flowlord topics peek {last.topic}"
    if story.parent is not None and story.parent.key.isalnum():
        yield f"flowlord task {story.parent.key[:12]}"


def ambiguous(what: str, found: Sequence[Attempt], now_us: int) -> int:
    """Say which tasks a name may mean; returns the exit code."""
    many = f"more than {LISTED}" if len(found) > LISTED else str(len(found))
    printer.error(f"{what[:LONGEST_NAME]} may mean {many} tasks", hint="write more of the one you mean")
    for attempt in found[:LISTED]:
        state = State(attempt.state_at(now_us))
        id_ = attempt.key if attempt.key.startswith(what) or not attempt.id.startswith(what) else attempt.id
        printer.say(f"  {id_}  {attempt.name}  {state}  {relative(attempt.happened_us, now_us)}")
    return WRONG_USE
