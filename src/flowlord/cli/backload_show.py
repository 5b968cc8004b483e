"""What a backload that is not sent yet looks like: its ends for people, all of its tasks for machines."""

from __future__ import annotations

import shlex
from collections.abc import Iterable
from itertools import islice
from typing import TYPE_CHECKING

from flowlord.cli import printer
from flowlord.cli.exits import DONE
from flowlord.cli.outlook import Outlook
from flowlord.cli.printer import Column, Look, Sheet
from flowlord.cli.survey import KINDS, Survey, tasks_of
from flowlord.cli.texts import json_text, some
from flowlord.decide.backload import Backload
from flowlord.model.task import Task
from flowlord.storage.open import Storage

if TYPE_CHECKING:
    from flowlord.cli.backload_send import Options

FIELDS = ("n", "moment", "type", "job", "info", "meta", "state")
COLUMNS = tuple(Column(field) for field in ("n", "moment", "info", "state"))
PART = 500
Record = dict[str, object]


def show(found: Backload, seen: Survey, ahead: Outlook, options: Options, storage: Storage) -> int:
    """Print what would be sent, in a table the ends of it only, and tell about the whole; returns the exit code."""
    recipe, look = found.recipe, Look(options.output)
    every = (
        _record(task, seen, number) for number, task in enumerate(tasks_of(recipe, storage, seen.count), 1)
    )
    form = look.resolved()
    if form == "table":
        last = seen.last[-min(len(seen.last), seen.count - len(seen.first)) :]
        if seen.count == len(seen.first):
            last = []
        ends = [_record(task, seen, number) for number, task in _numbered(seen, last)]
        printer.rows(ends, FIELDS, columns=COLUMNS, look=look)
        if len(ends) < seen.count:
            printer.say(f"… {seen.count - len(ends):,} more between them")
    elif form == "json":
        whole = {
            "id": recipe.batch,
            "task": recipe.base_name,
            "workflow": recipe.workflow,
            "count": seen.count,
            "ranges": seen.ranges(),
            "known": dict(seen.known) if seen.known is not None else None,
            **ahead.record(),
            "notes": list(found.notes),
        }
        _document(whole, every)
    else:
        sheet = Sheet(FIELDS, name="info", look=look)
        sheet.add(every)
        sheet.close()
    printer.say(
        f"{some(seen.count, 'task')} of {recipe.base_name}{words_of(found, options)}: {', '.join(found.notes)}"
    )
    if seen.times:
        printer.say(f"  dates    {seen.ranges()}")
    if seen.known is not None:
        told = ", ".join(f"{seen.known[kind]:,} {kind}" for kind in KINDS if seen.known[kind])
        printer.say(f"  history  {told or 'knows none of them'}")
    for line in ahead.lines() if seen.count else ():
        printer.say(f"  {line}")
    printer.say(
        "nothing was sent; the same with --execute sends it" if seen.count else "there is nothing to send"
    )
    return DONE


def _numbered(seen: Survey, last: list[Task]) -> list[tuple[int, Task]]:
    first = list(enumerate(seen.first, 1))
    return first + list(enumerate(last, seen.count - len(last) + 1))


def _document(whole: Record, every: Iterable[Record]) -> None:
    """Print one JSON document whose `tasks` may be many more than fit into memory at once."""
    printer.lines([f'{json_text(whole)[:-1]}, "tasks": ['])
    coming, mark = iter(every), " "
    while some_of_them := list(islice(coming, PART)):
        lines = []
        for record in some_of_them:
            lines.append(f"{mark}{json_text(record)}")
            mark = ","
        printer.lines(lines)
    printer.lines(["]}"])


def _record(task: Task, seen: Survey, number: int) -> Record:
    return {
        "n": number, "moment": _moment(task.meta), "type": task.type, "job": task.job, "info": task.info,
        "meta": task.meta, "state": seen.kinds.get(task.info, ""),
    }  # fmt: skip


def _moment(meta: str) -> str:
    from flowlord.rules.metastring import parse_meta

    return parse_meta(meta).get("cron", [""])[0]


def words_of(found: Backload, options: Options) -> str:
    """Return the range and the pace, for people."""
    span = found.recipe.span
    words = (
        f" from {span.start[:16]} to {span.end[:16]} by {span.by or 'day'}"
        if span.end
        else f" at {span.start[:16]}"
    )
    more = [
        f"{name} {shlex.quote(str(value))}"
        for name, value in (
            ("only", options.only),
            ("rate", options.rate),
            ("max-active", options.max_active or ""),
            ("order", options.order),
        )
        if value
    ]
    return words + "".join(f", {each}" for each in (*more, *(["serial"] if options.serial else [])))
