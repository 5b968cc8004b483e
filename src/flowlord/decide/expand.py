"""From a phase, a time and rows to the tasks of one start: dates x rows, templates filled, meta written."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from itertools import islice

import msgspec

from flowlord.decide.alert import manner_of
from flowlord.decide.context import Context, Source
from flowlord.decide.keys import created, dispatch_key, run_id, short_token
from flowlord.decide.maker import Maker
from flowlord.decide.recipe import (
    NO_ROW,
    OURS,
    File,
    Position,
    Recipe,
    Row,
    Span,
    compiled,
    encode_position,
    encode_recipe,
    own_meta,
)
from flowlord.model.message import Message
from flowlord.model.plan import Fact, FactKind, FrozenBatch, OpenBatch, Plan
from flowlord.model.task import Task
from flowlord.model.workflow import Phase
from flowlord.rules.batch import rows_of_lists
from flowlord.rules.metastring import format_meta, format_sorted
from flowlord.rules.moments import format_hour

CHUNK = 500
HELD = 10_000
"""Tasks of one start that are made at once; of more, a recipe goes to the bus."""

_HOUR = len("2026-01-31T23+00:00")
_SECONDS = len("2026-01-31T23:59:59")

Made = tuple[Message, ...] | OpenBatch
"""The tasks of one start, or where they will come from."""


class CannotExpand(ValueError):
    """A phase whose tasks cannot be made now; the text tells why."""


class TooMany(CannotExpand):
    """A batch of more tasks than its limit."""


class Start(msgspec.Struct, frozen=True, gc=False):
    """What starts a phase: its slot in words, the run that the tasks belong to (empty: each is a run of its own).

    `cause` is what the tasks tell as theirs; empty, it is the slot. `holds` is the group that they hold open.
    """

    slot: str
    run: str = ""
    cause: str = ""
    holds: str = ""


class Rows(msgspec.Struct, frozen=True):
    """What a rule names: the rows of its lists, and what was read of its meta-file."""

    lists: tuple[dict[str, str], ...] = ()
    read: Sequence[Row] = ()
    files: tuple[File, ...] = ()
    is_whole: bool = True

    @property
    def all(self) -> Sequence[Row]:
        """Every row at hand, lists first."""
        return [*self.lists, *self.read] if self.lists else self.read

    @property
    def first(self) -> Row:
        """The first row; an empty one when there is none."""
        return next(iter(self.lists or self.read), NO_ROW)


def rows_of(phase: Phase, ctx: Context) -> Rows | None:
    """Return the rows that the rule names; None when it names none.

    Raises:
        CannotExpand: unequal lists, or a meta-file that could not be read.
    """
    rule = phase.rule
    if not rule.has_meta and not rule.meta_file:
        return None
    lists: tuple[dict[str, str], ...] = ()
    if rule.has_meta:
        try:
            lists = tuple(rows_of_lists(rule.meta))
        except ValueError as error:
            raise CannotExpand(str(error)) from error
    if not rule.meta_file:
        return Rows(lists)
    found = ctx.sources.get(rule.meta_file, f"meta-file {rule.meta_file} was not read")
    if isinstance(found, str):
        raise CannotExpand(found)
    if not isinstance(found, Source):
        return Rows(lists, found)
    return Rows(lists, found.rows, found.files, found.is_whole)


def span_of(phase: Phase, start: datetime | None) -> Span:
    """Return the data times of one start: the range of `for`, else the start alone."""
    if start is None or not phase.rule.for_ns:
        return Span.of(start)
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
    return Span.of(start, end, phase.rule.by)


def later(time: datetime, ns: int) -> datetime:
    """Return the instant that many nanoseconds of elapsed time later (earlier when negative), in the same zone."""
    if time.tzinfo is UTC:
        return time + timedelta(microseconds=ns // 1000)
    return (time.astimezone(UTC) + timedelta(microseconds=ns // 1000)).astimezone(time.tzinfo)


def made(recipe: Recipe, rows: Rows | None) -> Made:
    """Return the tasks of a recipe, or, when they are too many to be held, the batch that makes them later.

    Raises:
        CannotExpand: more than the recipe's limit, where that can be known.
    """
    recipe, count = with_rows(recipe, rows)
    if count is None or count > HELD:
        return opened(recipe, recipe.limit if count is None else count)
    each: Iterable[Row] = (NO_ROW,) if rows is None else rows.all
    return tuple(Maker(recipe).messages(0, ((time, row) for time in recipe.span.times() for row in each)))


def with_rows(recipe: Recipe, rows: Rows | None) -> tuple[Recipe, int | None]:
    """Return the recipe with its rows, and how many tasks it makes; None when only its files can tell.

    Raises:
        CannotExpand: more than the recipe's limit.
    """
    if rows is not None:
        own = rows.lists if rows.files else tuple(dict(row) for row in rows.all)
        recipe = msgspec.structs.replace(recipe, has_rows=True, rows=own, files=rows.files)
    return recipe, count_of(recipe.span, rows, recipe.limit)


def count_of(span: Span, rows: Rows | None, limit: int) -> int | None:
    """Return how many tasks a batch makes; None when only its files can tell.

    Raises:
        TooMany: more than `limit`.
    """
    count: int | None = 1
    if rows is not None:
        count = len(rows.lists) + len(rows.read) if rows.is_whole else None
    if span.end and count != 0:
        times = sum(1 for _ in islice(span.times(), limit + 1))
        count = None if count is None and times <= limit else times * (count or 1)
    if count is not None and count > limit:
        raise TooMany(f"the batch makes more than {limit} tasks; batch_limit= in the rule allows more")
    return count


def opened(recipe: Recipe, most: int) -> OpenBatch:
    """Return the batch that is made while it is published."""
    holds = recipe.holds if recipe.holds_itself else ""
    return OpenBatch(
        dispatch_key(recipe.slot), encode_recipe(recipe), encode_position(Position()), most, holds
    )


def root_messages(
    phase: Phase,
    start: Start,
    time: datetime | None,
    ctx: Context,
    revision: str,
    carried: Mapping[str, Sequence[str]] | None = None,
) -> Made:
    """Return the tasks of a batch without a parent: a run for each row, meta sorted.

    `carried` stands in the meta of each task; every row sees its first values under its own.
    """
    rows = rows_of(phase, ctx)
    recipe = _recipe(phase, start, ctx, revision, span=span_of(phase, time))
    if carried is not None:
        recipe = msgspec.structs.replace(
            recipe,
            under={name: found[0] for name, found in carried.items() if found},
            carried={name: tuple(found) for name, found in carried.items()},
            tells_time=bool(phase.rule.for_ns),  # else its time is that of what it carries
        )
    return made(recipe, rows)


def child_messages(
    phase: Phase,
    start: Start,
    time: datetime | None,
    cron: str,
    under: Mapping[str, str],
    ctx: Context,
    revision: str,
    first: int,
) -> Made:
    """Return the tasks that a completed parent starts by one child phase.

    `under` is the parent's meta, which every row sees under its own values; `cron` the parent's text, kept as it is
    unless the child moves in time; `first` counts the tasks of this plan made before, so that no two share a stamp.
    """
    rule = phase.rule
    moves = bool(rule.offset_ns or rule.for_ns)
    if time is not None and rule.offset_ns:
        try:
            time = later(time, rule.offset_ns)
        except OverflowError as error:
            raise CannotExpand(f"offset reaches beyond the calendar from {time.isoformat()}") from error
    passed: Mapping[str, str] = NO_ROW
    if rule.pass_on:
        passed = {name: under[name] for name in rule.pass_on if name in under and name not in OURS}
    if not rule.is_batch:
        text = format_hour(time) if moves and time is not None else cron
        own, meta = own_text(phase.workflow, text or None, phase.job)
        if passed:
            more = format_sorted(passed)
            meta = f"{meta}&{more}" if meta else more
        values = {**under, **own} if compiled(phase.template).meta_names else own
        return (_message(phase, start, 0, values, time, meta, ctx, revision, start.run, first),)
    rows = rows_of(phase, ctx)
    seen = {name: under[name] for name in compiled(phase.template).meta_names if name in under}
    recipe = _recipe(phase, start, ctx, revision, span=span_of(phase, time), first=first)
    recipe = msgspec.structs.replace(
        recipe,
        cron=cron,
        tells_time=moves and time is not None,
        owns_first=True,
        under=seen,
        carried={name: (value,) for name, value in passed.items()},
    )
    found = made(recipe, rows)
    if isinstance(found, tuple) and len(found) == 1:
        return (msgspec.structs.replace(found[0], batch=""),)  # one task is no batch
    return found


def as_plan(found: Made, slot: str) -> Plan:
    """Return the plan that publishes these tasks: at once, frozen when they are more than one chunk, or as made."""
    if isinstance(found, OpenBatch):
        return Plan(opened=(found,))
    if len(found) <= CHUNK:
        return Plan(publish=found)
    return Plan(frozen=(FrozenBatch(key=dispatch_key(slot), messages=found),))


def single_message(phase: Phase, start: Start, time: datetime, ctx: Context, revision: str) -> Message:
    """Return the one task of a scheduled phase without batch options."""
    own, meta = own_text(phase.workflow, format_hour(time), phase.job)
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
    return own_text(phase.workflow, None if time is None else format_hour(time), phase.job)[0]


def utc_text(time: datetime) -> str:
    """Return an instant as slots carry it: RFC 3339, UTC, whole seconds, `Z`."""
    time = time if time.tzinfo is UTC else time.astimezone(UTC)
    return f"{time.isoformat()[:_SECONDS]}Z"


def _recipe(phase: Phase, start: Start, ctx: Context, revision: str, *, span: Span, first: int = 0) -> Recipe:
    return Recipe(
        slot=start.slot,
        topic=phase.topic,
        template=phase.template,
        now=ctx.now,
        job=phase.job,
        phase=phase.identity,
        workflow=phase.workflow,
        revision=revision,
        priority=phase.rule.priority,
        timeout_ns=phase.rule.timeout_ns,
        host=ctx.host,
        cause=start.cause,
        run=start.run,
        batch=run_id(start.slot),
        first=first,
        span=span,
        meta_file=phase.rule.meta_file,
        limit=phase.rule.batch_limit,
        holds=start.holds,
        alert=manner_of(phase.rule),
        alert_to=phase.rule.alert_to,
    )


def own_text(workflow: str, cron: str | None, job: str) -> tuple[Mapping[str, str], str]:
    """Return what flowlord itself writes into the meta of a task, and its text; all tasks of an hour share both."""
    if cron is not None and len(cron) > _HOUR:  # a parent may bring any text, which is not worth the memory
        return _written(workflow, cron, job)
    return _known(workflow, cron, job)


def _written(workflow: str, cron: str | None, job: str) -> tuple[Mapping[str, str], str]:
    own = own_meta(workflow, cron or "", job)
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
    id_: str = "",
    first: int = 0,
) -> Message:
    key = dispatch_key(start.slot, n)
    template = compiled(phase.template)
    unique = short_token(key) if template.has_unique else ""
    info = template.render(time, values, unique=unique, host=ctx.host)
    task = Task(
        type=phase.topic, job=phase.job, info=info, created=created(ctx.now, first + n), id=id_, meta=meta
    )
    rule = phase.rule
    return Message(
        phase.topic,
        task,
        key,
        rule.priority,
        None,
        rule.timeout_ns,
        phase.identity,
        revision,
        start.cause or start.slot,
        "",
        None,
        start.holds,
    )


def unknown_time(phase: Phase, slot: str, cause: str) -> list[Fact]:
    """Return that time tokens stayed in an info, if so: a worker will hardly know what to do with them."""
    if not compiled(phase.template).has_time:
        return []
    text = f"{phase.base_name} was started without a known time: the time tokens of its template stay as they are"
    key = dispatch_key(slot)  # of the first task
    return [Fact(FactKind.SKIPPED, key=key, topic=phase.topic, phase=phase.identity, cause=cause, text=text)]
