"""Writes the table of docs/daylight-saving.md out of rules/cron.py: `python tests/docs/daylight.py`."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

from flowlord.rules.cron import Cron
from flowlord.rules.zones import first_change, offset_at, zone_of

PAGE = Path(__file__).resolve().parents[2] / "docs" / "daylight-saving.md"
YEAR = 2025
"""A year that is over: nobody changes its rules any more."""
ZONES = (
    "Europe/Berlin",
    "Europe/London",
    "America/New_York",
    "America/Santiago",
    "America/St_Johns",
    "Australia/Sydney",
    "Australia/Lord_Howe",
    "Africa/Casablanca",
    "Africa/Cairo",
    "Asia/Jerusalem",
    "Asia/Kolkata",
    "UTC",
)
BEGIN = "<!-- made from rules/cron.py by tests/docs/daylight.py; change that, then run it -->"
TITLES = "| zone | change | clocks | each day at | starts at | each half hour |\n|---|---|---|---|---|---|\n"
HALF = timedelta(minutes=30)


def written() -> str:
    """Return the table."""
    return TITLES + "".join(f"| {' | '.join(row)} |\n" for name in ZONES for row in rows(name))


def rows(name: str) -> Iterator[tuple[str, ...]]:
    """Yield what happens in one zone, change by change."""
    zone = zone_of(name)
    end = datetime(YEAR + 1, 1, 1, tzinfo=UTC)
    at = first_change(datetime(YEAR, 1, 1, tzinfo=UTC), end, zone)
    if at is None:
        yield name, "none", "", "", "", ""
    while at is not None:
        before, after = offset_at(at - timedelta(seconds=1), zone), offset_at(at, zone)
        old = (at + before).replace(tzinfo=None)
        new = (at + after).replace(tzinfo=None)
        middle = min(old, new) + abs(new - old) / 2
        daily = Cron.parse(f"{middle.minute} {middle.hour} * * *", name)
        halves = Cron.parse("*/30 * * * *", name)
        begin = at - abs(new - old) - HALF
        until = at + abs(new - old) + HALF
        yield (
            name,
            f"{at:%Y-%m-%d %H:%M}Z",
            f"{old:%H:%M} → {new:%H:%M}",
            f"{middle:%H:%M}",
            _times(daily, begin, until),
            _times(halves, max(begin, at - abs(new - old)) - timedelta(seconds=1), until),
        )
        at = first_change(at, end, zone)


def _times(cron: Cron, begin: datetime, until: datetime) -> str:
    found = []
    for time in cron.upcoming(begin):
        if time > until:
            break
        found.append(f"{time:%H:%M%z}")
    return ", ".join(found)


if __name__ == "__main__":
    before, _, _ = PAGE.read_text("utf-8").partition(BEGIN)
    PAGE.write_text(f"{before}{BEGIN}\n\n{written()}", "utf-8")
