"""What follows when a file has appeared: tasks, the marks that keep it from starting twice, and a record."""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import msgspec

from flowlord.decide.absent import came, came_mark
from flowlord.decide.context import Context
from flowlord.decide.expand import Start, as_plan, root_messages, unknown_time
from flowlord.decide.files import FilePhase, FilePhases, Match, Timing
from flowlord.decide.group import GROUP, Group, group_key, read_group, write_group
from flowlord.decide.keys import after, created, dispatch_key, run_id, short_token
from flowlord.decide.recipe import compiled
from flowlord.decide.tick import failed
from flowlord.decide.versions import is_known, with_version
from flowlord.model.message import Message
from flowlord.model.plan import Commit, Fact, FactKind, Mark, Plan, Seen
from flowlord.model.task import Task
from flowlord.model.workflow import Phase, Workflows
from flowlord.rules.cron import Cron
from flowlord.rules.metastring import format_sorted
from flowlord.rules.moments import time_of_path
from flowlord.rules.places import folder_of, name_of

KEEP_S = 7 * 86_400
"""How long a mark outlives the last look that saw its file."""
_TOLD = 20
"""Tasks that the record of a file names."""


@dataclass(frozen=True, slots=True)
class FileEvent:
    """A file that is there and complete.

    `path` is its whole path or address, as text; `version` tells a rewritten file from the old one, and is empty when
    nobody knows. `source` is where it was heard of: folder, bucket, topic, or hand. `listed` is the version by which a
    listing tells the same file, when that is another one and known. `was` is the path under which this very file was
    known before somebody renamed it.
    """

    path: str
    version: str = ""
    size: int = 0
    source: str = "topic"
    listed: str = ""
    was: str = ""


def file_mark(identity: str, path: str) -> str:
    """Return the key of the mark that holds the versions of `path` which a phase knows.

    Without a phase it is that of files which start nothing, so that each is told once.
    """
    return f"file:{dispatch_key(identity + chr(0) + path)}"


def marks_of(event: FileEvent, matches: Sequence[Match]) -> list[str]:
    """Return the keys of all marks that `decide_file` must know."""
    keys = [file_mark(match.rules.phase.identity, event.path) for match in matches]
    keys += [group_key(match.rules, event.path) for match in matches if match.rules.is_grouped]
    keys += [came_mark(match.rules.phase.identity) for match in matches if match.rules.phase.rule.late]
    return keys or [file_mark("", event.path)]


def on_file(event: FileEvent, flows: Workflows, ctx: Context) -> Plan:
    """Return the tasks of every phase whose `files` match, as if nothing had been seen before."""
    phases = FilePhases.of(flows)
    decided = decide_file(event, phases, phases.matching(event.path), ctx, {})
    assert decided is not None
    return decided.plan


