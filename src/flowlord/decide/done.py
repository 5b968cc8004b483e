"""What follows when a task reports its result: children, a retry, a dead letter, or nothing."""

from __future__ import annotations

import re
import shlex
from collections.abc import Mapping
from datetime import timedelta

import msgspec

from flowlord.decide.alert import PLAIN, alert_of
from flowlord.decide.context import Context
from flowlord.decide.expand import CHUNK, Made, Start, child_messages, unknown_time
from flowlord.decide.keys import created, dispatch_key
from flowlord.decide.recipe import compiled
from flowlord.decide.tick import failed
from flowlord.model.message import DEFAULT_PRIORITY, SAME, Message, Report
from flowlord.model.paused import Pause
from flowlord.model.plan import Fact, FactKind, FrozenBatch, OpenBatch, Plan, Quarantined
from flowlord.model.task import Result, Task, encode
from flowlord.model.workflow import Phase, Rule, Workflows
from flowlord.rules.backoff import wait_ns
from flowlord.rules.durations import short_duration
from flowlord.rules.metastring import format_sorted, parse_first, parse_meta
from flowlord.rules.moments import time_of_task

# Looked up once: in Python 3.11 it takes a while to find a member in its class, and most results are complete.
_COMPLETE, _DONE = Result.COMPLETE.value, FactKind.DONE
_COUNT = re.compile(r"[+-]?[0-9]{1,9}", re.ASCII)


class Done(msgspec.Struct, frozen=True, gc=False):
    """A reported task with what its dispatch carried; all but `task` and `key` may be missing for foreign workers.

    `key` is the dispatch key, or the identity that stands for it.
    """

    task: Task
    key: str
    phase: str = ""
    revision: str = ""
    cause: str = ""
    batch: str = ""
    priority: int = DEFAULT_PRIORITY
    timeout_ns: int = 0
    report: Report | None = None


class Origin(msgspec.Struct, frozen=True, gc=False):
    """Who made a task, read out of its meta by `origin_of`; `first` is the first value of each key."""

    text: str
    first: Mapping[str, str]
    workflow: str
    topic: str
    job: str

    @property
    def meta(self) -> dict[str, list[str]]:
        """All values of each key."""
        return parse_meta(self.text)

    @property
    def tried(self) -> int:
        """How many retries there were; 0 when the meta holds no number."""
        count = self.first.get("retry", "")
        return int(count) if _COUNT.fullmatch(count) else 0


def origin_of(task: Task) -> Origin:
    """Return who made a task."""
    first = parse_first(task.meta)
    topic, _, rest = task.type.partition(":")
    job = task.job or first.get("job", "") or rest
    return Origin(task.meta, first, first.get("workflow", ""), topic, job)


def on_done(
    done: Done, flows: Workflows, ctx: Context, origin: Origin | None = None, stamps: int = 0
) -> Plan:
    """Return what must be committed before the result may be acknowledged.

    Args:
        origin: `origin_of` the task, from who knows it already.
        stamps: how many tasks were made in the same context before, so that no two share a `created`.
    Returns:
        A plan, equal for every redelivery but for `created`: keys derive from the cause.
    Source:
        docs/reference.md, "Results", "Children" and "Retries".
    """
    origin = origin or origin_of(done.task)
    if done.task.result == _COMPLETE:
        return _children(done, origin, flows, ctx, stamps)
    match done.task.result:
        case Result.ERROR:
            return _failure(done, origin, phase_of(done, origin, flows), ctx, stamps)
        case Result.WARN:
            return Plan(facts=(_done_fact(done),))
        case Result.ALERT:
            told = _fact(FactKind.ALERT, done, done.task.msg or "the worker asked for attention")
            return Plan(facts=(_done_fact(done), alert_of(told, _rule_of(done, origin, flows))))
        case other:
            reason = f"unknown result {other!r}; a worker answers complete, error, warn or alert"
            aside = _fact(FactKind.QUARANTINED, done, reason)
            return Plan(
                quarantine=(Quarantined("done", encode(done.task), reason),),
                facts=(aside, alert_of(aside, _rule_of(done, origin, flows))),
            )


