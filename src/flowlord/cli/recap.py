"""`flowlord recap`: some days in one page, one line for each kind of task."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import msgspec

from flowlord.bus.clock import SystemClock
from flowlord.cache.attempt import FAILED
from flowlord.cache.days import DAY_US, Sums, days
from flowlord.cache.queries import History
from flowlord.cli import printer
from flowlord.cli.exits import DONE
from flowlord.cli.printer import Column, Look
from flowlord.cli.sources import opened
from flowlord.cli.table import RED
from flowlord.cli.texts import printable
from flowlord.cli.times import parse_time, to_us, took
from flowlord.model.clock import Clock
from flowlord.model.errors import FlowlordError
from flowlord.rules.dateranges import compress_dates

if TYPE_CHECKING:
    from flowlord.config import Settings

FIELDS = (
    "task", "done", "failed", "retried", "warned", "cancelled", "dates", "ran_s", "longest_s", "waited_s", "reason",
)  # fmt: skip
FORMS = ("text", "markdown", "slack")
MOST_DATED = 250_000
"""Attempts whose dates are looked up; of more only the numbers are told."""
MOST_REASONS = 5_000
_FAILED = frozenset(str(state) for state in FAILED)


class Kind(msgspec.Struct):
    """What some days came to for one kind of task."""

    states: Counter[str] = msgspec.field(default_factory=Counter)
    sums: Sums = msgspec.field(default_factory=Sums)


def run(
    settings: Settings, day: str, since: str, form: str, look: Look, *, clock: Clock | None = None
) -> int:
    """Print the recap; returns the exit code."""
    clock = clock or SystemClock()
    first, last = span_of(day, since, clock.now())
    cache_path = settings.cache.path if settings.cache.enabled else None

    def body() -> int:
        with opened(settings.bus, cache_path, clock) as sources:
            history = sources.history(fresh=True)
            found = kinds(history, first, last)
            total = sum(kind.sums.attempts for kind in found.values())
            dates = dates_of(history, first, last) if total <= MOST_DATED else {}
            reasons = reasons_of(history, first, last)
        records = [_record(name, kind, dates, reasons) for name, kind in found.items()]
        if form == "markdown":
            printer.lines(_markdown(records, first, last))
        elif form == "slack":
            from flowlord.cli.recapslack import slack

            printer.lines(slack(records, _days(first, last), _sum_up(found)))
        else:
            printer.rows(records, FIELDS, name="task", columns=_columns(), look=look)
        if total > MOST_DATED:
            printer.say(f"note: {total:,} attempts are too many to tell their dates; ask for fewer days")
        if form not in ("markdown", "slack") and (printer.on_terminal() or not records):
            printer.say(f"{_days(first, last)} (UTC): {_sum_up(found)}")
        return DONE

    return printer.quietly(body)


def span_of(day: str, since: str, now: datetime) -> tuple[int, int]:
    """Return the first and the last day, as days since 1970 in UTC.

    Raises:
        FlowlordError: no times, or both.
    """
    if day and since:
        raise FlowlordError(
            "--day and --since exclude each other", hint="--day is one, --since all from there on"
        )
    try:
        first = to_us(parse_time(since or day or "yesterday", now)) // DAY_US
    except (ValueError, OverflowError) as error:
        raise FlowlordError(str(error)) from error
    return first, to_us(now) // DAY_US if since else first


def kinds(history: History, first: int, last: int) -> dict[str, Kind]:
    """Return what these days came to by kind of task: those that failed most first, then those with most attempts."""
    found: dict[str, Kind] = {}
    for slot, sums in days(history, first, last).items():
        kind = found.setdefault(f"{slot.type}:{slot.job}" if slot.job else slot.type, Kind())
        kind.states[slot.state] += sums.attempts
        kind.sums = kind.sums.plus(sums)

    def order(name: str) -> tuple[int, int, str]:
        return -failed(found[name]), -found[name].sums.attempts, name

    return {name: found[name] for name in sorted(found, key=order)}


def failed(kind: Kind) -> int:
    """Return how many attempts failed, with nothing to follow by itself; the result `alert` counts as a warning."""
    return sum(number for state, number in kind.states.items() if state in _FAILED) - kind.states["alert"]


def dates_of(history: History, first: int, last: int) -> dict[str, str]:
    """Return the data times of each kind of task as ranges."""
    sql = "SELECT DISTINCT type, job, moment FROM tasks WHERE happened_us >= ? AND happened_us < ?"
    rows: list[Sequence[object]] = [*history.rows(sql, (first * DAY_US, (last + 1) * DAY_US))]
    rows += [
        (each.type, each.job, each.moment)
        for each in history.newer.values()
        if first <= each.happened_us // DAY_US <= last
    ]
    times: dict[str, set[datetime]] = {}
    for type_, job, moment in rows:
        if time := _time(str(moment)):
            times.setdefault(f"{type_}:{job}" if job else str(type_), set()).add(time)
    return {name: compress_dates(some) for name, some in times.items()}


def reasons_of(history: History, first: int, last: int) -> dict[str, str]:
    """Return the reason that each kind of task failed for most often."""
    from flowlord.rules.errortext import folded

    states = ", ".join("?" for _ in _FAILED)
    sql = (
        f"SELECT type, job, msg, reason FROM tasks WHERE state <> 'complete' AND state IN ({states}) "  # noqa: S608 - marks
        "AND happened_us >= ? AND happened_us < ? LIMIT ?"
    )
    values = (*sorted(_FAILED), first * DAY_US, (last + 1) * DAY_US, MOST_REASONS)
    rows: list[Sequence[object]] = [*history.rows(sql, values)]
    rows += [
        (each.type, each.job, each.msg, each.reason)
        for each in history.newer.values()
        if each.state in _FAILED and first <= each.happened_us // DAY_US <= last
    ]
    counts: dict[str, Counter[str]] = {}
    for type_, job, msg, reason in rows:
        name = f"{type_}:{job}" if job else str(type_)
        counts.setdefault(name, Counter())[folded(str(msg or reason))] += 1
    return {name: some.most_common(1)[0][0] for name, some in counts.items()}


def _time(moment: str) -> datetime | None:
    try:
        time = datetime.fromisoformat(moment)
    except ValueError:
        return None
    return time.replace(tzinfo=UTC) if time.tzinfo is None else time


def _record(name: str, kind: Kind, dates: Mapping[str, str], reasons: Mapping[str, str]) -> dict[str, object]:
    sums = kind.sums
    return {
        "task": name,
        "done": kind.states["complete"],
        "failed": failed(kind),
        "retried": kind.states["retried"],
        "warned": kind.states["warn"] + kind.states["alert"],
        "cancelled": kind.states["cancelled"],
        "dates": dates.get(name, ""),
        "ran_s": round(sums.ran_us / sums.ran / 1e6, 3) if sums.ran else None,
        "longest_s": sums.ran_max_us / 1e6 if sums.ran else None,
        "waited_s": round(sums.waited_us / sums.waited / 1e6, 3) if sums.waited else None,
        "reason": reasons.get(name, ""),
    }


def _columns() -> list[Column]:
    def number(name: str, title: str) -> Column:
        return Column(title, lambda row, _: f"{row[name]:,}" if row[name] else "", right=True)

    def seconds(name: str, title: str) -> Column:
        return Column(title, lambda row, _: _took(row[name]), right=True)

    return [
        Column("task", gives=True),
        number("done", "done"),
        Column(
            "failed",
            lambda row, _: f"{row['failed']:,}" if row["failed"] else "",
            lambda row: RED if row["failed"] else "",
            right=True,
        ),
        number("retried", "retried"),
        number("warned", "warned"),
        number("cancelled", "cancelled"),
        seconds("ran_s", "took"),
        seconds("longest_s", "longest"),
        Column("dates", gives=True),
        Column("most often", lambda row, _: str(row["reason"]), gives=True),
    ]


def _took(value: object) -> str:
    return took(round(value * 1e6)) if isinstance(value, float) else ""


def _markdown(records: Iterable[Mapping[str, object]], first: int, last: int) -> Iterator[str]:
    def cell(value: object) -> str:
        return printable(str(value)).replace("|", "\\|") if value else ""

    yield f"**{_days(first, last)}**"
    yield ""
    yield "| task | done | failed | retried | warned | cancelled | took | longest | dates | most often |"
    yield "|---|---:|---:|---:|---:|---:|---:|---:|---|---|"
    for row in records:
        shown = [row["task"], row["done"], row["failed"], row["retried"], row["warned"], row["cancelled"]]
        shown += [_took(row["ran_s"]), _took(row["longest_s"]), row["dates"], row["reason"]]
        yield f"| {' | '.join(map(cell, shown))} |"


def _days(first: int, last: int) -> str:
    texts = [datetime.fromtimestamp(day * 86_400, UTC).strftime("%Y-%m-%d") for day in (first, last)]
    return texts[0] if first == last else f"{texts[0]} to {texts[1]}"


def _sum_up(found: Mapping[str, Kind]) -> str:
    done = sum(kind.states["complete"] for kind in found.values())
    bad = sum(failed(kind) for kind in found.values())
    warned = sum(kind.states["warn"] + kind.states["alert"] for kind in found.values())
    told = f"{done:,} done, {bad:,} failed" + (f", {warned:,} warned" if warned else "")
    return f"{told}, {len(found):,} {'kind of task' if len(found) == 1 else 'kinds of tasks'}"
