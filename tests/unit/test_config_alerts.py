"""Quiet hours and routes of alerts, as the configuration has them."""

import pytest

from flowlord.config.values import Wrong, read_hours, read_routes


@pytest.mark.parametrize(
    ("text", "hours"),
    [
        ("22:00-07:00 Europe/Berlin", (1320, 420, "Europe/Berlin")),
        ("12:00 - 24:00", (720, 0, "")),
        ("0:00-6:30 UTC", (0, 390, "")),
        ("", None),
    ],
)
def test_hours_are_two_times_and_a_zone(text, hours):
    assert read_hours(text) == hours


@pytest.mark.parametrize(
    "text",
    ["22-07", "25:00-07:00", "08:00-08:00", "08:61-09:00", "00:00-24:00", "08:00-09:00 Mars/Base", 7, None],
)
def test_hours_that_are_none_are_refused(text):
    with pytest.raises(Wrong):
        read_hours(text)


def test_routes_are_patterns_and_channels():
    two = (("load:*", "oncall"), ("users.toml", "dev"))
    assert read_routes(["load:* = oncall", "users.toml=dev"]) == two
    assert read_routes("load:*=oncall, users.toml = dev") == two
    assert read_routes("") == ()
    for wrong in ("load", "=x", "x=", [1], 3):
        with pytest.raises(Wrong):
            read_routes(wrong)
