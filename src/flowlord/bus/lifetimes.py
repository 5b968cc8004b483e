"""How long what the bus remembers is kept, and how much of it one sweep drops."""

from __future__ import annotations

SECOND_US = 1_000_000
DAY_US = 86_400 * SECOND_US

OUTCOME_DAYS = 7
"""A result that comes twice is known as such for this long."""
COMMIT_US = 600 * SECOND_US
"""A commit whose outcome is unknown may be sent again for this long; who sends gives up long before."""
RESEND_S = 60.0
"""How long `commit_many` goes on asking for the outcome of a commit before it says BusUnavailable."""
JOURNAL_US = 7 * DAY_US
JOURNAL_ENTRIES = 1_000_000
PRESENCE_US = DAY_US
OPEN_US = 8 * DAY_US
"""A task holds its group open for this long at most: longer than its outcome could be told from a second one."""

SWEEP_CHUNK = 1_000
"""Rows that one step of a sweep drops, so that nobody waits long for it."""
SWEEP_STEPS = 50
"""Steps of each kind in one sweep: what a busy minute leaves behind."""


def day_of(at_us: int) -> int:
    """Return the number of the UTC day since 1970."""
    return at_us // DAY_US
