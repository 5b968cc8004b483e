"""Why a phase did not start, or did, for one data time or one planned instant: by its schedule, parent or files."""

from __future__ import annotations

import shlex
from collections.abc import Collection, Iterable, Sequence
from datetime import datetime, timedelta
from itertools import islice
from typing import TYPE_CHECKING

from flowlord.cache.attempt import Attempt, State
from flowlord.cache.decided import of_batch, of_files, of_phases
from flowlord.cache.queries import PAGE
from flowlord.cli.evidence import gathered, last_decided, present
from flowlord.cli.reasons import Answer
from flowlord.cli.times import to_us
from flowlord.cli.whyseveral import counted, left_out, newest, tell
from flowlord.decide.context import Context
from flowlord.decide.expand import info_of, later, own_values, utc_text
from flowlord.decide.expected import Expected, expected, times_of
from flowlord.decide.fill import commands
from flowlord.decide.gaps import WAITS, batch_of, lacking, reason_of
from flowlord.decide.keys import dispatch_key
from flowlord.decide.recipe import compiled
from flowlord.decide.tick import slot_of
from flowlord.rules.moments import format_hour
from flowlord.rules.timetable import Timetable

if TYPE_CHECKING:
    from flowlord.cli.case import Case
    from flowlord.model.workflow import Phase

MOST = 20_000
BEFORE = "before"  # any daemon had loaded the phase
SHOWN = 3
DEEP = 20
REASONS = 1_000
"""Starts of which it is looked up why they are not there."""


def at_moment(case: Case, phase: Phase, moment: datetime, deep: int = 0) -> Answer:
    """Return why a phase did or did not run for a data time (aware)."""
    made = newest(case, case.history.tries(_made(case, phase, moment, deep)))
    at = utc_text(moment) if case.exact else format_hour(moment).removesuffix("T00")
    if made:
        return _started(case, phase, moment, deep, made, at)
    answer = Answer(f"{phase.base_name} {at}: not started")
    if phase.rule.files:
        _files(case, phase, moment, answer)
    elif phase.rule.cron:
        _schedule(case, phase, moment, answer)
    elif phase.parent:
        _parents(case, phase, moment, answer, deep)
    else:
        answer.add("its phase has no cron, no files and no dependsOn: only a person starts it", "never")
        answer.commands += commands(phase, [moment], workflow=False)
    return answer


def _started(
    case: Case, phase: Phase, moment: datetime, deep: int, made: Sequence[Attempt], at: str
) -> Answer:
    """Tell of the tasks that are there, and then of what lacks beside them."""
    answer = Answer(f"{phase.base_name} {at}: {counted(case, made)}")
    if len(made) > 1:
        tell(case, made, answer)
        if len(made) >= PAGE:
            answer.add(f"{len(made):,} of its tasks were looked at: there may be more", "more")
        if not answer.commands:
            answer.commands.append(f"flowlord task {made[-1].key[:12]}")
    lacks = Answer("")
    if phase.rule.cron and not phase.rule.files:
        starts = _starts(case, phase, moment)
        _lacks(case, starts, lacks, _again(case, starts))
    elif phase.parent and not phase.rule.files:
        for parent in _parents_of(case, phase):
            before = _of_parent(case, phase, parent, moment, deep)
            left_out(case, phase, before, lacks)
            tell(case, newest(case, before), lacks)
    if len(made) == 1:
        only = case.task(made[0])
        if not lacks.said:
            return only
        answer.also(only)
    answer.said += lacks.said
    answer.then = lacks.then or ("" if lacks.said else answer.then)
    answer.commands += [each for each in lacks.commands if each not in answer.commands]
    return answer


def _again(case: Case, starts: Sequence[Expected]) -> set[str]:
    """Return the backloads that name what some of these starts made, too."""
    there = present(case.history, [each for each in starts if each.instant <= case.now])
    named: set[str] = set()
    for start in starts:
        if there.made.get(start.slot):
            gone = set(there.rows.get(start.slot, ()))
            times = [time for time in times_of(start) if time not in gone]
            named.update(commands(start.phase, times, workflow=False))
    return named


