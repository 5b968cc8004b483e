"""`flowlord next --explain` stands any text."""

from datetime import UTC, datetime

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from flowlord.cli.explain import run
from flowlord.cli.printer import Look
from flowlord.model.errors import FlowlordError
from support.clock import VirtualClock

NOW = datetime(2026, 8, 3, 5, tzinfo=UTC)


@given(
    st.text(st.sampled_from("0123456789*/,-?@ TZ=UCaeinmonrvy&%+\t\n\x1b\ud800"), max_size=40)
    | st.text(max_size=40),
    st.sampled_from(["", "Europe/Berlin", "UTC"]),
    st.sampled_from(["", "json"]),
)
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_whatever_is_asked_is_answered_or_told(capsys, text, zone, form):
    code = run(text, zone=zone, look=Look(form), clock=VirtualClock(NOW))
    told = capsys.readouterr()
    assert code in (0, 1)
    assert bool(told.err) == (code == 1)
    assert "\x1b" not in told.out + told.err


@pytest.mark.parametrize("start", ["0001", "9999-12-31T23:59:59", "2026-08-03"])
def test_the_ends_of_the_calendar_are_survived(start, capsys):
    assert run("30 2 * * *", zone="Europe/Berlin", start=start, clock=VirtualClock(NOW)) == 0
    assert "at 02:30 every day" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("text", "zone", "told"),
    [
        ("0 5 * * *", "", "America/New_York"),
        ("TZ=Local 0 5 * * *", "", "America/New_York"),
        ("cron=TZ=Local 0 5 * * *&tz=Asia/Tokyo", "", "Asia/Tokyo"),
        ("cron=0 5 * * *", "Europe/Berlin", "Europe/Berlin"),
        ("TZ=UTC 0 5 * * *", "", "UTC"),
    ],
)
def test_a_schedule_that_names_no_zone_is_told_in_the_configured_one(text, zone, told, capsys):
    assert run(text, zone=zone, default="America/New_York", clock=VirtualClock(NOW)) == 0
    assert f"at 05:00 every day, in {told}\n" in capsys.readouterr().out


def test_a_zone_that_is_none_is_wrong_use():
    for text, zone in (("@daily", "Mars/Base"), ("cron=@daily&tz=Mars", "")):
        with pytest.raises(FlowlordError, match="is no time zone"):
            run(text, zone=zone, clock=VirtualClock(NOW))
