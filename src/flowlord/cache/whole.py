"""Counting attempts by the numbers of whole days: a question about a quarter of a year then reads few of its rows."""
# ruff: noqa: S608 - statements are put together from names of ours only; every value is a parameter.

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from typing import TYPE_CHECKING, NamedTuple

import msgspec

from flowlord.cache.days import DAY_US
from flowlord.cache.filter import Filter, where

if TYPE_CHECKING:
    from flowlord.cache.queries import History, SqlRow

OPEN = "('waiting', 'later')"
_EVER_US = 1 << 62
# Ended attempts of each day, as their rows are there and as the numbers say; and when the last row of it happened.
_CHECKED = f"""SELECT day, (SELECT count(*) FROM tasks WHERE happened_us >= day * {DAY_US}
    AND happened_us < (day + 1) * {DAY_US} AND state NOT IN {OPEN}) = sum(attempts)
    FROM days WHERE day >= ? AND day < ? GROUP BY day"""


_LAST = f"""SELECT value, (SELECT happened_us FROM tasks WHERE happened_us >= value * {DAY_US}
    AND happened_us < (value + 1) * {DAY_US} AND state NOT IN {OPEN} AND {{}} ORDER BY happened_us DESC LIMIT 1)
    FROM json_each(?)"""
_IN = "day IN (SELECT value FROM json_each(?)) AND attempts > 0"
_Found = dict[tuple[str | int, str, str], tuple[int, int]]


class Count(NamedTuple):
    """So many attempts of one task and kind, and when the newest of the kind, or later, happened (microseconds)."""

    kind: str | int
    topic: str
    job: str
    many: int
    last_us: int


def counts(history: History, wanted: Filter, by: str, now_us: int) -> list[Count] | None:
    """Return what the rows of the file that are wanted count to, in the order of kinds and tasks.

    Days of which every row is still there are counted by their numbers, but for the last day of each topic or state,
    which tells when it was last. Everything else is read row by row.

    Args:
        by: what tells kinds apart: `topic`, `state` or `day`, in days since 1970.
    Returns:
        None when something else is asked for than the numbers of days know, or they would save little.
    """
    if not _pays(wanted):
        return None
    first_us, end_us = wanted.since_us, wanted.until_us or _EVER_US
    checked = history.rows(_CHECKED, (-(-first_us // DAY_US), end_us // DAY_US))
    days = {int(day) for day, is_whole in checked if is_whole}
    among = _IN + (" AND state IN (SELECT value FROM json_each(?))" if wanted.states else "")
    states = [_json(wanted.states)] if wanted.states else []
    if by != "day":
        last = f"SELECT {by}, max(day) FROM days WHERE {among} GROUP BY 1"
        days -= {int(day) for _, day in list(history.rows(last, (_json(days), *states)))}
    sql = f"SELECT {by}, topic, job, sum(attempts), 0 FROM days WHERE {among} GROUP BY 1, 2, 3"
    found: _Found = {}
    _add(found, history.rows(sql, (_json(days), *states)))
    condition, values = where(wanted, now_us)
    if by == "day":
        ends: dict[object, int | None] = dict(history.rows(_LAST.format(condition), (*values, _json(days))))
        found = {name: (count, ends[name[0]] or 0) for name, (count, _) in found.items()}
    kind = f"happened_us / {DAY_US}" if by == "day" else by
    rows = f"SELECT {kind}, topic, job, count(*), max(happened_us) FROM tasks WHERE {condition}"
    for begin_us, stop_us in _between(days, first_us, end_us):
        bounds = f"happened_us >= ? AND happened_us < ? AND state NOT IN {OPEN}"
        _add(found, history.rows(f"{rows} AND {bounds} GROUP BY 1, 2, 3", (*values, begin_us, stop_us)))
    # Said as the index by state says it.
    still_open = f"state <> 'complete' AND state IN {OPEN}"
    _add(found, history.rows(f"{rows} AND {still_open} GROUP BY 1, 2, 3", values))
    return [Count(*name, *many) for name, many in sorted(found.items())]


def _pays(wanted: Filter) -> bool:
    """Tell whether days tell all that is asked, and its rows are many: of other questions an index leaves few."""
    plain = Filter(wanted.states, since_us=wanted.since_us, until_us=wanted.until_us)
    return wanted == plain and (not wanted.states or "complete" in wanted.states)


def _between(days: Collection[int], first_us: int, end_us: int) -> Iterator[tuple[int, int]]:
    """Yield what lies around and between whole days: from when, and until before when."""
    at_us = first_us
    for day in sorted(days):
        if day * DAY_US > at_us:
            yield at_us, day * DAY_US
        at_us = (day + 1) * DAY_US
    if at_us < end_us:
        yield at_us, end_us


def _add(found: _Found, rows: Iterable[SqlRow]) -> None:
    for kind, topic, job, count, last_us in rows:
        before, last_before_us = found.get((kind, topic, job), (0, 0))
        found[kind, topic, job] = before + count, max(last_before_us, last_us)


def _json(values: Iterable[int] | Iterable[str]) -> str:
    return msgspec.json.encode(list(values)).decode()
