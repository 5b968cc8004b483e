"""The usual result, decided in the form in which what follows from it travels: a complete task, and plain children.

Nearly every result is one, and most of its time went into values that were written as text at once. Whatever is not
usual is left to `on_done`; where both decide they say the same (tests/property/test_usual.py).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final, NamedTuple

import msgspec

from flowlord.decide.context import Context
from flowlord.decide.expand import own_text
from flowlord.decide.keys import FIRST, KEY, STAMP_STEP_US, begin, created, short_token
from flowlord.decide.maker import Form
from flowlord.decide.recipe import OURS, compiled
from flowlord.model.message import REPLAYED, Delivery, Report
from flowlord.model.plan import Child, Commit, Fact, FactKind, Mould, Plan
from flowlord.model.task import Result, as_written, encode_text, identity_of
from flowlord.model.workflow import Phase, Workflows
from flowlord.rules.metastring import format_sorted, parse_first, parse_meta
from flowlord.rules.moments import time_of_task
from flowlord.rules.template import Template

_COMPLETE: Final = Result.COMPLETE.value
_LONGEST: Final = 16_000
"""Bytes of a task; whether a longer one is too long, `on_done` knows."""
_MOST: Final = 100
"""Children of one result."""
_KNOWN: Final = 4096
"""How much of a kind is remembered; others may bring any text."""
_HOURS: Final = 64
"""How many texts of meta each phase remembers: neighbours share the hour, and there may be thousands of phases."""
_SHORT: Final = 400
"""Characters of a text that is remembered."""
_changing: Final = re.compile('["\\\\\x00-\x1f\u2028\u2029\ud800-\udfff]').search
"""Finds what JSON does not hold as it is."""
_DONE_TOPIC: Final = "done"
"""Nobody tells of what goes there."""
_INFO: Final = "{info}"
"""Stands for the whole info, where it is written anew for each task; no name in a template is like it."""
_META: Final = '","meta":"'
_DONE: Final = b'{"kind":"done"'
_PUBLISHED: Final = b'{"kind":"published"'
_encode = msgspec.json.Encoder().encode


class _Heir(NamedTuple):
    """A phase that starts whenever its parent is complete: the JSON of its tasks in pieces, some to be filled in.

    `values` are names of the parent's meta behind their places in `pieces`; the empty name is `{uuid}`. `behind` is
    what stands behind the parent's key in the text of which the task's key is the hash. `common` and `told` are what
    `Child.common`, and the fact that tells of it behind its key, begin with: up to the parent's key in the cause.
    """

    phase: Phase
    mould: Mould
    behind: str
    common: str
    told: str
    template: Template
    pieces: list[str]
    values: list[tuple[int, str]]
    created: int
    id: int
    meta: int
    metas: dict[str, str]


class _Heirs(NamedTuple):
    """All that a parent starts."""

    phases: tuple[_Heir, ...] = ()
    has_time: bool = False


class Usual:
    """Decides the usual results of one set of workflows; what it remembers changes nothing. For one thread.

    Args:
        host: that of every context; as in `Context`.
    """

    def __init__(self, flows: Workflows, host: str) -> None:
        self.flows = flows
        self._host = host
        self._heirs: dict[tuple[str, str, str], _Heirs | None] = {}
        self._firsts: dict[str, Mapping[str, str]] = {}
        self._leads: dict[tuple[str, str, str], str] = {}
        self._report: tuple[Report | None, str] = (None, "")
        self._now: datetime | None = None
        self._second, self._micros = "", 0

    def commit(self, delivery: Delivery, ctx: Context, stamps: int) -> Commit | None:
        """Return what must land for a result, its acknowledgement and outcomes included; None when it is not usual.

        Args:
            stamps: how many tasks were made in the same context before, so that no two share a `created`.
        """
        payload, parent, cause = delivery.payload, delivery.key, delivery.cause
        if not parent or cause == REPLAYED or len(payload) > _LONGEST:
            return None
        try:
            text, key = payload.decode(), _encode(parent)
        except UnicodeError:
            return None
        if len(key) != len(parent) + 2:  # something in it is not held by JSON as it is
            return None
        task = as_written(text)
        if task is None or task.result != _COMPLETE or not (task.id and task.created):
            return None
        first = self._first(task.meta)
        if ("\\" in text or "%" in task.meta) and _changing("".join((task.id, *first.values()))):
            return None
        topic = task.type
        whose = (first.get("workflow", ""), topic, task.job or first.get("job", ""))
        try:
            heirs = self._heirs[whose]
        except KeyError:
            heirs = self._learn(*whose)
        if heirs is None:
            return None
        children: tuple[Child, ...] | None = ()
        try:
            told = [self._told(delivery, topic, text)]
            if heirs.phases:
                time = time_of_task(task.info, parse_meta(task.meta)) if heirs.has_time else None
                children = self._children(heirs.phases, parent, task.id, first, time, ctx, stamps, told)
        except ValueError:  # a text that is too long, or none
            return None
        if children is None:
            return None
        outcomes = (parent, identity_of(topic, task.job, task.id, task.created))
        return Commit(Plan(children=children, told="".join(told).encode()), (delivery,), (), outcomes)

    def _children(
        self,
        heirs: tuple[_Heir, ...],
        parent: str,
        run: str,
        first: Mapping[str, str],
        time: datetime | None,
        ctx: Context,
        stamps: int,
        told: list[str],
    ) -> tuple[Child, ...] | None:
        """Make the children of a result, and tell of them; None when one of them is not plain."""
        cause, cron, now, paused = f"done:{parent}", first.get("cron", ""), ctx.now, ctx.paused
        if now is not self._now:
            self._now, (self._second, self._micros) = now, begin(now)
        second, micros = self._second, self._micros + (stamps - 1) * STAMP_STEP_US
        children: list[Child] = []
        for (
            phase, mould, behind, common, told_of, template, pieces, values, at_created, at_id, at_meta, metas
        ) in heirs:  # fmt: skip
            rule = phase.rule
            if rule.require and not all(map(first.get, rule.require)):
                return None
            if paused.pauses and paused.phase(phase, now):
                return None
            name = KEY.copy()
            name.update(f"{cause}{behind}".encode())
            key = name.hexdigest()
            for place, of in values:
                if of is _INFO:
                    if time is None:
                        return None
                    pieces[place] = self._info(phase, template, first, cron, time, key)
                else:
                    pieces[place] = first.get(of, "") if of else short_token(key)
            try:
                meta = metas[cron]
            except KeyError:
                meta = _meta_of(phase, cron, metas)
            if rule.pass_on and (more := _passed(rule.pass_on, first)):
                meta = f"{meta}&{more}" if meta else _META + more
            micros += STAMP_STEP_US
            if micros < 1_000_000:
                pieces[at_created] = f"{second}{str(micros + 1_000_000)[1:]}Z"
            else:
                pieces[at_created] = created(now, stamps + len(children))
            pieces[at_id], pieces[at_meta] = run, meta
            text = "".join(pieces)
            payload = text.encode()
            if len(payload) > _LONGEST:
                return None
            told.append(f',{{"kind":"published","key":"{key}{told_of}{parent}","task":{text}}}')
            children.append(Child(mould, key, payload, cause, f'{common}{parent}"'.encode()))
        return tuple(children)

    def _told(self, delivery: Delivery, topic: str, task: str) -> str:
        """The fact that tells of a result with a plain key, around the very text of its task."""
        cause, batch, report = delivery.cause, delivery.batch, delivery.report
        more = ""
        if cause:
            more = f',"cause":"{cause}"' if _is_plain(cause) else f',"cause":{_encode(cause).decode()}'
        if batch:
            more += f',"batch":{_encode(batch).decode()}'
        end = "}"
        if report is not None:
            known, end = self._report
            if report != known:
                end = f',"report":{_encode(report).decode()}}}'
                self._report = report, end
        lead = self._lead(topic, delivery.phase, delivery.revision)
        return f'{{"kind":"done","key":"{delivery.key}"{lead}{more},"task":{task}{end}'

    def _info(
        self, phase: Phase, template: Template, first: Mapping[str, str], cron: str, time: datetime, key: str
    ) -> str:
        values: Mapping[str, str] = first
        if template.meta_names:
            values = {**first, **own_text(phase.workflow, cron or None, phase.job)[0]}
        unique = short_token(key) if template.has_unique else ""
        info = template.render(time, values, unique=unique, host=self._host)
        return encode_text(info) if _changing(info) else info

    def _first(self, meta: str) -> Mapping[str, str]:
        """The first value of each key; many tasks of one hour have the same."""
        first = self._firsts.get(meta)
        if first is not None:
            return first
        first = parse_first(meta)
        if len(meta) <= _SHORT:
            _make_room(self._firsts)
            self._firsts[meta] = first
        return first

    def _lead(self, topic: str, phase: str, revision: str) -> str:
        """What the facts of all results of one phase have in common."""
        try:
            return self._leads[topic, phase, revision]
        except KeyError:
            lead = _encode(Fact(FactKind.DONE, "", topic, phase, revision))[len(_DONE) : -1].decode()
        if len(topic) + len(phase) + len(revision) <= _SHORT:
            _make_room(self._leads)
            self._leads[topic, phase, revision] = lead
        return lead

    def _learn(self, workflow: str, type_: str, job: str) -> _Heirs | None:
        """Work out what tasks of this kind start, in one way or another; None when it is not usual."""
        found = self._of(workflow, type_, job)
        if len(workflow) + len(type_) + len(job) <= _SHORT:
            _make_room(self._heirs)
            self._heirs[workflow, type_, job] = found
        return found

    def _of(self, workflow: str, type_: str, job: str) -> _Heirs | None:
        flow = self.flows.by_name.get(workflow)
        if flow is None:
            return _Heirs() if workflow in ("", "*") else None
        topic, _, rest = type_.partition(":")
        phases = flow.children(topic, job or rest)
        if len(phases) > _MOST:
            return None
        found: list[_Heir] = []
        for phase in phases:
            heir = self._heir(phase, flow.revision)
            if heir is None:
                return None
            found.append(heir)
        return _Heirs(tuple(found), any(heir.template.has_time for heir in found))

    def _heir(self, phase: Phase, revision: str) -> _Heir | None:
        rule, template, form = phase.rule, compiled(phase.template), Form()
        if rule.is_batch or rule.offset_ns or phase.topic == _DONE_TOPIC:
            return None
        about = Fact(FactKind.PUBLISHED, "", "", phase.identity, revision, priority=rule.priority)
        try:
            form.write('{"type":"', phase.topic)
            if phase.job:
                form.write('","job":"', phase.job)
            form.write('","info":"')
            if template.has_time:
                phase.template.encode()
                form.value(_INFO)
            else:
                self._write(form, template, phase)
            form.write('","created":"')
            form.created = form.gap()
            form.write('","id":"')
            form.id = form.gap()
            meta = form.gap()
            form.write('"}')
            common = f'{_encode(about)[len(_PUBLISHED) : -1].decode()},"cause":"done:'
            told = f'","topic":{_encode(phase.topic).decode()}{common}'
        except UnicodeEncodeError:
            return None
        mould = Mould(phase.topic, rule.priority, rule.timeout_ns, phase.identity, revision)
        values = [(place, name) for name, places in form.values for place in places]
        behind = f":{phase.identity}{FIRST}"
        return _Heir(
            phase, mould, behind, common, told, template, form.pieces, values, form.created, form.id, meta, {}
        )  # fmt: skip

    def _write(self, form: Form, template: Template, phase: Phase) -> None:
        """Write an info in which only values of the parent are missing."""
        half = template.half(None, {}, self._host)
        for before, name in half.gaps:
            form.write("", before)
            if name == "workflow":
                form.write("", phase.workflow)
            elif name == "job" and phase.job:
                form.write("", phase.job)
            else:
                form.value(name)
        form.write("", half.tail)


def _meta_of(phase: Phase, cron: str, metas: dict[str, str]) -> str:
    """The end of a task that passes nothing on: its meta, whose key is written only where there is any."""
    _, text = own_text(phase.workflow, cron or None, phase.job)
    meta = _META + encode_text(text) if text else ""
    if len(cron) <= _SHORT:
        _make_room(metas, _HOURS)
        metas[cron] = meta
    return meta


def _passed(names: tuple[str, ...], first: Mapping[str, str]) -> str:
    passed = {name: first[name] for name in names if name in first and name not in OURS}
    return encode_text(format_sorted(passed))


def _is_plain(text: str) -> bool:
    """Whether JSON holds a text as it is; raises UnicodeEncodeError for what is none."""
    return len(_encode(text)) == len(text) + 2


def _make_room(known: dict[Any, Any], most: int = _KNOWN) -> None:
    if len(known) >= most:
        known.clear()