def decide_file(
    event: FileEvent,
    phases: FilePhases,
    matches: Sequence[Match],
    ctx: Context,
    marks: Mapping[str, str],
    timing: Timing | None = None,
) -> Commit | None:
    """Return what must land for a file: tasks, or a place in its group, and the marks that it is known now.

    Args:
        matches: the phases that it starts, as `FilePhases.matching` found them; none tells it as unmatched.
        marks: the values of `marks_of` that the bus has.
    Returns:
        None when every phase knows this version, or the file was told before.
    Source:
        docs/reference.md, "File events".
    """
    timing = timing or Timing()
    plans: list[Plan] = []
    guards: list[Mark] = []
    counted: list[str] = []
    small: list[str] = []
    skipped: list[str] = []
    arrived: list[Phase] = []
    begun, joined = list[str](), list[str]()
    for match in matches:
        phase = match.rules.phase
        key = file_mark(phase.identity, event.path)
        seen = marks.get(key)
        if seen is not None and (
            match.rules.is_grouped or _starts_nothing(seen, event, phase.rule.on_rewrite)
        ):
            continue
        if event.size < phase.rule.min_size and event.source != "topic":
            small.append(f"{phase.identity} wants at least {phase.rule.min_size} bytes, it has {event.size}")
            continue
        pause = ctx.paused.phase(phase, ctx.now)
        if pause is not None and not (pause.catchup and pause.until):
            skipped.append(f"{phase.base_name} is left out: {pause.words}")
            arrived.append(phase)
            guards.append(Mark(key, seen, with_version(seen, event.version, event.listed), KEEP_S))
            continue
        if event.version or match.rules.is_grouped or phase.rule.on_rewrite == "ignore":
            guards.append(Mark(key, seen, with_version(seen, event.version, event.listed), KEEP_S))
        if not match.rules.is_grouped:
            slot = f"file:{phase.identity}:{event.path}:{event.version}"
            plans.append(_started(match, slot, event, ctx, timing, _made(plans)))
            arrived.append(phase)
            continue
        name = group_key(match.rules, event.path)
        value = marks.get(name)
        group = read_group(value).joined(event.path, event.version, event.size, phase.identity)
        if phase.rule.count and group.files >= phase.rule.count:
            plans.append(_group_started(match.rules, group, ctx, timing, _made(plans)))
            arrived.append(phase)
            group = group.begun()
            begun.append(name)
        else:
            joined.append(name)
            wanted = f" of {phase.rule.count}" if phase.rule.count else ""
            counted.append(f"{phase.base_name} has {group.files}{wanted}")
        guards.append(Mark(name, value, write_group(group), KEEP_S))
    guards += _came(arrived, event.path, marks, ctx)
    if not plans and not counted and not skipped:
        return _nothing(event, phases, matches, small, marks)
    plan = merged(plans)
    messages = plan.messages
    state = "started" if messages or plan.opened else "counted" if counted else "skipped"
    told = _record(event, state, messages, begun if state == "started" else joined)
    fact = Fact(
        FactKind.FILE,
        cause=f"file:{event.path}:{event.version}",
        text=_text(event, plan, counted, skipped),
        file=told,
    )
    return Commit(msgspec.structs.replace(plan, facts=(*plan.facts, fact)), marks=tuple(guards))


def _came(phases: Sequence[Phase], path: str, marks: Mapping[str, str], ctx: Context) -> list[Mark]:
    """Return the marks that a file came, for the phases that tell when none does."""
    return [
        came(phase.identity, marks.get(came_mark(phase.identity)), path, time_of_path(path), ctx.now)
        for phase in phases
        if phase.rule.late
    ]


def _text(event: FileEvent, plan: Plan, counted: Sequence[str], skipped: Sequence[str]) -> str:
    """Return in words what became of a file."""
    path = event.path
    names = dict.fromkeys(message.task.name for message in plan.messages)
    said = [f"started {', '.join(names)}"] if names else ["started a batch"] if plan.opened else []
    said += [f"counts in its group: {'; '.join(counted)}"] if counted else []
    said += (
        [f"{'; '.join(skipped)}. To start it: {shlex.join(['flowlord', 'files', '--rerun', path])}"]
        if skipped
        else []
    )
    renamed = f"; until it was renamed it was {event.was}, which was known" if event.was else ""
    return f"{path} {', '.join(said) or 'starts nothing'}{renamed}"


def on_quiet(
    rules: FilePhase,
    name: str,
    value: str,
    ctx: Context,
    timing: Timing | None = None,
    marks: Mapping[str, str] | None = None,
) -> Commit | None:
    """Return what must land when no file of a group came for a while: one start for all that came; None when none did.

    `name` and `value` are of the group's mark, `marks` what the bus has of the one that a file came.
    """
    group = read_group(value)
    if not group.files or ctx.paused.phase(rules.phase, ctx.now):  # it goes on waiting
        return None
    plan = _group_started(rules, group, ctx, timing or Timing(at_once=True), 0)
    event = FileEvent(group.path, group.version, group.size, "folder")
    told = _record(event, "started" if plan.messages or plan.opened else "skipped", plan.messages, [name])
    words = ", ".join(dict.fromkeys(message.task.name for message in plan.messages))
    many = "1 file" if group.files == 1 else f"{group.files} files"
    text = f"{many}, the newest {group.path}, started {words or 'nothing'}"
    fact = Fact(FactKind.FILE, cause=f"file:{group.path}:{group.version}", text=text, file=told)
    plan = msgspec.structs.replace(plan, facts=(*plan.facts, fact))
    arrived = _came((rules.phase,), group.path, marks or {}, ctx)
    return Commit(plan, marks=(Mark(name, value, write_group(group.begun()), KEEP_S), *arrived))


