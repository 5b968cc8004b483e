"""`flowlord tasks`: what happened, what waits and what runs, one line for each attempt."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import islice
from typing import TYPE_CHECKING

import msgspec

from flowlord.bus.clock import SystemClock
from flowlord.cache.attempt import FAILED, OPEN, Attempt, State
from flowlord.cache.queries import PAGE, Filter
from flowlord.cli import printer
from flowlord.cli.attempts import FIELDS, columns, record
from flowlord.cli.exits import ANSWER_IS_BAD, DONE
from flowlord.cli.printer import Look, Sheet
from flowlord.cli.selection import history_for, in_order, selected
from flowlord.cli.sources import Sources, opened
from flowlord.cli.taskfilter import Chosen
from flowlord.cli.texts import printable
from flowlord.cli.times import to_us
from flowlord.model.clock import Clock
from flowlord.model.errors import FlowlordError

if TYPE_CHECKING:
    from flowlord.config import BusSettings

SHOWN = 50
"""Rows on a terminal when no limit is asked for; in a pipe there is none."""
COUNTED = 10_000


class Question(msgspec.Struct, frozen=True):
    """What the command line asked; texts as typed, `limit` None for the usual one, 0 for all."""

    chosen: Chosen = Chosen()
    group_by: str = ""
    sort: str = ""
    limit: int | None = None
    follow: bool = False
    watch: bool = False
    exit_code: bool = False
    count: bool = False
    look: Look = msgspec.field(default_factory=Look)

    def refuse_what_does_not_fit(self) -> None:
        """Raise FlowlordError for flags that make no sense together."""
        ways = {
            "-f": self.follow,
            "--count": self.count,
            "--group-by": bool(self.group_by),
            "--sort": bool(self.sort),
        }
        said = [flag for flag, on in ways.items() if on]
        if len(said) > 1:
            raise FlowlordError(
                f"{said[0]} and {said[1]} are two different answers", hint="leave out one of them"
            )
        if self.follow and self.watch:
            raise FlowlordError("-f appends and -w draws anew", hint="leave out one of them")


def run(where: BusSettings, cache_path: str | None, question: Question, *, clock: Clock | None = None) -> int:
    """Print the attempts that are asked for; returns the exit code."""
    clock = clock or SystemClock()
    question.refuse_what_does_not_fit()
    if words := question.chosen.by_the_hour():
        printer.say(words)
    question.chosen.wanted(clock.now())  # words that mean nothing are told before anything is opened

    def body() -> int:
        with opened(where, cache_path, clock) as sources:
            wanted = question.chosen.wanted(clock.now())
            if question.chosen.file:
                wanted = question.chosen.within(sources.history(fresh=True), wanted)
            return _answer(sources, question, wanted, clock)

    if question.watch:
        from flowlord.cli.watching import redraw

        return printer.quietly(lambda: redraw(body))
    return printer.quietly(body)


def _answer(sources: Sources, question: Question, wanted: Filter, clock: Clock) -> int:
    now_us = to_us(clock.now())
    if question.follow:
        from flowlord.cli.tasks_follow import follow

        return follow(sources, wanted, question.look, question.limit, clock)
    if question.group_by:
        from flowlord.cli.tasks_groups import by_of, groups

        by = by_of(question.group_by)
        limit = _limit(question)
        return groups(sources, wanted, by, now_us, question.look, limit, exit_code=question.exit_code)
    if question.count:
        return _count(sources, question, wanted, now_us)
    return _list(sources, question, wanted, now_us)


def _for_people(look: Look) -> bool:
    return look.resolved() == "table" and printer.on_terminal()


def _limit(question: Question) -> int:
    return question.limit if question.limit is not None else SHOWN if _for_people(question.look) else 0


def _list(sources: Sources, question: Question, wanted: Filter, now_us: int) -> int:
    look, limit = question.look, _limit(question)
    ended = bool(wanted.states) and not wanted.states & OPEN
    found: Iterator[Attempt]
    if question.sort:
        found = iter(in_order(sources, wanted, now_us, question.sort, limit))
    else:
        found = islice(selected(sources, wanted, now_us, min(limit, PAGE) or PAGE), limit or None)
    sheet = Sheet(FIELDS, columns(now_us, ended=ended), name="key", look=look)
    seen: list[Attempt] = []
    while some := list(islice(found, PAGE)):
        sheet.add(record(attempt, now_us) for attempt in some)
        if _for_people(look):
            seen += some
    sheet.close()
    if _for_people(look) or not sheet.count:
        _summary(sources, question, wanted, seen, limit, now_us)
    return ANSWER_IS_BAD if question.exit_code and sheet.count else DONE


def _summary(
    sources: Sources, question: Question, wanted: Filter, seen: Sequence[Attempt], limit: int, now_us: int
) -> None:
    shown = len(seen)
    if not shown:  # in a pipe, too: nobody should take a slip for an answer
        printer.say("no tasks" if question.chosen.is_empty else "no such tasks")
        return
    more = 0
    if shown == limit and wanted.states != {State.RUNNING}:
        more = sources.history(fresh=False).count(wanted, now_us, most=COUNTED + shown) - shown
    if more > 0:
        many = f"more than {COUNTED}" if more >= COUNTED else str(more)
        printer.say(f"… {many} more, --limit 0 for all")
    if wanted.states and wanted.states <= FAILED:
        printer.say(_of_failures(seen, question.chosen, more))


def _of_failures(seen: Sequence[Attempt], chosen: Chosen, more: int) -> str:
    """Return how many failures there are, how many of those shown have one reason, and what to type next."""
    from flowlord.rules.errortext import folded

    counts: dict[str, int] = {}
    for attempt in seen:
        text = folded(attempt.msg or attempt.reason)
        counts[text] = counts.get(text, 0) + 1
    most = max(counts.values())
    alike = f" ({most} of those shown with one reason)" if more and most > 1 else ""
    if not more and 1 < most < len(seen):
        alike = f" ({most} with one reason)"
    many = f"more than {COUNTED:,}" if more >= COUNTED else f"{len(seen) + more:,}"
    flags = chosen.flags()
    # Texts that a terminal would not show as they are cannot be pasted either.
    again = f"Again: flowlord retry {flags}   " if printable(flags) == flags else ""
    return f"{many} failed{alike}.  {again}Details: flowlord task {seen[0].key[:12]}"


def _count(sources: Sources, question: Question, wanted: Filter, now_us: int) -> int:
    if wanted.states & OPEN:
        count = sum(1 for _ in selected(sources, wanted, now_us))
    else:
        count = history_for(sources, wanted).count(wanted, now_us)
    if question.look.resolved() in ("json", "jsonl"):
        printer.document({"count": count})
    else:
        printer.lines([str(count)])
    return ANSWER_IS_BAD if question.exit_code and count else DONE
