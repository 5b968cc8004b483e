"""Which ticks of a phase are due: from its watermark, the calendar and the time. Never from process start."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from flowlord.model.workflow import Phase
from flowlord.rules.cron import Cron

ON_TIME = timedelta(seconds=10)
"""A tick decided within this much of its instant is on time, whatever the catch-up policy says."""
MOST_TICKS = 1_000
"""Ticks that one look decides at most; the rest follows at the next look."""
MOST_COUNTED = 5_000
"""Missed ticks that are counted; of more it is said that they are at least so many."""


@dataclass(frozen=True, slots=True)
class Missed:
    """Ticks that did not start: the first and last instant, how many (at least, with `more`), and why."""

    first: datetime
    last: datetime
    count: int
    reason: str
    more: bool = False


@dataclass(frozen=True, slots=True)
class Due:
    """What a look at the clock found: `ticks` to start in order, `missed` to record, and the watermark after both.

    `next` is the instant to look again, None when the schedule never starts again.
    """

    ticks: tuple[datetime, ...]
    missed: tuple[Missed, ...]
    watermark: datetime
    next: datetime | None


def look(phase: Phase, cron: Cron, watermark: datetime | None, now: datetime) -> Due:
    """Return what is due of a phase at `now`.

    Args:
        watermark: the last planned instant that was decided, aware; None when the phase is new: it starts counting now.
        now: aware.
    Source:
        docs/reference.md, "Ticks"; docs/hazards.md SC-1, SC-2, SC-7, SC-13.
    """
    if watermark is None:
        return Due((), (), now, cron.next(now))
    window = now - timedelta(microseconds=phase.rule.catchup_window_ns // 1000)
    ahead: list[datetime] = []
    late: list[datetime] = []
    skipped, watermark = _before_window(cron, watermark, window, now)
    upcoming = cron.next(watermark)
    while upcoming is not None and upcoming <= now and len(ahead) < MOST_TICKS:
        (ahead if now - upcoming <= ON_TIME else late).append(upcoming)
        watermark = upcoming
        upcoming = cron.next(upcoming)
        if len(late) >= MOST_TICKS:
            break
    missed = [skipped] if skipped else []
    match policy(phase, cron):
        case "all":
            ticks = late + ahead
        case "last":
            found = late + ahead
            more = upcoming is not None and upcoming <= now  # then the newest is still to come
            ticks = [] if more else found[-1:]
            missed += _missed(found if more else found[:-1], "catchup=last starts only the newest")
        case _:
            ticks = ahead
            missed += _missed(late, "catchup=none starts nothing late")
    return Due(tuple(ticks), tuple(missed), watermark, upcoming)


def policy(phase: Phase, cron: Cron) -> str:
    """Return the catch-up policy: as written, else `all`, but `none` for what starts more often than each minute."""
    if phase.rule.catchup:
        return phase.rule.catchup
    if cron.every_ns is not None:
        return "none" if cron.every_ns < 60_000_000_000 else "all"
    first = cron.next(datetime(2024, 1, 1, tzinfo=UTC))
    second = None if first is None else cron.next(first)
    if first is None or second is None:
        return "all"
    return "none" if second - first < timedelta(minutes=1) else "all"


def _before_window(
    cron: Cron, watermark: datetime, window: datetime, now: datetime
) -> tuple[Missed | None, datetime]:
    """Step over what lies before the catch-up window; returns it as missed, and the watermark moved behind it."""
    first = cron.next(watermark)
    if first is None or first >= window or now - first <= ON_TIME:
        return None, watermark
    last, count = first, 1
    if cron.every_ns is not None:  # keeps its phase, however long ago that was
        every = timedelta(microseconds=cron.every_ns // 1000)
        count = (window - first - timedelta(microseconds=1)) // every + 1
        last = first + (count - 1) * every
    else:
        for upcoming in cron.upcoming(first):
            if upcoming >= window:
                break
            if count == MOST_COUNTED:  # a year of seconds is not worth counting: go straight to the window
                last = max(last, window.replace(microsecond=0) - timedelta(seconds=1))
                return Missed(first, last, count, "it lies before the catch-up window", more=True), last
            last, count = upcoming, count + 1
    return Missed(first, last, count, "it lies before the catch-up window"), last


def _missed(instants: list[datetime], reason: str) -> list[Missed]:
    return [Missed(instants[0], instants[-1], len(instants), reason)] if instants else []