def on_day(case: Case, phase: Phase, day: datetime) -> Answer:
    """Return the answer for a data time that was given as a day: its first hour, or those of which there are tasks."""
    if phase.rule.files or _made(case, phase, day, 0):
        return at_moment(case, phase, day)
    hours = [day + timedelta(hours=n) for n in range(1, 24)]
    there = [hour for hour in hours if _made(case, phase, hour, 0)]
    if len(there) == 1:
        return at_moment(case, phase, there[0])
    answer = at_moment(case, phase, day)
    if there:
        first, last = format_hour(there[0]), format_hour(there[-1])
        answer.head = f"{phase.base_name} {format_hour(day)}: not started"
        answer.add(f"of this day it has tasks of {len(there)} other hours, from {first} to {last}", "hours")
        asked = [shlex.quote(f"{phase.base_name} {format_hour(hour)}") for hour in there[-SHOWN:]]
        answer.commands[:0] = [f"flowlord why {each}" for each in asked]
    return answer


def at_instant(case: Case, phase: Phase, instant: datetime) -> Answer:
    """Return why a schedule did or did not start a phase at a planned instant (aware)."""
    start = Expected(phase, instant, slot_of(phase, instant))
    there = _attempts(case, [start])
    made = newest(case, case.history.tries(there))
    if len(made) == 1:
        return case.task(made[0])
    if made:
        answer = Answer(f"{phase.base_name} at {utc_text(instant)}: {counted(case, made)}")
        tell(case, made, answer)
        return answer
    answer = Answer(f"{phase.base_name} at {utc_text(instant)}: not started")
    _lacks(case, [start], answer)
    return answer


def _made(case: Case, phase: Phase, moment: datetime, deep: int) -> list[Attempt]:
    """Return the attempts of a phase for a data time, the first one first, as far as they can be found by index."""
    text = format_hour(moment)
    found: list[Attempt] = []
    if phase.rule.files:
        # Files are looked up by their data time; what their tasks tell may be another one.
        some = case.history.by_keys(of_files(case.history, text)).values()
        found += [each for each in some if each.phase == phase.identity]
    elif phase.rule.cron:
        found += [each for each in _attempts(case, _starts(case, phase, moment)) if each.moment in ("", text)]
    elif phase.parent and deep < DEEP:
        before = [
            each
            for parent in _parents_of(case, phase)
            for each in _of_parent(case, phase, parent, moment, deep)
        ]
        children = case.history.children(before)
        found += [each for each in children if (each.topic, each.job) == (phase.topic, phase.job)]
    sql = "SELECT key FROM tasks WHERE batch >= 'b-' AND batch < 'b.' AND phase = ? AND moment = ? LIMIT 1000"
    keys = [str(key) for (key,) in case.history.rows(sql, (phase.identity, text))]
    keys += [
        each.key
        for each in case.history.newer.values()
        if each.batch.startswith("b-") and (each.phase, each.moment) == (phase.identity, text)
    ]
    if case.exact:
        keys = [key for key in keys if _was_about(case, phase, moment, key)]
    known_ones = {each.key for each in found}
    found += [each for key, each in case.history.by_keys(keys).items() if key not in known_ones]
    return found


def _was_about(case: Case, phase: Phase, moment: datetime, key: str) -> bool:
    """Whether a task that a backload made is of this minute, as far as its info tells."""
    attempt = case.history.by_keys([key]).get(key)
    if attempt is None or phase.rule.is_batch or compiled(phase.template).has_unique:
        return True
    return attempt.info == info_of(phase, "", 0, own_values(phase, moment), moment, Context(now=case.now))


def _of_parent(case: Case, phase: Phase, parent: Phase, moment: datetime, deep: int) -> list[Attempt]:
    try:
        return case.history.tries(_made(case, parent, later(moment, -phase.rule.offset_ns), deep + 1))
    except OverflowError:
        return []


def _parents_of(case: Case, phase: Phase) -> list[Phase]:
    flow = case.loaded.flow(phase.workflow)
    return [
        each
        for each in (flow.phases if flow else ())
        if each.topic == phase.parent and phase.parent_job in ("", each.job)
    ]


