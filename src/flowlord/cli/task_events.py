"""`flowlord task ID --events` and `--payload`: all that happened to a task in order, and the message that is sent."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from flowlord.cache.attempt import OPEN, Attempt
from flowlord.cli import printer
from flowlord.cli.attempts import reason
from flowlord.cli.attempts import record as record_of
from flowlord.cli.printer import Look
from flowlord.cli.sources import Sources
from flowlord.cli.table import Column
from flowlord.cli.times import iso, relative
from flowlord.model.task import Task, encode

if TYPE_CHECKING:
    from flowlord.bus.port import Peeked

FIELDS = ("at", "event", "key", "try", "text")
Event = tuple[int, str, Attempt | None, str]


def print_events(
    attempts: Sequence[Attempt],
    decisions: Sequence[tuple[int, str, str]],
    children: Sequence[Attempt],
    look: Look,
    now_us: int,
) -> None:
    """Print one line for each thing that happened, the first one first."""
    events: list[Event] = [(at, kind, None, text) for at, kind, text in decisions]
    for attempt in attempts:
        events += _of_attempt(attempt, now_us)
    events += [(child.published_us, "child", child, child.name) for child in children]
    rows = [
        {
            "at": iso(at) or None,
            "at_us": at,
            "event": event,
            "key": of.key if of else "",
            "try": of.number if of else None,
            "text": text,
        }
        for at, event, of, text in sorted(events, key=lambda each: each[0])
    ]
    columns = [
        Column("at", lambda each, _: str(each["at"] or "")),
        Column("", lambda each, _: relative(int(str(each["at_us"])), now_us)),
        Column("event"),
        Column("try", lambda each, _: str(each["try"] or ""), right=True),
        Column("text", gives=True),
    ]
    printer.rows(rows, FIELDS, name="event", columns=columns, look=look)


def print_payload(sources: Sources, of: Attempt) -> None:
    """Print the task as its worker gets it: from the bus while it is there, else as history knows it."""
    text = encode(_task(of))
    if of.state in OPEN:
        nothing: list[Peeked] = []
        found = sources.ask(lambda bus: bus.find([of.key]), nothing)
        text = next((each.payload for each in found if each.topic == of.topic), text)
    printer.lines([printer.printable(text.decode("utf-8", "backslashreplace"))])
    sys.stdout.flush()


def _of_attempt(attempt: Attempt, now_us: int) -> Iterator[Event]:
    told = record_of(attempt, now_us)
    if attempt.published_us:
        yield (
            attempt.published_us,
            "sent",
            attempt,
            f"to {attempt.topic} because of {attempt.cause or 'nobody knows'}",
        )
    if attempt.due_us:
        yield attempt.due_us, "due", attempt, ""
    if attempt.started_us:
        yield attempt.started_us, "started", attempt, f"on {attempt.worker}" if attempt.worker else ""
    if attempt.ended_us:
        result = attempt.result or attempt.state
        yield attempt.ended_us, result, attempt, attempt.msg
    if attempt.state not in OPEN and attempt.state not in (attempt.result, "complete"):
        yield attempt.happened_us, attempt.state, attempt, attempt.reason or reason(told)


def _task(of: Attempt) -> Task:
    return Task(type=of.type, job=of.job, info=of.info, created=of.created, id=of.id, meta=of.meta)
