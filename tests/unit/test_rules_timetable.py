"""When a phase starts: between its bounds, and later by its jitter."""

from datetime import UTC, datetime, timedelta
from itertools import islice

import pytest

from flowlord.model.workflow import Rule
from flowlord.rules.errors import Unreadable
from flowlord.rules.timetable import Timetable, delay_of

NOON = datetime(2026, 8, 1, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)


def table(cron="0 * * * *", zone="", **rule):
    return Timetable.of(Rule(cron=cron, **rule), "f.toml:a", zone)


def test_nothing_is_planned_before_from_or_after_until():
    hourly = table(first="2026-08-01T14", until="2026-08-01T16:30")
    assert [time.hour for time in hourly.upcoming(NOON)] == [14, 15, 16]
    assert hourly.next(NOON) == NOON + 2 * HOUR
    assert hourly.next(NOON + 2 * HOUR) == NOON + 3 * HOUR
    assert hourly.next(NOON + 4 * HOUR) is None


def test_a_day_counts_to_its_last_second_in_the_zone_of_the_rule():
    daily = table("59 59 23 * * *", tz="Europe/Berlin", first="2026-08-01", until="2026-08-03")
    found = list(daily.upcoming(NOON - timedelta(days=9)))
    assert [(time.day, time.utcoffset()) for time in found] == [(day, 2 * HOUR) for day in (1, 2, 3)]


def test_every_counts_from_from():
    every = table("@every 90m", first="2026-08-01T14:10", until="2026-08-01T18")
    assert [f"{time:%H:%M}" for time in every.upcoming(NOON)] == ["14:10", "15:40", "17:10"]
    assert every.next(NOON) == datetime(2026, 8, 1, 14, 10, tzinfo=UTC)
    assert every.next(every.next(NOON)) == datetime(2026, 8, 1, 15, 40, tzinfo=UTC)


def test_from_behind_until_plans_nothing():
    for cron in ("0 * * * *", "@every 1h"):
        never = table(cron, first="2026-08-02", until="2026-08-01")
        assert never.next(NOON) is None
        assert list(never.upcoming(NOON)) == []


def test_what_has_its_last_start_behind_it_is_over():
    assert not table(until="2026-08-01T12:30").is_over(NOON - HOUR)
    assert table(until="2026-08-01T12:30").is_over(NOON)
    assert not table().is_over(NOON)


def test_next_and_upcoming_agree():
    for cron in ("*/7 * * * *", "@every 20m", "30 9 * * 1"):
        each = table(cron, first="2026-08-01T13")
        asked, time = [], NOON
        while len(asked) < 5:
            time = each.next(time)
            asked.append(time)
        assert list(islice(each.upcoming(NOON), 5)) == asked


def test_jitter_is_the_same_for_one_phase_and_spread_over_many():
    minute = 60_000_000_000
    drawn = [delay_of(f"f.toml:p{n}", minute) for n in range(1_000)]
    assert drawn == [delay_of(f"f.toml:p{n}", minute) for n in range(1_000)]
    assert all(timedelta(0) <= each < timedelta(minutes=1) for each in drawn)
    per_quarter = [sum(n * 15 <= each.total_seconds() < n * 15 + 15 for each in drawn) for n in range(4)]
    assert min(per_quarter) > 180
    assert delay_of("f.toml:a", 0) == timedelta(0)
    assert table(jitter_ns=minute).delay == delay_of("f.toml:a", minute)


def test_a_bound_that_is_no_time_is_told():
    with pytest.raises(Unreadable):
        table(until="soon")
