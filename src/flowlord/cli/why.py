"""`flowlord why`: the reason for what is, and for what is not, out of what was recorded when it was decided."""

from __future__ import annotations

import re
import shlex
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from typing import TYPE_CHECKING

from flowlord.bus.clock import SystemClock
from flowlord.cache.decided import last_of_phase
from flowlord.cli import printer
from flowlord.cli.exits import DONE, NO_SUCH_THING
from flowlord.cli.printer import Look
from flowlord.cli.reasons import Answer, show
from flowlord.cli.sources import Sources, opened
from flowlord.cli.texts import LONGEST_NAME
from flowlord.cli.times import iso, parse_time, to_us
from flowlord.model.clock import Clock
from flowlord.model.errors import BusError

if TYPE_CHECKING:
    from flowlord.cache.attempt import Attempt
    from flowlord.cli.case import Case
    from flowlord.config import Settings
    from flowlord.decide.standing import Standing
    from flowlord.model.workflow import Phase

_DAY = re.compile(r"\d{4}-\d\d-\d\d|today|yesterday", re.ASCII)
_SLOT = re.compile(r"tick:(?P<phase>.+):(?P<instant>\d{4}-\d\d-\d\dT[0-9:.+-]+Z?)", re.DOTALL)
TOLD = 5


class Several(Exception):
    """A name that may mean several tasks."""

    def __init__(self, attempts: Sequence[Attempt]) -> None:
        super().__init__("several tasks")
        self.attempts = attempts


def run(settings: Settings, what: str, look: Look, *, clock: Clock | None = None) -> int:
    """Tell why; returns the exit code."""
    clock = clock or SystemClock()
    cache_path = settings.cache.path if settings.cache.enabled else None

    def body() -> int:
        with opened(settings.bus, cache_path, clock) as sources:
            try:
                answer = answered(sources, settings, what.strip(), clock.now())
            except Several as error:
                from flowlord.cli.task import ambiguous

                return ambiguous(what, error.attempts, to_us(clock.now()))
        if answer is None:
            printer.error(
                f"nothing is known of {what[:LONGEST_NAME]}",
                hint="name a task by its id, a start as 'TYPE:JOB 2026-08-01T05', a slot, a backload or a file",
            )
            return NO_SUCH_THING
        show(answer, what, look)
        return DONE

    return printer.quietly(body)


def answered(sources: Sources, settings: Settings, what: str, now: datetime) -> Answer | None:
    """Return the answer; None when nobody knows what is asked about."""
    history = sources.history(fresh=True)
    if not (" " in what or what.startswith("tick:")):
        from flowlord.cli.task import find
        from flowlord.cli.whytask import of_attempt

        found = [] if "/" in what and ":" in what else find(sources, history, what)
        if len(found) == 1:
            return of_attempt(sources, history, found[0], now, to_us(now))
        if found:
            raise Several(found)
    from flowlord.cli.case import Case

    case = Case.of(sources, settings, now)
    return (
        _start(case, what)
        or _phase_alone(case, what)
        or _file(case, what)
        or _batch(case, what)
        or _topic(case, what)
    )


def _start(case: Case, what: str) -> Answer | None:
    if slot := _SLOT.fullmatch(what):
        from flowlord.cli.whystart import at_instant

        for phase in case.phases(slot["phase"]):
            try:
                instant = datetime.fromisoformat(slot["instant"])
            except ValueError:
                return None
            return at_instant(case, phase, instant) if instant.tzinfo else None
        return None
    name, _, rest = what.partition(" ")
    if not rest:
        return None
    try:
        moment = parse_time(rest, case.now)
    except ValueError:
        return None
    found = case.phases(name)
    if not found:
        return None
    from flowlord.cli.whystart import at_moment, on_day

    case = replace(case, exact=":" in rest)
    tell = on_day if _DAY.fullmatch(rest) else at_moment
    answer = tell(case, found[0], moment)
    for other in found[1:3]:
        answer.also(tell(case, other, moment))
    return answer


