"""How long a failed task waits before its next try."""

from __future__ import annotations

import math
from typing import Final

from flowlord.rules.durations import DAY, MINUTE, SECOND

FIRST_WAIT: Final = SECOND  # without retry_delay
LONGEST_WAIT: Final = 5 * MINUTE  # without retry_delay and max_delay
LONGEST_GROWN_WAIT: Final = DAY  # retry_delay with backoff, but without max_delay


def wait_ns(n: int, *, delay: int | None, factor: float | None, max_delay: int | None, jitter: float) -> int:
    """Return the nanoseconds to wait before the retry that follows `n` earlier ones.

    `delay` alone is fixed; with `factor` it grows by that factor with each retry; without `delay` one second doubles.
    The wait is capped first, by `max_delay` or a limit of our own, and then up to 40 % of it are added.

    Args:
        n: retries before this one, 0 for the first; fewer than 0 counts as 0.
        delay: `retry_delay` of the rule in nanoseconds, None when it has none.
        factor: `backoff` of the rule, None when it has none.
        max_delay: of the rule, in nanoseconds, None when it has none.
        jitter: in [0, 1), drawn by the caller.
    Source:
        docs/reference.md, "Retries".
    """
    base = FIRST_WAIT if delay is None else delay
    if max_delay is not None:
        cap = max_delay
    elif delay is None:
        cap = LONGEST_WAIT
    elif factor is None:
        cap = delay
    else:
        cap = max(delay, LONGEST_GROWN_WAIT)
    grows = factor if factor is not None else 2.0 if delay is None else 1.0
    wait = min(_grown(base, grows, n), cap)
    return wait + int(wait * 2 // 5 * jitter)


def _grown(base: int, factor: float, n: int) -> int:
    """`base * factor ** n`, bounded, so that no count of retries makes it slow or overflow."""
    if factor == 1.0 or n <= 0 or base == 0:
        return base
    try:
        grown = base * factor**n
    except OverflowError:
        return 2**63 - 1
    return int(grown) if math.isfinite(grown) and grown < 2**63 else 2**63 - 1
