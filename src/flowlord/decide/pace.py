"""How much of a paced batch may go now. Time is the bus's, so all daemons keep one pace."""

from __future__ import annotations

from typing import Final

from flowlord.decide.recipe import Pace, Position

_BURST_US: Final = 1_000_000
"""What was not sent is made up for this long back, and no longer: no flood follows a pause."""


def allowance(pace: Pace, at: Position, now_us: int, open_tasks: int, most: int) -> int:
    """Return how many tasks may be published at `now_us`, by rate and by how many are open; at most `most`."""
    allowed = most
    if pace.every_us:
        if now_us < at.next_us:
            return 0
        waited = min(now_us - at.next_us, max(_BURST_US, pace.every_us) - 1) if at.next_us else 0
        allowed = min(allowed, 1 + waited // pace.every_us)
    if pace.active:
        allowed = min(allowed, pace.active - open_tasks)
    return max(allowed, 0)


def next_after(pace: Pace, at: Position, now_us: int, sent: int) -> int:
    """Return when the next task may come, after `sent` of an allowance were published at `now_us`."""
    if not pace.every_us:
        return 0
    first = max(at.next_us, now_us - max(_BURST_US, pace.every_us) + 1) if at.next_us else now_us
    return first + sent * pace.every_us
