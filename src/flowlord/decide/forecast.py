"""How long a backload will take, and how much of it will wait at a time, if tasks go on as they did. Pure."""

from __future__ import annotations

from math import ceil
from typing import NamedTuple

from flowlord.decide.recipe import Pace

_FREE = Pace()


class Forecast(NamedTuple):
    """`takes_us` until the last task has ended, `waiting` how many lie on their topic at a time, at most."""

    takes_us: int
    waiting: int


def forecast(count: int, each_us: int, slots: int, pace: Pace | None = None) -> Forecast:
    """Return what `count` tasks of `each_us` microseconds come to with so many slots of workers, all free.

    Retries and what else these workers do are not in it.

    Args:
        count: 1 or more.
        each_us: 1 or more.
        slots: 1 or more.
        pace: None for all at once.
    """
    pace = pace or _FREE
    at_a_time = min(slots, pace.active, count) if pace.active else min(slots, count)
    working_us = ceil(count / at_a_time) * each_us
    sending_us = (count - 1) * pace.every_us
    waiting = (min(pace.active, count) if pace.active else count) - at_a_time
    if pace.every_us:  # what comes in the time of one task, less what is done in it, for as long as it comes
        left = count - ceil(sending_us / each_us) * at_a_time
        waiting = min(waiting, max(left, 0))
    return Forecast(max(working_us, sending_us + each_us), waiting)
