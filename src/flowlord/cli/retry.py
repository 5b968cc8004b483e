"""`flowlord retry`: send tasks again that have ended."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import closing
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

import msgspec

from flowlord.bus.clock import SystemClock, time_of
from flowlord.cache.attempt import FAILED, OPEN, Attempt, State
from flowlord.cli import printer
from flowlord.cli.buses import bus_at
from flowlord.cli.chosen import Row, foreseen, meant, nothing_chosen, told
from flowlord.cli.origin import load_known
from flowlord.cli.people import agreed, counted, who, words_of
from flowlord.cli.printer import Look
from flowlord.cli.progress import Progress
from flowlord.cli.sources import opened
from flowlord.cli.taskfilter import Chosen
from flowlord.decide.again import again_key, again_mark, on_again
from flowlord.decide.context import Context
from flowlord.decide.done import Done
from flowlord.model.clock import Clock
from flowlord.model.crashpoint import crashpoint
from flowlord.model.errors import InvalidTask, LeaseLost, Refused
from flowlord.model.plan import Commit, Committed
from flowlord.model.task import Task
from flowlord.model.workflow import Workflows
from flowlord.rules.rates import every_us_of
from flowlord.taskmaster.chance import Chance, Stamps

if TYPE_CHECKING:
    from flowlord.bus.port import Bus
    from flowlord.config import Settings

CHUNK = 200
"""Tasks of one round trip."""
MOST_LETTERS = 10_000
"""Dead letters that are looked at for such as are dealt with."""


class Options(msgspec.Struct, frozen=True):
    """What the command line said."""

    reset_tries: bool = False
    rate: str = ""
    reason: str = ""
    yes: bool = False
    dry_run: bool = False
    look: Look = msgspec.field(default_factory=Look)


def run(
    settings: Settings,
    cache_path: str | None,
    names: Sequence[str],
    chosen: Chosen,
    options: Options,
    *,
    clock: Clock | None = None,
) -> int:
    """Send what is named or chosen again; returns the exit code."""
    clock = clock or SystemClock()
    if not names and chosen.is_empty:
        return nothing_chosen("retry")
    chosen.wanted(clock.now())
    every_us = every_us_of(options.rate) if options.rate else 0

    def body() -> int:
        with opened(settings.bus, cache_path, clock) as sources:
            found = meant(sources, names, chosen, FAILED, clock)
            if isinstance(found, int):
                return found
            rows = [row for each in found if (row := _hindered(each, options, by_name=bool(names)))]
            left_out = {row.of.key for row in rows}
            again = [each for each in found if each.key not in left_out]
            if (not names or options.dry_run) and again:
                said = agreed(_preview(again), "send again?", yes=options.yes, dry_run=options.dry_run)
                if said is not None:
                    rows += [Row("would be sent", each, "", again_key(each.key)) for each in again]
                    foreseen(rows, options.look, name="new_key")
                    return said
            has_bus = sources.ask(lambda _: True, otherwise=False)
        failed_topic = settings.taskmaster.failed_topic
        if (again or has_bus) and not options.dry_run:
            with closing(bus_at(settings.bus, by=who())) as bus:
                if again:
                    flows = load_known(settings.taskmaster.workflows, lambda: bus).flows
                    with Progress("tasks", len(again), clock) as progress:
                        for row in _send(bus, again, flows, options, every_us, clock, failed_topic):
                            rows.append(row)
                            progress.at(len(rows) - len(left_out))
                _clear_left(bus, failed_topic, options.reason)
        return told(rows, "sent", options.look, name="new_key")

    return printer.quietly(body)


def _hindered(of: Attempt, options: Options, *, by_name: bool) -> Row | None:
    """Return why an attempt is not sent again; None when it is."""
    if of.state in OPEN:
        if of.retry_of:
            return Row("already sent", of, f"it is {of.state}", of.key)
        return Row("refused", of, f"it has not ended: it is {of.state}")
    if of.state == State.RETRIED:
        return Row("already sent", of, "another attempt followed it")
    if by_name and of.state == State.COMPLETE and not options.yes:
        return Row(
            "refused", of, "it is complete; with -y it is sent again, and what follows from it follows again"
        )
    return None


def _preview(again: Sequence[Attempt]) -> str:
    from flowlord.rules.errortext import folded

    names = counted(Counter(each.name for each in again))
    [(text, most)] = Counter(folded(each.msg or each.reason) for each in again).most_common(1)
    alike = f"\n  {most:,} of them: {text}" if text and most > 1 else ""
    return f"{len(again):,} task{'s' if len(again) > 1 else ''}: {names}{alike}"


def _send(
    bus: Bus,
    again: Sequence[Attempt],
    flows: Workflows,
    options: Options,
    every_us: int,
    clock: Clock,
    failed_topic: str,
) -> Iterator[Row]:
    chance = Chance()
    stamps = Stamps(clock, chance.digit())
    words = words_of("sent again", who(), options.reason)
    begin = time_of(bus.now_us())  # which judges what waits
    for at in range(0, len(again), CHUNK):
        some = again[at : at + CHUNK]
        dues = [_due(begin, every_us, at + n) for n in range(len(some))]
        commits = [
            _commit(of, flows, stamps.now(), due, words, options) for of, due in zip(some, dues, strict=True)
        ]
        for of, commit, answer in zip(some, commits, _landed(bus, commits), strict=True):
            if isinstance(answer, InvalidTask):
                yield Row("refused", of, f"it cannot be sent again: {answer}")
            elif isinstance(answer, Committed):
                [message] = commit.plan.messages
                yield Row("sent", of, "", message.key)
            elif isinstance(answer, Refused):
                yield Row("already sent", of, _where(bus, of), answer.found or "")
            else:
                yield Row("refused", of, str(answer))
        crashpoint("retry.sent")
        _clear(bus, [f"{of.key}:dead" for of in some], failed_topic, words)


def _landed(bus: Bus, commits: Sequence[Commit]) -> list[Committed | Refused | LeaseLost | InvalidTask]:
    """Land commits in one step; when one of them is none that a bus can carry, each by itself."""
    try:
        return list(bus.commit_many(commits))
    except InvalidTask as error:
        if len(commits) == 1:
            return [error]
        return [answer for commit in commits for answer in _landed(bus, [commit])]


def _due(begin: datetime, every_us: int, n: int) -> datetime | None:
    return begin + timedelta(microseconds=every_us * n) if every_us and n else None


def _commit(
    of: Attempt, flows: Workflows, now: datetime, due: datetime | None, words: str, options: Options
) -> Commit:
    task = Task(type=of.type, job=of.job, info=of.info, created=of.created, id=of.id, meta=of.meta)
    done = Done(task, of.key, of.phase, of.revision, of.cause, of.batch, of.priority)
    return on_again(done, of.topic, flows, Context(now=now), words=words, fresh=options.reset_tries, due=due)


def _where(bus: Bus, of: Attempt) -> str:
    """Return where the attempt is that followed."""
    key = bus.marks([again_mark(of.key)]).get(again_mark(of.key), "")
    found = bus.find([key]) if key else []
    return f"it is {found[0].state}" if found else "it is not waiting any more"


def _clear(bus: Bus, letters: Sequence[str], topic: str, words: str) -> None:
    """Take the dead letters of what was sent again off their topic: somebody has dealt with them."""
    if letters and any(state.topic == topic and state.waiting for state in bus.topics()):
        bus.cancel(letters, reason=words)


def _clear_left(bus: Bus, topic: str, reason: str) -> None:
    """Take off the dead letters that a command left which was killed between sending and clearing."""
    if not any(state.topic == topic and state.waiting for state in bus.topics()):
        return
    letters = [each.key for each in bus.peek(topic, MOST_LETTERS, newest=True) if each.state == "waiting"]
    marks = {again_mark(letter.removesuffix(":dead")): letter for letter in letters}
    _clear(bus, [marks[mark] for mark in bus.marks([*marks])], topic, words_of("sent again", who(), reason))
