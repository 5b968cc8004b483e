"""What follows when a file has appeared."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

from flowlord.decide.context import Context
from flowlord.decide.expand import CHUNK
from flowlord.decide.keys import created, dispatch_key, run_id, short_token
from flowlord.decide.recipe import compiled
from flowlord.decide.tick import failed
from flowlord.model.message import Message
from flowlord.model.plan import Fact, FactKind, FrozenBatch, Plan
from flowlord.model.task import Task
from flowlord.model.workflow import Phase, Workflow, Workflows
from flowlord.rules.globs import Glob
from flowlord.rules.metastring import format_sorted
from flowlord.rules.moments import time_of_path

_glob = lru_cache(maxsize=8192)(Glob.compile)


@dataclass(frozen=True, slots=True)
class FileEvent:
    """A file that appeared: its whole path or address, and the version that tells a rewritten file from the old one."""

    path: str
    version: str = ""
    size: int = 0


def on_file(event: FileEvent, flows: Workflows, ctx: Context) -> Plan:
    """Return the tasks of every phase whose `files` match, in the order of files and phases; an unmatched file is told.

    Source: docs/reference.md, "File events".
    """
    messages: list[Message] = []
    facts: list[Fact] = []
    for name in sorted(flows.by_name):
        flow = flows.by_name[name]
        for n, phase in enumerate(flow.phases):
            if pattern := _matching(phase, event.path):
                try:
                    messages.append(_message(phase, pattern, n, event, flow, ctx, len(messages)))
                except ValueError as error:
                    facts.append(
                        failed(phase, f"file:{event.path}", f"{phase.base_name}: {error}", flow.revision)
                    )
    words = ", ".join(message.task.name for message in messages)
    text = f"{event.path} started {words}" if messages else f"no phase matches {event.path}"
    facts.append(Fact(FactKind.FILE, cause=f"file:{event.path}:{event.version}", text=text))
    if len(messages) <= CHUNK:
        return Plan(publish=tuple(messages), facts=tuple(facts))
    frozen = FrozenBatch(dispatch_key(f"file:{event.path}:{event.version}"), tuple(messages))
    return Plan(frozen=(frozen,), facts=tuple(facts))


def _matching(phase: Phase, path: str) -> str:
    for pattern in phase.rule.files:
        try:
            if _glob(pattern).matches(path):
                return pattern
        except ValueError:  # told when the file was loaded; it matches nothing
            continue
    return ""


def _message(
    phase: Phase, pattern: str, n: int, event: FileEvent, flow: Workflow, ctx: Context, made: int
) -> Message:
    slot = f"file:{phase.identity}:{event.path}:{event.version}"
    key = dispatch_key(slot, n)
    values: dict[str, list[str]] = {}
    for name, value in phase.rule.unknown:
        values.setdefault(name, []).append(value)
    values |= {
        "files": [pattern],
        "file": [event.path],
        "filename": [event.path.rstrip("/").rpartition("/")[2]],
    }
    if phase.workflow:
        values["workflow"] = [phase.workflow]
    if phase.rule.job:
        values["job"] = [phase.job]
    firsts = {name: found[0] for name, found in values.items()}
    info = compiled(phase.template).render(
        time_of_path(event.path), firsts, unique=short_token(key), host=ctx.host
    )
    return Message(
        topic=phase.topic,
        task=Task(
            type=phase.topic,
            job=phase.job,
            info=info,
            created=created(ctx.now, made),
            id=run_id(slot, n),
            meta=format_sorted(values),
        ),
        key=key,
        priority=phase.rule.priority,
        timeout_ns=phase.rule.timeout_ns,
        phase=phase.identity,
        revision=flow.revision,
        cause=slot,
    )
