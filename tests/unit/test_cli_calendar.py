"""`flowlord next -o ics`: what a program that reads calendars finds in it."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime

from hypothesis import given
from hypothesis import strategies as st

from flowlord.cli.calendar import calendar

NOW = datetime(2026, 8, 1, 5, 9, 7, tzinfo=UTC)
START = {
    "at": "2026-08-02T00:30:00Z", "task": "load:users", "info": "?day=1", "tasks": 24, "workflow": "a.toml",
    "place": "workflows/a.toml:3", "rule": "cron=30 0 * * *", "notes": ["x; y, z"], "fault": "", "paused": False,
}  # fmt: skip


def events(*records: Mapping[str, object]) -> list[dict[str, str]]:
    """Read a calendar as the standard wants it read."""
    text = "".join(f"{line}\n" for line in calendar(records, NOW))
    assert text.startswith("BEGIN:VCALENDAR\r\nVERSION:2.0\r\n")
    assert text.endswith("END:VCALENDAR\r\n")
    assert all(len(line.encode()) <= 75 for line in text.split("\r\n"))
    lines = text.replace("\r\n ", "").split("\r\n")
    found: list[dict[str, str]] = []
    for line in lines:
        name, _, value = line.partition(":")
        if line == "BEGIN:VEVENT":
            found.append({})
        elif found and name not in ("END", ""):
            found[-1][name] = unescaped(value)
    return found


def unescaped(value: str) -> str:
    parts = iter(value)
    return "".join(
        {"n": "\n"}.get(following := next(parts), following) if char == "\\" else char for char in parts
    )


def test_a_start_is_an_event_with_its_tasks_rule_and_notes() -> None:
    [event] = events(START)
    assert event["DTSTART"] == "20260802T003000Z"
    assert event["DTSTAMP"] == "20260801T050907Z"
    assert event["SUMMARY"] == "load:users (x24)"
    assert event["DESCRIPTION"] == "?day=1\ncron=30 0 * * *  (workflows/a.toml:3)\nx; y, z"
    assert "STATUS" not in event


def test_the_same_start_is_the_same_event_next_time_and_twins_are_two() -> None:
    first, twin = events(START, START)
    assert first["UID"] != twin["UID"]
    assert events(START | {"place": "workflows/a.toml:9"})[0]["UID"] == first["UID"]


def test_what_a_task_is_called_ends_no_line_and_moves_nothing_on_a_terminal() -> None:
    lines = list(calendar([START | {"task": "a\r\nX-EVIL:1\x1b[31m"}], NOW))
    assert all(char.isprintable() for line in lines for char in line.removesuffix("\r"))


def test_what_is_paused_or_cannot_start_says_so() -> None:
    paused, wrong = events(START | {"paused": True, "tasks": 1}, START | {"fault": "no rows", "info": ""})
    assert (paused["SUMMARY"], paused["STATUS"]) == ("load:users (paused)", "TENTATIVE")
    assert wrong["DESCRIPTION"].startswith("cannot start: no rows\n")


@given(st.text(st.characters(exclude_categories=["C", "Zl", "Zp"]), max_size=300))
def test_any_text_comes_back_out_of_its_folds(text: str) -> None:
    [event] = events(START | {"info": text, "notes": []})
    assert event["DESCRIPTION"].removesuffix("cron=30 0 * * *  (workflows/a.toml:3)") == (
        f"{text}\n" if text else ""
    )
