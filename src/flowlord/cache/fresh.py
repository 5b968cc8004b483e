"""What one fact tells of an attempt of which nothing was known, as nearly all facts do: made into rows at once.

No attempt is made of such a fact. What many rows have in common is their kind, and is bound once for all of them; what
remains is bound for each.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from operator import itemgetter
from typing import Any, Final, TypeAlias

from flowlord.cache import rows
from flowlord.cache.attempt import COLUMNS, RESULTS, hour_told, microseconds, told_by_meta
from flowlord.cache.days import DAY_US, Slot, Sums
from flowlord.cache.writing import Fresh
from flowlord.model.message import Report
from flowlord.model.plan import FactKind

Row: TypeAlias = tuple[Any, ...]
Kinds: TypeAlias = dict[Row, list[Row]]

_PUBLISHED: Final = FactKind.PUBLISHED
_SOME: Final = 2_048
"""Facts that are looked through at a time for those of one kind; so what belongs together lies near each other."""
_FEW: Final = 8
"""Of fewer rows it does not pay to bind what they have alike."""
_KIND: Final = (
    "topic",
    "type",
    "job",
    "phase",
    "workflow",
    "revision",
    "batch",
    "priority",
    "number",
    "moment",
)
_META_AT: Final = 3
"""Where `meta` stands in a kind when it is that of all: in the order of `rows.STORED`."""
_NOBODY: Final = Report()


class _Form:
    """How rows are written that have these columns each, `meta` as the last one, and those of their kind in common.

    `same` names columns that hold what another one of `own` holds; the others are empty.
    """

    def __init__(self, own: Sequence[str], kind: Sequence[str], same: Mapping[str, str]) -> None:
        self._each = rows.insert_alike(own, kind, same)
        self._of_meta = rows.insert_alike(own[:-1], (*kind[:_META_AT], "meta", *kind[_META_AT:]), same)
        names = [*own, *kind]
        self._empty = tuple(value for name, value in rows.BLANK.items() if name not in (*names, *same))
        names += [name for name in rows.BLANK if name not in (*names, *same)]
        self._whole = itemgetter(*(names.index(same.get(name, name)) for name in COLUMNS))

    def write(self, db: sqlite3.Connection, kinds: Kinds) -> Iterator[Row]:
        """Write what is many of a kind, and yield the others as whole rows."""
        for kind, some in kinds.items():
            meta = some[0][-1]
            if len(some) < _FEW:
                yield from (self._whole((*each, *kind, *self._empty)) for each in some)
            elif all(each[-1] == meta for each in some):
                alike = (*kind[:_META_AT], meta, *kind[_META_AT:])
                self._of_meta.run(db, [each[:-1] for each in some], alike)
            else:
                self._each.run(db, some, kind)


_WAITING: Final = _Form(
    ("n", "key", "id", "info", "created", "cause", "published_us", "meta"),
    _KIND,
    {"happened_us": "published_us"},
)
_ENDED: Final = _Form(
    ("n", "key", "id", "info", "created", "cause", "happened_us", "started_us", "ended_us", "meta"),
    (*_KIND, "state", "result", "worker", "deliveries"),
    {},
)


def write(db: sqlite3.Connection, portions: Iterable[tuple[Sequence[int], list[Fresh]]]) -> dict[Slot, Sums]:
    """Write a row with its number for each, and return what the numbers of days change by.

    Rows of a kind are written together, of a portion and of _SOME.
    """
    found: dict[Slot, Sums] = {}
    for numbers, fresh in portions:
        for first in range(0, len(fresh), _SOME):
            waiting, ended = _kinds(numbers[first : first + _SOME], fresh[first : first + _SOME])
            others = [*_ENDED.write(db, ended), *_WAITING.write(db, waiting)]
            rows.write_mixed(db, others)
            for slot, sums in _days(ended):
                found[slot] = found.get(slot, Sums()).plus(sums)
    return found


def _kinds(numbers: Iterable[int], fresh: Iterable[Fresh]) -> tuple[Kinds, Kinds]:
    """Return rows of what waits and of what has ended, by kind.

    Neighbours are mostly of one kind, which is compared in a fraction of the time of looking it up.
    """
    waiting: Kinds = {}
    ended: Kinds = {}
    add_waiting: Callable[[Row], None]
    add_ended: Callable[[Row], None]
    last_waiting: Row = ()
    last_ended: Row = ()
    told, number, planned = "", 1, ""
    for n, (fact, at) in zip(numbers, fresh, strict=True):
        task = fact.task
        assert task is not None
        meta = task.meta
        if meta != told:
            told, (number, planned) = meta, told_by_meta(meta)
        moment = planned or hour_told(task)
        if fact.kind is _PUBLISHED:
            kind: Row = (
                fact.topic, task.type, task.job, fact.phase, fact.revision, fact.batch, fact.priority, number, moment
            )  # fmt: skip
            if kind != last_waiting:
                add_waiting, last_waiting = waiting.setdefault(kind, []).append, kind
            add_waiting((n, fact.key, task.id, task.info, task.created, fact.cause, at, meta))
        else:
            report = fact.report or _NOBODY
            kind = (
                fact.topic, task.type, task.job, fact.phase, fact.revision, fact.batch, fact.priority, number, moment,
                task.result, report.worker, report.deliveries,
            )  # fmt: skip
            if kind != last_ended:
                add_ended, last_ended = ended.setdefault(kind, []).append, kind
            add_ended(
                (
                    n, fact.key, task.id, task.info, task.created, fact.cause, at,
                    microseconds(task.started), microseconds(task.ended) or at, meta,
                )
            )  # fmt: skip
    return _whole(waiting), _whole(ended)


def _whole(kinds: Kinds) -> Kinds:
    """Return the same by whole kinds: with the workflow that the phase tells, and the state that the result is."""
    found: Kinds = {}
    for kind, some in kinds.items():
        topic, type_, job, phase, *middle = kind[:9]
        result = kind[9:]
        state = (RESULTS.get(result[0], "error"),) if result else ()
        found[topic, type_, job, phase, phase.partition(":")[0], *middle, *state, *result] = some
    return found


def _days(ended: Kinds) -> Iterator[tuple[Slot, Sums]]:
    """Yield what `days.counted` tells of each: nothing is known of when it was published, so it did not wait."""
    for kind, some in ended.items():
        topic, type_, job, state = *kind[:3], kind[len(_KIND)]
        by_day: dict[int, list[int]] = {}
        for _, _, _, _, _, _, at, started, ended_at, _ in some:
            day = at // DAY_US
            if day in by_day:
                by_day[day].append(ended_at - started if started else 0)
            else:
                by_day[day] = [ended_at - started if started else 0]
        for day, times in by_day.items():
            ran = [took for took in times if took > 0]
            yield (
                Slot(day, topic, type_, job, state),
                Sums(len(times), len(ran), sum(ran), max(ran, default=0)),
            )
