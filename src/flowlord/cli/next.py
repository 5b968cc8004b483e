"""`flowlord next`: what is going to start, of all phases in one time line."""

from __future__ import annotations

import gc
import os
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from itertools import islice
from typing import TYPE_CHECKING

from flowlord.bus.clock import SystemClock
from flowlord.cli import printer
from flowlord.cli.exits import ANSWER_IS_BAD, DONE
from flowlord.cli.nextrows import FIELDS, Record, Rows, View
from flowlord.cli.printer import Look
from flowlord.cli.table import DIM, RED, YELLOW, Column
from flowlord.cli.texts import some
from flowlord.cli.times import parse_time
from flowlord.decide.ahead import Scheduled, ahead, is_over, scheduled
from flowlord.decide.context import Context
from flowlord.model.clock import Clock
from flowlord.model.errors import FlowlordError
from flowlord.model.paused import NOTHING, Paused
from flowlord.model.problem import Severity

if TYPE_CHECKING:
    from flowlord.config import Settings
    from flowlord.model.workflow import Phase

DAY = timedelta(days=1)
SHOWN = 50
"""Rows that a terminal gets when nobody says how many."""
MOST_OVER = 5


@dataclass(frozen=True, slots=True)
class Question:
    """What was asked for: `length` of the time line and `number` of starts empty or None when not given."""

    length: str = ""
    number: int | None = None
    start: str = ""
    topic: str = ""
    zone: str = ""
    local: bool = False
    offline: bool = False
    look: Look = field(default_factory=Look)
    is_calendar: bool = False


def run(settings: Settings, path: str, question: Question, *, clock: Clock | None = None) -> int:
    """Print the coming starts of the workflows at `path`; returns the exit code."""
    now = (clock or SystemClock()).now()
    first, last = _span(question, now)
    view = View.asked(question.zone, local=question.local)
    from flowlord.cli.places import place_at, unknown_topic, unreadable
    from flowlord.spec.load import load

    gc.disable()  # what is loaded stays to the end: looking for garbage meanwhile costs a tenth of the time
    try:
        loaded = load(place_at(path, where=settings.storage))
    except OSError as error:
        return unreadable(path, error, "next")
    finally:
        gc.enable()
    for problem in loaded.problems:
        if problem.severity is Severity.ERROR:
            printer.problem(problem)
    entries = scheduled(loaded.workflows, settings.taskmaster.zone, question.topic)
    if question.topic and not entries:
        phases = [phase for flow in loaded.workflows.by_name.values() for phase in flow.phases]
        if not any(question.topic in (phase.topic, phase.base_name, phase.name) for phase in phases):
            return unknown_topic(question.topic, phases)
        for words in starts_of(question.topic, phases):
            printer.say(f"note: {words}")
    marks, paused = _asked_of_bus(settings, entries) if entries and not question.offline else ({}, NOTHING)
    if marks:
        entries = scheduled(loaded.workflows, settings.taskmaster.zone, question.topic, marks)

    def body() -> int:
        planned = ahead(entries, first, last)
        if question.number:
            planned = islice(planned, question.number)
        limited = question.number is None and question.look.resolved() == "table" and printer.on_terminal()
        shown = list(islice(planned, SHOWN)) if limited else planned
        rows = Rows(shown, _context(settings, entries, now, paused), view)
        if question.is_calendar:
            from flowlord.cli.calendar import calendar

            printer.lines(calendar(rows.records(), now))
            return ANSWER_IS_BAD if loaded.broken or loaded.failed else DONE
        count = _print(rows, question.look, _local_title(entries, view))
        _sum_up(entries, question, count, first, more=limited and any(True for _ in planned))
        return ANSWER_IS_BAD if loaded.broken or loaded.failed else DONE

    return printer.quietly(body)


def starts_of(topic: str, phases: Iterable[Phase]) -> Iterator[str]:
    """Yield how each phase of a topic, or of a `topic:job`, starts, when no schedule starts it."""
    for phase in phases:
        if topic not in (phase.topic, phase.base_name, phase.name):
            continue
        rule, place = phase.rule, f"{phase.base_name} ({phase.workflow}:{phase.line})"
        if rule.files:
            yield f"{place} has no schedule: it starts on files like {rule.files[0]}"
        elif phase.parent:
            yield f"{place} has no schedule: it starts when {phase.depends_on or phase.parent} is complete"
        else:
            yield f"{place} has no schedule: it starts when somebody sends it"


def _span(question: Question, now: datetime) -> tuple[datetime, datetime | None]:
    try:
        first = parse_time(question.start, now) if question.start else now
        length = _length(question.length)
        if length is None and question.number:
            return first, None
        return first, first + (length or DAY)
    except (ValueError, OverflowError) as error:
        raise FlowlordError(str(error)) from error


