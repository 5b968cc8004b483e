"""`flowlord workflows`: what is loaded, when it starts next, how it went last, and which values are in force."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

from flowlord.bus.clock import SystemClock
from flowlord.cache.decided import Load, loads
from flowlord.cache.queries import History
from flowlord.cli import printer
from flowlord.cli.brokenfiles import Broken, broken_files
from flowlord.cli.exits import DONE, NO_SUCH_THING
from flowlord.cli.printer import Column, Look
from flowlord.cli.sources import Sources, opened
from flowlord.cli.table import RED
from flowlord.cli.terms import files_of, known
from flowlord.cli.texts import few, printable, some
from flowlord.cli.times import iso, relative, to_us
from flowlord.cli.values import Value, values_of
from flowlord.decide.expand import utc_text
from flowlord.model.clock import Clock
from flowlord.model.paused import NOTHING, Paused
from flowlord.rules.timetable import Timetable

if TYPE_CHECKING:
    from flowlord.config import Settings
    from flowlord.model.workflow import Phase, Workflow, Workflows

FIELDS = (
    "workflow", "phases", "cron", "files", "children", "next", "last", "last_at", "paused", "revision", "loaded",
    "loaded_by", "broken", "problem",
)  # fmt: skip
PHASE_FIELDS = (
    "phase", "line", "starts", "next", "last", "last_at", "paused", "template", "values",
)  # fmt: skip
_STARTS = {"cron": "by cron", "files": "on files"}
RECENT = 100_000
"""Attempts among which the last result of each phase is looked for."""
Results = Mapping[tuple[str, str, str], tuple[str, int]]


@dataclass(frozen=True, slots=True)
class Case:
    """What is known of all workflows."""

    flows: Workflows
    loads: Mapping[str, Load]
    results: Results
    paused: Paused
    broken: Sequence[Broken]
    zone: str
    now: datetime


def run(settings: Settings, name: str, look: Look, *, clock: Clock | None = None) -> int:
    """List workflows, or show one; returns the exit code."""
    clock = clock or SystemClock()
    cache_path = settings.cache.path if settings.cache.enabled else None

    def body() -> int:
        with opened(settings.bus, cache_path, clock) as sources:
            case = _case(sources, settings, clock.now())
        if name:
            flow = case.flows.by_name.get(name)
            if flow is None:
                return _unknown(case, name)
            _show(case, flow, look)
            return DONE
        rows = [_record(case, flow) for _, flow in sorted(case.flows.by_name.items())]
        rows += [_never_ran(each) for each in case.broken if not each.name]
        columns = _columns(to_us(case.now), broken=bool(case.broken))
        printer.rows(rows, FIELDS, name="workflow", columns=columns, look=look)
        if not rows and printer.on_terminal():
            printer.say("no workflow is loaded, and none lies where the settings say")
        return DONE

    return printer.quietly(body)


def _case(sources: Sources, settings: Settings, now: datetime) -> Case:
    from flowlord.bus.pauses import pauses_on

    history = sources.history(fresh=True)
    told = known(history, settings)
    flows = told.flows
    if not flows.by_name:
        flows = files_of(settings)
        if flows.by_name:
            printer.say("note: no daemon has loaded any; this is what the files say")
    newest = {each.name: each for each in loads(history)}
    paused = sources.ask(pauses_on, NOTHING)
    broken = broken_files(history)
    return Case(flows, newest, _results(history), paused, broken, settings.taskmaster.zone, now)


def _results(history: History) -> Results:
    """Return the state of the newest attempt of each phase, and when that was."""
    sql = (
        "SELECT workflow, topic, job, state, max(happened_us) FROM (SELECT workflow, topic, job, state, happened_us "
        "FROM tasks ORDER BY happened_us DESC, n DESC LIMIT ?) GROUP BY workflow, topic, job"
    )
    found = {
        (str(flow), str(topic), str(job)): (str(state), int(str(at)))
        for flow, topic, job, state, at in history.rows(sql, (RECENT,))
    }
    for each in history.newer.values():
        place = (each.workflow, each.topic, each.job)
        if found.get(place, ("", 0))[1] <= each.happened_us:
            found[place] = (each.state, each.happened_us)
    return found


def _unknown(case: Case, name: str) -> int:
    from flowlord.spec.near import nearest

    for fault in case.broken:
        if name in (fault.path, fault.path.rpartition("/")[2]):
            printer.error(f"{fault.path} is broken and never ran: {fault.text}", hint="flowlord validate")
            return NO_SUCH_THING
    names = sorted(case.flows.by_name)
    like = nearest(name, names)
    hint = f"did you mean {like}?" if like else f"there are {few(names)}"
    printer.error(f"no workflow {name} is loaded", hint=hint)
    return NO_SUCH_THING


def _next(case: Case, phase: Phase) -> datetime | None:
    if not phase.rule.cron or phase.rule.files:
        return None
    try:
        table = Timetable.of(phase.rule, phase.identity, case.zone)
        return table.next(case.now)
    except (ValueError, OverflowError):
        return None


def _record(case: Case, flow: Workflow) -> dict[str, object]:
    upcoming = [each for phase in flow.phases if (each := _next(case, phase)) is not None]
    last = max(
        (told for key, told in case.results.items() if key[0] == flow.name),
        key=lambda t: t[1],
        default=("", 0),
    )
    load = case.loads.get(flow.name)
    paused = [phase.name for phase in flow.phases if case.paused.phase(phase, case.now)]
    return {
        "workflow": flow.name,
        "phases": len(flow.phases),
        "cron": sum(bool(phase.rule.cron) and not phase.rule.files for phase in flow.phases),
        "files": sum(bool(phase.rule.files) for phase in flow.phases),
        "children": sum(bool(phase.parent) for phase in flow.phases),
        "next": utc_text(min(upcoming)) if upcoming else None,
        "next_us": to_us(min(upcoming)) if upcoming else 0,
        "last": last[0],
        "last_at": iso(last[1]) or None,
        "last_us": last[1],
        "paused": paused,
        "revision": flow.revision,
        "loaded": iso(load.at_us) if load else None,
        "loaded_by": load.loaded_by if load else "",
        **_broken(next((each for each in case.broken if each.name == flow.name), None)),
    }


def _never_ran(each: Broken) -> dict[str, object]:
    """Return the row of a file of which no version was ever loaded."""
    none: dict[str, object] = dict.fromkeys(FIELDS, "")
    none |= {"phases": 0, "cron": 0, "files": 0, "children": 0, "next": None, "next_us": 0, "last_us": 0}
    return none | {"workflow": each.path, "last_at": None, "paused": [], "loaded": None} | _broken(each)


def _broken(each: Broken | None) -> dict[str, object]:
    since = each.since_us if each else 0
    return {"broken": iso(since) or None, "broken_us": since, "problem": each.text if each else ""}


def _phase(case: Case, phase: Phase) -> dict[str, object]:
    upcoming = _next(case, phase)
    state, at_us = case.results.get((phase.workflow, phase.topic, phase.job), ("", 0))
    pause = case.paused.phase(phase, case.now)
    rule = phase.rule
    starts = (
        "files"
        if rule.files
        else "cron"
        if rule.cron
        else f"after {phase.depends_on}"
        if phase.parent
        else "hand"
    )
    return {
        "phase": phase.name,
        "line": phase.line,
        "starts": starts,
        "next": utc_text(upcoming) if upcoming else None,
        "last": state,
        "last_at": iso(at_us) or None,
        "paused": pause.words if pause else "",
        "template": phase.template,
        "values": {
            each.name: {"value": each.value, "origin": each.origin} for each in values_of(phase, case.zone)
        },
    }


def _show(case: Case, flow: Workflow, look: Look) -> None:
    form = look.resolved()
    records = [_phase(case, phase) for phase in flow.phases]
    if form == "table":
        printer.lines(_page(case, flow, records))
    else:
        printer.rows(records, PHASE_FIELDS, name="phase", look=look)


def _page(case: Case, flow: Workflow, records: list[dict[str, object]]) -> Iterator[str]:
    load = case.loads.get(flow.name)
    when = f", loaded {iso(load.at_us)[:19]}Z by {load.loaded_by}" if load else ", not loaded"
    for fault in (each for each in case.broken if each.name == flow.name):
        yield printable(f"broken since {iso(fault.since_us)[:19]}Z, its last good version runs: {fault.text}")
    yield printable(f"{flow.name}  {some(len(flow.phases), 'phase')}, revision {flow.revision[:8]}{when}")
    for phase, row in zip(flow.phases, records, strict=True):
        yield ""
        yield printable(
            f"{phase.name}  ({flow.name}:{phase.line})  starts {_STARTS.get(str(row['starts']), row['starts'])}"
        )
        now_us = to_us(case.now)
        if row["next"]:
            yield f"  next       {row['next']}"
        if row["last"]:
            state, at_us = case.results[flow.name, phase.topic, phase.job]
            yield f"  last       {state} {relative(at_us, now_us)}"
        if row["paused"]:
            yield printable(f"  paused     {row['paused']}")
        if phase.template:
            yield printable(f"  template   {phase.template}")
        for value in values_of(phase, case.zone):
            yield printable(_value(value))


def _value(each: Value) -> str:
    return f"  {each.name:<14}  {each.value:<24}  {each.origin}".rstrip()


def _columns(now_us: int, *, broken: bool) -> list[Column]:
    def fault(row: Mapping[str, object], _plain: bool) -> str:
        at = row["broken_us"]
        if not isinstance(at, int) or not at:
            return ""
        runs = f"runs revision {str(row['revision'])[:8]}" if row["revision"] else "never ran"
        return f"broken since {relative(at, now_us).removesuffix(' ago')}, {runs}: {row['problem']}"

    def starts(row: Mapping[str, object], _plain: bool) -> str:
        told = [(row["cron"], "cron"), (row["files"], "files"), (row["children"], "children")]
        return ", ".join(f"{number} {word}" for number, word in told if number)

    def last(row: Mapping[str, object], _plain: bool) -> str:
        at = row["last_us"]
        return f"{row['last']} {relative(at, now_us)}" if isinstance(at, int) and at else ""

    def upcoming(row: Mapping[str, object], _plain: bool) -> str:
        at = row["next_us"]
        return relative(at, now_us) if isinstance(at, int) else ""

    def paused(row: Mapping[str, object], _plain: bool) -> str:
        names = row["paused"]
        if not isinstance(names, list) or not names:
            return ""
        return "all" if len(names) == row["phases"] else ", ".join(map(str, names))

    return [
        Column("workflow", gives=True),
        Column("phases", right=True),
        Column("starts", starts),
        Column("next", upcoming),
        Column("last", last),
        Column("paused", paused, gives=True),
        Column("revision", lambda row, _: str(row["revision"])[:8]),
        *([Column("broken", fault, lambda _: RED, gives=True)] if broken else []),
    ]
