"""Times as people write and read them."""

from datetime import UTC, datetime, timedelta

import pytest

from flowlord.cli.times import coarse, iso, parse_time, relative, to_us, took

HALF = datetime(2026, 8, 1, 3, 6, 7, 500000, tzinfo=UTC)
NOW = datetime(2026, 8, 15, 13, 14, 15, 123456, tzinfo=UTC)


@pytest.mark.parametrize(
    ("text", "begin", "end"),
    [
        ("now", NOW, NOW),
        ("24h", NOW - timedelta(hours=24), NOW - timedelta(hours=24)),
        ("-6h", NOW - timedelta(hours=6), NOW - timedelta(hours=6)),
        ("+1h30m", NOW + timedelta(minutes=90), NOW + timedelta(minutes=90)),
        ("7d", NOW - timedelta(days=7), NOW - timedelta(days=7)),
        ("today", datetime(2026, 8, 15, tzinfo=UTC), datetime(2026, 8, 16, tzinfo=UTC)),
        ("Yesterday", datetime(2026, 8, 14, tzinfo=UTC), datetime(2026, 8, 15, tzinfo=UTC)),
        ("2026", datetime(2026, 1, 1, tzinfo=UTC), datetime(2027, 1, 1, tzinfo=UTC)),
        ("2026-12", datetime(2026, 12, 1, tzinfo=UTC), datetime(2027, 1, 1, tzinfo=UTC)),
        ("2026-02", datetime(2026, 2, 1, tzinfo=UTC), datetime(2026, 3, 1, tzinfo=UTC)),
        ("2026-08-01", datetime(2026, 8, 1, tzinfo=UTC), datetime(2026, 8, 2, tzinfo=UTC)),
        ("2026-08-01T05", datetime(2026, 8, 1, 5, tzinfo=UTC), datetime(2026, 8, 1, 6, tzinfo=UTC)),
        ("2026-08-01 05:06", datetime(2026, 8, 1, 5, 6, tzinfo=UTC), datetime(2026, 8, 1, 5, 7, tzinfo=UTC)),
        ("2026-08-01T05:06:07Z", datetime(2026, 8, 1, 5, 6, 7, tzinfo=UTC), datetime(2026, 8, 1, 5, 6, 8, tzinfo=UTC)),
        ("2026-08-01T05:06:07.5+02:00", HALF, HALF),
    ],
)  # fmt: skip
def test_a_written_time_is_its_beginning_or_its_end(text, begin, end):
    assert parse_time(text, NOW) == begin
    assert parse_time(text, NOW, end=True) == end
    assert parse_time(text, NOW).utcoffset() == timedelta(0)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "soon",
        "24",
        "2026-13-01",
        "2026-02-30",
        "2026-08-01T25",
        "1e9h",
        "9" * 500 + "h",
        "-",
        "290y",
        "\x1b[1m",
    ],
)
def test_what_is_no_time_is_told_with_what_would_be(text):
    with pytest.raises(ValueError, match="write 24h"):
        parse_time(text, NOW)


@pytest.mark.parametrize(("text", "words"), [("bogus", "'bogus' is no time; write"), ("3q", "unit")])
def test_why_it_is_no_duration_is_told_where_a_number_was_typed(text, words):
    with pytest.raises(ValueError, match=words):
        parse_time(text, NOW)


def test_the_end_of_time_is_no_crash():
    with pytest.raises(ValueError, match="no time"):
        parse_time("9999-12-31", NOW, end=True)


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (0, "now"),
        (38, "38s ago"),
        (119, "119s ago"),
        (720, "12m ago"),
        (3 * 3600, "3h ago"),
        (5 * 86400, "5d ago"),
        (-90, "in 90s"),
    ],
)
def test_distances_are_told_in_one_unit(seconds, words):
    assert relative(to_us(NOW) - seconds * 1_000_000, to_us(NOW)) == words


def test_no_time_is_no_words():
    assert (relative(0, 1), iso(0)) == ("", "")
    assert iso(to_us(NOW)) == "2026-08-15T13:14:15.123456Z"
    assert iso(1 << 62) == ""
    assert coarse(3_600_000_000) == "1h"


@pytest.mark.parametrize(
    ("us", "words"),
    [
        (0, "0s"),
        (300, "0.3ms"),
        (12_000, "12ms"),
        (400_000, "0.4s"),
        (9_960_000, "10s"),
        (41_000_000, "41s"),
        (62_000_000, "1m02s"),
        (11_100_000_000, "3h05m"),
    ],
)
def test_lengths_are_as_exact_as_it_matters(us, words):
    assert took(us) == words