def on_poison(done: Done, flows: Workflows, ctx: Context) -> Plan:
    """Return the dead letter of a task that is not offered again, whatever tries its phase would still allow."""
    origin = origin_of(done.task)
    rule = _rule_of(done, origin, flows)
    return _dead(done, origin, origin.tried, done.task.msg, ctx, rule, told=_done_fact(done))


def sources_of(done: Task, flows: Workflows, origin: Origin | None = None) -> tuple[str, ...]:
    """Return the meta-files that must be read before this result can be decided; `origin` as for `on_done`."""
    if done.result != _COMPLETE:
        return ()
    origin = origin or origin_of(done)
    found = flows.children(origin.workflow, origin.topic, origin.job)
    return tuple({phase.rule.meta_file: None for phase in found if phase.rule.meta_file})


def missing(phase: Phase, first: Mapping[str, str]) -> str:
    """Return the first name that `require` asks for and the parent's meta does not hold, or nothing.

    The first value of a repeated key counts. Source: docs/reference.md, "Children".
    """
    for name in phase.rule.require:
        if not first.get(name, ""):
            return name
    return ""


def _children(done: Done, origin: Origin, flows: Workflows, ctx: Context, stamps: int) -> Plan:
    facts = [_done_fact(done)]
    flow = flows.by_name.get(origin.workflow)
    if flow is None:
        if origin.workflow not in ("", "*"):
            text = f"nothing follows {done.task.name}: no workflow {origin.workflow} is loaded"
            facts.append(_fact(FactKind.SKIPPED, done, text))
        return Plan(facts=tuple(facts))
    phases = flow.children(origin.topic, origin.job)
    if not phases:
        return Plan((), (), (), (), (), (), tuple(facts))
    messages: list[Message] = []
    opened: list[OpenBatch] = []
    cause = f"done:{done.key}"
    cron = origin.first.get("cron", "")
    time, needs_time = None, False
    for phase in phases:
        if _needs_time(phase):
            time, needs_time = time_of_task(done.task.info, origin.meta), True
            break
    for phase in phases:
        if phase.rule.require and (name := missing(phase, origin.first)):
            facts.append(
                _skipped(phase, done, f"it requires {{meta:{name}}}, which {done.task.name} did not return")
            )
            continue
        start = Start(f"{cause}:{phase.identity}", done.task.id, cause)
        try:
            made = child_messages(phase, start, time, cron, origin.first, ctx, flow.revision, stamps)
        except (ValueError, OverflowError) as error:
            text = f"{phase.base_name} could not be started by {done.task.name}: {error}"
            facts.append(failed(phase, cause, text, flow.revision))
            continue
        if ctx.paused.pauses and (pause := ctx.paused.phase(phase, ctx.now)):
            facts.append(_left_out(phase, done, made, pause))
            continue
        if isinstance(made, OpenBatch):
            opened.append(made)
            stamps += made.most
        else:
            messages += made
            stamps += len(made)
        if needs_time and time is None and (isinstance(made, OpenBatch) or made):
            facts += unknown_time(phase, start.slot, cause)
    if len(messages) <= CHUNK:
        return Plan(tuple(messages), (), (), (), tuple(opened), (), tuple(facts))
    frozen = FrozenBatch(dispatch_key(cause), tuple(messages))
    return Plan(frozen=(frozen,), opened=tuple(opened), facts=tuple(facts))


def _left_out(phase: Phase, done: Done, made: Made, pause: Pause) -> Fact:
    """Tell that a paused phase did not follow, and what to type to have it follow all the same."""
    if isinstance(made, OpenBatch) or not made:
        return _skipped(phase, done, pause.words)
    first = made[0].task
    words = ["flowlord", "send", phase.base_name, first.info, "--workflow", phase.workflow]
    for name, values in parse_meta(first.meta).items():
        if name not in ("workflow", "job"):
            words += [word for value in values for word in ("--meta", f"{name}={value}")]
    more = f" (and {len(made) - 1} more like it)" if len(made) > 1 else ""
    return _skipped(phase, done, f"{pause.words}. To start it: {shlex.join(words)}{more}")


def phase_of(done: Done, origin: Origin, flows: Workflows) -> Phase | None:
    """Return the phase that made the task: the one that its dispatch names, which tells twins apart, else by name."""
    flow = flows.by_name.get(origin.workflow)
    if flow and "#" in done.phase:
        for phase in flow.phases:
            if phase.identity == done.phase:
                return phase
    return flows.phase_of(origin.workflow, origin.topic, origin.job)


