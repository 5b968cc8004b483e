"""`flowlord send`: one task, or many from a file."""

from __future__ import annotations

import sys
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from functools import cache
from math import ceil, inf
from pathlib import Path

from flowlord.bus.clock import SystemClock, time_of
from flowlord.bus.lifetimes import OUTCOME_DAYS
from flowlord.bus.port import DONE as RESULTS
from flowlord.bus.port import QUARANTINE, Bus
from flowlord.cli import printer
from flowlord.cli.buses import bus_at
from flowlord.cli.exits import ANSWER_IS_BAD, DONE, NO_SUCH_THING, TIMED_OUT, WRONG_USE
from flowlord.cli.flag_values import WrongUse, priority_of
from flowlord.cli.origin import load_known, with_workflow
from flowlord.cli.progress import Progress
from flowlord.cli.sendrows import rows_asked
from flowlord.cli.texts import LONGEST_NAME
from flowlord.cli.wait import FAILED, Watched, follow, lonely, remembered
from flowlord.config import Settings
from flowlord.decide.ask import Ask, on_ask
from flowlord.decide.context import Context
from flowlord.decide.keys import dispatch_key, run_id
from flowlord.model.errors import FlowlordError, Refused
from flowlord.model.message import Message
from flowlord.model.plan import Mark
from flowlord.model.workflow import Workflows
from flowlord.rules.durations import parse_duration
from flowlord.taskmaster.chance import Chance, Stamps

CHUNK = 500
KEPT_S = (OUTCOME_DAYS + 2) * 24 * 3600
"""So long the same `--key` sends nothing, counted from when the task may run: longer than any result is remembered."""


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
    quiet: bool = False


@dataclass(frozen=True, slots=True)
class Accepted:
    """What the mark of a `--key` holds of the one time that it was accepted; `request` is that of the `Ask`.

    Each acceptance has a token of its own, so that a key that is free again names another task than the last time:
    results of that one may still be remembered.
    """

    request: str
    run: str

    @classmethod
    def read(cls, name: str, value: str) -> Accepted:
        """Read the mark `ask:<name>`."""
        token, _, run = value.rpartition(" ")
        return cls(f"{name}:{token}" if token else name, run)

    @property
    def key(self) -> str:
        """The dispatch key of the task."""
        return dispatch_key(f"ask:{self.request}")


def run(settings: Settings, name: str, info: str, options: Options) -> int:
    """Send what was asked for; the same `--key` again sends nothing. Returns the exit code."""
    clock = SystemClock()
    with ExitStack() as opened:

        @cache
        def bus() -> Bus:
            """Opening makes what is not there, so it comes after what may be refused."""
            found = bus_at(settings.bus, by="send")
            opened.callback(found.close)
            return found

        try:
            _timeout_ns(options)
            _refuse_reserved(name.partition(":")[0], settings.taskmaster.done_topic)
            asks = list(_asks(name, info, options, clock.now()))
            if options.workflows and not Path(options.workflows).exists():
                raise WrongUse(f"--workflows: there is no file or folder {options.workflows}")
            known = load_known(options.workflows or settings.taskmaster.workflows, bus)
            _note_odd({ask.topic for ask in asks})
            if name.partition(":")[0] == settings.watch.file_topic:
                _note_notices(asks)
            else:
                asks = [with_workflow(ask, options.workflow, known) for ask in asks]
        except WrongUse as error:
            printer.error(str(error), hint=error.hint)
            return WRONG_USE
        except LookupError as error:
            printer.error(str(error.args[0]), hint=str(error.args[1]) if len(error.args) > 1 else "")
            return NO_SUCH_THING
        if (
            options.delay or options.at
        ):  # by the bus's clock, which judges what waits: that of this machine may be wrong
            due = _due(options, time_of(bus().now_us()))
            asks = [replace(ask, due=due) for ask in asks]
        history = settings.cache.path if settings.cache.enabled else ""
        return _send(bus(), asks, known.flows, options, clock, history, settings.watch.file_topic)


