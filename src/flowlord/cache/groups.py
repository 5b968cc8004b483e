"""How many attempts there are of each kind: by error, topic, day or state."""
# ruff: noqa: S608 - statements are put together from names of ours only; every value is a parameter.

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from typing import Literal

import msgspec

from flowlord.cache import whole
from flowlord.cache.attempt import Attempt, State
from flowlord.cache.filter import Filter, where
from flowlord.cache.queries import History, SqlRow
from flowlord.rules.errortext import folded

By = Literal["error", "topic", "day", "state"]
BY: tuple[By, ...] = ("error", "topic", "day", "state")
NAMES = 20
"""Names of tasks that a group remembers."""
_DAY_US = 86_400_000_000
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
# All but the first read nothing but the index by time.
_KINDS: dict[By, str] = {
    "error": "CASE msg WHEN '' THEN reason ELSE msg END, type, job",
    "topic": "topic, topic, job",
    "day": f"happened_us / {_DAY_US}, topic, job",
    "state": "state, topic, job",
}


class Group(msgspec.Struct):
    """Attempts that belong together.

    `names` are of its tasks, NAMES at most; `moment_from` and `moment_to` the first and the last data time, known for
    errors only; `last_us` is when the newest of them happened.
    """

    value: str
    count: int = 0
    names: set[str] = msgspec.field(default_factory=set)
    moment_from: str = ""
    moment_to: str = ""
    last_us: int = 0

    def take(self, count: int, name: str, first: str, last: str, happened_us: int) -> None:
        """Count some more; a negative `count` takes away."""
        self.count += count
        if count <= 0:
            return
        if len(self.names) < NAMES:
            self.names.add(name)
        if first and (not self.moment_from or first < self.moment_from):
            self.moment_from = first
        self.moment_to = max(self.moment_to, last)
        self.last_us = max(self.last_us, happened_us)


def grouped(history: History, wanted: Filter, by: By, now_us: int) -> list[Group]:
    """Return the groups of what is wanted, the largest first, the days the newest first."""
    found: dict[str, Group] = {}
    for kind, type_, job, count, first, last, happened_us in _counted(history, wanted, by, now_us):
        value = _value(by, kind)
        name = f"{type_}:{job}" if job else str(type_)
        _of(found, value).take(int(str(count)), name, str(first or ""), str(last), int(str(happened_us)))
    if by == "state":
        _turn(found, history, wanted, now_us)
    _correct(found, history, wanted, by, now_us)
    groups = [group for group in found.values() if group.count > 0]
    if by == "day":
        return sorted(groups, key=lambda group: group.value, reverse=True)
    return sorted(groups, key=lambda group: (-group.count, -group.last_us, group.value))


def move(groups: list[Group], attempts: list[Attempt], state: State) -> list[Group]:
    """Return groups by state with these attempts counted as `state`, whatever history held them for."""
    found = {group.value: group for group in groups}
    for attempt in attempts:
        for before in (State.WAITING, State.LATER):
            held = found.get(before.value)
            if held is not None and held.count > 0:
                held.count -= 1
                break
        _of(found, state.value).take(1, attempt.name, "", "", attempt.happened_us)
    return sorted((group for group in found.values() if group.count > 0), key=lambda group: -group.count)


def _counted(history: History, wanted: Filter, by: By, now_us: int) -> Iterable[SqlRow]:
    """Return kind, type, job, how many, the first and the last data time, and when it was last, of what is wanted."""
    if by != "error" and (known := whole.counts(history, wanted, by, now_us)) is not None:
        return [(each.kind, each.topic, each.job, each.many, "", "", each.last_us) for each in known]
    condition, values = where(wanted, now_us)
    moments = "min(nullif(moment, '')), max(moment)" if by == "error" else "'', ''"
    sql = f"SELECT {_KINDS[by]}, count(*), {moments}, max(happened_us) FROM tasks WHERE {condition} GROUP BY 1, 2, 3"
    return history.rows(sql, values)


def _of(found: dict[str, Group], value: str) -> Group:
    group = found.get(value)
    if group is None:
        group = found[value] = Group(value)
    return group


def _value(by: By, kind: object) -> str:
    match by:
        case "error":
            return folded(str(kind))
        case "day":
            return _day(int(str(kind)))
        case _:
            return str(kind)


def _day(number: int) -> str:
    try:
        return f"{_EPOCH + timedelta(days=number):%Y-%m-%d}"
    except OverflowError:
        return ""


def _turn(found: dict[str, Group], history: History, wanted: Filter, now_us: int) -> None:
    """What waited for its time, and whose time has come, waits for a worker."""
    condition, values = where(wanted, now_us)
    sql = f"SELECT count(*) FROM tasks WHERE state <> 'complete' AND state = 'later' AND due_us <= ? AND {condition}"
    [[count]] = history.rows(sql, [now_us, *values])
    later = found.get("later")
    if later is not None and int(str(count)):
        _of(found, "waiting").take(int(str(count)), "", "", "", later.last_us)
        found["waiting"].names |= later.names
        found["waiting"].names.discard("")
        later.count -= int(str(count))


def _correct(found: dict[str, Group], history: History, wanted: Filter, by: By, now_us: int) -> None:
    """Count what the journal tells beyond the file instead of what the file holds of the same attempts."""
    if not history.newer:
        return
    for attempt, count in (
        *((each, -1) for each in history.stored(history.newer).values()),
        *((each, 1) for each in history.newer.values()),
    ):
        if wanted.accepts(attempt, now_us):
            kinds: dict[By, object] = {
                "error": attempt.msg or attempt.reason,
                "topic": attempt.topic,
                "day": attempt.happened_us // _DAY_US,
                "state": attempt.state_at(now_us).value,
            }
            moment = attempt.moment if by == "error" else ""
            group = _of(found, _value(by, kinds[by]))
            group.take(count, attempt.name, moment, moment, attempt.happened_us)
