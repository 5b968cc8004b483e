"""`flowlord next`: what is going to start, of all phases in one time line."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta, tzinfo
from itertools import islice
from typing import TYPE_CHECKING

from flowlord.bus.clock import SystemClock
from flowlord.cli import printer
from flowlord.cli.exits import ANSWER_IS_BAD, DONE
from flowlord.cli.printer import Look
from flowlord.cli.table import DIM, RED, YELLOW, Column
from flowlord.cli.texts import some
from flowlord.cli.times import parse_time
from flowlord.decide.ahead import Coming, Planned, Scheduled, ahead, is_over, scheduled, teller
from flowlord.decide.context import Context
from flowlord.decide.expand import utc_text
from flowlord.model.clock import Clock
from flowlord.model.errors import FlowlordError
from flowlord.model.paused import NOTHING, Paused
from flowlord.model.problem import Severity
from flowlord.rules.errors import Unreadable

if TYPE_CHECKING:
    from flowlord.config import Settings
    from flowlord.model.workflow import Phase

FIELDS = (
    "at", "local", "zone", "task", "info", "tasks", "workflow", "place", "rule", "offset", "notes", "fault",
    "paused",
)  # fmt: skip
DAY = timedelta(days=1)
SHOWN = 50
"""Rows that a terminal gets when nobody says how many."""
MOST_OVER = 5
_WHOLE = len("2026-08-01T05:00:00+00:00")
Record = Mapping[str, object]


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


def run(settings: Settings, path: str, question: Question, *, clock: Clock | None = None) -> int:
    """Print the coming starts of the workflows at `path`; returns the exit code."""
    now = (clock or SystemClock()).now()
    first, last = _span(question, now)
    view = View.asked(question.zone, local=question.local)
    from flowlord.cli.places import place_at, unknown_topic, unreadable
    from flowlord.spec.load import load

    try:
        loaded = load(place_at(path, where=settings.storage))
    except OSError as error:
        return unreadable(path, error, "next")
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
        records = _records(shown, _context(settings, entries, now, paused), view)
        count = _print(records, question.look, _local_title(entries, view))
        _sum_up(entries, question, count, first, more=limited and any(True for _ in planned))
        return ANSWER_IS_BAD if loaded.broken or loaded.failed else DONE

    return printer.quietly(body)


@dataclass(frozen=True, slots=True)
class View:
    """The zone in which people see times: one by name, that of this machine, or with neither each rule's own."""

    name: str = ""
    zone: tzinfo | None = None
    local: bool = False

    @classmethod
    def asked(cls, name: str, *, local: bool) -> View:
        """Return what the flags ask for.

        Raises:
            FlowlordError: no such zone.
        """
        if local:
            return cls("this machine", None, local=True)
        if not name:
            return cls()
        from flowlord.rules.zones import zone_of

        try:
            return cls(name, zone_of(name))
        except Unreadable as error:
            raise FlowlordError(error.text, hint="--local is the zone of this machine") from error

    def of(self, instant: datetime) -> datetime:
        """Return the instant as its clocks show it."""
        return instant.astimezone(self.zone) if self.local or self.zone else instant


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
    if length < timedelta(0):
        raise ValueError(f"--for {text} runs backwards: it is how far to look ahead")
    return length


def _asked_of_bus(settings: Settings, entries: Sequence[Scheduled]) -> tuple[dict[str, datetime], Paused]:
    """Return the last decided instant of each phase and what is paused, as far as there is a bus to ask."""
    where = settings.bus
    file = where.address.removeprefix("sqlite:///")
    if where.address.startswith("memory:") or (file != where.address and not os.path.exists(file)):
        return {}, NOTHING
    from flowlord.bus.open import open_bus
    from flowlord.bus.pauses import pauses_on
    from flowlord.model.errors import BusError

    counting = [entry for entry in entries if entry.cron.every_ns is not None]
    keys = {f"tick:{entry.phase.identity}": entry.phase.identity for entry in counting}
    try:
        bus = open_bus(where.address, by="look", namespace=where.namespace, accept_loss=True)
        try:
            found = bus.marks(list(keys)) if keys else {}
            paused = pauses_on(bus)
        finally:
            bus.close()
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


def _records(planned: Iterable[Planned], ctx: Context, view: View) -> Iterator[Record]:
    known: dict[int, tuple[Record, Callable[[Planned], Coming]]] = {}
    times: Record = {}
    instant, zone = None, None
    for each in planned:
        entry = each.of
        found = known.get(id(entry))
        if found is None:
            found = known[id(entry)] = _of_phase(entry, view), teller(entry, ctx)
        if each.instant != instant or entry.cron.tz is not zone:  # many start at the same one
            instant, zone = each.instant, entry.cron.tz
            local = view.of(instant).isoformat()
            at = f"{local[:-6]}Z" if len(local) == _WHOLE and local.endswith("+00:00") else utc_text(instant)
            times = {"at": at, "local": local}
        start = found[1](each)
        yield {
            **found[0],
            **times,
            "info": start.info,
            "tasks": start.tasks,
            "notes": list(start.notes),
            "fault": start.fault,
            "paused": start.paused,
        }


def _of_phase(entry: Scheduled, view: View) -> Record:
    phase = entry.phase
    from flowlord.rules.durations import short_duration

    return {
        "zone": view.name or entry.cron.zone or "UTC",
        "task": phase.base_name,
        "workflow": phase.workflow,
        "place": f"{entry.path}:{phase.line}",
        "rule": phase.rule_text,
        "offset": short_duration(phase.rule.offset_ns) if phase.rule.offset_ns else "",
        "words": _rule_words(entry),
    }


def _rule_words(entry: Scheduled) -> str:
    from flowlord.rules.durations import short_duration

    rule = entry.phase.rule
    words = [f"cron {rule.cron}"]
    if rule.tz:
        words.append(f"tz {rule.tz}")
    if rule.offset_ns:
        words.append(f"offset {short_duration(rule.offset_ns)}")
    if rule.is_batch:
        words.append("batch")
    return ", ".join(words)


def _print(records: Iterator[Record], look: Look, local_title: str) -> int:
    form = look.resolved()
    if form == "table":
        return printer.rows(list(records), FIELDS, columns=_columns(local_title), look=look)
    return printer.rows(records, FIELDS, name="task", look=look)


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
        ),
        Column("from", lambda record, _plain: str(record["place"]), lambda _record: DIM, gives=True),
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
