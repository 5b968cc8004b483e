"""The tasks that an act is about: by their names, or by filters."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import NamedTuple

import msgspec

from flowlord.cache.attempt import Attempt, State
from flowlord.cache.queries import History
from flowlord.cli import printer
from flowlord.cli.attempts import name_of
from flowlord.cli.exits import ANSWER_IS_BAD, DONE, WRONG_USE
from flowlord.cli.printer import Look
from flowlord.cli.selection import selected
from flowlord.cli.sources import Sources
from flowlord.cli.table import Column
from flowlord.cli.task import ambiguous, find, unknown
from flowlord.cli.taskfilter import Chosen
from flowlord.cli.times import to_us
from flowlord.model.clock import Clock

SHOWN = 50
"""Rows on a terminal, those that were refused first."""
FIELDS = ("result", "id", "key", "task", "moment", "new_key", "text")


class Row(NamedTuple):
    """What became of one task; `result` is one word."""

    result: str
    of: Attempt
    text: str = ""
    new_key: str = ""

    def record(self) -> dict[str, object]:
        """Return it as machines get it, with the names of FIELDS."""
        of = self.of
        return {
            "result": self.result,
            "id": of.id,
            "key": of.key,
            "task": of.name,
            "moment": of.moment,
            "new_key": self.new_key,
            "text": self.text,
        }


def nothing_chosen(verb: str) -> int:
    """Say that an act needs to know what it is about; returns the exit code."""
    printer.error(
        f"say which tasks to {verb}", hint=f"flowlord {verb} ID, or filters such as --topic and --since"
    )
    return WRONG_USE


def named(
    sources: Sources, history: History, names: Sequence[str], wanted: frozenset[State], now_us: int
) -> list[Attempt] | int:
    """Return the last attempt of each task, each once; an exit code when a name means none, or several.

    The id of a run means those of its tasks that are in one of the `wanted` states; its first one when none is.
    """
    found: dict[str, Attempt] = {}
    for name in names:
        tasks = find(sources, history, name)
        if len(tasks) != 1:
            return ambiguous(name, tasks, now_us) if tasks else unknown(name)
        [task] = tasks
        is_run = task.id == name or (task.id.startswith(name) and not task.key.startswith(name))
        ours = [each for each in history.run(task.id) if State(each.state) in wanted] if is_run else []
        for each in ours or [task]:
            last = history.attempts(each)[-1]
            found.setdefault(last.key, last)
    return list(found.values())


def meant(
    sources: Sources, names: Sequence[str], chosen: Chosen, otherwise: frozenset[State], clock: Clock
) -> list[Attempt] | int:
    """Return what an act is about: what is named, else what filters select; an exit code when a name is wrong."""
    if names:
        return named(sources, sources.history(fresh=True), names, otherwise, to_us(clock.now()))
    return filtered(sources, chosen, otherwise, clock)


def foreseen(rows: Sequence[Row], look: Look, *, name: str) -> None:
    """Print what would become of each, when a form for machines was asked for: the preview tells people."""
    if look.form not in ("", "table"):
        printer.rows((row.record() for row in rows), FIELDS, name=name, look=look)


def told(rows: Sequence[Row], verb: str, look: Look, *, name: str) -> int:
    """Print what became of each, and count; `verb` is the good result, `name` the field that stands for a row."""
    columns = [
        Column("result"),
        Column("id", lambda each, _: name_of(each)[:8]),
        Column("task"),
        Column("data time", lambda each, _: str(each["moment"]).removesuffix("T00")),
        Column("text", gives=True),
    ]
    shown = rows
    if look.resolved() == "table" and printer.on_terminal() and len(rows) > SHOWN:
        shown = sorted(rows, key=lambda row: row.result != "refused")[:SHOWN]
    printer.rows((row.record() for row in shown), FIELDS, name=name, columns=columns, look=look)
    if more := len(rows) - len(shown):
        printer.say(f"… {more:,} more; -o jsonl would have told each")
    counts = Counter(row.result for row in rows)
    before = f", {counts[f'already {verb}']:,} already {verb}" if counts[f"already {verb}"] else ""
    printer.say(
        f"{counts[verb]:,} {verb}{before}, {counts['refused']:,} refused" if rows else "no such tasks"
    )
    return ANSWER_IS_BAD if counts["refused"] else DONE


def filtered(sources: Sources, chosen: Chosen, otherwise: frozenset[State], clock: Clock) -> list[Attempt]:
    """Return what filters select; those of `otherwise` when no state is asked for."""
    wanted = chosen.wanted(clock.now())
    if not wanted.states:
        wanted = msgspec.structs.replace(wanted, states=otherwise)
    history = sources.history(fresh=True)
    return list(selected(sources, chosen.within(history, wanted), to_us(clock.now())))
