"""Every change of clocks that zones know, against an oracle that looks at each minute of a day (T-10).

The oracle shares nothing with the schedule but its text: it reads the wall clock of the zone minute by minute and asks
which of these minutes the fields name.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo, available_timezones

import pytest

from flowlord.rules.cron import Cron

MINUTE, HOUR, DAY = timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)
YEARS = range(2000, 2038)
SHARE = 60
"""One of so many pairs of zone and year is looked at each time; `full` looks at all."""
ZONES = sorted(available_timezones() - {"localtime", "posixrules", "Factory"})


def changes_in(name: str, year: int) -> Iterator[datetime]:
    """Yield the first minutes (UTC) at which the clocks of a zone show another offset than the minute before."""
    zone = ZoneInfo(name)
    day = datetime(year, 1, 1, tzinfo=UTC)
    offset = day.astimezone(zone).utcoffset()
    while day.year == year:
        following = day + DAY
        if following.astimezone(zone).utcoffset() != offset:
            low, high = 0, 24 * 60
            while high - low > 1:
                middle = (low + high) // 2
                if (day + middle * MINUTE).astimezone(zone).utcoffset() == offset:
                    low = middle
                else:
                    high = middle
            yield day + high * MINUTE
            offset = following.astimezone(zone).utcoffset()
        day = following


class Wall:
    """What the clocks of a zone showed around a change: each minute, and which minutes they left out."""

    def __init__(self, zone: ZoneInfo, change: datetime) -> None:
        before = (change - MINUTE).astimezone(zone).replace(tzinfo=None) + MINUTE
        after = change.astimezone(zone).replace(tzinfo=None)
        margin = abs(after - before) + 3 * HOUR
        self.before, self.after = before, after
        self.first, self.last = change - 3 * HOUR, change + 3 * HOUR
        self.shown: list[tuple[datetime, datetime]] = []
        instant = self.first - margin
        while instant <= self.last + margin:
            self.shown.append((instant.astimezone(zone).replace(tzinfo=None), instant))
            instant += MINUTE
        days = {wall.date() for wall, _ in self.shown}
        self.once: dict[datetime, datetime] = {}
        for wall, instant in self.shown:
            self.once.setdefault(wall, instant)
        left_out = before
        while left_out < after:  # a gap: these minutes come at its end, on a day that there is
            if left_out.date() in days:
                self.once[left_out] = change
            left_out += MINUTE

    def starts(self, minutes: set[int], hours: set[int], *, fixed: bool) -> list[datetime]:
        """Return the instants in (first, last] at which a schedule of these minutes and hours starts."""
        found = self.once.items() if fixed else self.shown
        return sorted(
            {
                instant
                for wall, instant in found
                if wall.minute in minutes and wall.hour in hours and self.first < instant <= self.last
            }
        )


ALL_MINUTES, ALL_HOURS = set(range(60)), set(range(24))


def shapes(wall: Wall) -> Iterator[tuple[str, set[int], set[int], bool]]:
    """Yield twelve schedules around a change: text, minutes, hours, and whether it is fixed."""
    before, after = wall.before.hour, wall.after.hour
    near = {(wall.before - HOUR).hour, before, after}
    listed = ",".join(map(str, sorted(near)))
    yield "* * * * *", ALL_MINUTES, ALL_HOURS, False
    yield "*/15 * * * *", {0, 15, 30, 45}, ALL_HOURS, False
    yield "0 * * * *", {0}, ALL_HOURS, False
    yield "7,37 */2 * * *", {7, 37}, set(range(0, 24, 2)), False
    yield f"*/20 {listed} * * *", {0, 20, 40}, near, False
    yield f"0 {before} * * *", {0}, {before}, True
    yield f"30 {before} * * *", {30}, {before}, True
    yield f"0 {after} * * *", {0}, {after}, True
    yield f"59 {(wall.before - HOUR).hour} * * *", {59}, {(wall.before - HOUR).hour}, True
    yield f"0,30 {listed} * * *", {0, 30}, near, True
    yield "10/25 0-23 * * *", {10, 35}, ALL_HOURS, True
    yield "0 0 * * *", {0}, {0}, True


def check(name: str, year: int) -> int:
    """Compare every change of a zone in a year; returns how many schedules were compared."""
    compared = 0
    for change in changes_in(name, year):
        wall = Wall(ZoneInfo(name), change)
        for text, minutes, hours, fixed in shapes(wall):
            cron = Cron.parse(text, name)
            assert cron.fixed is fixed
            found = []
            for time in cron.upcoming(wall.first):
                if time > wall.last:
                    break
                found.append(time.astimezone(UTC))
            assert found == wall.starts(minutes, hours, fixed=fixed), f"{text} in {name} around {change}"
            compared += 1
    return compared


def test_around_changes_of_clocks_schedules_name_what_looking_at_each_minute_names() -> None:
    pairs = [(name, year) for name in ZONES for year in YEARS]
    chosen = random.Random(10).sample(pairs, len(pairs) // SHARE)
    assert sum(check(name, year) for name, year in chosen) > 2_000, "else this shows little"


@pytest.mark.full
@pytest.mark.parametrize("letter", sorted({name[:2] for name in ZONES}))
def test_around_every_change_of_clocks_of_every_zone(letter: str) -> None:
    for name in ZONES:
        if name.startswith(letter):
            for year in YEARS:
                check(name, year)


@pytest.mark.parametrize(
    ("name", "year", "what"),
    [
        ("Pacific/Apia", 2011, "a day left out"),
        ("Australia/Lord_Howe", 2024, "half an hour"),
        ("Africa/Casablanca", 2024, "Ramadan"),
        ("Antarctica/Troll", 2024, "two hours"),
        ("Pacific/Kwajalein", 1993, "a day left out"),
        ("America/Caracas", 2016, "half an hour for good"),
        ("Asia/Pyongyang", 2018, "half an hour for good"),
        ("America/St_Johns", 2006, "a minute past midnight"),
    ],
)
def test_the_odd_ones(name: str, year: int, what: str) -> None:
    assert check(name, year) >= 12, what
