"""`flowlord backload TYPE[:JOB]`: show what would be sent, and send it."""

from __future__ import annotations

import os
import socket
import sys
import threading
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import UTC, datetime

import msgspec

from flowlord.bus.clock import SystemClock
from flowlord.bus.port import Bus
from flowlord.cli import printer
from flowlord.cli.backload_limit import limit_of
from flowlord.cli.backload_show import show, words_of
from flowlord.cli.buses import bus_at
from flowlord.cli.exits import ANSWER_IS_BAD, DONE, NO_SUCH_THING, NOT_CONFIRMED, WRONG_USE
from flowlord.cli.flag_values import WrongUse, priority_of
from flowlord.cli.origin import load_known
from flowlord.cli.outlook import outlook
from flowlord.cli.people import who
from flowlord.cli.progress import Progress
from flowlord.cli.sources import Sources
from flowlord.cli.stores import storage_at
from flowlord.cli.survey import survey
from flowlord.cli.texts import some
from flowlord.config import Settings
from flowlord.decide.backload import (
    MOST_UNASKED,
    Backload,
    BadRequest,
    Request,
    identity_of,
    named,
    on_backload,
    phase_of,
    source_of,
)
from flowlord.decide.context import Context
from flowlord.decide.recipe import Pace
from flowlord.decide.standing import Asked, Standing
from flowlord.rules.rates import every_us_of
from flowlord.taskmaster.backloads import ask, standing
from flowlord.taskmaster.batches import Batches
from flowlord.taskmaster.chance import Chance, Stamps
from flowlord.taskmaster.surroundings import Surroundings, read_sources

LOOK_S = 0.2
"""How often to look again while a daemon publishes what this command waits for."""


@dataclass(frozen=True, slots=True)
class Options:
    """What the command line said."""

    name: str
    start: str = ""
    end: str = ""
    at: str = ""
    by: str = ""
    meta: tuple[str, ...] = ()
    meta_file: str = ""
    template: str = ""
    workflow: str = ""
    workflows: str = ""
    only: str = ""
    order: str = ""
    rate: str = ""
    max_active: int = 0
    serial: bool = False
    priority: str = ""
    limit: int = 0
    execute: bool = False
    yes: bool = False
    again: bool = False
    wait: bool = False
    stop_at: str = ""
    output: str = ""
    quiet: bool = False


def run(settings: Settings, options: Options) -> int:
    """Show, or send, a backload; returns the exit code."""
    clock = SystemClock()
    storage = storage_at(settings.storage)
    with ExitStack() as opened:
        sources = Sources(settings.bus, settings.cache.path if settings.cache.enabled else None, clock)
        opened.callback(sources.close)
        try:
            only = _only(options.only)
            request = _request(options)
            known = load_known(
                options.workflows or settings.taskmaster.workflows, lambda: _bus(settings, opened)
            )
            phase = phase_of(request, known.flows)
            if phase is None and not (options.template or options.workflow):
                from flowlord.cli.places import unknown_phase

                return unknown_phase(
                    options.name, (each for flow in known.flows.by_name.values() for each in flow.phases)
                )
            source = source_of(request, phase)
            ctx = Context(
                now=Stamps(clock, Chance().digit()).now(),
                host=socket.gethostname(),
                sources=read_sources([source] if source else [], storage),
            )
            found = on_backload(request, known.flows, ctx)
        except WrongUse as error:
            printer.error(str(error), hint=error.hint)
            return WRONG_USE
        except BadRequest as error:
            printer.error(str(error), hint=error.hint)
            return NO_SUCH_THING if error.is_missing else WRONG_USE
        is_kept = settings.cache.enabled and os.path.exists(settings.cache.path)
        history = sources.history(fresh=True) if is_kept and (only or not options.execute) else None
        seen = survey(found.recipe, storage, history, only)
        recipe = found.recipe
        if seen.chosen is not None:
            recipe = msgspec.structs.replace(recipe, chosen=seen.chosen or "-")
        id_ = identity_of(request, recipe, Chance().token() if options.again else "")
        found = msgspec.structs.replace(found, recipe=named(recipe, id_))
        if not options.execute:
            now_us = int(clock.now().timestamp() * 1e6)
            ahead = outlook(found.recipe, seen.count, known.flows, history, sources, now_us)
            return printer.quietly(lambda: show(found, seen, ahead, options, storage))
        total = seen.count
        if not total:
            printer.say("there is nothing to send")
            return DONE
        if total > MOST_UNASKED and not options.yes and not _confirmed(total, found):
            return NOT_CONFIRMED
        around = Surroundings(
            bus=_bus(settings, opened),
            clock=clock,
            chance=Chance(),
            stamps=Stamps(clock, Chance().digit()),
            consumer=who(),
            storage=storage,
        )
        return _send(around, found, total, options)


