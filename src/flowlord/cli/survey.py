"""What a backload would send: counted task by task before anything is sent, and compared with the history."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from itertools import islice

import msgspec

from flowlord.cache.attempt import FAILED, OPEN, State
from flowlord.cache.queries import History
from flowlord.decide.maker import Maker
from flowlord.decide.recipe import Cell, Position, Recipe, cells, text_of_numbers
from flowlord.model.errors import FlowlordError
from flowlord.model.message import Message
from flowlord.model.task import Task
from flowlord.rules.dateranges import compress_dates
from flowlord.storage.open import Storage
from flowlord.taskmaster.meta_files import rows_of_file

SHOWN = 3
"""Tasks that are shown of each end."""
COMPARED = 100_000
"""Tasks that are looked for in the history at most."""
PART = 500
KINDS = ("done", "failed", "under way", "missing")


@dataclass(slots=True)
class Survey:
    """`count` tasks of which `first` and `last` are shown; `known` tells how many the history has in which state.

    `chosen` are the numbers of those that are left when only some kinds are wanted, and `count` and what is shown are
    about these; None for all. `kinds` tells of each info what the history has of it.
    """

    count: int = 0
    first: list[Task] = field(default_factory=list)
    last: list[Task] = field(default_factory=list)
    times: list[datetime] = field(default_factory=list)
    known: Counter[str] | None = None
    kinds: dict[str, str] = field(default_factory=dict)
    chosen: str | None = None

    def ranges(self) -> str:
        """Return the dates as ranges, by the clock of the phase as they were asked for."""
        return compress_dates(time.replace(tzinfo=UTC) for time in self.times)


def survey(recipe: Recipe, storage: Storage, history: History | None, only: frozenset[str]) -> Survey:
    """Look through all tasks of a recipe.

    Args:
        history: None when there is none, or nobody wants to know.
        only: `missing` and `failed`; empty for all.
    Raises:
        FlowlordError: a row that is none, more tasks than the limit, or too many to be compared.
    """
    maker, found = Maker(recipe), Survey()
    infos: list[str] = []
    compares = history is not None and not maker.has_unique
    number = 0
    coming = _all(recipe, storage)
    try:
        while some := list(islice(coming, PART)):
            made = _note(found, maker, some, number)
            number += len(some)
            if number > recipe.limit:
                raise FlowlordError(
                    f"these are more than {recipe.limit:,} tasks",
                    hint="narrow the range, or allow more with --limit N",
                )
            if compares and len(infos) <= COMPARED:
                infos += [message.task.info for message in made]
    except (ValueError, OSError) as error:
        raise FlowlordError(f"it cannot be made: {error}", hint="nothing was sent; mend it first") from error
    if only and (history is None or not compares or len(infos) > COMPARED):
        text, hint = _incomparable(history, maker)
        raise FlowlordError(text, hint=hint)
    if history is None or not compares or len(infos) > COMPARED:
        return found
    states = history.newest_states(recipe.topic, recipe.job, frozenset(infos))
    kinds = [kind_of(states.get(info)) for info in infos]
    if only:
        chosen = text_of_numbers(n for n, kind in enumerate(kinds) if kind in only)
        found = _left(recipe, storage, chosen)
    found.known = Counter(kinds)
    found.kinds = dict(zip(infos, kinds, strict=True))
    return found


def tasks_of(recipe: Recipe, storage: Storage, most: int) -> Iterator[Task]:
    """Yield the first `most` tasks of a recipe that was looked through, made once more.

    Raises:
        FlowlordError: what its rows come from has changed since.
    """
    maker, number = Maker(recipe), 0
    coming = _all(recipe, storage) if most else iter(())
    try:
        while most > 0 and (some := list(islice(coming, PART))):
            made = maker.messages(number, [(time, row) for _, time, row, *_ in some])
            yield from (message.task for message in made[:most])
            number += len(some)
            most -= len(made)
    except (ValueError, OSError) as error:
        raise FlowlordError(f"it cannot be made any more: {error}", hint="nothing was sent") from error


def _left(recipe: Recipe, storage: Storage, chosen: str) -> Survey:
    """Return what is left when only these are wanted."""
    found = Survey(chosen=chosen)
    if chosen:
        maker, number = Maker(msgspec.structs.replace(recipe, chosen=chosen)), 0
        coming = _all(recipe, storage)
        while some := list(islice(coming, PART)):
            _note(found, maker, some, number)
            number += len(some)
    return found


def _note(found: Survey, maker: Maker, some: list[Cell], number: int) -> list[Message]:
    """Take in the cells from a number on; returns their tasks."""
    made = maker.messages(number, [(time, row) for _, time, row, *_ in some])
    found.count += len(made)
    found.first += [message.task for message in made[: max(SHOWN - len(found.first), 0)]]
    found.last = [*found.last, *(message.task for message in made[-SHOWN:])][-SHOWN:]
    for n, (_, time, *_rest) in enumerate(some, number):
        if time is not None and maker.is_chosen(n) and (not found.times or found.times[-1] is not time):
            found.times.append(time)
    return made


def kind_of(state: State | None) -> str:
    """Return what the newest attempt at a task means for one who asks whether it must be sent."""
    if state is None or state is State.CANCELLED:
        return "missing"
    if state in OPEN or state is State.RETRIED:
        return "under way"
    return "failed" if state in FAILED else "done"


def _incomparable(history: History | None, maker: Maker) -> tuple[str, str]:
    if history is None:
        return (
            "--only needs the history, and none is kept here",
            "name its file with --cache, or leave --only out",
        )
    if maker.has_unique:
        return "no two infos of this template are the same, so the history cannot tell which are missing", ""
    return f"--only looks at {COMPARED:,} tasks at most", "narrow the range"


def _all(recipe: Recipe, storage: Storage) -> Iterator[Cell]:
    return cells(
        recipe,
        Position(),
        lambda number, offset, line: rows_of_file(storage, recipe.files[number], offset, line),
    )
