"""What a backload will take, against a farm of workers that is stepped through."""

from __future__ import annotations

import heapq

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flowlord.decide.forecast import forecast
from flowlord.decide.recipe import Pace

COUNT, EACH, SLOTS = st.integers(1, 60), st.integers(1, 1_000), st.integers(1, 9)


@pytest.mark.parametrize(
    ("count", "slots", "pace", "takes_s", "waiting"),
    [
        (31, 4, None, 360, 27),
        (3, 4, None, 45, 0),
        (1, 1, None, 45, 0),
        (10, 4, Pace(active=2), 225, 0),
        (10, 2, Pace(active=5), 225, 3),
        (10, 4, Pace(every_us=60_000_000), 585, 0),
        (10, 1, Pace(every_us=1_000_000), 450, 9),
    ],
)
def test_so_long_it_takes_and_so_many_wait(
    count: int, slots: int, pace: Pace | None, takes_s: int, waiting: int
) -> None:
    ahead = forecast(count, 45_000_000, slots, pace)
    assert (ahead.takes_us / 1e6, ahead.waiting) == (takes_s, waiting)


def farm(count: int, each: int, slots: int, every: int, active: int) -> tuple[int, int]:
    """Send one by one, at the pace, to workers that each do one at a time; returns the end and the longest queue."""
    busy: list[int] = []
    starts: list[int] = []
    ends: list[int] = []
    longest = 0
    for n in range(count):
        sent = n * every
        if active and n >= active:
            sent = max(sent, sorted(ends)[n - active])
        free = heapq.heappop(busy) if len(busy) == slots else 0
        starts.append(max(sent, free))
        ends.append(starts[-1] + each)
        heapq.heappush(busy, ends[-1])
        longest = max(longest, sum(start > sent for start in starts))
    return max(ends), longest


@given(COUNT, EACH, SLOTS)
def test_without_a_rate_it_is_what_the_farm_takes(count: int, each: int, slots: int) -> None:
    for active in (0, 1, 3, 12):
        ahead = forecast(count, each, slots, Pace(active=active))
        assert (ahead.takes_us, ahead.waiting) == farm(count, each, slots, 0, active)


@given(COUNT, EACH, SLOTS, st.integers(1, 1_000))
def test_with_a_rate_it_is_near_to_what_the_farm_takes(count: int, each: int, slots: int, every: int) -> None:
    ahead = forecast(count, each, slots, Pace(every_us=every))
    takes, longest = farm(count, each, slots, every, 0)
    assert takes - each <= ahead.takes_us <= takes
    assert abs(ahead.waiting - longest) <= slots + 1
