"""Vectors of schedules, of the times of batches and of date ranges."""

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from flowlord.rules.batch import rows_of_lists, steps
from flowlord.rules.cron import Cron
from flowlord.rules.dateranges import compress_dates
from flowlord.rules.durations import parse_duration
from flowlord.rules.errors import Unreadable
from flowlord.rules.moments import format_hour
from vectors.cases import cases

ZERO = datetime(1, 1, 1, tzinfo=UTC)


@pytest.mark.parametrize("case", cases("cron_next"))
def test_cron_next(case):
    given = case["input"]
    cron = Cron.parse(given["expr"], given.get("tz", ""))
    times = cron.upcoming(datetime.fromisoformat(given["from"]))
    zone = ZoneInfo(given.get("tz", "UTC"))
    found = []
    for _ in case["expected"]:
        time = next(times, None)
        found.append(None if time is None else time.astimezone(zone).isoformat().replace("+00:00", "Z"))
    assert found == case["expected"]


@pytest.mark.parametrize("case", cases("cron_invalid"))
def test_cron_invalid(case):
    if case["expected"] == "valid":
        assert Cron.parse(case["input"]).text == case["input"]
        return
    with pytest.raises(Unreadable) as told:
        Cron.parse(case["input"])
    assert 0 <= told.value.offset <= len(case["input"])


@pytest.mark.parametrize("case", cases("print_dates"))
def test_print_dates(case):
    times = [
        ZERO if text == "zero" else datetime.fromisoformat(text).replace(tzinfo=UTC) for text in case["input"]
    ]
    assert compress_dates(times) == case["expected"]


def has_a_range(case):
    given = case.values[0].get("input", {})
    return not case.values[0] or ({"start"} <= given.keys() and not {"meta", "metafile"} & given.keys())


@pytest.mark.parametrize("case", [case for case in cases("batch_expand") if has_a_range(case)])
def test_batch_times(case):
    given = case["input"]
    zone = ZoneInfo(given.get("tz", "UTC"))
    start = datetime.fromisoformat(given["start"]).replace(tzinfo=zone)
    end = datetime.fromisoformat(given["end"]).replace(tzinfo=zone) if "end" in given else start
    if "for" in given:
        end = start + timedelta(microseconds=parse_duration(given["for"]) // 1000)
    found = [f"cron={format_hour(time)}" for time in steps(start, end, given.get("by", ""))]
    assert found == [task["meta"].partition("&")[0] for task in case["expected"]]


@pytest.mark.parametrize(
    "case", [case for case in cases("batch_expand") if case.values[0].get("op") == "create_meta"]
)
def test_batch_rows(case):
    assert rows_of_lists(case["input"]) == case["expected"]