def _rule_of(done: Done, origin: Origin, flows: Workflows) -> Rule:
    phase = phase_of(done, origin, flows)
    return phase.rule if phase else PLAIN


def _needs_time(phase: Phase) -> bool:
    """Whether anything about a child depends on the time of its parent; finding that out of an info takes a while."""
    return bool(phase.rule.offset_ns or phase.rule.for_ns) or compiled(phase.template).has_time


def _skipped(phase: Phase, done: Done, reason: str) -> Fact:
    text = f"{phase.base_name} was not started: {reason}"
    cause = f"done:{done.key}"
    return Fact(
        FactKind.SKIPPED, key=done.key, topic=phase.topic, phase=phase.identity, cause=cause, text=text
    )


def _failure(done: Done, origin: Origin, phase: Phase | None, ctx: Context, stamps: int) -> Plan:
    told = _done_fact(done)
    tried = origin.tried
    if phase is None:
        of = f" of {origin.workflow}" if origin.workflow else ""
        text = f"{done.task.msg or 'it failed'} (no retry: no loaded phase{of} made it)"
        return _dead(done, origin, max(tried, 0), text, ctx, PLAIN, told=told)
    if tried >= phase.retry:
        return _dead(done, origin, phase.retry, done.task.msg, ctx, phase.rule, told=told)
    rule = phase.rule
    wait = wait_ns(
        tried, delay=rule.retry_delay_ns, factor=rule.backoff, max_delay=rule.max_delay_ns, jitter=ctx.jitter
    )
    meta = {**origin.meta, "retry": [str(tried + 1)]}
    if rule.retry_delay_ns is not None:
        meta["delayed"] = [short_duration(wait)]
    task = Task(
        type=done.task.type,
        job=phase.job,
        info=done.task.info,
        created=created(ctx.now, stamps),
        id=done.task.id,
        meta=format_sorted(meta),
    )
    again = Message(
        topic=phase.topic,
        task=task,
        key=dispatch_key(f"retry:{done.key}", tried + 1),
        priority=done.priority,
        due=ctx.now + timedelta(microseconds=wait // 1000) if wait else None,
        timeout_ns=rule.timeout_ns,
        phase=phase.identity,
        revision=done.revision,
        cause=f"retry:{done.key}",
        batch=done.batch,
        holds=SAME,
    )
    words = f"try {tried + 2} of {phase.retry + 1} in {short_duration(wait)}"
    facts = (told, _fact(FactKind.RETRY, done, words))
    return Plan(later=(again,), facts=facts) if wait else Plan(publish=(again,), facts=facts)


def _dead(
    done: Done, origin: Origin, retried: int, text: str, ctx: Context, rule: Rule, *, told: Fact
) -> Plan:
    meta = format_sorted({**origin.meta, "retry": ["failed"], "retried": [str(retried)]})
    task = msgspec.structs.replace(done.task, meta=meta)
    facts = [told, _fact(FactKind.DEAD, done, text)]
    if not rule.no_alert:
        facts.append(alert_of(msgspec.structs.replace(_fact(FactKind.ALERT, done, text), task=task), rule))
    if ctx.failed_topic in ("", "-"):
        return Plan(facts=tuple(facts))
    letter = Message(
        topic=ctx.failed_topic,
        task=task,
        key=f"{done.key}:dead",
        priority=done.priority,
        phase=done.phase,
        revision=done.revision,
        cause=f"dead:{done.key}",
        batch=done.batch,
    )
    return Plan(dead=(letter,), facts=tuple(facts))


def _done_fact(done: Done) -> Fact:
    task = done.task
    return Fact(
        _DONE, done.key, task.type, done.phase, done.revision, done.cause, done.batch,
        task=task, report=done.report,
    )  # fmt: skip


def _fact(kind: FactKind, done: Done, text: str) -> Fact:
    return Fact(
        kind,
        key=done.key,
        topic=done.task.type,
        phase=done.phase,
        revision=done.revision,
        text=text,
        task=done.task if kind in (FactKind.ALERT, FactKind.QUARANTINED) else None,
    )