def _send(around: Surroundings, found: Backload, total: int, options: Options) -> int:
    from flowlord.cli.backload_wait import wait_for

    recipe, id_ = found.recipe, found.recipe.batch
    limit = limit_of(options.stop_at) if options.stop_at else None
    waits = options.wait or limit is not None
    _, before = around.bus.journal_bounds()
    asked = Asked(recipe.base_name, total, who(), around.bus.now_us(), words_of(found, options))
    if not ask(around.bus, recipe, asked):
        _tell_again(standing(around.bus, id_))
        return wait_for(around.bus, id_, recipe.topic, 0, limit) if waits else DONE
    printer.lines([id_])
    if recipe.pace is not None:
        printer.say(
            f"{id_}: {some(total, 'task')} of {recipe.base_name} to send at their pace, by a daemon (flowlord run)\n"
            f"how far: flowlord backload status {id_}"
        )
        return wait_for(around.bus, id_, recipe.topic, before, limit) if waits else DONE
    try:
        with Progress("tasks", total, around.clock, quiet=options.quiet) as progress:
            _publish(around, id_, progress)
    except KeyboardInterrupt:
        printer.say(f"{id_} goes on wherever a daemon runs; to stop it: flowlord backload cancel {id_}")
        raise
    now = standing(around.bus, id_)
    if now.state == "published":
        printer.say(f"sent {some(now.at.sent, 'task')} to {recipe.topic} as {id_}")
        return wait_for(around.bus, id_, recipe.topic, before, limit) if waits else DONE
    printer.error(
        f"{id_} is {now.state} after {now.at.sent:,} of {some(total, 'task')}: {now.why}",
        hint=f"mend it, then: flowlord backload resume {id_}" if now.state == "stopped" else "",
    )
    return ANSWER_IS_BAD


def _publish(around: Surroundings, id_: str, progress: Progress) -> None:
    """Publish the batch, together with any daemon that is at it too."""
    batches, pause = Batches(around), threading.Event()
    while (now := standing(around.bus, id_)).state == "running":
        if not batches.drive(id_):
            pause.wait(LOOK_S)
        progress.at(now.at.sent)


def _tell_again(now: Standing) -> None:
    total = f" of {now.total:,}" if now.total >= 0 else ""
    when = datetime.fromtimestamp(now.at_us / 1e6, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    printer.lines([now.id])
    printer.say(
        f"already asked for as {now.id} by {now.by} at {when}: {now.state}, {now.at.sent:,}{total} sent\n"
        "nothing was sent now; to send it once more: the same with --again"
    )


def _confirmed(total: int, found: Backload) -> bool:
    """Ask a person; in a pipe nobody can answer."""
    if sys.stdin.isatty() and sys.stderr.isatty():
        sys.stderr.write(f"send {some(total, 'task')} of {found.recipe.base_name}? [y/N] ")
        sys.stderr.flush()
        if sys.stdin.readline().strip().lower() in ("y", "yes"):
            return True
        printer.say("nothing was sent")
        return False
    printer.error(
        f"these are {total:,} tasks, more than {MOST_UNASKED:,}: nothing was sent",
        hint="the same with -y sends them unasked",
    )
    return False


def _request(options: Options) -> Request:
    """Return what the flags ask for.

    Raises:
        WrongUse: a flag that cannot be understood.
    """
    if options.at and (options.start or options.end):
        raise WrongUse("--at and --from/--to exclude each other")
    if options.meta and options.meta_file:
        raise WrongUse("--meta and --meta-file exclude each other")
    if options.order not in ("", "newest", "oldest"):
        raise WrongUse(f"--order {options.order!r} is none", "write newest or oldest")
    if options.stop_at:
        limit_of(options.stop_at)
        if not (options.rate or options.max_active or options.serial):
            raise WrongUse(
                "--stop-at-failures without a pace stops nothing: all is sent before anything can fail",
                "give --rate, --max-active or --serial",
            )
    if not options.name.partition(":")[0]:
        raise WrongUse("the type is empty", "write TYPE or TYPE:JOB")
    return Request(
        task=options.name,
        template=options.template,
        workflow=options.workflow,
        at=options.at,
        start=options.start,
        end=options.end,
        by=options.by,
        meta=dict(_list(text) for text in options.meta),
        meta_file=options.meta_file,
        execute=options.execute,
        is_strict=True,
        order=options.order,
        priority=priority_of(options.priority),
        limit=options.limit,
        pace=_pace(options),
    )


def _list(text: str) -> tuple[str, tuple[str, ...]]:
    key, mark, values = text.partition("=")
    if not key or not mark:
        raise WrongUse(f"--meta {text!r} is no list", "write --meta key=value or --meta key=a,b,c")
    return key, tuple(values.split(","))


def _pace(options: Options) -> Pace | None:
    if options.max_active < 0:
        raise WrongUse("--max-active must be 1 or more")
    active = 1 if options.serial else options.max_active
    every_us = every_us_of(options.rate) if options.rate else 0
    return Pace(every_us, active) if every_us or active else None


def _only(text: str) -> frozenset[str]:
    words = frozenset(word.strip() for word in text.split(",") if word.strip()) - {"all"}
    if words - {"missing", "failed"}:
        raise WrongUse(f"--only {text!r} is none", "write missing, failed, missing,failed or all")
    return words


def _bus(settings: Settings, opened: ExitStack) -> Bus:
    found = bus_at(settings.bus, by="backload")
    opened.callback(found.close)
    return found
