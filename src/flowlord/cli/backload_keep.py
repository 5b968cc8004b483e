"""`flowlord backload list|status|pause|resume|cancel`: how batches stand, and what people change about them."""

from __future__ import annotations

import os
from collections.abc import Callable
from contextlib import closing

from flowlord.bus.port import Bus
from flowlord.cache.attempt import FAILED
from flowlord.cache.queries import History
from flowlord.cache.schema import CacheUnusable
from flowlord.cli import printer
from flowlord.cli.buses import bus_at
from flowlord.cli.exits import DONE, NO_SUCH_THING
from flowlord.cli.people import who
from flowlord.cli.printer import Column, Look
from flowlord.cli.stores import storage_at
from flowlord.cli.texts import some
from flowlord.cli.times import iso
from flowlord.config import Settings
from flowlord.decide.standing import Standing
from flowlord.taskmaster import backloads

FIELDS = ("id", "task", "state", "sent", "total", "open", "failed", "at", "by", "words", "why")
COLUMNS = tuple(
    Column(field) for field in ("id", "task", "state", "sent", "total", "open", "failed", "at", "by")
)


def run(settings: Settings, verb: str, name: str, *, limit: int = 0, output: str = "") -> int:
    """Do one of these; returns the exit code."""
    with closing(bus_at(settings.bus, by="backload")) as bus:
        try:
            match verb:
                case "list":
                    _print(bus, settings, backloads.standings(bus), output)
                case "status":
                    found = backloads.standing(bus, name)
                    _print(bus, settings, [found], output)
                    if found.why:
                        printer.say(found.why)
                    if found.state in ("stopped", "paused"):
                        printer.say(f"to go on: flowlord backload resume {found.id}")
                case "pause":
                    _tell(backloads.pause(bus, name, who()))
                case "resume":
                    found = backloads.resume(bus, name, who(), storage_at(settings.storage), limit=limit)
                    _tell(found)
                    if found.state == "running":
                        printer.say("a daemon (flowlord run) goes on with it")
                case _:
                    found, gone = backloads.cancel(bus, name, who())
                    _tell(found)
                    printer.say(
                        f"cancelled: {some(gone, 'task')} that still waited; what runs is not stopped"
                    )
        except LookupError as error:
            printer.error(str(error.args[0]), hint="flowlord backload list")
            return NO_SUCH_THING
    return DONE


def _tell(found: Standing) -> None:
    printer.lines([found.id])
    total = f" of {found.total:,}" if found.total >= 0 else ""
    printer.say(f"{found.id} is {found.state}: {found.at.sent:,}{total} of {found.task} sent")


def _print(bus: Bus, settings: Settings, found: list[Standing], output: str) -> None:
    groups = [each.holds for each in found if each.holds]
    open_counts = bus.open_counts(groups) if groups else {}
    failed = _failed(settings)
    records = [
        {
            "id": each.id,
            "task": each.task,
            "state": each.state,
            "sent": each.at.sent,
            "total": each.total if each.total >= 0 else None,
            "open": open_counts.get(each.holds, 0) if each.holds else None,
            "failed": failed(each.id) if failed and each.holds else None,
            "at": iso(each.at_us),
            "by": each.by,
            "words": each.words.strip(),
            "why": each.why,
        }
        for each in found
    ]
    printer.rows(records, FIELDS, output, name="id", columns=COLUMNS, look=Look(output))
    if not records:
        printer.say("no backloads")


def _failed(settings: Settings) -> Callable[[str], int | None] | None:
    """Return what counts the failed tasks of a batch; None when there is no history to ask."""
    if not settings.cache.enabled or not os.path.exists(settings.cache.path):
        return None

    def count(batch: str) -> int | None:
        try:
            history = History.open(settings.cache.path)
        except CacheUnusable:
            return None
        with closing(history):
            states = history.states_of_batch(batch)
        return sum(number for state, number in states.items() if state in FAILED)

    return count
