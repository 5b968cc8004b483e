"""From a phase, a time and rows to the tasks of one start: dates x rows, templates filled, meta written."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from itertools import islice

import msgspec

from flowlord.decide.context import Context, Rows
from flowlord.decide.keys import created, dispatch_key, run_id, short_token
from flowlord.model.message import Message
from flowlord.model.plan import FrozenBatch, Plan
from flowlord.model.task import Task
from flowlord.model.workflow import Phase
from flowlord.rules.batch import rows_of_lists, steps
from flowlord.rules.metastring import format_meta, format_sorted
from flowlord.rules.moments import format_hour
from flowlord.rules.template import Template

CHUNK = 500
RESERVED = frozenset(("workflow", "cron", "job", "file", "filename", "files", "retry", "retried", "delayed"))

_HOUR = len("2026-01-31T23+00:00")
_SECONDS = len("2026-01-31T23:59:59")

compiled = lru_cache(maxsize=8192)(Template.compile)


class CannotExpand(ValueError):
    """A phase whose tasks cannot be made now; the text tells why."""


class Start(msgspec.Struct, frozen=True):
    """What starts a phase: its slot in words, the run that the tasks belong to (empty: each is a run of its own).

    `cause` is what the tasks tell as theirs; empty, it is the slot.
    """

    slot: str
    run: str = ""
    cause: str = ""


class _Cell(msgspec.Struct, frozen=True):
    """One task to be: its time and its own values."""

    time: datetime | None
    row: Mapping[str, str]


_NO_ROW: Mapping[str, str] = {}


def rows_of(phase: Phase, ctx: Context) -> Rows | None:
    """Return the rows that the rule names, lists first, then the meta-file; None when it names none.

    Raises:
        CannotExpand: unequal lists, or a meta-file that could not be read.
    """
    rule = phase.rule
    if not rule.has_meta and not rule.meta_file:
        return None
    rows: list[Mapping[str, str]] = []
    if rule.has_meta:
        try:
            rows.extend(rows_of_lists(rule.meta))
        except ValueError as error:
            raise CannotExpand(str(error)) from error
    if rule.meta_file:
        found = ctx.sources.get(rule.meta_file, f"meta-file {rule.meta_file} was not read")
        if isinstance(found, str):
            raise CannotExpand(found)
        rows.extend(found)
    return rows


def times_of(phase: Phase, start: datetime | None) -> Iterable[datetime | None]:
    """Return the data times of one start: the range of `for`, else the start alone."""
    if start is None or not phase.rule.for_ns:
        return (start,)
    by_hour = phase.rule.by.lower() in ("hour", "hourly")
    try:
        # Days keep the wall clock, so that `for=-48h` is three days also where one of them has 23 hours.
        end = (
            later(start, phase.rule.for_ns)
            if by_hour
            else start + timedelta(microseconds=phase.rule.for_ns // 1000)
        )
    except OverflowError as error:
        raise CannotExpand(f"for reaches beyond the calendar from {start.isoformat()}") from error
    return steps(start, end, phase.rule.by)


def later(time: datetime, ns: int) -> datetime:
    """Return the instant that many nanoseconds of elapsed time later (earlier when negative), in the same zone."""
    return (time.astimezone(UTC) + timedelta(microseconds=ns // 1000)).astimezone(time.tzinfo)


def cells(phase: Phase, start: datetime | None, rows: Rows | None) -> list[_Cell]:
    """Return every task to be, all rows of one time before the next time.

    Raises:
        CannotExpand: more than the rule's `batch_limit`.
    """
    if rows is None and not phase.rule.for_ns:
        return [_Cell(start, _NO_ROW)]
    each: Rows = (_NO_ROW,) if rows is None else rows
    limit = phase.rule.batch_limit
    product: Iterator[_Cell] = (_Cell(time, row) for time in times_of(phase, start) for row in each)
    found = list(islice(product, limit + 1)) if each else []
    if len(found) > limit:
        raise CannotExpand(f"the batch makes more than {limit} tasks; batch_limit= in the rule allows more")
    return found


def root_messages(
    phase: Phase, start: Start, time: datetime | None, ctx: Context, revision: str
) -> tuple[Message, ...]:
    """Return the messages of a batch without a parent: a run for each row, meta sorted."""
    rows = rows_of(phase, ctx)
    template = compiled(phase.template)
    batch = run_id(start.slot)
    out = []
    for n, cell in enumerate(cells(phase, time, rows)):
        own, _ = _own(phase.workflow, None if cell.time is None else format_hour(cell.time), phase.job)
        kept = {name: cell.row.get(name, "") for name in template.meta_names} if rows is not None else {}
        meta = format_sorted({**kept, **own})
        out.append(
            _message(
                phase,
                start,
                n,
                {**own, **cell.row},
                cell.time,
                meta,
                ctx,
                revision,
                batch=batch,
                id_=run_id(start.slot, n),
            )
        )
    return tuple(out)


def child_messages(
    phase: Phase,
    start: Start,
    time: datetime | None,
    cron: str,
    under: Mapping[str, str],
    ctx: Context,
    revision: str,
    first: int,
) -> tuple[Message, ...]:
    """Return the messages that a completed parent starts by one child phase.

    `under` is the parent's meta, which every row sees under its own values; `cron` the parent's text, kept as it is
    unless the child moves in time; `first` counts the tasks of this plan made before, so that no two share a stamp.
    """
    rule = phase.rule
    rows = rows_of(phase, ctx)
    moves = bool(rule.offset_ns or rule.for_ns)
    if time is not None and rule.offset_ns:
        try:
            time = later(time, rule.offset_ns)
        except OverflowError as error:
            raise CannotExpand(f"offset reaches beyond the calendar from {time.isoformat()}") from error
    template = compiled(phase.template)
    found = cells(phase, time, rows)
    batch = run_id(start.slot) if len(found) > 1 else ""
    passed = {name: under[name] for name in rule.pass_on if name in under and name not in RESERVED}
    out = []
    for n, cell in enumerate(found):
        text = format_hour(cell.time) if moves and cell.time is not None else cron
        own, meta = _own(phase.workflow, text or None, phase.job)
        row = cell.row
        kept = {name: row[name] for name in template.meta_names if name in row and name not in RESERVED}
        if passed or kept:
            more = format_sorted({**passed, **kept})
            meta = f"{meta}&{more}" if meta else more
        values = {**under, **own, **row}
        made = _message(phase, start, n, values, cell.time, meta, ctx, revision, batch, start.run, first)
        out.append(made)
    return tuple(out)


def as_plan(messages: tuple[Message, ...], slot: str) -> Plan:
    """Return the plan that publishes these messages: at once, or frozen when they are more than one chunk."""
    if len(messages) <= CHUNK:
        return Plan(publish=messages)
    return Plan(frozen=(FrozenBatch(key=dispatch_key(slot), messages=messages),))


def single_message(phase: Phase, start: Start, time: datetime, ctx: Context, revision: str) -> Message:
    """Return the one task of a scheduled phase without batch options."""
    own, meta = _own(phase.workflow, format_hour(time), phase.job)
    return _message(phase, start, 0, own, time, meta, ctx, revision, id_=run_id(start.slot))


def info_of(
    phase: Phase, slot: str, n: int, values: Mapping[str, str], time: datetime | None, ctx: Context
) -> str:
    """Return the info of the nth task of a slot: the template with the time and the values filled in."""
    template = compiled(phase.template)
    unique = short_token(dispatch_key(slot, n)) if template.has_unique else ""
    return template.render(time, values, unique=unique, host=ctx.host)


def own_values(phase: Phase, time: datetime | None) -> Mapping[str, str]:
    """Return what flowlord itself writes into the meta of a task of this data time."""
    return _own(phase.workflow, None if time is None else format_hour(time), phase.job)[0]


def utc_text(time: datetime) -> str:
    """Return an instant as slots carry it: RFC 3339, UTC, whole seconds, `Z`."""
    return f"{time.astimezone(UTC).isoformat()[:_SECONDS]}Z"


def _own(workflow: str, cron: str | None, job: str) -> tuple[Mapping[str, str], str]:
    """What flowlord itself writes into the meta of a task, and its text; all tasks of an hour share both."""
    if cron is not None and len(cron) > _HOUR:  # a parent may bring any text, which is not worth the memory
        return _written(workflow, cron, job)
    return _known(workflow, cron, job)


def _written(workflow: str, cron: str | None, job: str) -> tuple[Mapping[str, str], str]:
    own = {"workflow": workflow} if workflow else {}
    if cron is not None:
        own["cron"] = cron
    if job:
        own["job"] = job
    return own, format_meta(own.items())


_known = lru_cache(maxsize=1024)(_written)


def _message(
    phase: Phase,
    start: Start,
    n: int,
    values: Mapping[str, str],
    time: datetime | None,
    meta: str,
    ctx: Context,
    revision: str,
    batch: str = "",
    id_: str = "",
    first: int = 0,
) -> Message:
    key = dispatch_key(start.slot, n)
    info = info_of(phase, start.slot, n, values, time, ctx)
    task = Task(
        type=phase.topic, job=phase.job, info=info, created=created(ctx.now, first + n), id=id_, meta=meta
    )
    return Message(
        topic=phase.topic,
        task=task,
        key=key,
        priority=phase.rule.priority,
        timeout_ns=phase.rule.timeout_ns,
        phase=phase.identity,
        revision=revision,
        cause=start.cause or start.slot,
        batch=batch,
    )
