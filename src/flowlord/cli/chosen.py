"""The tasks that an act is about: by their names, or by filters."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import NamedTuple

import msgspec

from flowlord.cache.attempt import Attempt, State
from flowlord.cli import printer
from flowlord.cli.attempts import told_by_bus
from flowlord.cli.exits import ANSWER_IS_BAD, DONE, WRONG_USE
from flowlord.cli.printer import Look
from flowlord.cli.selection import selected
from flowlord.cli.sources import Sources
from flowlord.cli.table import Column
from flowlord.cli.task import ambiguous, find, unknown
from flowlord.cli.taskfilter import Chosen
from flowlord.cli.times import to_us
from flowlord.model.clock import Clock

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


def meant(
    sources: Sources, names: Sequence[str], chosen: Chosen, otherwise: frozenset[State], clock: Clock
) -> list[Attempt] | int:
    """Return the attempts that an act is about: the last one of each task that is named, else what filters select.

    Without a state among the filters those of `otherwise` are meant. Returns an exit code, with the words said, when a
    name means no task, or several.
    """
    now_us = to_us(clock.now())
    history = sources.history(fresh=True)
    if not names:
        wanted = chosen.wanted(clock.now())
        if not wanted.states:
            wanted = msgspec.structs.replace(wanted, states=otherwise)
        return list(selected(sources, chosen.within(history, wanted), now_us))
    found: dict[str, Attempt] = {}
    for name in names:
        candidates = find(sources, history, name)
        if len(candidates) != 1:
            return ambiguous(name, candidates, now_us) if candidates else unknown(name)
        attempts = history.attempts(candidates[0])
        sources.ask(lambda bus, some=attempts: told_by_bus(some, bus), None)  # type: ignore[misc]
        found.setdefault(attempts[-1].key, attempts[-1])
    return list(found.values())


def told(rows: Sequence[Row], done: str, already: str, *, name: str, look: Look) -> int:
    """Print what became of each, and how many came to what; returns the exit code.

    `done` and `already` are the results that are none to worry about; `name` is the field that `-o name` prints.
    """
    columns = [
        Column("result"),
        Column("id", lambda each, _: str(each["id"])[:8]),
        Column("task"),
        Column("data time", lambda each, _: str(each["moment"]).removesuffix("T00")),
        Column("text", gives=True),
    ]
    printer.rows((row.record() for row in rows), FIELDS, name=name, columns=columns, look=look)
    counts = Counter(row.result for row in rows)
    known = f", {counts[already]:,} {already}" if counts[already] else ""
    printer.say(f"{counts[done]:,} {done}{known}, {counts['refused']:,} refused" if rows else "no such tasks")
    return ANSWER_IS_BAD if counts["refused"] else DONE
