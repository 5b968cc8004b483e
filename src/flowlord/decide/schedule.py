"""Which ticks of a phase are due: from its watermark, the calendar and the time. Never from process start."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from flowlord.model.paused import Pause
from flowlord.model.workflow import Phase
from flowlord.rules.cron import Cron
from flowlord.rules.timetable import Timetable

ON_TIME = timedelta(seconds=10)
"""A tick decided within this much of its instant is on time, whatever the catch-up policy says."""
MOST_TICKS = 1_000
"""Ticks that one look decides at most; the rest follows at the next look."""
MOST_COUNTED = 5_000
"""Missed ticks that are counted; of more it is said that they are at least so many."""
LOOK_AGAIN = timedelta(seconds=1)
"""When to look again at a phase whose next start waits for something else than the clock."""
_TICK = timedelta(microseconds=1)


@dataclass(frozen=True, slots=True)
class Missed:
    """Ticks that did not start: the first and last instant, how many (at least, with `more`), and why.

    `wanted`: so it was asked for, by the rule or by a person; it is recorded and alerts nobody.
    """

    first: datetime
    last: datetime
    count: int
    reason: str
    more: bool = False
    wanted: bool = False


@dataclass(frozen=True, slots=True)
class Due:
    """What a look at the clock found: `ticks` to start in order, `missed` to record, and the watermark after both.

    `next` is when to look again, None when the schedule never starts again. `waits`: a start is due and held back.
    """

    ticks: tuple[datetime, ...]
    missed: tuple[Missed, ...]
    watermark: datetime
    next: datetime | None
    waits: bool = False


def look(
    phase: Phase,
    table: Timetable,
    watermark: datetime | None,
    now: datetime,
    *,
    open_tasks: int = 0,
    pauses: Iterable[Pause] = (),
) -> Due:
    """Return what is due of a phase at `now`.

    Args:
        watermark: the last planned instant that was decided, aware; None when the phase is new: it starts counting now.
        now: aware.
        open_tasks: tasks of its earlier starts that have not come to their end; asked for with `overlap` only.
        pauses: those that are about this phase.
    Source:
        docs/reference.md, "Ticks"; docs/hazards.md SC-1, SC-2, SC-7, SC-10, SC-13, SC-15.
    """
    if watermark is None:
        first = table.next(now)
        return Due((), (), now, first and first + table.delay)
    # With jitter all clocks of the phase go late by the same: from here on `now` is compared to planned instants.
    now -= table.delay
    first = table.next(watermark)
    if first is None or first > now:
        return Due((), (), watermark, first and first + table.delay)
    spans = [
        (pause, pause.since - table.delay, pause.until and pause.until - table.delay) for pause in pauses
    ]
    held = [each for each in spans if each[1] <= first and (each[2] is None or first < each[2])]
    end = now
    for pause, _, until in held:
        if until is None or now < until:  # nothing starts, and what is left out is told when it is over
            again = min(until or now + LOOK_AGAIN, now + LOOK_AGAIN)
            return Due((), (), watermark, again + table.delay, waits=True)
        if not pause.catchup:
            skipped = _up_to(table, first, until - _TICK, pause.words, wanted=True)
            return _go_on(table, Due((), (skipped,), skipped.last, None), now)
        end = min(end, until - _TICK)
    # What lies behind the beginning of the next pause is the business of the next look.
    end = min((since - _TICK for _, since, _ in spans if first < since <= end), default=end)
    found = _catch_up(phase, table, watermark, end, now, wanted=bool(held))
    return _go_on(table, _overlap(phase, found, watermark, open_tasks), now)


def _go_on(table: Timetable, due: Due, now: datetime) -> Due:
    """Tell when to look again: at once while more is due."""
    if due.waits:
        return Due(due.ticks, due.missed, due.watermark, now + table.delay + LOOK_AGAIN, waits=True)
    upcoming = table.next(due.watermark)
    return Due(due.ticks, due.missed, due.watermark, upcoming and upcoming + table.delay)


def _catch_up(
    phase: Phase, table: Timetable, watermark: datetime, end: datetime, now: datetime, *, wanted: bool
) -> Due:
    """Apply the catch-up policy to the instants after the watermark up to `end`; `wanted`: a person asked for them."""
    window = now - timedelta(microseconds=phase.rule.catchup_window_ns // 1000)
    skipped, watermark = _before_window(table, watermark, min(window, end + _TICK), now)
    ahead: list[datetime] = []
    late: list[datetime] = []
    more = False
    for upcoming in table.upcoming(watermark):
        if upcoming > end:
            break
        if len(late) >= MOST_TICKS or len(ahead) >= MOST_TICKS:
            more = True
            break
        (ahead if now - upcoming <= ON_TIME else late).append(upcoming)
        watermark = upcoming
    missed = [skipped] if skipped else []
    found = late + ahead
    match "all" if wanted else policy(phase, table.cron) if late else phase.rule.catchup or "all":
        case "all":
            ticks = found
        case "last":  # with more the newest is still to come
            ticks = [] if more else found[-1:]
            missed += _missed(found if more else found[:-1], "catchup=last starts only the newest")
        case _:
            ticks = ahead
            missed += _missed(late, "catchup=none starts nothing late")
    return Due(tuple(ticks), tuple(missed), watermark, None)


def _overlap(phase: Phase, due: Due, watermark: datetime, open_tasks: int) -> Due:
    """Let starts wait for the ones before them, or leave them out, as the rule says: one start at a time."""
    if phase.rule.overlap == "allow" or not due.ticks:
        return due
    if not open_tasks:
        return Due(due.ticks[:1], due.missed, due.ticks[0], None)
    if phase.rule.overlap == "skip":
        still = "1 task" if open_tasks == 1 else f"{open_tasks} tasks"
        reason = f"overlap=skip, and {still} of an earlier start had not come to an end"
        left_out = Missed(due.ticks[0], due.ticks[-1], len(due.ticks), reason, wanted=True)
        return Due((), (*due.missed, left_out), due.watermark, None)
    decided = max((each.last for each in due.missed), default=watermark)
    return Due((), due.missed, decided, None, waits=True)


def policy(phase: Phase, cron: Cron) -> str:
    """Return the catch-up policy: as written, else `all`, but `none` for what starts more often than each minute.

    With overlap=queue it is `all` there too: what stands in line is not late.
    """
    if phase.rule.catchup:
        return phase.rule.catchup
    if phase.rule.overlap == "queue":
        return "all"
    if cron.every_ns is not None:
        return "none" if cron.every_ns < 60_000_000_000 else "all"
    first = cron.next(datetime(2024, 1, 1, tzinfo=UTC))
    second = None if first is None else cron.next(first)
    if first is None or second is None:
        return "all"
    return "none" if second - first < timedelta(minutes=1) else "all"


def _before_window(
    table: Timetable, watermark: datetime, window: datetime, now: datetime
) -> tuple[Missed | None, datetime]:
    """Step over what lies before the catch-up window; returns it as missed, and the watermark moved behind it."""
    first = table.next(watermark)
    if first is None or first >= window or now - first <= ON_TIME:
        return None, watermark
    found = _up_to(table, first, window - _TICK, "it lies before the catch-up window")
    return found, found.last


def _up_to(table: Timetable, first: datetime, end: datetime, reason: str, *, wanted: bool = False) -> Missed:
    """Return the instants from `first` up to `end` as not started; of very many only about how many."""
    if table.last is not None:
        end = min(end, table.last)
    last, count = first, 1
    if table.cron.every_ns is not None:  # keeps its beat, however long ago that was
        every = timedelta(microseconds=table.cron.every_ns // 1000)
        count = (end - first) // every + 1
        last = first + (count - 1) * every
    else:
        for upcoming in table.upcoming(first):
            if upcoming > end:
                break
            if count == MOST_COUNTED:  # a year of seconds is not worth counting: go straight to the end
                last = max(last, (end + _TICK).replace(microsecond=0) - timedelta(seconds=1))
                return Missed(first, last, count, reason, more=True, wanted=wanted)
            last, count = upcoming, count + 1
    return Missed(first, last, count, reason, wanted=wanted)


def _missed(instants: list[datetime], reason: str) -> list[Missed]:
    return [Missed(instants[0], instants[-1], len(instants), reason)] if instants else []
