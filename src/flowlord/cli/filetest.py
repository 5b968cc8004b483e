"""`flowlord files --test PATH`: which phases a file would start and with what, or where it differs."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from flowlord.bus.clock import SystemClock
from flowlord.cli import printer
from flowlord.cli.exits import ANSWER_IS_BAD, DONE
from flowlord.cli.filebefore import rerun, there_before, words_of
from flowlord.cli.filemeant import meant
from flowlord.cli.printer import Look
from flowlord.cli.texts import some
from flowlord.cli.trace import seen_versions
from flowlord.decide.context import Context
from flowlord.decide.file import FileEvent, by_hand
from flowlord.decide.files import FilePhases, Match
from flowlord.model.errors import BusError
from flowlord.rules.moments import time_of_path
from flowlord.rules.nearest import Near, nearest_glob, told

if TYPE_CHECKING:
    from flowlord.config import Settings

SHOWN = 5


def run(settings: Settings, path: str, look: Look) -> int:
    """Explain a path; returns 0 when some phase would start, else 1."""
    from flowlord.cli.places import place_at, unreadable
    from flowlord.cli.stores import storage_at
    from flowlord.spec.load import load
    from flowlord.taskmaster.surroundings import read_sources

    where = settings.taskmaster.workflows
    try:
        loaded = load(place_at(where, where=settings.storage))
    except OSError as error:
        return unreadable(where, error, f"files --test {path} --workflows")
    for name in loaded.broken:
        printer.say(f"note: {name} is broken and left out: flowlord validate {where}")
    phases = FilePhases.of(loaded.workflows)
    matches = phases.matching(path)
    patterns = {match.rules.phase.rule.meta_file for match in matches} - {""}
    sources = read_sources(patterns, storage_at(settings.storage)) if patterns else {}
    ctx = Context(now=SystemClock().now(), sources=sources)
    found = [_match(match, path, ctx) for match in matches]
    moment = time_of_path(path)
    near = None if matches else _nearest(phases, path)
    before = _before(settings, matches, path)
    for match, row in zip(matches, found, strict=True):
        row["there_before"] = match in before
    answer: dict[str, object] = {
        "path": path,
        "moment": moment.isoformat().replace("+00:00", "Z") if moment else "",
        "matches": found,
        "why_not": "" if matches else phases.why_not(path),
        "nearest": near,
    }
    if look.resolved() in ("json", "jsonl"):
        printer.document(answer)
    else:
        printer.lines(_words(path, answer, found, near, phases))
    if before:
        for match in before:
            printer.say(f"note: {words_of(match)}")
        printer.say(f"  {rerun(path)}")
    if other := meant(path, phases):
        printer.say(f"hint: did you mean {printer.printable(other)}?")
    return DONE if matches else ANSWER_IS_BAD


def _before(settings: Settings, matches: list[Match], path: str) -> list[Match]:
    """Return the phases that know a file which lies here already; of any other path no bus is asked."""
    if not (matches and os.path.isfile(path)):
        return []
    from flowlord.cli.sources import opened

    cache_path = settings.cache.path if settings.cache.enabled else None
    try:
        with opened(settings.bus, cache_path, SystemClock()) as sources:
            if sources.bus(tell=False) is None or seen_versions(sources.history(fresh=True), path):
                return []
            return there_before(sources, matches, path)
    except BusError:  # what a file would start can be told without
        return []


def _match(match: Match, path: str, ctx: Context) -> dict[str, object]:
    phase = match.rules.phase
    plan = by_hand(FileEvent(path, "test", 0, "hand"), [match], "test", "test", ctx)
    infos = [message.task.info for message in plan.messages[:SHOWN]]
    return {
        "workflow": phase.workflow,
        "phase": phase.name,
        "line": phase.line,
        "pattern": match.pattern,
        "tasks": plan.size,
        "infos": infos,
        "meta": plan.messages[0].task.meta if plan.messages else "",
        "waits_for": _gates(match, path),
        "fault": next((fact.text for fact in plan.facts if fact.file is None), ""),
    }


def _gates(match: Match, path: str) -> list[str]:
    """What must hold, besides the pattern, before the phase starts."""
    rule = match.rules.phase.rule
    found = [f"standing still for {match.rules.settle_ns / 1e9:g} s"]
    if marker := match.rules.marker_of(path):
        found.append(f"{marker} to be there")
    if rule.min_size:
        found.append(f"at least {rule.min_size} bytes")
    if rule.count:
        found.append(f"{rule.count} files of its group")
    elif rule.group:
        found.append("its group to be quiet")
    if rule.cron:
        found.append(f"the next instant of {rule.cron}")
    return found


def _nearest(phases: FilePhases, path: str) -> dict[str, object] | None:
    globs = [(glob, each.phase) for each in phases.phases for glob in each.globs]
    near = nearest_glob(path, (glob for glob, _ in globs))
    if near is None:
        return None
    phase = next(phase for glob, phase in globs if glob.pattern == near.pattern)
    return {
        "workflow": phase.workflow,
        "phase": phase.name,
        "line": phase.line,
        "pattern": near.pattern,
        "offset": near.offset,
        "fails_at": path[near.offset :],
        "wants": near.wants,
    }


def _words(
    path: str,
    answer: dict[str, object],
    found: list[dict[str, object]],
    near: dict[str, object] | None,
    phases: FilePhases,
) -> list[str]:
    lines = []
    for each in found:
        lines.append(f"{each['workflow']}:{each['line']}  {each['phase']}  files={each['pattern']}")
        infos = each["infos"]
        assert isinstance(infos, list)
        lines += [f"  info {info}" for info in infos]
        if (more := int(str(each["tasks"])) - len(infos)) > 0:
            lines.append(f"  and {some(more, 'task')} more")
        if each["fault"]:
            lines.append(f"  {each['fault']}")
        waits = each["waits_for"]
        assert isinstance(waits, list)
        lines.append(f"  waits for {', '.join(map(str, waits))}")
    if not found:
        lines.append("no phase matches")
        if near is not None and phases.why_not(path).startswith("nearest"):
            words = told(path, Near(str(near["pattern"]), int(str(near["offset"])), str(near["wants"])))
            lines.append(f"{near['workflow']}:{near['line']}  {words}")
        else:
            lines.append(str(answer["why_not"]))
    lines.append(f"data time in the path: {answer['moment'] or 'none'}")
    return lines
