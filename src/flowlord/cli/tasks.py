"""`flowlord tasks`: what happened, what waits and what runs, one line for each attempt."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
from typing import TYPE_CHECKING

import msgspec

from flowlord.bus.clock import SystemClock
from flowlord.cache.attempt import FAILED, OPEN, Attempt, State
from flowlord.cache.queries import PAGE, Filter, History
from flowlord.cli import printer
from flowlord.cli.attempts import FIELDS, columns, of_peeked, record, running, set_by_bus, told_by_bus
from flowlord.cli.exits import ANSWER_IS_BAD, DONE, UNREACHABLE
from flowlord.cli.printer import Look, Sheet
from flowlord.cli.sources import Sources, opened
from flowlord.cli.times import parse_time, to_us
from flowlord.model.clock import Clock
from flowlord.model.errors import FlowlordError

if TYPE_CHECKING:
    from flowlord.bus.port import Bus, Peeked
    from flowlord.config import BusSettings

SHOWN = 50
"""Rows on a terminal when no limit is asked for; in a pipe there is none."""
RECENT = 10
FOLLOW_WAIT_S = 1.0
COUNTED = 10_000
HELD = 100_000  # open attempts that a follower remembers


class Question(msgspec.Struct, frozen=True):
    """What the command line asked; texts as typed, `limit` None for the usual one, 0 for all."""

    state: str = ""
    failed: bool = False
    running: bool = False
    waiting: bool = False
    topic: str = ""
    job: str = ""
    workflow: str = ""
    id: str = ""
    since: str = ""
    until: str = ""
    limit: int | None = None
    follow: bool = False
    exit_code: bool = False
    count: bool = False
    look: Look = msgspec.field(default_factory=Look)

    def wanted(self, clock: Clock) -> Filter:
        """Return the filter; raises FlowlordError for words that mean nothing."""
        states = {_state(word) for word in self.state.split(",") if word.strip()}
        states |= FAILED if self.failed else set()
        states |= {State.RUNNING} if self.running else set()
        states |= {State.WAITING, State.LATER} if self.waiting else set()
        now = clock.now()
        try:
            since = to_us(parse_time(self.since, now)) if self.since else 0
            until = to_us(parse_time(self.until, now, end=True)) if self.until else 0
        except ValueError as error:
            raise FlowlordError(str(error)) from None
        return Filter(
            frozenset(states), self.topic, self.job, self.workflow, self.id, max(since, 0), max(until, 0)
        )


def run(where: BusSettings, cache_path: str | None, question: Question, *, clock: Clock | None = None) -> int:
    """Print the attempts that are asked for; returns the exit code."""
    clock = clock or SystemClock()
    wanted = question.wanted(clock)

    def body() -> int:
        with opened(where, cache_path, clock) as sources:
            if question.follow:
                return _follow(sources, question, wanted, clock)
            if question.count:
                return _count(sources, question, wanted, to_us(clock.now()))
            return _list(sources, question, wanted, to_us(clock.now()))

    return printer.quietly(body)


def _list(sources: Sources, question: Question, wanted: Filter, now_us: int) -> int:
    look = question.look
    for_people = look.resolved() == "table" and printer.on_terminal()
    limit = question.limit if question.limit is not None else SHOWN if for_people else 0
    ended = bool(wanted.states) and not wanted.states & OPEN
    sheet = Sheet(FIELDS, columns(now_us, ended=ended), name="id", look=look)
    found = _selected(sources, wanted, now_us, min(limit, PAGE) or PAGE)
    shown = islice(found, limit or None)
    while some := list(islice(shown, PAGE)):
        sheet.add(record(attempt, now_us) for attempt in some)
    sheet.close()
    if for_people:
        _summary(sources, question, wanted, sheet.count, limit, now_us)
    return ANSWER_IS_BAD if question.exit_code and sheet.count else DONE


def _summary(
    sources: Sources, question: Question, wanted: Filter, shown: int, limit: int, now_us: int
) -> None:
    if not shown:
        printer.say("no tasks" if wanted == Filter() else "no such tasks")
        return
    more = 0
    if shown == limit and wanted.states != {State.RUNNING}:
        more = sources.history(fresh=False).count(wanted, now_us, most=COUNTED + shown) - shown
    if more > 0:
        many = f"more than {COUNTED}" if more >= COUNTED else str(more)
        printer.say(f"… {many} more, --limit 0 for all")
    if wanted.states & FAILED:
        printer.say("Details: flowlord task @failed")


def _count(sources: Sources, question: Question, wanted: Filter, now_us: int) -> int:
    if wanted.states and not wanted.states & OPEN:
        count = sources.history(fresh=False).count(wanted, now_us)
    elif not wanted.states:
        count = sources.history(fresh=True).count(wanted, now_us)
    else:
        count = sum(1 for _ in _selected(sources, wanted, now_us, PAGE))
    if question.look.resolved() in ("json", "jsonl"):
        printer.document({"count": count})
    else:
        printer.lines([str(count)])
    return ANSWER_IS_BAD if question.exit_code and count else DONE


def _selected(sources: Sources, wanted: Filter, now_us: int, size: int) -> Iterator[Attempt]:
    """Yield what is wanted: first what runs, when that is asked for, then what history tells, corrected by the bus."""
    states = wanted.states
    history = sources.history(fresh=not states or bool(states & OPEN))
    given: set[str] = set()
    if State.RUNNING in states:
        for attempt in _running(sources, history, wanted, now_us):
            given.add(attempt.key)
            yield attempt
        if states == {State.RUNNING}:
            return
    for page in history.pages(wanted, now_us, size):
        if any(attempt.state in OPEN for attempt in page):
            sources.ask(lambda bus, some=page: told_by_bus(some, bus), None)  # type: ignore[misc]
        for attempt in page:
            if attempt.key not in given and wanted.accepts(attempt, now_us):
                yield attempt


def _running(sources: Sources, history: History, wanted: Filter, now_us: int) -> list[Attempt]:
    nothing: list[Peeked] = []
    held = sources.ask(running, nothing)
    known = history.by_keys(found.key for found in held if found.key)
    attempts = []
    for found in held:
        attempt = known.get(found.key)
        if attempt is None:
            attempt = of_peeked(found)
        else:
            set_by_bus(attempt, found)
        if wanted.accepts(attempt, now_us):
            attempts.append(attempt)
    return attempts


def _follow(sources: Sources, question: Question, wanted: Filter, clock: Clock) -> int:
    """Print what is there, then each change as it comes, until Ctrl-C."""
    if question.look.resolved() == "json":
        raise FlowlordError(
            "a JSON document that is followed never ends", hint="-o jsonl prints one object a line"
        )
    bus = sources.bus()
    if bus is None:
        printer.error("there is no bus to follow yet", hint="flowlord run makes it")
        return UNREACHABLE
    seq = bus.journal_bounds()[1]
    now_us = to_us(clock.now())
    limit = RECENT if question.limit is None else question.limit
    sheet = Sheet(FIELDS, columns(now_us), name="id", look=question.look)
    before = list(islice(_selected(sources, wanted, now_us, min(limit, PAGE) or PAGE), limit or None))
    sheet.add(record(attempt, now_us) for attempt in reversed(before))
    _changes(sheet, sources.history(fresh=True), bus, seq, wanted, clock)
    return DONE


def _changes(sheet: Sheet, history: History, bus: Bus, seq: int, wanted: Filter, clock: Clock) -> None:
    from flowlord.cache.ledger import Ledger, keys_of

    held: dict[str, Attempt] = {}
    while True:
        entries = bus.journal(seq, PAGE, wait_s=FOLLOW_WAIT_S)
        if not entries:
            continue
        seq = entries[-1].seq
        keys = keys_of(entries, first_heard=True)
        ledger = Ledger([*history.by_keys(keys - held.keys()).values(), *held.values()])
        ledger.apply(entries)
        now_us = to_us(clock.now())
        changed = ledger.changed.values()
        sheet.add(record(attempt, now_us) for attempt in changed if wanted.accepts(attempt, now_us))
        held = {key: each for key, each in ledger.attempts.items() if each.state in OPEN}
        if len(held) > HELD:
            held = {}


def _state(word: str) -> State:
    name = word.strip().lower()
    try:
        return State(name)
    except ValueError:
        from difflib import get_close_matches

        close = get_close_matches(name, list(State), n=1)
        hint = f"did you mean {close[0]}?" if close else f"write some of {', '.join(State)}"
        raise FlowlordError(f"there is no state {word.strip()!r}", hint=hint) from None
