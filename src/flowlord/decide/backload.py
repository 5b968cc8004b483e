"""What a person asks for when tasks of past dates are wanted: the request, what is wrong with it, and its recipe."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta, tzinfo
from hashlib import blake2b
from itertools import islice
from typing import Final

import msgspec

from flowlord.decide.alert import manner_of
from flowlord.decide.context import Context
from flowlord.decide.expand import HELD, Rows, TooMany, rows_of, with_rows
from flowlord.decide.maker import Maker
from flowlord.decide.recipe import NO_ROW, Pace, Recipe, Row, Span
from flowlord.model.message import DEFAULT_PRIORITY
from flowlord.model.workflow import Phase, Rule, Workflows
from flowlord.rules.batch import STEPS
from flowlord.rules.errors import quote
from flowlord.rules.zones import zone_of

MOST_UNASKED = 1_000
"""Tasks that are sent without asking again."""
COUNTED = 150_000
"""Data times, other than hours, that are counted of a request that is refused for its size."""
_DAY: Final = re.compile(r"(\d{4})-(\d\d)-(\d\d)", re.ASCII)
_HOUR: Final = re.compile(r"(\d{4})-(\d\d)-(\d\d)T(\d\d?)", re.ASCII)
_INSTANT: Final = re.compile(r"\d{4}-\d\d-\d\d[Tt]\d\d:\d\d:\d\d(?:\.\d+)?(?:[Zz]|[+-]\d\d:\d\d)", re.ASCII)


class BadRequest(ValueError):
    """A backload that cannot be made; the text tells why, the hint what to write. `is_missing`: no such phase."""

    def __init__(self, text: str, hint: str = "", *, is_missing: bool = False) -> None:
        super().__init__(text)
        self.hint = hint
        self.is_missing = is_missing


class Request(msgspec.Struct, frozen=True):
    """A backload as it is asked for.

    Times are texts: `YYYY-MM-DD`, `YYYY-MM-DDTHH` or RFC 3339. `meta` are lists as in a rule. `is_strict` refuses what
    a program's request takes with a note: a time that is none, an unknown `by`, a workflow that is not there; and its
    `template` counts more than that of the phase. `order` is `newest`, `oldest` or empty for that of the range.
    """

    task: str = ""
    job: str = ""
    template: str = ""
    workflow: str = ""
    at: str = ""
    start: str = ""
    end: str = ""
    by: str = ""
    meta: Mapping[str, tuple[str, ...]] = {}
    meta_file: str = ""
    execute: bool = False
    confirm: bool = False
    is_strict: bool = False
    order: str = ""
    priority: int | None = None
    limit: int = 0
    pace: Pace | None = None


class Backload(msgspec.Struct, frozen=True):
    """What a request comes to: notes for who asked, the recipe, its rows, and how many tasks (None: files tell)."""

    notes: tuple[str, ...]
    recipe: Recipe
    rows: Rows | None
    count: int | None


def read_request(body: bytes) -> Request:
    """Read the JSON body of `POST /backload`: keys in any case, `meta-file` just so.

    Raises:
        BadRequest: not JSON, no object, or a value of the wrong kind.
    """
    try:
        found = msgspec.json.decode(body)
    except (msgspec.MsgspecError, RecursionError) as error:
        told = str(error).removeprefix("JSON is malformed: ")
        raise BadRequest(f"the body is not JSON: {told}") from None
    if found is None:
        found = {}
    if not isinstance(found, dict):
        raise BadRequest("the body is no JSON object")
    read: dict[str, object] = {}
    for name, value in found.items():
        key = _KEYS.get(name if name == "meta-file" else name.lower())
        if key is None or value is None:
            continue
        if key == "meta":
            read["meta"] = _meta(value)
        elif key in ("execute", "confirm"):
            if not isinstance(value, bool):
                raise BadRequest(f"{name} must be true or false")
            read[key] = value
        elif not isinstance(value, str):
            raise BadRequest(f"{name} must be a text")
        else:
            read[key] = value
    return msgspec.convert(read, Request)


_KEYS: Final[Mapping[str, str]] = {
    "task": "task", "job": "job", "template": "template", "workflow": "workflow", "at": "at", "from": "start",
    "to": "end", "by": "by", "meta": "meta", "meta-file": "meta_file", "execute": "execute", "confirm": "confirm",
}  # fmt: skip


def _meta(value: object) -> Mapping[str, tuple[str, ...]]:
    if isinstance(value, dict):
        if all(isinstance(each, str) for each in value.values()):
            return {key: (each,) for key, each in value.items()}
        if all(
            isinstance(each, list) and all(isinstance(one, str) for one in each) for each in value.values()
        ):
            return {key: tuple(each) for key, each in value.items()}
    raise BadRequest("meta must be an object of texts, or an object of lists of texts")


def phase_of(request: Request, flows: Workflows) -> Phase | None:
    """Return the phase that is asked for: in the named workflow, else in the first that has it."""
    topic, _, job = request.task.partition(":")
    return flows.phase_of(request.workflow, topic, request.job or job)


def source_of(request: Request, phase: Phase | None) -> str:
    """Return the meta-file that must be read before the request can be decided; empty for none."""
    if request.meta_file or request.meta:
        return request.meta_file
    return phase.rule.meta_file if phase else ""


def on_backload(request: Request, flows: Workflows, ctx: Context, id_: str = "") -> Backload:
    """Return what a request comes to.

    Args:
        ctx: with the meta-file of `source_of`.
        id_: names the whole; its tasks carry it as their batch.
    Raises:
        BadRequest: it cannot be honoured.
    Source:
        docs/backload.md; docs/reference.md, "Backloads".
    """
    topic, _, job = request.task.partition(":")
    job = request.job or job
    phase = phase_of(request, flows)
    zone = zone_of(phase.rule.tz) if phase else UTC
    notes: list[str] = []
    start, end = _ends(request, ctx.now.astimezone(zone), zone, notes)
    if phase:
        notes.append(f"phase found in {phase.workflow}")
    elif request.is_strict and request.workflow:
        loaded = (
            ""
            if request.workflow in flows.by_name
            else f"loaded workflows: {', '.join(sorted(flows.by_name)) or 'none'}"
        )
        raise BadRequest(f"{request.workflow} has no phase {_named(topic, job)}", loaded, is_missing=True)
    template = phase.template if phase else ""
    if not template or (request.is_strict and request.template):
        template = request.template
    if not topic or not template:
        raise BadRequest(
            f"no template found for {_named(topic, job)}",
            "that phase is loaded and has none: give one, --template TEXT"
            if phase
            else "name a phase that is loaded, or give a template of your own",
            is_missing=True,
        )
    if not request.by and not (request.is_strict and start == end):
        notes.append("using default day iterator")
    elif request.by and request.is_strict and request.by.lower() not in STEPS:
        raise BadRequest(f"{quote(request.by)} is no step", "write hour, day, week or month")
    rule = _rule(request, phase)
    recipe = Recipe(
        slot=f"backload:{id_}",
        topic=topic,
        template=template,
        now=ctx.now,
        job=phase.job if phase else job,
        phase=phase.identity if phase else "",
        workflow=phase.workflow if phase else request.workflow,
        revision=flows.by_name[phase.workflow].revision if phase and phase.workflow in flows.by_name else "",
        priority=rule.priority,
        timeout_ns=rule.timeout_ns,
        host=ctx.host,
        batch=id_,
        span=_span(start, end, request),
        meta_file=rule.meta_file,
        limit=rule.batch_limit,
        holds=f"backload:{id_}",
        pace=request.pace,
        alert=manner_of(rule),
        alert_to=rule.alert_to,
    )
    rows: Rows | None = None
    try:
        rows = rows_of(Phase("", topic, rule=rule), ctx)
        recipe, count = with_rows(recipe, rows)
    except TooMany as error:
        if request.is_strict:
            raise _too_many(recipe, rows) from error
        raise BadRequest(str(error)) from error
    except ValueError as error:
        raise BadRequest(str(error)) from error
    if request.execute and not request.confirm and not request.is_strict and (count is None or count > HELD):
        many = "more" if count is None else f"{count:,}, more"
        raise BadRequest(f"these are {many} than {HELD:,} tasks: send the same with confirm set to true")
    return Backload(tuple(notes), recipe, rows, count)


def _too_many(recipe: Recipe, rows: Rows | None) -> BadRequest:
    """Say how many tasks a request would make, and which flag allows them."""
    span, most = recipe.span, COUNTED
    if span.by.lower() == "hour":  # absolute ones, of which no clock leaves one out
        first, last = datetime.fromisoformat(span.start), datetime.fromisoformat(span.end)
        most = times = abs(last - first) // timedelta(hours=1) + 1
    else:
        times = sum(1 for _ in islice(span.times(), most + 1))
    each = 1 if rows is None else len(rows.lists) + len(rows.read)
    whole = times <= most and (rows is None or rows.is_whole)
    many = min(times, most) * max(each, 1)
    return BadRequest(
        f"these are {'' if whole else 'more than '}{many:,} tasks, and {recipe.limit:,} are allowed",
        f"narrow the range, or allow more: --limit {many if whole else 'N'}",
    )


def reply(found: Backload, *, executed: bool) -> dict[str, object]:
    """Return the answer of `POST /backload`; of more than HELD tasks it shows the first and the last only.

    Raises:
        BadRequest: a task that cannot be made, or a number of tasks that only reading the files would tell.
    """
    if found.count is None:
        raise BadRequest(f"{found.recipe.meta_file} makes more than {HELD:,} tasks: too many to be shown")
    each: Sequence[Row] = (NO_ROW,) if found.rows is None else found.rows.all
    maker = Maker(found.recipe)
    try:
        if found.count <= HELD:
            made = maker.messages(0, ((time, row) for time in found.recipe.span.times() for row in each))
        else:
            first, *_, last = found.recipe.span.times()
            made = maker.messages(0, [(first, each[0])])
            made += maker.messages(found.count - 1, [(last, each[-1])])
    except ValueError as error:
        raise BadRequest(str(error)) from error
    return {
        "Status": ("Executed: " if executed else "DRY RUN ONLY: ") + ", ".join(found.notes),
        "Count": found.count,
        "Tasks": [message.task for message in made] or None,
    }


def identity_of(request: Request, recipe: Recipe, salt: str = "") -> str:
    """Return the name of a backload: the same request for the same times has the same one, unless salted.

    One that names no time means the present one, and is the same for an hour.
    """
    is_now = not (request.at or request.start or request.end)
    when = recipe.span.start[:13] if is_now else recipe.span
    what = msgspec.json.encode([
        recipe.topic, recipe.job, recipe.workflow, recipe.template, when, request.meta, recipe.meta_file,
        request.order, recipe.chosen, salt,
    ])  # fmt: skip
    return f"b-{blake2b(what, digest_size=4).hexdigest()}"


def named(recipe: Recipe, id_: str) -> Recipe:
    """Return a recipe under the name of its backload."""
    return msgspec.structs.replace(recipe, slot=f"backload:{id_}", batch=id_, holds=f"backload:{id_}")


def _rule(request: Request, phase: Phase | None) -> Rule:
    """Return what of a phase's rule counts, with the request's own in its place."""
    own = phase.rule if phase else Rule()
    meta, meta_file, has_meta = request.meta, request.meta_file, bool(request.meta)
    if not meta and not meta_file:
        meta, meta_file, has_meta = own.meta, own.meta_file, own.has_meta
    if has_meta and meta_file:
        raise BadRequest("Unsupported: meta and meta-file both used, use one only")
    return Rule(
        meta=meta,
        has_meta=has_meta,
        meta_file=meta_file,
        batch_limit=request.limit or own.batch_limit,
        priority=(own.priority if phase else DEFAULT_PRIORITY)
        if request.priority is None
        else request.priority,
        timeout_ns=own.timeout_ns,
    )


def _span(start: datetime, end: datetime, request: Request) -> Span:
    if start == end:
        return Span.of(start)
    turned = {"newest": end > start, "oldest": end < start}.get(request.order, False)
    return msgspec.structs.replace(Span.of(start, end, request.by), turned=turned)


def _ends(request: Request, now: datetime, zone: tzinfo, notes: list[str]) -> tuple[datetime, datetime]:
    """Return the ends of the range; a readable `at` is both."""
    start, end, at = (_time(text, zone, request) for text in (request.start, request.end, request.at))
    if start is None and end is not None:
        notes.append("from value not set")
        start = end
    elif end is None and start is not None:
        notes.append("to value not set")
        end = start
    elif not (request.start or request.end or request.at):
        notes.append("no time provided using today")
    elif start is None and at is None:
        notes.append("invalid time format (to|from|at), using today")
    if at is not None:
        return at, at
    return start or now, end or now


def _time(text: str, zone: tzinfo, request: Request) -> datetime | None:
    """Return the time of a text; None for what counts as not given."""
    try:
        if found := _DAY.fullmatch(text) or _HOUR.fullmatch(text):
            time = datetime(*map(int, found.groups()), tzinfo=zone)  # type: ignore[misc,arg-type]
        elif _INSTANT.fullmatch(text):
            time = datetime.fromisoformat(text.upper())
        else:
            raise ValueError(text)
        if time.year < 2 or time.year > 9998:
            raise BadRequest(f"{quote(text)} is no year for tasks", "years are 2 to 9998")
    except BadRequest:
        raise
    except ValueError:
        if request.is_strict and text:
            raise BadRequest(
                f"{quote(text)} is no time", "write 2026-07-01, 2026-07-01T05 or 2026-07-01T05:00:00Z"
            ) from None
        return None
    return time


def _named(topic: str, job: str) -> str:
    return f"{topic}:{job}" if job else topic