def _send(
    bus: Bus,
    asks: Sequence[Ask],
    flows: Workflows,
    options: Options,
    clock: SystemClock,
    history: str,
    heard: str = "",
) -> int:
    """`heard` is the topic of notices about files, where taskmasters listen and no worker does."""
    stamps = Stamps(clock, Chance().digit())
    first, after = bus.journal_bounds()
    known: dict[str, Accepted] = {}  # what was sent before under the same --key
    sent: list[Message] = []
    with Progress("tasks", len(asks), clock, quiet=options.quiet) as progress:
        for start in range(0, len(asks), CHUNK):
            progress.at(start)
            try:
                sent += _send_chunk(bus, asks[start : start + CHUNK], flows, options, stamps, known)
            except (FlowlordError, KeyboardInterrupt):
                _interrupted(len(sent), len(asks), options)
                raise
    _tell(bus, sent, known)
    if options.output or not sys.stdout.isatty():
        before = [{"id": found.run, "key": found.key, "sent": False} for found in known.values()]
        rows = [_shown(message) for message in sent]
        printer.rows(
            before + rows, ("id", "key", "topic", "job", "info", "sent"), options.output or "name", name="id"
        )
    if not options.wait:
        return DONE
    for words in lonely(bus, {message.topic for message in sent} - {heard}):
        printer.say(f"note: {words}")
    # What was sent before may have ended before: its end stands further up in the journal.
    keys = {message.key for message in sent} | {found.key for found in known.values()}
    return _wait(bus, keys, first - 1 if known else after, options, clock, history)


def _interrupted(sent: int, total: int, options: Options) -> None:
    """Say how many were sent before the error that is told next."""
    if sent:
        way = (
            "the same again sends the rest" if options.key else "another time with --key it could go on here"
        )
        printer.say(f"only {sent} of {total} tasks were sent, the first ones; {way}")


def _send_chunk(
    bus: Bus,
    asks: Sequence[Ask],
    flows: Workflows,
    options: Options,
    stamps: Stamps,
    known: dict[str, Accepted],
) -> tuple[Message, ...]:
    """Send those that were not sent before, in one step; the others are added to `known`.

    Whether one was sent is decided by its mark alone, which lands together with it: who finds it, or is refused by
    it, goes by the token in it.
    """
    chance = Chance()
    while True:
        now = stamps.take(len(asks))
        named = list(asks)
        marks = []
        if options.key:
            by_bus = time_of(bus.now_us())
            found = bus.marks([f"ask:{ask.request}" for ask in asks])
            for mark, value in found.items():
                name = mark.removeprefix("ask:")
                known[name] = Accepted.read(name, value)
            asks = [ask for ask in asks if ask.request not in known]
            tokens = [chance.token() for _ in asks]
            named = [
                replace(ask, request=f"{ask.request}:{token}")
                for ask, token in zip(asks, tokens, strict=True)
            ]
            for ask, new, token in zip(asks, named, tokens, strict=True):
                value = f"{token} {run_id(f'ask:{new.request}')}"
                marks.append(Mark(f"ask:{ask.request}", None, value, ttl_s=_kept_s(ask, by_bus)))
        plan = on_ask(named, flows, Context(now=now))
        try:
            bus.commit(plan, marks=marks)
        except Refused:  # somebody sent one of them just now
            continue
        return plan.messages


def _kept_s(ask: Ask, now: datetime) -> int:
    return KEPT_S + (max(0, ceil((ask.due - now).total_seconds())) if ask.due else 0)


def _tell(bus: Bus, sent: Sequence[Message], known: Mapping[str, Accepted]) -> None:
    if len(known) > 1:
        printer.say(f"already sent: {len(known)} tasks with the same --key")
    for name, found in known.items() if len(known) == 1 else ():
        held = bus.find([found.key])
        state = held[0].state if held else "no longer waiting"
        printer.say(f"already sent as {found.run[:8]} ({state}) with --key {name}")
    if sent:
        waiting = {state.topic: state.waiting for state in bus.topics()}
        topic = sent[0].topic
        what = sent[0].task.id[:8] if len(sent) == 1 else f"{len(sent)} tasks"
        printer.say(f"sent {what} to {topic} ({waiting.get(topic, 0)} waiting)")


def _unended(bus: Bus, keys: Collection[str], timeout: str) -> str:
    """Say what those do that have not ended when the time to wait is over."""
    found = bus.find(sorted(keys))
    if any(each.state == "running" for each in found):
        return f"still running after {timeout}: flowlord tasks --running"
    if len(found) == 1:
        return f"still waiting after {timeout}, it has not begun: flowlord why {found[0].key[:12]}"
    if found:
        return f"still waiting after {timeout}, none of {len(found):,} tasks has begun: flowlord topics"
    return f"no end was told within {timeout}: flowlord tasks"


def _shown(message: Message) -> dict[str, object]:
    task = message.task
    return {
        "id": task.id, "key": message.key, "topic": message.topic, "job": task.job, "info": task.info, "sent": True,
    }  # fmt: skip


