"""What a change of the clocks did to a planned instant, in words."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from flowlord.rules.cron import Cron
from flowlord.rules.walls import following, is_named
from flowlord.rules.zones import DAY, SECOND, gap_of, offset_at

_MOST_NAMED = 3


def daylight_note(cron: Cron, instant: datetime) -> str:
    """Return what is special about `instant` (aware), one of those that `cron` names; nothing on ordinary days.

    Source:
        docs/reference.md, "Cron".
    """
    zone, fields = cron.tz, cron.fields
    if zone is UTC or fields is None:
        return ""
    local = instant.astimezone(zone)
    wall = local.replace(tzinfo=None, fold=0)
    early, late = (wall.replace(tzinfo=zone, fold=fold).utcoffset() for fold in (0, 1))
    if early != late and not gap_of(wall, zone):
        if cron.fixed:
            return f"{_clock(wall)} comes twice that day; it starts at the first"
        return f"{_clock(wall)} comes twice that day; this is the {'second' if local.fold else 'first'}"
    if not cron.fixed:
        return ""
    moved = _moved(cron, instant.astimezone(UTC), wall)
    if not moved:
        return ""
    times = ", ".join(map(_clock, moved[:_MOST_NAMED])) + (", …" if len(moved) > _MOST_NAMED else "")
    # A named time of its own may come at the very instant to which others were moved.
    also = " too" if is_named(fields, wall) else ""
    some = "does" if len(moved) == 1 else "do"
    return f"{times} {some} not exist that day; it starts when the clocks have changed{also}"


def _moved(cron: Cron, instant: datetime, wall: datetime) -> list[datetime]:
    """Return the wall times that a gap, which ends at this instant, moved here; at most one more than are named."""
    gap = offset_at(instant, cron.tz) - offset_at(instant - SECOND, cron.tz)
    if not timedelta(0) < gap < DAY or cron.fields is None:
        return []
    found: list[datetime] = []
    step: datetime | None = wall - gap - SECOND
    while step is not None and len(found) <= _MOST_NAMED:
        step = following(cron.fields, step, 1)
        if step is None or step >= wall:
            break
        found.append(step)
    return found


def _clock(wall: datetime) -> str:
    return wall.strftime("%H:%M:%S") if wall.second else wall.strftime("%H:%M")