def _phase_alone(case: Case, what: str) -> Answer | None:
    found = case.phases(what)
    if not found:
        return None
    answer = _of_phase(case, found[0])
    for other in found[1:3]:
        answer.also(_of_phase(case, other))
    return answer


def _of_phase(case: Case, phase: Phase) -> Answer:
    """Tell how a phase stands: whether it is paused, what was decided about it last, when it starts next."""
    from flowlord.bus.pauses import pauses_on
    from flowlord.model.paused import NOTHING

    answer = Answer(f"{phase.base_name} ({phase.workflow}:{phase.line})")
    paused = case.sources.ask(pauses_on, NOTHING)
    told = ""  # the history tells of the pause that holds once more
    if pause := paused.phase(phase, case.now):
        told = f"{pause.target} is paused"
        answer.add(pause.words, "paused")
        answer.commands.append(f"flowlord resume {shlex.quote(pause.target)}")
    if pause := paused.topic(phase.topic, case.now):
        answer.add(f"{pause.words}; its tasks wait", "paused")
        answer.commands.append(f"flowlord resume {shlex.quote(phase.topic)}")
    decided = last_of_phase(case.history, phase.identity, TOLD)
    again = [n for n, each in enumerate(decided) if told and each.text.startswith(told)]
    for n, each in enumerate(decided):
        if n not in again[-1:]:
            answer.add(each.text, each.kind, each.at_us)
    if phase.rule.overlap != "allow":
        from flowlord.decide.tick import group_of

        none: dict[str, int] = {}
        counts = case.sources.ask(lambda bus: dict(bus.open_counts([group_of(phase)])), none)
        if open_tasks := counts.get(group_of(phase), 0):
            answer.add(
                f"{open_tasks:,} tasks of an earlier start are open (overlap={phase.rule.overlap})", "open"
            )
    if phase.rule.files:
        from flowlord.cli.whyfile import groups_of

        for words in groups_of(case.sources, phase):
            answer.add(words, "group")
        answer.then = f"it starts on files like {phase.rule.files[0]}"
    elif phase.rule.cron:
        from flowlord.rules.timetable import Timetable

        table = Timetable.of(phase.rule, phase.identity, case.settings.taskmaster.zone)
        upcoming = table.next(case.now)
        answer.then = (
            f"its next start is planned for {iso(to_us(upcoming))}"
            if upcoming
            else f"it starts no more: until={phase.rule.until}"
        )
    elif phase.parent:
        answer.then = f"it starts when {phase.depends_on or phase.parent} is complete"
    answer.commands.append(f"flowlord gaps --topic {phase.base_name}")
    return answer


def _file(case: Case, what: str) -> Answer | None:
    from flowlord.cli.whyfile import of_file

    return of_file(case, what)


def _topic(case: Case, what: str) -> Answer | None:
    from flowlord.cli.whytopic import of_topic

    return of_topic(case, what)


def _batch(case: Case, what: str) -> Answer | None:
    """Tell how a batch stands: by the name of a backload, or the begin of the key of another."""
    from flowlord.taskmaster.backloads import standing

    try:
        bus = case.sources.bus()
        if bus is None or not what or " " in what:
            return None
        found: Standing = standing(bus, what)
    except (LookupError, BusError):
        return None
    answer = Answer(f"{found.id} ({found.task}): {found.state}")
    total = f" of {found.total:,}" if found.total >= 0 else ""
    line = f", up to line {found.at.line:,}" if found.at.line else ""
    answer.add(f"{found.at.sent:,}{total} tasks were published{line}", "progress")
    if found.by:
        answer.add(f"asked for by {found.by}{found.words}", "asked", found.at_us)
    if found.why:
        answer.add(found.why, found.state)
    if found.state in ("stopped", "paused"):
        answer.then = "it rests until somebody resumes or cancels it"
        answer.commands += [f"flowlord backload resume {found.id}", f"flowlord backload cancel {found.id}"]
    elif found.state == "running":
        answer.then = "it goes on by itself wherever a daemon runs"
        answer.commands.append(f"flowlord backload status {found.id}")
    else:
        answer.commands.append(f"flowlord tasks --batch {found.id} --group-by state")
    return answer
