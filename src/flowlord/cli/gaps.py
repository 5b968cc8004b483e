"""`flowlord gaps`: every start that should have been by the rules, held against what history tells, as ranges."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from flowlord.bus.clock import SystemClock
from flowlord.cache.decided import Decision, of_phases
from flowlord.cli import printer
from flowlord.cli.exits import ANSWER_IS_BAD, DONE, NO_SUCH_THING
from flowlord.cli.printer import Column, Look
from flowlord.cli.sources import Sources, opened
from flowlord.cli.table import DIM, GREEN, RED, YELLOW
from flowlord.cli.terms import Known, known
from flowlord.cli.texts import few
from flowlord.cli.times import iso, parse_time, to_us
from flowlord.decide.expected import Expected, Term, expected
from flowlord.decide.fill import commands
from flowlord.decide.gaps import PARTIAL, WAITS, WANTED, Gap, Lacking, gaps, lacking, unfilled
from flowlord.model.clock import Clock
from flowlord.model.errors import FlowlordError
from flowlord.rules.dateranges import compress_dates

if TYPE_CHECKING:
    from flowlord.config import Settings

FIELDS = (
    "task", "kind", "why", "first", "last", "starts", "tasks", "ranges", "workflow", "phase", "slot", "commands",
)  # fmt: skip
SINCE = "7d"
GRACE = "30m"
_INSTANT = timedelta(microseconds=1)
"""An hour ends before the next one begins."""
MOST = 1_000_000
"""Starts that one question looks at."""
_PAINTS = {
    "skipped": DIM, "cancelled": DIM, "waits": YELLOW, "open": YELLOW, "late": YELLOW, "done": GREEN,
    "backloaded": GREEN,
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Question:
    """What the command line asked; texts as typed."""

    since: str = ""
    until: str = ""
    grace: str = ""
    workflow: str = ""
    topic: str = ""
    commands: bool = False
    exit_code: bool = False
    every: bool = False
    look: Look = field(default_factory=Look)


@dataclass(frozen=True, slots=True)
class Answer:
    """What was found: rows for machines, how many starts were expected, how many lack, and from when on it is known."""

    rows: Sequence[Mapping[str, object]]
    expected: int
    lacking: int
    first: datetime
    last: datetime
    cut: bool = False  # more were expected than one question looks at


def run(settings: Settings, question: Question, *, clock: Clock | None = None) -> int:
    """Print the gaps; returns the exit code."""
    clock = clock or SystemClock()
    now = clock.now()
    first, last = span_of(question, now)
    cache_path = settings.cache.path if settings.cache.enabled else None

    def body() -> int:
        with opened(settings.bus, cache_path, clock) as sources:
            terms = known(sources.history(fresh=True), settings)
            if not _is_known(question, terms):
                return _unknown(question, terms)
            answer = find(sources, terms, settings, question, first, last)
        return _print(answer, question, terms)

    return printer.quietly(body)


def span_of(question: Question, now: datetime) -> tuple[datetime, datetime]:
    """Return the planned instants that are asked about: from when to when, the grace taken off.

    Raises:
        FlowlordError: no times.
    """
    from flowlord.rules.durations import parse_duration

    try:
        first = parse_time(question.since or SINCE, now)
        last = parse_time(question.until, now, end=True) - _INSTANT if question.until else now
        grace = timedelta(microseconds=parse_duration(question.grace or GRACE) // 1000)
    except (ValueError, OverflowError) as error:
        raise FlowlordError(str(error)) from error
    if grace < timedelta(0):
        raise FlowlordError(f"--grace {question.grace} runs backwards", hint="write it like 30m or 2h")
    if first >= min(last, now):
        begin, end = iso(to_us(first)), iso(to_us(min(last, now)))
        raise FlowlordError(
            f"nothing lies between --since {question.since or SINCE}, which is {begin}, and {end}",
            hint="--since is where to begin: 24h, yesterday, 2026-08-01",
        )
    return first, min(last, now - grace)


def find(
    sources: Sources, terms: Known, settings: Settings, question: Question, first: datetime, last: datetime
) -> Answer:
    """Return the gaps of the phases that are asked for."""
    from flowlord.cli.evidence import gathered, last_decided, present

    history = sources.history(fresh=True)
    wanted = [term for term in terms.terms if _fits(question, term)]
    if terms.first is not None:
        first = max(first, terms.first) if terms.by_files else first
    marks = last_decided(sources, {term.phase.identity for term in wanted})
    starts: list[Expected] = []
    cut = False
    for start in expected(wanted, first, last, zone=settings.taskmaster.zone, marks=marks):
        if len(starts) == MOST:
            cut = True
            break
        starts.append(start)
    there = present(history, starts)
    candidates = list(lacking(starts, lambda start: start.slot in there.made, there.rows))
    files = [term.phase.identity for term in wanted if term.phase.rule.files]
    rows: list[Mapping[str, object]] = []
    lost = 0
    still: list[Lacking] = []
    if candidates:
        evidence = gathered(sources, candidates, there, marks)
        shared = Counter(name for _, name in {(t.phase.workflow, t.phase.base_name) for t in terms.terms})
        still = list(unfilled(candidates, evidence))
        for gap in gaps(still, evidence):
            rows.append(_record(gap, shared[gap.phase.base_name] > 1))
            lost += 0 if gap.is_wanted else gap.starts
    absent = [
        each for each in of_phases(history, files, to_us(first), ("absent",)) if each.at_us <= to_us(last)
    ]
    rows += [_absent(each) for each in absent]
    if question.every:
        from flowlord.cli.gapsthere import there_rows

        rows += there_rows(history, starts, there, {start.slot for _, start, _ in candidates}, still)
        rows.sort(key=lambda row: (str(row["workflow"]), str(row["task"]), str(row["first"])))
    return Answer(rows, len(starts), lost + len(absent), first, last, cut)


def _fits(question: Question, term: Term) -> bool:
    phase = term.phase
    return question.workflow in ("", phase.workflow) and question.topic in (
        "", phase.topic, phase.base_name, phase.name
    )  # fmt: skip


def _is_known(question: Question, terms: Known) -> bool:
    return not (question.workflow or question.topic) or any(_fits(question, term) for term in terms.terms)


def _unknown(question: Question, terms: Known) -> int:
    phases = [term.phase for term in terms.terms]
    if question.topic and any(question.workflow in ("", each.workflow) for each in phases):
        from flowlord.cli.places import unknown_topic

        return unknown_topic(question.topic, phases)
    names = few(sorted({each.workflow for each in phases}), "")
    printer.error(
        f"no workflow {question.workflow} was loaded" if question.workflow else "no workflow was loaded",
        hint=f"there are {names}" if names else "flowlord run loads them",
    )
    return NO_SUCH_THING


def _record(gap: Gap, shared: bool) -> Mapping[str, object]:
    phase = gap.phase
    fill = []
    if gap.kind != WAITS:
        fill = commands(phase, gap.times, workflow=shared, only_missing=gap.kind == PARTIAL)
    return {
        "task": phase.base_name,
        "kind": gap.kind,
        "why": gap.why,
        "first": iso(to_us(gap.first)),
        "last": iso(to_us(gap.last)),
        "starts": gap.starts,
        "tasks": len(gap.times),
        "ranges": ranges_of(gap.times),
        "workflow": phase.workflow,
        "phase": phase.identity,
        "slot": gap.slot,
        "commands": fill,
        "wanted": gap.is_wanted,
    }


def _absent(told: Decision) -> Mapping[str, object]:
    workflow, _, name = told.phase.partition(":")
    at = (
        told.cause.removeprefix(f"absent:{told.phase}:")
        if told.cause.startswith("absent:")
        else iso(told.at_us)
    )
    return {
        "task": name, "kind": "absent", "why": told.text, "first": at, "last": at, "starts": 1, "tasks": 0,
        "ranges": at, "workflow": workflow, "phase": told.phase, "slot": told.cause, "commands": [], "wanted": False,
    }  # fmt: skip


def ranges_of(times: Sequence[datetime]) -> str:
    """Return data times as ranges; such that share an hour, which ranges do not tell apart, by their ends."""
    if not times:
        return ""
    if any(time.minute or time.second or time.microsecond for time in times):
        ends = [f"{time.astimezone(UTC):%Y/%m/%dT%H:%M:%S}" for time in (times[0], times[-1])]
        return ends[0] if len(times) == 1 else f"{ends[0]}-{ends[1]}"
    # Two days of two months would be told as the months, which are more than what lacks.
    alone = len({(time.year, time.month) for time in times}) == len(times)
    return ",".join(compress_dates([time]) for time in times) if alone else compress_dates(times)


def _print(answer: Answer, question: Question, terms: Known) -> int:
    rows = answer.rows
    bad = question.exit_code and any(not row["wanted"] for row in rows)
    if question.commands:
        lines = [str(line) for row in rows if isinstance(row["commands"], list) for line in row["commands"]]
        printer.lines(printer.printable(line) for line in lines)
    else:
        printer.rows(rows, FIELDS, name="slot", columns=_columns(every=question.every), look=question.look)
    _sum_up(answer, terms, question)
    return ANSWER_IS_BAD if bad else DONE


def _sum_up(answer: Answer, terms: Known, question: Question) -> None:
    if terms.first is None:
        printer.say("note: history knows of no workflow that was loaded, so nothing was expected")
        return
    if terms.by_files:
        printer.say(
            "note: no load of a workflow is recorded; what was expected is told by the files as they are now"
        )
    if answer.first < terms.first:
        printer.say(f"note: history begins at {iso(to_us(terms.first))}; what was before is not known")
    if answer.first > answer.last:
        printer.say(f"note: --grace {question.grace or GRACE} leaves nothing of this time to look at")
        return
    if answer.cut:
        printer.say(f"note: only the first {MOST:,} starts were looked at; ask for less by --since, --topic")
    if printer.on_terminal() or not answer.rows:
        length = _words(answer.last - answer.first)
        wanted = sum(int(str(row["starts"])) for row in answer.rows if row["kind"] in WANTED)
        more = f"; {wanted:,} more were left out as somebody wanted" if wanted else ""
        printer.say(f"{answer.lacking:,} of {answer.expected:,} expected starts missing in {length}{more}")


def _words(length: timedelta) -> str:
    hours = round(length / timedelta(hours=1))
    return f"{hours // 24}d" if hours >= 48 else f"{hours}h"


def _columns(*, every: bool) -> list[Column]:
    def missing(row: Mapping[str, object], _plain: bool) -> str:
        return f"{row['ranges'] or row['first']} ({row['starts']})"

    def fill(row: Mapping[str, object], _plain: bool) -> str:
        found = row["commands"]
        if not isinstance(found, list) or not found:
            return "-"
        return "; ".join(map(str, found[:3])) + (f"; and {len(found) - 3} more" if len(found) > 3 else "")

    kinds = [Column("kind", paint=lambda row: _PAINTS.get(str(row["kind"]), RED))] if every else []
    return [
        Column("task"),
        *kinds,
        Column(
            "starts" if every else "missing",
            missing,
            lambda row: _PAINTS.get(str(row["kind"]), RED),
            gives=True,
        ),
        Column("why", gives=True),
        Column("fill with", fill, gives=True),
    ]
