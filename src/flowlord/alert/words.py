"""A notice in words: titles, lines with date ranges, and the plain summary. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Final

from flowlord.alert.policy import Policy
from flowlord.alert.port import Line, Notice, NoticeKind, Severity
from flowlord.alert.state import EventKind, Incident, Mode
from flowlord.rules.dateranges import compress_dates
from flowlord.rules.durations import short_duration

LINES: Final = 20
"""Incidents that one notice lists; the others are counted."""
RANGES: Final = 200
"""Characters of date ranges in one line."""
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_ZERO: Final = datetime(1, 1, 1, tzinfo=UTC)
_MILD: Final = frozenset({EventKind.LATE, EventKind.MISSED, EventKind.ABSENT, EventKind.PROCESS})
_NO_DATA: Final = {EventKind.MISSED: "planned", EventKind.PHASE: "planned", EventKind.ABSENT: "due"}
"""Kinds of which no task tells a data time: what is known is when it should have been."""
_STILL: Final = {
    EventKind.TASK: "still fails",
    EventKind.RESULT: "still asks for attention",
    EventKind.LATE: "is still late",
    EventKind.MISSED: "still misses starts",
    EventKind.ABSENT: "still has no file",
    EventKind.PHASE: "still cannot start",
    EventKind.WORKFLOW: "is still broken",
    EventKind.MESSAGE: "still sends what cannot be understood",
    EventKind.BATCH: "stopped again",
    EventKind.PROCESS: "vanished again",
    EventKind.BACKUP: "still fails",
    EventKind.BUS: "was out of reach again",
    EventKind.OTHER: "still needs a look",
}
_TASKS: Final = frozenset({EventKind.TASK, EventKind.RESULT, EventKind.LATE})
"""Kinds of which each event is one task."""
_AGAIN: Final = {
    EventKind.MISSED: "starts again",
    EventKind.ABSENT: "gets files again",
}
"""What has begun anew without what was left out having been made up."""
_FAILED: Final = {
    EventKind.TASK: "failed",
    EventKind.RESULT: "asks for attention",
    EventKind.LATE: "is late",
    EventKind.MISSED: "did not start",
    EventKind.ABSENT: "has no file",
    EventKind.PHASE: "could not start",
    EventKind.WORKFLOW: "is broken",
    EventKind.MESSAGE: "sent what cannot be understood",
    EventKind.BATCH: "stopped",
    EventKind.PROCESS: "vanished",
    EventKind.BACKUP: "failed",
    EventKind.BUS: "was out of reach",
    EventKind.OTHER: "needs a look",
}


def notice_of(
    id_: str, kind: NoticeKind, found: Sequence[Incident], policy: Policy, to: str, now_us: int
) -> Notice:
    """Return what is said of these incidents, in title, lines and text those first of which there are most."""
    over = kind is NoticeKind.RECOVERED
    found = sorted(
        found, key=lambda each: (-(each.total if over else each.fresh), each.name, -each.total, each.id)
    )
    listed = found[:LINES]
    lines = tuple(line_of(each, recovered=over) for each in listed)
    one = found[0] if len(found) == 1 else None
    return Notice(
        id=id_,
        kind=kind,
        severity=_severity(kind, found),
        title=_title(kind, found),
        at_us=now_us,
        lines=lines,
        more=len(found) - len(lines),
        text="\n".join(
            [f"{each.name}: {each.error}" for each in listed]
            if kind is NoticeKind.ALERT
            else summary(
                (each.name, each.total if over else each.fresh, _hours(each, over)) for each in listed
            )
        ),
        to=to,
        # A result that asks for attention, and what is to be told each time, is a message of its own.
        thread=one.thread if one and one.thread_of == to and not one.is_immediate else "",
        link=policy.link,
        command=lines[0].command if one else "flowlord alerts --open",
    )


def line_of(incident: Incident, *, recovered: bool = False) -> Line:
    """Return what is said of one incident; `count` is how many came since the notice before, in all when it is over."""
    return Line(
        incident=incident.id,
        name=incident.name,
        error=incident.error,
        count=incident.total if recovered else incident.fresh,
        total=incident.total,
        dates=dates_of(incident, _hours(incident, recovered)),
        since_us=incident.first_us,
        last_us=incident.good_us if recovered else incident.last_us,
        workflow=incident.workflow,
        command=f"flowlord alerts show {incident.id}",
        unit="" if incident.kind in _TASKS else "message" if incident.kind is EventKind.MESSAGE else "time",
    )


def summary(found: Iterable[tuple[str, int, Sequence[int | None]]]) -> list[str]:
    """Return a line for each (name, count, hours): the most first, then by name, in columns.

    Hours count from 1970 UTC; None is an unknown one, which existing summaries show as the year 1.
    Source: tests/vectors, `alert_summary.json`.
    """
    ordered = sorted(found, key=lambda each: (-each[1], each[0]))
    return [f"{name + ':':<35}{count:>5}  {ranges(hours)}".rstrip() for name, count, hours in ordered]


def dates_of(incident: Incident, hours: Iterable[int]) -> str:
    """Return the times that an incident is about: data times of tasks; planned ones of starts and files, so called."""
    told = ranges(hours)
    return f"{_NO_DATA[incident.kind]} {told}" if told and incident.kind in _NO_DATA else told


def what_of(name: str, error: str) -> str:
    """Return what fails and why as one text, in which the name stands once."""
    return error if error == name or error.startswith((f"{name} ", f"{name}:")) else f"{name} {error}"


def ranges(hours: Iterable[int | None]) -> str:
    """Return data times as ranges, cut at RANGES characters."""
    text = compress_dates(_ZERO if hour is None else _EPOCH + timedelta(hours=hour) for hour in hours)
    if len(text) <= RANGES:
        return text
    kept = text[:RANGES].rpartition(",")[0]
    return f"{kept},… ({text.count(',') - kept.count(',')} more ranges)"


def _severity(kind: NoticeKind, found: Sequence[Incident]) -> Severity:
    if kind is NoticeKind.RECOVERED:
        return Severity.INFO
    return Severity.WARNING if all(each.kind in _MILD for each in found) else Severity.ERROR


def _title(kind: NoticeKind, found: Sequence[Incident]) -> str:
    first = found[0]
    if len(found) > 1:
        names = list(dict.fromkeys(each.name for each in found))
        shown = ", ".join(names[:3]) + (f" and {len(names) - 3} more" if len(names) > 3 else "")
        match kind:
            case NoticeKind.RECOVERED:
                return f"{len(found)} alerts are over: {shown}"
            case NoticeKind.STILL:
                return f"{len(found)} alerts go on: {shown}"
            case _:
                return f"{len(found)} new alerts: {shown}"
    what = _FAILED[first.kind]
    match kind:
        case NoticeKind.RECOVERED:
            length = short_duration(max(first.good_us - first.first_us, 0) // 1_000_000 * 1_000_000_000)
            if first.kind is EventKind.PROCESS:
                return f"{first.name} stays away, and a taskmaster is there"
            if first.kind in _AGAIN:
                what = "start was missed" if first.kind is EventKind.MISSED else "file did not come"
                what = (
                    what
                    if first.total == 1
                    else what.replace("start was", "starts were").replace("file", "files")
                )
                return f"{first.name} {_AGAIN[first.kind]} after {length}: {first.total:,} {what}"
            return f"{first.name} is well again after {length} ({_times(first.total)})"
        case NoticeKind.STILL if first.mode is not Mode.DIGEST or first.told:
            told = (
                f"{first.fresh} more, {first.total} in all"
                if first.fresh < first.total
                else _times(first.total)
            )
            return f"{first.name} {_STILL[first.kind]} ({told})"
        case _:
            return f"{first.name} {what}" + (f" ({_times(first.fresh)})" if first.fresh > 1 else "")


def _hours(incident: Incident, over: bool) -> tuple[int, ...]:
    return incident.before + incident.hours if over else incident.hours


def _times(count: int) -> str:
    return "once" if count == 1 else f"{count:,} times"