def on_deleted(event: FileEvent, other: str = "") -> Plan:
    """Return the record of a notice that a file is gone, or that `other` happened to it: it starts nothing."""
    text = f"{event.path} {f'told of {other}' if other else 'was deleted'}, which starts nothing"
    told = _record(event, "skipped" if other else "deleted", ())
    return Plan(
        facts=(Fact(FactKind.FILE, cause=f"file:{event.path}:{other or 'deleted'}", text=text, file=told),)
    )


def by_hand(event: FileEvent, matches: Sequence[Match], token: str, who: str, ctx: Context) -> Plan:
    """Return the tasks of a file that a person starts again: a new slot, whatever was started before."""
    plans: list[Plan] = []
    for match in matches:
        slot = f"file:{match.rules.phase.identity}:{event.path}:{event.version}:{token}"
        group = Group(1, event.path, event.version, event.size) if match.rules.is_grouped else None
        plans.append(_started(match, slot, event, ctx, Timing(at_once=True), _made(plans), group))
    plan = merged(plans)
    told = _record(event, "started" if plan.messages else "unmatched", plan.messages)
    words = ", ".join(message.task.name for message in plan.messages[:_TOLD]) or "nothing"
    text = f"{event.path} started {words} again, as {who} asked"
    fact = Fact(FactKind.FILE, cause=f"file:{event.path}:{token}", text=text, file=told)
    return msgspec.structs.replace(plan, facts=(*plan.facts, fact))


def merged(plans: Sequence[Plan]) -> Plan:
    """Return one plan that does what all of these do, in order."""
    if len(plans) < 2:
        return plans[0] if plans else Plan()
    parts: dict[str, Any] = {
        name: tuple(each for plan in plans for each in getattr(plan, name))
        for name in Plan.__struct_fields__
        if name != "told"
    }
    whole = Plan(**parts, told=b",".join(plan.told for plan in plans if plan.told))
    rest = as_plan(whole.publish, whole.publish[0].cause) if whole.publish else whole
    return msgspec.structs.replace(whole, publish=rest.publish, frozen=whole.frozen + rest.frozen)


def _nothing(
    event: FileEvent,
    phases: FilePhases,
    matches: Sequence[Match],
    small: Sequence[str],
    marks: Mapping[str, str],
) -> Commit | None:
    """A file that starts nothing is told once for each of its versions."""
    if matches and not small:
        return None
    key = file_mark("", event.path)
    seen = marks.get(key)
    if seen is not None and is_known(seen, event.version, event.listed):
        return None
    why = "; ".join(small) or phases.why_not(event.path)
    text = f"no phase matches {event.path}: {why}" if not small else f"{event.path} starts nothing: {why}"
    fact = Fact(
        FactKind.FILE,
        cause=f"file:{event.path}:{event.version}",
        text=text,
        file=_record(event, "unmatched", ()),
    )
    guard = (
        (Mark(key, seen, with_version(seen, event.version, event.listed), KEEP_S),) if event.version else ()
    )
    return Commit(Plan(facts=(fact,)), marks=guard)


def _starts_nothing(seen: str, event: FileEvent, on_rewrite: str) -> bool:
    return on_rewrite == "ignore" or is_known(seen, event.version, event.listed)


def _record(event: FileEvent, state: str, messages: Sequence[Message], groups: Sequence[str] = ()) -> Seen:
    moment = time_of_path(event.path)
    some = messages[:_TOLD]
    return Seen(
        path=event.path,
        size=event.size,
        version=event.version,
        moment=moment.isoformat().replace("+00:00", "Z") if moment else "",
        source=event.source,
        state=state,
        names=tuple(dict.fromkeys(message.task.name for message in some)),
        keys=tuple(message.key for message in some),
        tasks=len(messages),
        groups=tuple(name.removeprefix(GROUP) for name in groups),
    )