def _starts(case: Case, phase: Phase, moment: datetime) -> list[Expected]:
    """Return the planned instants whose tasks have a data time within the hour of `moment`."""
    span = timedelta(microseconds=abs(phase.rule.for_ns) // 1000)
    try:
        middle = later(moment, -phase.rule.offset_ns)
        first, last = middle - span - timedelta(hours=1), middle + span + timedelta(hours=1)
        marks = last_decided(case.sources, [phase.identity]) if phase.rule.cron.startswith("@every") else {}
        terms = case.loaded.terms(phase)
        if not any(term.until is None for term in terms) or (terms and first < terms[0].since):
            from flowlord.decide.expected import Term

            terms = [Term(phase, first)]
        zone = case.settings.taskmaster.zone
        if phase.rule.is_batch:
            every = islice(expected(terms, first, last, zone=zone, marks=marks), MOST)
            return [start for start in every if _is_about(start, moment, case.exact)]
        # One data time each, and maybe one start each second: those of the hours around are not asked for.
        end = middle + _length(moment, case.exact)
        last = end + timedelta(microseconds=phase.rule.jitter_ns // 1000)
        every = islice(expected(terms, middle, last, zone=zone, marks=marks), MOST)
        return [start for start in every if start.instant < end]
    except OverflowError:
        return []


def _length(moment: datetime, exact: bool) -> timedelta:
    return timedelta(seconds=1) if exact and moment.second else timedelta(minutes=1 if exact else 60)


def _is_about(start: Expected, moment: datetime, exact: bool) -> bool:
    length = _length(moment, exact)
    try:
        return any(timedelta(0) <= time - moment < length for time in times_of(start))
    except (ValueError, OverflowError):
        return start.instant == moment


def _attempts(case: Case, starts: Iterable[Expected]) -> list[Attempt]:
    keys: list[str] = []
    for start in starts:
        if not start.phase.rule.is_batch:
            keys.append(dispatch_key(start.slot))
            continue
        keys += of_batch(case.history, batch_of(start), MOST)
    return list(case.history.by_keys(dict.fromkeys(keys[:MOST])).values())


def _schedule(case: Case, phase: Phase, moment: datetime, answer: Answer) -> None:
    starts = _starts(case, phase, moment)
    if starts:
        _lacks(case, starts, answer)
        return
    table = Timetable.of(phase.rule, phase.identity, case.settings.taskmaster.zone)
    middle = later(moment, -phase.rule.offset_ns)
    if table.first is not None and middle < table.first:
        answer.add(f"its schedule begins at from={phase.rule.first}", "outside")
    elif table.last is not None and middle > table.last:
        answer.add(f"its schedule ended at until={phase.rule.until}", "outside")
    else:
        answer.add(f"no start of cron={phase.rule.cron} has this data time", "outside")
    upcoming = table.next(case.now)
    if upcoming is not None:
        answer.then = f"its next start is planned for {utc_text(upcoming)}"
    answer.commands += commands(phase, [moment], workflow=False)


def _lacks(
    case: Case, starts: Sequence[Expected], answer: Answer, done: Collection[str] = frozenset()
) -> None:
    """Tell for planned instants without tasks why they have none; `done` are backloads that are not to be offered."""
    coming = [each for each in starts if each.instant > case.now]
    gone = [each for each in starts if each.instant <= case.now]
    marks = last_decided(case.sources, {each.phase.identity for each in gone})
    there = present(case.history, gone)
    missing = list(lacking(gone, lambda start: start.slot in there.made, there.rows))
    evidence = gathered(case.sources, missing, there, marks) if missing else None
    told: dict[tuple[str, str], list[Expected]] = {}
    wanted: list[str] = []
    of_before: list[str] = []
    for _, start, times in missing[:REASONS]:
        assert evidence is not None
        begin = next((term.since for term in case.loaded.terms(start.phase)), None)
        kind, why = reason_of(start, evidence)
        if begin is not None and start.instant < begin and kind == "missing":
            kind, why = BEFORE, f"no daemon had loaded the phase before {utc_text(begin)}"
        told.setdefault((kind, why), []).append(start)
        if kind == WAITS:
            answer.then = "it will start by itself when that is over"
            continue
        more = commands(start.phase, times, workflow=False)
        kept = of_before if kind == BEFORE else wanted
        kept += [each for each in more if each not in kept]
    # What nobody could have started is asked for last.
    wanted += [each for each in of_before if each not in wanted]
    groups = sorted(told.items(), key=lambda group: group[0][0] == BEFORE)
    for (kind, why), some in groups[:SHOWN]:
        first, last = utc_text(some[0].instant), utc_text(some[-1].instant)
        many = f"{len(some):,} starts were planned from {first} to {last}"
        answer.add(f"{many if len(some) > 1 else f'it was planned for {first}'}: {why}", kind)
    more_starts = len(missing) - sum(len(some) for _, some in groups[:SHOWN])
    if more_starts:
        answer.add(f"and {more_starts:,} more starts of this data time", "more")
    if any(each in done for each in wanted):
        answer.add("a backload of this data time would do again what is there", "again")
        wanted = [each for each in wanted if each not in done]
    answer.commands += wanted[:SHOWN]
    if len(wanted) > SHOWN:
        answer.commands.append(f"flowlord gaps --topic {shlex.quote(missing[0][1].phase.base_name)}")
    if missing and not answer.then:
        missed = "what is missing" if coming or done else "it"
        answer.then = f"{missed} will not be made up for by itself"
        answer.then += "; what is planned will start by itself" if coming else ""
    for start in coming[:SHOWN]:
        answer.add(f"it is planned for {utc_text(start.instant)}", "coming")
        answer.then = answer.then or "it will start by itself then"


def _parents(case: Case, phase: Phase, moment: datetime, answer: Answer, deep: int) -> None:
    parents = _parents_of(case, phase)
    answer.add(f"it follows {phase.depends_on or phase.parent} ({phase.workflow}:{phase.line})", "depends")
    if not parents:
        answer.add(f"no phase of {phase.workflow} is called {phase.parent}", "never")
        return
    for parent in parents[:SHOWN]:
        before = _of_parent(case, phase, parent, moment, deep)
        if before:
            _parent_there(case, phase, parent, before, answer)
        elif deep < DEEP:
            answer.also(at_moment(case, parent, later(moment, -phase.rule.offset_ns), deep + 1))


def _parent_there(case: Case, phase: Phase, parent: Phase, before: Sequence[Attempt], answer: Answer) -> None:
    tasks = newest(case, before)
    if left_out(case, phase, before, answer):
        open_ones = [each for each in tasks if each.state != State.COMPLETE]
        if len(tasks) > 1:
            answer.add(f"of {parent.base_name} are {counted(case, tasks)}", "counts")
        tell(case, open_ones, answer)
        answer.then = (
            f"what was left out will not start by itself; the rest will when {parent.base_name} succeeds"
            if open_ones
            else "it will not start by itself"
        )
        answer.commands.append(f"flowlord task {tasks[-1].key[:12]}")
        return
    if len(tasks) > 1:
        answer.add(f"of {parent.base_name} are {counted(case, tasks)}", "counts")
        tell(case, tasks, answer)
        if all(each.state == State.COMPLETE for each in tasks):
            answer.add("history tells of no start and of no reason: was the phase loaded then?", "unknown")
            return
        answer.then = f"it will start by itself when {parent.base_name} succeeds"
        return
    [last] = tasks
    state = last.state_at(to_us(case.now))
    words = f"{parent.base_name} ({last.key[:8]}) is {state}"
    said = last.msg or last.reason
    answer.add(f"{words}: {said}" if said else words, str(state), last.ended_us)
    if state == State.COMPLETE:
        answer.add("history tells of no start and of no reason: was the phase loaded then?", "unknown")
    elif state in (State.DEAD, State.QUARANTINED, State.LOST):
        answer.then = f"it will start by itself when {parent.base_name} succeeds"
        answer.commands.append(f"flowlord retry {last.key[:12]}")
    else:
        answer.then = f"it will start by itself when {parent.base_name} is complete"
        answer.commands.append(f"flowlord why {last.key[:12]}")


def _files(case: Case, phase: Phase, moment: datetime, answer: Answer) -> None:
    from flowlord.cli.whyfile import groups_of

    answer.add(f"it starts on files like {phase.rule.files[0]}", "depends")
    text = format_hour(moment)
    rows = case.history.rows(
        "SELECT path, state, text, at_us FROM files WHERE moment >= ? AND moment < ? ORDER BY n DESC LIMIT 200",
        (text, text + "~"),
    )
    seen = list(rows)
    for path, state, words, at_us in seen[:SHOWN]:
        answer.add(f"{path} was seen: {words}", str(state), int(str(at_us)))
    if not seen:
        answer.add("no file of this data time was seen", "absent")
    for words in groups_of(case.sources, phase):
        answer.add(words, "group")
    for each in of_phases(case.history, [phase.identity], 0, ("absent",))[-SHOWN:]:
        answer.add(each.text, each.kind, each.at_us)
    answer.then = "it will start by itself when such a file comes"
    answer.commands.append("flowlord files --unmatched --since 7d")
