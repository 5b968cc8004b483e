"""What the facts of the journal mean to people: events, what ends them, and acts. Pure."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import datetime
from hashlib import blake2b
from typing import Final, Protocol

from flowlord.alert.state import Act, ActKind, Ending, Event, EventKind, Happening, Mode, Tried, Trying
from flowlord.model.plan import BROKEN, Fact, FactKind
from flowlord.model.task import Result
from flowlord.rules.metastring import parse_meta
from flowlord.rules.moments import time_of_task

LONGEST: Final = 600
"""Characters of a reason that are kept."""
LONGEST_MUTE_US: Final = 31 * 86_400_000_000
"""No mute lasts longer, whoever wrote it."""
_LONGEST_NAME: Final = 300
"""Characters of a name; longer ones, which only a hostile message has, are told apart by a digest of the rest."""
_INSTANT: Final = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9:.]{5,15}Z$", re.ASCII)
_STARTS: Final = re.compile(r" to [0-9TZ:.-]{1,32} \((?:more than )?([0-9]{1,9}) starts\): ", re.ASCII)
_KINDS: Final = {
    FactKind.DEAD: EventKind.TASK,
    FactKind.MISSED: EventKind.MISSED,
    FactKind.QUARANTINED: EventKind.MESSAGE,
    FactKind.BATCH: EventKind.BATCH,
    FactKind.LATE: EventKind.LATE,
    FactKind.ABSENT: EventKind.ABSENT,
    FactKind.VANISHED: EventKind.PROCESS,
}
_CAUSES: Final = {
    "late": EventKind.LATE,
    "process": EventKind.PROCESS,
    "absent": EventKind.ABSENT,
    "file": EventKind.WORKFLOW,
    "workflows": EventKind.WORKFLOW,
    "bus": EventKind.BUS,
    "backup": EventKind.BACKUP,
}
_MODES: Final = {mode.value: mode for mode in Mode}
_Beside = dict[tuple[str, str, str], EventKind]
"""Key, phase and text of a fact to what it means for the alert that was told with it."""
_ACTS: Final = {FactKind.ACKED: ActKind.ACK, FactKind.MUTED: ActKind.MUTE, FactKind.UNMUTED: ActKind.UNMUTE}


class Entry(Protocol):
    """What is needed of a journal entry (`flowlord.bus.port.JournalEntry`)."""

    @property
    def at_us(self) -> int:
        """Microseconds since 1970 UTC, by the clock of the bus."""
        ...

    @property
    def facts(self) -> tuple[Fact, ...]:
        """What the commit told."""
        ...


# Looked up once: in Python 3.11 it takes a while to find a member in its class, and these are asked for of each fact.
_DONE, _PUBLISHED, _ALERT = FactKind.DONE, FactKind.PUBLISHED, FactKind.ALERT
_COMPLETE: Final = Result.COMPLETE.value
_ENDED: Final = frozenset({FactKind.DONE, FactKind.CANCELLED, FactKind.QUARANTINED})
"""What ends a try."""


def happenings(
    entries: Iterable[Entry], subjects: Collection[str], tries: Iterable[str] = ()
) -> list[Happening]:
    """Return what these entries tell, in order.

    Of what went well only that of `subjects` is told, and of subjects that failed in these entries themselves; of
    ends of further tries only those of `tries` (dispatch keys) and of tries that begin in these entries.
    """
    found: list[Happening] = []
    failed: set[str] = set()
    well: dict[str, set[str]] = {}  # starts in which a subject went well: once is enough
    again = set(tries)
    for entry in entries:
        at = entry.at_us
        alerts = [each for each in entry.facts if each.kind is _ALERT]
        broken = {each.key for each in alerts if each.cause[:5] == "file:"}
        beside = _beside(entry.facts) if alerts else {}
        starts = {each.key: each.batch for each in entry.facts if each.batch} if alerts else {}
        for fact in entry.facts:
            kind = fact.kind
            is_further = bool(again) and fact.key in again and kind in _ENDED
            if is_further:
                again.discard(fact.key)
                subject = _bounded(fact.phase)
                well.pop(subject, None)
                found.append(Tried(subject, at, fact.key))
            if kind is _DONE:
                task = fact.task
                if task is None or task.result != _COMPLETE or not (failed or subjects):
                    continue  # nearly always: nobody waits for its end
                subject = _bounded(fact.phase or task.name)
                start = "" if is_further else fact.batch[:_LONGEST_NAME]
                if start in well.get(subject, ()):
                    continue
                if subject in failed or subject in subjects:
                    well.setdefault(subject, set()).add(start)
                    found.append(Ending(subject, at, start))
            elif kind is _PUBLISHED:
                if fact.cause[:6] == "retry:" and fact.phase and 0 < len(fact.key) <= _LONGEST_NAME:
                    subject = _bounded(fact.phase)
                    again.add(fact.key)
                    failed.add(subject)
                    well.pop(subject, None)
                    found.append(Trying(subject, at, fact.key))
            elif kind is _ALERT:
                event = _event(fact, at, beside, starts)
                failed.add(event.subject)
                well.pop(event.subject, None)
                found.append(event)
                if event.kind is EventKind.PROCESS and fact.topic == "taskmaster":
                    found.append(Ending(event.subject, at))  # another one is there: it told of this one
            elif kind is FactKind.RELOAD:
                if BROKEN + fact.phase not in broken:  # else an older version of the file runs
                    found.append(Ending(_bounded(f"file:{fact.phase}"), at))
            elif kind is FactKind.BACKUP:
                found.append(Ending(EventKind.BACKUP.value, at))
            elif (act := _ACTS.get(kind)) is not None:
                by = fact.cause.removeprefix("person:")
                found.append(
                    Act(
                        act,
                        at,
                        fact.key[:LONGEST],
                        _bounded(by),
                        fact.text[:LONGEST],
                        min(fact.due, at + LONGEST_MUTE_US),
                    )
                )
    return found


def _beside(facts: Sequence[Fact]) -> _Beside:
    """Return what else was decided of what these facts are about: a commit may tell of hundreds of tasks."""
    found: _Beside = {}
    for each in facts:
        if (kind := _KINDS.get(each.kind)) is not None:
            found.setdefault((each.key, each.phase, each.text), kind)
    return found


def _event(fact: Fact, at_us: int, beside: _Beside, starts: Mapping[str, str]) -> Event:
    kind = _kind(fact, beside)
    task = fact.task
    name = task.name if task else fact.phase.partition(":")[2] or fact.topic
    subject = fact.phase or name
    if kind is EventKind.WORKFLOW:
        name = fact.phase or fact.cause.partition(":")[2]
        # The alert tells the path of the file, and its key the name below the folder, by which it ends.
        subject = f"file:{fact.key.removeprefix(BROKEN) or name}"
    elif kind is EventKind.PROCESS and fact.key:
        subject = name = fact.key  # host and number
    elif kind in (EventKind.PROCESS, EventKind.BUS, EventKind.BACKUP) or not subject:
        subject = name = kind.value if kind is not EventKind.OTHER else "flowlord"
    return Event(
        kind,
        at_us,
        fact.text[:LONGEST] or kind.value,
        _bounded(subject),
        _bounded(name),
        workflow=_bounded(fact.phase.partition(":")[0] or (_workflow_of(fact) if task else "")),
        phase=_bounded(fact.phase),
        hour=_hour(fact),
        mode=_MODES.get(fact.mode, Mode.EDGE),
        to=_bounded(fact.to),
        batch=starts.get(fact.key, "")[:_LONGEST_NAME] if kind is EventKind.TASK else "",
        count=_count(fact.text) if kind is EventKind.MISSED else 1,
    )


def _count(text: str) -> int:
    """Return how many starts a text of `decide.tick.on_missed` is about."""
    found = _STARTS.search(text)
    return max(int(found[1]), 1) if found else 1


def _bounded(name: str) -> str:
    if len(name) <= _LONGEST_NAME:
        return name
    digest = blake2b(name.encode("utf-8", "surrogatepass"), digest_size=6).hexdigest()
    return f"{name[: _LONGEST_NAME - 13]}…{digest}"


def _kind(fact: Fact, beside: _Beside) -> EventKind:
    if fact.task is not None and fact.task.result == Result.ALERT:
        return EventKind.RESULT
    found = beside.get((fact.key, fact.phase, fact.text))
    if found is not None:
        return found
    first = fact.cause.partition(":")[0]
    if first in _CAUSES and not (first == "file" and ":" in fact.phase):
        return _CAUSES[first]
    if fact.task is not None and fact.task.result == Result.ERROR:
        return EventKind.TASK
    if fact.batch:
        return EventKind.BATCH
    return EventKind.PHASE if fact.phase else EventKind.OTHER


def _workflow_of(fact: Fact) -> str:
    assert fact.task is not None
    return parse_meta(fact.task.meta).get("workflow", [""])[0]


def _hour(fact: Fact) -> int | None:
    """Return the hour of the data time that a fact is about."""
    if fact.task is not None:
        time = time_of_task(fact.task.info, parse_meta(fact.task.meta))
    elif found := _INSTANT.search(fact.cause):
        try:
            time = datetime.fromisoformat(found[0])
        except ValueError:
            return None
    else:
        return None
    return None if time is None else int(time.timestamp()) // 3600