def _made(plans: Sequence[Plan]) -> int:
    return sum(plan.stamps for plan in plans)


def _group_started(rules: FilePhase, group: Group, ctx: Context, timing: Timing, made: int) -> Plan:
    pattern = rules.pattern_for(group.path) or rules.phase.rule.files[0]
    event = FileEvent(group.path, group.version, group.size)
    slot = f"files:{rules.phase.identity}:{group.path}:{group.version}"
    return _started(Match(rules, pattern), slot, event, ctx, timing, made, group)


def _started(
    match: Match,
    slot: str,
    event: FileEvent,
    ctx: Context,
    timing: Timing,
    made: int,
    group: Group | None = None,
) -> Plan:
    """Return the tasks that one file, or the newest of a group, starts by one phase; or why they cannot be made."""
    phase, revision = match.rules.phase, match.rules.revision
    values: dict[str, list[str]] = {}
    for name, value in phase.rule.unknown:
        values.setdefault(name, []).append(value)
    values |= {"files": [match.pattern], "file": [event.path], "filename": [name_of(event.path)]}
    if group is not None:
        values |= {"dir": [folder_of(event.path)], "count": [str(group.files)]}
    if phase.workflow:
        values["workflow"] = [phase.workflow]
    if phase.rule.job:
        values["job"] = [phase.job]
    time = time_of_path(event.path)
    try:
        due = _due(match.rules, ctx, timing)
        told = unknown_time(phase, slot, f"file:{event.path}:{event.version}") if time is None else ()
        if not phase.rule.is_batch:
            message = _message(match, slot, values, time, ctx, made)
            return _at(Plan(publish=(message,), facts=tuple(told)), due)
        ahead = msgspec.structs.replace(ctx, now=after(ctx.now, made)) if made else ctx
        found = root_messages(phase, Start(slot), time, ahead, revision, carried=values)
        plan = as_plan(found, slot)
        return _at(msgspec.structs.replace(plan, facts=tuple(told)) if found else plan, due)
    except (ValueError, OverflowError) as error:
        text = f"{phase.base_name} could not start: {error}"
        return Plan(facts=(failed(phase, slot, text, revision),))


def _at(plan: Plan, due: datetime | None) -> Plan:
    """Return the plan with its messages waiting until then; a batch that is made bit by bit begins at once."""
    if due is None or not plan.publish:
        return plan
    return msgspec.structs.replace(
        plan, publish=tuple(msgspec.structs.replace(message, due=due) for message in plan.publish)
    )


def _due(rules: FilePhase, ctx: Context, timing: Timing) -> datetime | None:
    """Return when the tasks are to start: at the next instant of a schedule, after a pause; None for at once."""
    rule = rules.phase.rule
    pause = ctx.paused.phase(rules.phase, ctx.now)
    after_pause = pause.until if pause is not None and pause.catchup else None
    if not rule.cron or timing.at_once or rules.phase.identity in timing.overdue:
        return after_pause
    instant = Cron.parse(rule.cron, rule.tz or timing.zone).next(after_pause or ctx.now)
    return after_pause if instant is None else instant.astimezone(UTC)


def _message(
    match: Match,
    slot: str,
    values: Mapping[str, Sequence[str]],
    time: datetime | None,
    ctx: Context,
    made: int,
) -> Message:
    phase = match.rules.phase
    key = dispatch_key(slot)
    firsts = {name: found[0] for name, found in values.items()}
    info = compiled(phase.template).render(time, firsts, unique=short_token(key), host=ctx.host)
    return Message(
        topic=phase.topic,
        task=Task(
            type=phase.topic,
            job=phase.job,
            info=info,
            created=created(ctx.now, made),
            id=run_id(slot),
            meta=format_sorted(values),
        ),
        key=key,
        priority=phase.rule.priority,
        timeout_ns=phase.rule.timeout_ns,
        phase=phase.identity,
        revision=match.rules.revision,
        cause=slot,
    )
