"""`flowlord files --rerun PATH`: start files again by hand, whatever they started before."""

from __future__ import annotations

import socket
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

import msgspec

from flowlord.bus.clock import SystemClock
from flowlord.cli import printer
from flowlord.cli.buses import bus_at
from flowlord.cli.exits import ANSWER_IS_BAD, DONE
from flowlord.cli.origin import load_known
from flowlord.cli.people import who
from flowlord.cli.printer import Look, Sheet
from flowlord.cli.texts import some
from flowlord.decide.context import Context
from flowlord.decide.file import FileEvent, by_hand
from flowlord.decide.files import FilePhases, Match
from flowlord.model.errors import FlowlordError
from flowlord.model.plan import Commit
from flowlord.rules.places import as_text
from flowlord.storage.port import Missing, Unavailable
from flowlord.taskmaster.chance import Chance, Stamps
from flowlord.taskmaster.surroundings import read_sources

if TYPE_CHECKING:
    from flowlord.config import Settings
    from flowlord.model.workflow import Rule
    from flowlord.storage.open import Storage

FIELDS = ("path", "phase", "name", "id", "info")
LAND_AT = 200


def run(settings: Settings, path: str, *, execute: bool, look: Look) -> int:
    """Start what a path, or each file that a pattern names, starts; returns 1 when no phase takes any."""
    from flowlord.cli.stores import storage_at

    storage = storage_at(settings.storage)
    bus = bus_at(settings.bus, by="files")
    try:
        phases = FilePhases.of(load_known(settings.taskmaster.workflows, lambda: bus).flows)
        events = _events(storage, path)
        chosen = [(event, matches) for event in events if (matches := phases.matching(event.path))]
        if not chosen:
            why = phases.why_not(events[0].path) if events else "there is no such file"
            printer.error(f"no phase takes {path}: {why}", hint=f"flowlord files --test '{path}' explains it")
            return ANSWER_IS_BAD
        asks = len(chosen) > 1 and not execute
        patterns = {match.rules.phase.rule.meta_file for _, matches in chosen for match in matches} - {""}
        ctx = Context(host=socket.gethostname(), sources=read_sources(patterns, storage))
        sheet = Sheet(FIELDS, name="path", look=look)
        for commits in _planned(chosen, ctx):
            if not asks:
                bus.commit_many([commit for _, commit in commits])
            sheet.add(row for event, commit in commits for row in _rows(event, commit, is_sent=not asks))
            for fact in (fact for _, commit in commits for fact in commit.plan.facts if fact.file is None):
                printer.say(f"note: {fact.text}")
        sheet.close()
        for words in passed_over(chosen):
            printer.say(f"note: {words}")
        if asks:
            printer.say(f"{some(len(chosen), 'file')}: nothing was started yet; add --execute to start them")
        return DONE
    finally:
        bus.close()


def _events(storage: Storage, path: str) -> list[FileEvent]:
    """Return the files that a path or pattern names, in order; raises FlowlordError where nobody can look."""
    try:
        listed = sorted(storage.list(path), key=lambda found: found.path)
    except Missing:
        return []
    except Unavailable as error:
        raise FlowlordError(str(error), hint="the path is spelled as the pattern of its phase is") from error
    return [FileEvent(as_text(found.path), found.version, found.size, "hand") for found in listed]


def passed_over(chosen: Sequence[tuple[FileEvent, Sequence[Match]]]) -> Iterator[str]:
    """Yield in words what the rules of phases would have asked of files that a person starts whatever they ask."""
    small: dict[str, int] = {}
    rules: dict[str, tuple[str, Rule]] = {}
    for event, matches in chosen:
        for match in matches:
            phase = match.rules.phase
            rules[phase.identity] = f"{phase.base_name} ({phase.workflow}:{phase.line})", phase.rule
            if event.size < phase.rule.min_size:
                small[phase.identity] = small.get(phase.identity, 0) + 1
    for identity, (name, rule) in rules.items():
        if count := small.get(identity):
            yield f"{name} wants at least {rule.min_size:,} bytes, which {some(count, 'file')} here did not reach"
        if rule.count:
            yield f"{name} wants {some(rule.count, 'file')} of a group: by hand each file starts it alone"
        elif rule.group:
            yield f"{name} waits for a group to be quiet: by hand each file starts it alone"


def _rows(event: FileEvent, commit: Commit, *, is_sent: bool) -> list[dict[str, object]]:
    return [
        {  # who asks again before it is sent gets other ids
            "path": event.path,
            "phase": message.phase,
            "name": message.task.name,
            "id": message.task.id if is_sent else "",
            "info": message.task.info,
        }
        for message in commit.plan.messages
    ]


def _planned(
    chosen: list[tuple[FileEvent, list[Match]]], ctx: Context
) -> Iterator[list[tuple[FileEvent, Commit]]]:
    """Yield the commits of some files at a time; each time that this is asked for is a cause of its own."""
    chance = Chance()
    stamps, token = Stamps(SystemClock(), chance.digit()), chance.token()
    by = who()
    for at in range(0, len(chosen), LAND_AT):
        found = []
        for event, matches in chosen[at : at + LAND_AT]:
            now = stamps.now()
            plan = by_hand(event, matches, token, by, msgspec.structs.replace(ctx, now=now))
            stamps.widen(now, plan.stamps)  # nobody else takes any here
            found.append((event, Commit(plan)))
        yield found