def _wait(bus: Bus, keys: set[str], after: int, options: Options, clock: SystemClock, history: str) -> int:
    watched = Watched(keys, with_children=options.children)
    begin_ns = clock.monotonic_ns()
    limit_ns = _timeout_ns(options)

    def left_s() -> float:
        return (begin_ns + limit_ns - clock.monotonic_ns()) / 1e9 if limit_ns else inf

    if not follow(bus, watched, after, left_s=left_s):
        printer.say(_unended(bus, watched.keys, options.timeout))
        return TIMED_OUT
    if watched.forgotten:
        watched.failed |= _tell_forgotten(watched.forgotten, history)
        if not watched.last:
            return ANSWER_IS_BAD if watched.failed else DONE
    took = (clock.monotonic_ns() - begin_ns) / 1e9
    message = watched.last.msg if watched.last else ""
    if watched.failed:
        printer.say(f"failed after {took:.1f}s: {message or watched.why}")
        return ANSWER_IS_BAD
    printer.say(f"done in {took:.1f}s" + (f": {message}" if message else ""))
    return DONE


def _tell_forgotten(keys: Collection[str], history: str) -> bool:
    """Tell of tasks whose end the journal does not hold any more; returns whether the history knows one as failed."""
    who = "it" if len(keys) == 1 else f"{len(keys)} of them"
    states = remembered(history, keys)
    failed = FAILED.intersection(states)
    told = f"; the history says {', '.join(sorted(failed or {*states}))}" if states else ""
    printer.say(f"{who} ended before the journal begins{told}")
    return bool(failed)


def _refuse_reserved(topic: str, results: str) -> None:
    """Refuse to put a task where it would be taken for something else.

    Raises:
        WrongUse: with the way that was probably meant.
    """
    if topic in (RESULTS, results):
        hint = "only workers report there; send the phase itself: flowlord send TOPIC[:JOB]"
        raise WrongUse(f"{topic} is the topic of results, where a task would be taken for one", hint)
    if topic == QUARANTINE:
        hint = f"flowlord topics peek {QUARANTINE} shows what lies there"
        raise WrongUse(f"{topic} is where messages are kept that are no tasks; nobody works on it", hint)


def _note_odd(topics: Collection[str]) -> None:
    """Say which topics hold what other programs would trip over, as validate does of a phase."""
    if all(topic.isascii() and topic.isalnum() for topic in topics):
        return  # nearly always: nothing is loaded for them
    from flowlord.spec.author.topics import SAFE_LETTERS, odd_in

    for topic in sorted(topics):
        if odd := odd_in(topic):
            printer.say(f"note: the topic {topic[:LONGEST_NAME]!r} holds {odd[:8]!r}; {SAFE_LETTERS}")


def _note_notices(asks: Sequence[Ask]) -> None:
    """Say what becomes of notices about files, and of what is none: a mistyped one ends in quarantine."""
    from flowlord.watch.notices import NoNotice, read_notices

    told, others, why = 0, 0, ""
    for ask in asks:
        try:
            told += bool(read_notices(ask.info.encode(errors="surrogatepass")))
        except NoNotice as error:
            others += 1
            why = why or str(error)
    if told:
        printer.say("note: what its file starts is told by: flowlord files")
    if why:
        which = "it is no notice" if len(asks) == 1 else f"{others} of them are no notice"
        printer.say(f"note: {which} about a file, and goes to {QUARANTINE}: {why}")


def _asks(name: str, info: str, options: Options, now: datetime) -> Iterator[Ask]:
    topic, _, job = name.partition(":")
    if not topic:
        raise WrongUse("the topic is empty; write TOPIC or TOPIC:JOB")
    due = _due(options, now)
    priority = priority_of(options.priority)
    meta = tuple(_pair(text) for text in options.meta)
    request = options.key or Chance().token()
    common = Ask(topic, request, job, meta=meta, workflow=options.workflow, priority=priority, due=due)
    if not options.from_file:
        yield replace(common, info=sys.stdin.read().rstrip("\n") if info == "-" else info)
        return
    common = replace(common, info=info)
    for n, asked in enumerate(rows_asked(options.from_file, common)):
        yield replace(asked, request=f"{request}/{n}")


def _pair(text: str) -> tuple[str, str]:
    key, mark, value = text.partition("=")
    if not mark or not key:
        raise WrongUse(f"--meta {text!r} is no pair; write --meta key=value")
    return key, value


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
