"""What a backload would send, in words."""

from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

from flowlord.cli.survey import Survey


def test_the_dates_of_a_backload_are_told_by_the_clock_by_which_they_were_asked_for():
    first = datetime(2026, 7, 1, tzinfo=ZoneInfo("Europe/Berlin"))  # the day before, in UTC
    assert Survey(times=[first + timedelta(days=n) for n in range(3)]).ranges() == "2026/07/01-2026/07/03"