def _length(text: str) -> timedelta | None:
    if not text:
        return None
    from flowlord.rules.durations import parse_duration

    length = timedelta(microseconds=parse_duration(text) // 1000)
    if length <= timedelta(0):
        what = "runs backwards" if length else "is no length"
        raise ValueError(f"--for {text} {what}: it is how far to look ahead, such as 24h")
    return length


def _asked_of_bus(settings: Settings, entries: Sequence[Scheduled]) -> tuple[dict[str, datetime], Paused]:
    """Return the last decided instant of each phase and what is paused, as far as there is a bus to ask."""
    where = settings.bus
    file = where.address.removeprefix("sqlite:///")
    if where.address.startswith("memory:") or (file != where.address and not os.path.exists(file)):
        return {}, NOTHING
    from flowlord.bus.open import open_bus
    from flowlord.bus.pauses import pauses_on
    from flowlord.model.errors import BusError, BusMissing

    counting = [entry for entry in entries if entry.cron.every_ns is not None]
    keys = {f"tick:{entry.phase.identity}": entry.phase.identity for entry in counting}
    try:
        bus = open_bus(where.address, by="look", namespace=where.namespace, accept_loss=True, make=False)
        try:
            found = bus.marks(list(keys)) if keys else {}
            paused = pauses_on(bus)
        finally:
            bus.close()
    except BusMissing:
        return {}, NOTHING
    except BusError as error:
        printer.say(
            f"note: the bus cannot be asked ({error}); what is paused is not known. --offline does not ask"
        )
        return {}, NOTHING
    return {keys[key]: datetime.fromisoformat(value) for key, value in found.items()}, paused


def _context(settings: Settings, entries: Iterable[Scheduled], now: datetime, paused: Paused) -> Context:
    import socket

    host = socket.gethostname()
    sources = {entry.phase.rule.meta_file for entry in entries if entry.phase.rule.meta_file}
    if not sources:
        return Context(now=now, host=host, paused=paused)
    from flowlord.cli.stores import storage_at
    from flowlord.taskmaster.surroundings import read_sources

    found = read_sources(sorted(sources), storage_at(settings.storage))
    return Context(now=now, host=host, sources=found, paused=paused)


def _print(rows: Rows, look: Look, local_title: str) -> int:
    form = look.resolved()
    if form == "table":
        return printer.rows(list(rows.records()), FIELDS, columns=_columns(local_title), look=look)
    sheet = printer.Sheet(FIELDS, name="task", look=look)
    if form == "tsv":
        sheet.add_lines(rows.lines())
    else:
        sheet.add(rows.records())
    sheet.close()
    return sheet.count


def _local_title(entries: Iterable[Scheduled], view: View) -> str:
    """Return the head of the column of local times; nothing when all of them are UTC."""
    zones = {view.name} if view.name else {entry.cron.zone or "UTC" for entry in entries}
    if zones <= {"UTC"}:
        return ""
    return f"local ({zones.pop()})" if len(zones) == 1 else "local"


def _columns(local_title: str) -> list[Column]:
    def utc(record: Record, _plain: bool) -> str:
        return str(record["at"])[:-1].replace("T", " ")

    def local(record: Record, _plain: bool) -> str:
        if record["zone"] == "UTC":
            return ""
        time = datetime.fromisoformat(str(record["local"]))
        day = "" if time.date().isoformat() == str(record["at"])[:10] else f"{time:%d %b} "
        where = "" if "(" in local_title else f" {record['zone']}"
        return f"{day}{time:%H:%M:%S}{where}"

    def info(record: Record, _plain: bool) -> str:
        if record["paused"]:
            return "paused"
        if record["fault"]:
            return f"cannot start: {record['fault']}"
        tasks = record["tasks"]
        assert isinstance(tasks, int)
        return f"{record['info']}" + (f"  (x{tasks:,})" if tasks > 1 else "")

    def where(record: Record, _plain: bool) -> str:
        """The file as below the folder, since the folder is the same for all."""
        return f"{record['workflow']}:{str(record['place']).rpartition(':')[2]}"

    def notes(record: Record, _plain: bool) -> str:
        told = record["notes"]
        assert isinstance(told, list)
        return "; ".join(told)

    middle = [Column(local_title, local)] if local_title else []
    return [
        Column("utc", utc),
        *middle,
        Column("task"),
        Column(
            "info",
            info,
            lambda record: RED if record["fault"] else YELLOW if record["paused"] else "",
            gives=True,
            least=32,
        ),
        Column("from", where, lambda _record: DIM, gives=True, least=12),
        Column("rule", lambda record, _plain: str(record["words"]), gives=True),
        Column("note", notes, gives=True),
    ]


def _sum_up(entries: list[Scheduled], question: Question, count: int, first: datetime, *, more: bool) -> None:
    """Tell people what the list does not: what never starts any more, and that there is more of it."""
    over = [entry for entry in entries if is_over(entry, first)]
    for entry in over[:MOST_OVER]:
        phase = entry.phase
        printer.say(
            f"note: {phase.base_name} ({entry.path}:{phase.line}) starts no more: until={phase.rule.until} is reached"
        )
    if len(over) > MOST_OVER:
        printer.say(f"note: so do {len(over) - MOST_OVER} others")
    if not printer.on_terminal():
        return
    if more:
        printer.say(f"the next {count} starts; -n 0 shows all of {question.length or '24h'}")
    elif not entries and not question.topic:
        printer.say("no phase has a schedule")
    elif not count:
        printer.say(f"{some(len(entries), 'phase')} with a schedule, none starts in this time")
