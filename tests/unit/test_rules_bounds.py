"""The bounds of a rule and the sizes of files, as people write them."""

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest

from flowlord.rules.bounds import first_instant, last_instant
from flowlord.rules.errors import Unreadable
from flowlord.rules.sizes import parse_size

BERLIN = ZoneInfo("Europe/Berlin")


@pytest.mark.parametrize(
    ("text", "zone", "first", "last"),
    [
        ("2026-08-01", UTC, "2026-08-01T00:00:00+00:00", "2026-08-01T23:59:59+00:00"),
        ("2026-08-01T05", UTC, "2026-08-01T05:00:00+00:00", "2026-08-01T05:00:00+00:00"),
        ("2026-08-01T05:30", BERLIN, "2026-08-01T03:30:00+00:00", "2026-08-01T03:30:00+00:00"),
        ("2026-08-01 05:30:10Z", BERLIN, "2026-08-01T05:30:10+00:00", "2026-08-01T05:30:10+00:00"),
        ("2026-10-25", BERLIN, "2026-10-24T22:00:00+00:00", "2026-10-25T22:59:59+00:00"),
    ],
)
def test_a_day_counts_from_its_beginning_to_its_end_in_the_zone_of_the_rule(text, zone, first, last):
    assert first_instant(text, zone) == datetime.fromisoformat(first)
    assert last_instant(text, zone) == datetime.fromisoformat(last)


@pytest.mark.parametrize(
    "text", ["", "soon", "2026-02-30", "2026-08", "9999-12-31", "2026-08-01T25", "٢٠٢٦-08-01"]
)
def test_what_is_no_time_is_refused(text):
    with pytest.raises(Unreadable):
        last_instant(text, UTC)


@pytest.mark.parametrize(
    ("text", "size"),
    [("0", 0), ("512", 512), ("10k", 10_000), ("10 kB", 10_000), ("10KiB", 10_240), ("2G", 2 * 10**9)],
)
def test_sizes_are_read_with_their_unit(text, size):
    assert parse_size(text) == size


@pytest.mark.parametrize("text", ["", "-1", "1.5M", "ten", "1iB", "1e3", "9" * 30])
def test_what_is_no_size_is_refused(text):
    with pytest.raises(Unreadable):
        parse_size(text)
