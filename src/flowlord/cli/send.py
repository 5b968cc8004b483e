"""`flowlord send`: one task, or many from a file."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from pathlib import Path

from flowlord.bus.clock import SystemClock
from flowlord.bus.open import open_bus
from flowlord.bus.port import Bus
from flowlord.cli import printer
from flowlord.cli.exits import ANSWER_IS_BAD, DONE, NO_SUCH_THING, TIMED_OUT, WRONG_USE
from flowlord.cli.wait import Watched, follow
from flowlord.config import Settings
from flowlord.decide.ask import Ask, on_ask, workflows_with
from flowlord.decide.context import Context
from flowlord.decide.keys import dispatch_key, run_id
from flowlord.model.errors import Refused
from flowlord.model.message import BANDS
from flowlord.model.plan import Mark
from flowlord.model.workflow import Workflows
from flowlord.rules.durations import parse_duration
from flowlord.taskmaster.chance import Chance, Stamps

CHUNK = 500
KEPT_S = 7 * 24 * 3600
PRIORITIES = dict(zip(BANDS, (2, 5, 8, 10), strict=True))


class WrongUse(ValueError):
    """An option that cannot be understood; the text names it."""


@dataclass(frozen=True, slots=True)
class Options:
    """What the command line said."""

    workflow: str = ""
    workflows: str = ""
    meta: tuple[str, ...] = ()
    priority: str = ""
    delay: str = ""
    at: str = ""
    key: str = ""
    wait: bool = False
    children: bool = False
    timeout: str = ""
    from_file: str = ""
    output: str = ""


def run(settings: Settings, name: str, info: str, options: Options) -> int:
    """Send what was asked for; the same `--key` again sends nothing. Returns the exit code."""
    clock = SystemClock()
    try:
        asks = list(_asks(name, info, options, clock.now()))
        flows = _load(options.workflows or settings.taskmaster.workflows)
        asks = [_with_workflow(ask, options.workflow, flows) for ask in asks]
    except WrongUse as error:
        printer.error(str(error))
        return WRONG_USE
    except LookupError as error:
        printer.error(str(error.args[0]), hint=str(error.args[1]) if len(error.args) > 1 else "")
        return NO_SUCH_THING
    bus = open_bus(settings.bus.address, by="send")
    try:
        return _send(bus, asks, flows, options, clock)
    finally:
        bus.close()


def _send(bus: Bus, asks: Sequence[Ask], flows: Workflows, options: Options, clock: SystemClock) -> int:
    chance = Chance()
    stamps = Stamps(clock, chance.digit())
    after = bus.journal_bounds()[1]
    keys = [dispatch_key(f"ask:{ask.request}") for ask in asks]
    rows = []
    for start in range(0, len(asks), CHUNK):
        part = asks[start : start + CHUNK]
        now = stamps.now()
        plan = on_ask(part, flows, Context(now=now))
        stamps.used(now, len(part))
        marks = [
            Mark(f"ask:{ask.request}", None, run_id(f"ask:{ask.request}"), ttl_s=KEPT_S)
            for ask in part
            if options.key
        ]
        try:
            bus.commit(plan, marks=marks)
        except Refused as error:
            request = error.mark.removeprefix("ask:")
            state = next((found.state for found in bus.find([dispatch_key(error.mark)])), "done or cancelled")
            printer.say(f"already sent as {(error.found or '')[:8]} ({state}) with --key {request}")
            rows.append({"id": error.found or "", "key": dispatch_key(error.mark), "sent": False})
            continue
        rows += [
            {
                "id": m.task.id,
                "key": m.key,
                "topic": m.topic,
                "job": m.task.job,
                "info": m.task.info,
                "sent": True,
            }
            for m in plan.messages
        ]
    sent = [row for row in rows if row["sent"]]
    if sent:
        waiting = {state.topic: state.waiting for state in bus.topics()}
        first = sent[0]
        what = str(first["id"])[:8] if len(sent) == 1 else f"{len(sent)} tasks"
        printer.say(f"sent {what} to {first['topic']} ({waiting.get(str(first['topic']), 0)} waiting)")
    if options.output or not sys.stdout.isatty():
        printer.rows(rows, ("id", "key", "topic", "job", "info", "sent"), options.output or "name", name="id")
    if not options.wait:
        return DONE
    return _wait(bus, set(keys), after, options, clock)


def _wait(bus: Bus, keys: set[str], after: int, options: Options, clock: SystemClock) -> int:
    watched = Watched(keys, with_children=options.children)
    begin = clock.monotonic_ns()
    limit = parse_duration(options.timeout) if options.timeout else 0
    expired: Callable[[], bool] = lambda: bool(limit) and clock.monotonic_ns() - begin > limit  # noqa: E731
    if not follow(bus, watched, after, expired=expired):
        printer.say(f"still running after {options.timeout}: flowlord tasks --running")
        return TIMED_OUT
    took = (clock.monotonic_ns() - begin) / 1e9
    message = watched.last.msg if watched.last else ""
    if watched.failed:
        printer.say(f"failed after {took:.1f}s: {message}")
        return ANSWER_IS_BAD
    printer.say(f"done in {took:.1f}s" + (f": {message}" if message else ""))
    return DONE


def _asks(name: str, info: str, options: Options, now: datetime) -> Iterator[Ask]:
    topic, _, job = name.partition(":")
    if not topic:
        raise WrongUse("the topic is empty; write TOPIC or TOPIC:JOB")
    due = _due(options, now)
    priority = _priority(options.priority)
    meta = tuple(_pair(text) for text in options.meta)
    request = options.key or Chance().token()
    common = {"topic": topic, "job": job, "workflow": options.workflow, "due": due}
    if not options.from_file:
        text = sys.stdin.read().rstrip("\n") if info == "-" else info
        yield Ask(request=request, info=text, meta=meta, priority=priority, **common)  # type: ignore[arg-type]
        return
    for n, row in enumerate(_rows(options.from_file)):
        own = row.get("meta") or {}
        if not isinstance(own, dict):
            raise WrongUse(f"{options.from_file}:{n + 1}: meta must be an object")
        yield Ask(
            request=f"{request}/{n}",
            info=str(row.get("info", info)),
            meta=(*meta, *((str(k), str(v)) for k, v in own.items())),
            priority=_priority(str(row.get("priority", ""))) if "priority" in row else priority,
            **{**common, "job": str(row.get("job", job))},  # type: ignore[arg-type]
        )


def _rows(path: str) -> Iterator[dict[str, object]]:
    try:
        with nullcontext(sys.stdin) if path == "-" else Path(path).open(encoding="utf-8") as lines:
            for n, line in enumerate(lines, 1):
                if line.strip():
                    yield _row(line, f"{path}:{n}")
    except (OSError, UnicodeDecodeError) as error:
        raise WrongUse(f"{path} cannot be read: {error}") from error


def _row(line: str, place: str) -> dict[str, object]:
    """Read one line: a JSON object, or the info itself."""
    if not line.lstrip().startswith("{"):
        return {"info": line.rstrip("\r\n")}
    try:
        return dict(json.loads(line))
    except ValueError as error:
        raise WrongUse(f"{place}: not JSON: {error}") from error


def _pair(text: str) -> tuple[str, str]:
    key, mark, value = text.partition("=")
    if not mark or not key:
        raise WrongUse(f"--meta {text!r} is no pair; write --meta key=value")
    return key, value


def _priority(text: str) -> int | None:
    if not text:
        return None
    if text in PRIORITIES:
        return PRIORITIES[text]
    if text.isascii() and text.isdigit() and int(text) <= 10:
        return int(text)
    raise WrongUse(f"--priority {text!r} is none; write 0 to 10, or {', '.join(BANDS)}")


def _due(options: Options, now: datetime) -> datetime | None:
    from flowlord.cli.times import parse_time

    if options.delay and options.at:
        raise WrongUse("--delay and --at exclude each other")
    try:
        if options.delay:
            return now + timedelta(microseconds=parse_duration(options.delay) // 1000)
        return parse_time(options.at, now) if options.at else None
    except (ValueError, OverflowError) as error:
        raise WrongUse(str(error)) from error


def _load(path: str) -> Workflows:
    if not path or not Path(path).exists():
        return Workflows()
    from flowlord.spec.load import load

    return load(path).workflows


def _with_workflow(ask: Ask, asked: str, flows: Workflows) -> Ask:
    """Fill in the workflow whose children follow, when exactly one has the phase; say so."""
    name = f"{ask.topic}:{ask.job}" if ask.job else ask.topic
    if asked:
        if asked not in flows.by_name:
            known = ", ".join(sorted(flows.by_name)) or "none"
            raise LookupError(
                f"there is no workflow {asked}",
                f"loaded workflows: {known}; --workflows PATH names the folder",
            )
        if flows.phase_of(asked, ask.topic, ask.job) is None:
            raise LookupError(f"{asked} has no phase {name}", "flowlord validate lists what a file holds")
        return ask
    found = workflows_with(ask, flows)
    if len(found) == 1:
        printer.say(f"note: {name} is a phase of {found[0]}; its children follow", once=True)
        return replace(ask, workflow=found[0])
    if found:
        printer.say(
            f"note: {', '.join(found)} all have a phase {name}; no children follow without --workflow",
            once=True,
        )
    elif flows.by_name:
        printer.say(
            f"note: no workflow has a phase {name}; no children follow, a failure is not retried", once=True
        )
    return ask
