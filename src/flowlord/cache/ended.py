"""What one fact tells of an attempt that is known to wait, as nearly all do that end: its row is changed at once.

No attempt is made of such a fact or of its row. Of the row is read what the numbers of days need and nothing else, and
what many ends have in common is bound once for all of them.
"""

# ruff: noqa: S608 - statements are put together from names of ours only; every value is a parameter.

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Mapping, Sequence
from typing import Final, NamedTuple

from msgspec.json import Decoder

from flowlord.cache.attempt import RESULTS, microseconds
from flowlord.cache.days import DAY_US, Slot, Sums
from flowlord.cache.ledger import Entry
from flowlord.cache.many import Many, row, select_in
from flowlord.cache.writing import Fresh
from flowlord.model.message import Report
from flowlord.model.plan import FactKind


class Known(NamedTuple):
    """What is needed of a row. It was ready at `ready_us`; nothing else was told of it than that when it `only_waits`.

    `ready_us` is microseconds since 1970 UTC.
    """

    key: str
    n: int
    topic: str
    type: str
    job: str
    ready_us: int
    only_waits: int


_PUBLISHED, _DONE = FactKind.PUBLISHED, FactKind.DONE
_OF_KNOWN: Final = frozenset({FactKind.QUARANTINED, FactKind.MOVED})
"""Of what is unknown nothing may be written down for these, so that it would not show that there is a row."""
_NOBODY: Final = Report()
_FEW: Final = 8
"""Of fewer rows it does not pay to bind what they have alike."""
_KIND: Final = ("state", "result", "worker", "deliveries")
_OWN: Final = ("meta", "started_us", "ended_us", "happened_us")
# A row of which anything else was told, since it was published, goes the way of all others.
_SELECT: Final = (
    "SELECT json_group_array(json_array(key, n, topic, type, job, max(published_us, due_us), "
    "state IN ('waiting', 'later') AND published_us > 0 AND reason = '' AND msg = '' AND worker = '' "
    "AND deliveries = 0 AND output = '')) FROM tasks WHERE key IN "
)
_rows = Decoder(list[Known]).decode


def _update(alike: Sequence[str], own: Sequence[str]) -> Many:
    told = [f"{name} = ?{at}" for at, name in enumerate(alike, 1)]
    told += [f"{name} = told.column{at}" for at, name in enumerate(own, 2)]
    head = f"UPDATE OR FAIL tasks SET {', '.join(told)} FROM (VALUES"
    return Many(head, row(1 + len(own)), ") AS told WHERE tasks.n = told.column1")


_ALIKE: Final = _update(_KIND, _OWN)
_EACH: Final = _update((), (*_OWN, *_KIND))


def heard(entries: Iterable[Entry], *, first_heard: bool) -> tuple[dict[str, Fresh], set[str]]:
    """Return by key the ends of which nothing else is told in these entries, and the other keys to be looked for.

    With `first_heard`, without those that are published in them, as `ledger.keys_of`.
    """
    once: dict[str, Fresh] = {}
    keys: set[str] = set()
    new: set[str] = set()
    surely: set[str] = set()
    for entry in entries:
        at = entry.at_us
        for fact in entry.facts:
            key, kind = fact.key, fact.kind
            if first_heard and kind is _PUBLISHED:
                new.add(key)
            elif kind is _DONE and key not in keys and key not in once:
                once[key] = (fact, at)
            else:
                keys.add(key)
                once.pop(key, None)
                if kind in _OF_KNOWN:
                    surely.add(key)
    if not new.isdisjoint(once):
        once = {key: told for key, told in once.items() if key not in new}
    keys -= new - surely
    once.pop("", None)
    keys.discard("")
    return once, keys


def known(db: sqlite3.Connection, keys: Sequence[str]) -> list[Known]:
    """Return what is needed of the rows with these keys, of those that there are."""
    return [each for told in select_in(db, _SELECT, keys) for each in _rows(told)]


def write(db: sqlite3.Connection, rows: Iterable[Known], once: Mapping[str, Fresh]) -> dict[Slot, Sums]:
    """Change the rows, each by the fact of its key, and return what the numbers of days change by."""
    kinds: dict[tuple[str, str, int], list[tuple[object, ...]]] = {}
    days: dict[tuple[int, str, str, str, str], list[tuple[int, int]]] = {}
    for key, n, topic, type_, job, ready, _ in rows:
        fact, at = once[key]
        task, report = fact.task, fact.report or _NOBODY
        assert task is not None
        result, started = task.result, microseconds(task.started)
        ended = microseconds(task.ended) or at
        each = (n, task.meta, started, ended, at)
        kind = (result, report.worker, report.deliveries)
        if kind in kinds:
            kinds[kind].append(each)
        else:
            kinds[kind] = [each]
        slot = (at // DAY_US, topic, type_, job, RESULTS.get(result, "error"))
        times = (ended - started, started - ready) if started else (0, 0)
        if slot in days:
            days[slot].append(times)
        else:
            days[slot] = [times]
    others: list[tuple[object, ...]] = []
    for (result, worker, deliveries), some in kinds.items():
        alike = (RESULTS.get(result, "error"), result, worker, deliveries)
        if len(some) < _FEW:
            others += ((*each, *alike) for each in some)
        else:
            _ALIKE.run(db, some, alike)
    _EACH.run(db, others)
    return {Slot(*slot): _sums(times) for slot, times in days.items()}


def _sums(times: Sequence[tuple[int, int]]) -> Sums:
    ran = [took for took, _ in times if took > 0]
    waited = [wait for _, wait in times if wait > 0]
    return Sums(
        len(times), len(ran), sum(ran), max(ran, default=0), len(waited), sum(waited), max(waited, default=0)
    )
