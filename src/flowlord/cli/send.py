"""`flowlord send`: one task, or many from a file."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, nullcontext
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cache
from math import inf
from pathlib import Path

from flowlord.bus.clock import SystemClock
from flowlord.bus.open import open_bus
from flowlord.bus.port import Bus
from flowlord.cli import printer
from flowlord.cli.exits import ANSWER_IS_BAD, DONE, NO_SUCH_THING, TIMED_OUT, WRONG_USE
from flowlord.cli.origin import load_known, with_workflow
from flowlord.cli.wait import Watched, follow
from flowlord.config import Settings
from flowlord.decide.ask import Ask, on_ask
from flowlord.decide.context import Context
from flowlord.decide.keys import dispatch_key, run_id
from flowlord.model.errors import Refused
from flowlord.model.message import BANDS, Message
from flowlord.model.plan import Mark
from flowlord.model.workflow import Workflows
from flowlord.rules.durations import parse_duration
from flowlord.taskmaster.chance import Chance, Stamps

CHUNK = 500
KEPT_S = 7 * 24 * 3600
PRIORITIES = dict(zip(BANDS, (2, 5, 7, 9), strict=True))


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
    with ExitStack() as opened:

        @cache
        def bus() -> Bus:
            """Opening makes what is not there, so it comes after what may be refused."""
            found = open_bus(settings.bus.address, by="send")
            opened.callback(found.close)
            return found

        try:
            _timeout_ns(options)
            asks = list(_asks(name, info, options, clock.now()))
            if options.workflows and not Path(options.workflows).exists():
                raise WrongUse(f"--workflows: there is no file or folder {options.workflows}")
            known = load_known(options.workflows or settings.taskmaster.workflows, bus)
            asks = [with_workflow(ask, options.workflow, known) for ask in asks]
        except WrongUse as error:
            printer.error(str(error))
            return WRONG_USE
        except LookupError as error:
            printer.error(str(error.args[0]), hint=str(error.args[1]) if len(error.args) > 1 else "")
            return NO_SUCH_THING
        return _send(bus(), asks, known.flows, options, clock)


def _send(bus: Bus, asks: Sequence[Ask], flows: Workflows, options: Options, clock: SystemClock) -> int:
    stamps = Stamps(clock, Chance().digit())
    first, after = bus.journal_bounds()
    known: dict[str, str] = {}  # request -> id of what was sent before under the same --key
    sent: list[Message] = []
    for start in range(0, len(asks), CHUNK):
        sent += _send_chunk(bus, asks[start : start + CHUNK], flows, options, stamps, known)
    _tell(bus, sent, known)
    if options.output or not sys.stdout.isatty():
        before = [
            {"id": run, "key": dispatch_key(f"ask:{request}"), "sent": False}
            for request, run in known.items()
        ]
        rows = [_shown(message) for message in sent]
        printer.rows(
            before + rows, ("id", "key", "topic", "job", "info", "sent"), options.output or "name", name="id"
        )
    if not options.wait:
        return DONE
    # What was sent before may have ended before: its end stands further up in the journal.
    keys = {dispatch_key(f"ask:{ask.request}") for ask in asks}
    return _wait(bus, keys, first - 1 if known else after, options, clock)


def _send_chunk(
    bus: Bus, asks: Sequence[Ask], flows: Workflows, options: Options, stamps: Stamps, known: dict[str, str]
) -> tuple[Message, ...]:
    """Send those that were not sent before, in one step; the others are added to `known`."""
    while True:
        if options.key:
            found = bus.marks([f"ask:{ask.request}" for ask in asks])
            known |= {name.removeprefix("ask:"): run for name, run in found.items()}
            asks = [ask for ask in asks if ask.request not in known]
        now = stamps.now()
        plan = on_ask(asks, flows, Context(now=now))
        stamps.used(now, len(asks))
        slots = [f"ask:{ask.request}" for ask in asks if options.key]
        try:
            bus.commit(plan, marks=[Mark(slot, None, run_id(slot), ttl_s=KEPT_S) for slot in slots])
        except Refused:  # somebody sent one of them just now
            continue
        return plan.messages


def _tell(bus: Bus, sent: Sequence[Message], known: Mapping[str, str]) -> None:
    if len(known) > 1:
        printer.say(f"already sent: {len(known)} tasks with the same --key")
    for request, run in known.items() if len(known) == 1 else ():
        held = bus.find([dispatch_key(f"ask:{request}")])
        state = held[0].state if held else "no longer waiting"
        printer.say(f"already sent as {run[:8]} ({state}) with --key {request}")
    if sent:
        waiting = {state.topic: state.waiting for state in bus.topics()}
        topic = sent[0].topic
        what = sent[0].task.id[:8] if len(sent) == 1 else f"{len(sent)} tasks"
        printer.say(f"sent {what} to {topic} ({waiting.get(topic, 0)} waiting)")


def _shown(message: Message) -> dict[str, object]:
    task = message.task
    return {
        "id": task.id, "key": message.key, "topic": message.topic, "job": task.job, "info": task.info, "sent": True,
    }  # fmt: skip


def _wait(bus: Bus, keys: set[str], after: int, options: Options, clock: SystemClock) -> int:
    watched = Watched(keys, with_children=options.children)
    begin_ns = clock.monotonic_ns()
    limit_ns = _timeout_ns(options)

    def left_s() -> float:
        return (begin_ns + limit_ns - clock.monotonic_ns()) / 1e9 if limit_ns else inf

    if not follow(bus, watched, after, left_s=left_s):
        printer.say(f"still running after {options.timeout}: flowlord tasks --running")
        return TIMED_OUT
    took = (clock.monotonic_ns() - begin_ns) / 1e9
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


def _timeout_ns(options: Options) -> int:
    try:
        found = parse_duration(options.timeout) if options.timeout else 0
    except ValueError as error:
        raise WrongUse(f"--timeout: {error}") from error
    if found < 0:
        raise WrongUse(f"--timeout {options.timeout} is negative")
    return found
