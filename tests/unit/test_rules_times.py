"""What moments, batches, waits, schedules and date ranges do beyond the vectors."""

from datetime import UTC, datetime, timedelta, timezone
from itertools import islice
from zoneinfo import ZoneInfo, available_timezones

import pytest

from flowlord.rules.backoff import wait_ns
from flowlord.rules.batch import parse_lists, rows_of_lists, steps, truncate_hour
from flowlord.rules.cron import Cron
from flowlord.rules.dateranges import compress_dates
from flowlord.rules.durations import DAY, MINUTE, SECOND
from flowlord.rules.errors import Unreadable
from flowlord.rules.moments import format_hour, parse_hour, time_of_info, time_of_path, time_of_task
from flowlord.rules.rows import rows_of_lines
from flowlord.rules.zonefiles import is_there
from flowlord.rules.zones import zone_of

NEW_YORK = ZoneInfo("America/New_York")
APIA = ZoneInfo("Pacific/Apia")


def utc(*fields):
    return datetime(*fields, tzinfo=UTC)


@pytest.mark.parametrize(
    "path, time",
    [
        ("/2018/13/14/20181314T250000_20180214T010203.gz", utc(2018, 2, 14, 1, 2, 3)),
        ("/2018/02/14/25/2019/01/01/05/f", utc(2019, 1, 1, 5)),
        ("/2018/02/14/05", utc(2018, 2, 14, 5)),
        ("/2018/02/30/2018-01-01/f", None),
        ("/0999/12/31/f", utc(999, 12, 31)),
        ("/d/0007/12/x.gz", None),
        ("/d/1000/12/x.gz", utc(1000, 12, 1)),
        ("/0000/01/01/f", None),
        ("/\uff19\uff10\uff10\uff10/01/01/f", None),
    ],
)
def test_a_path_tells_its_time(path, time):
    assert time_of_path(path) == time


@pytest.mark.parametrize(
    "info, time",
    [
        ("?time=2020-03-05T11:15:22-0330", utc(2020, 3, 5, 14, 45, 22)),
        ("?day=2020-03-05T11:15:22%2B02", utc(2020, 3, 5, 9, 15, 22)),
        ("?time=2020-03-05T11:15:22+25:00", None),
        ("?date=2020-03-05T11:15:22+25:00", utc(2020, 3, 5, 11)),
        ("?date=2020-03-05T25", utc(2020, 3, 5)),
        ("?date=2020-03-05T111", utc(2020, 3, 5)),
        ("?hour=2020-03-05T25&hour=2020-03-06T05", utc(2020, 3, 6, 5)),
        ("?time=9999-12-31T23:59:59-01:00", None),
        ("?time=0001-01-01T00:00:00+01:00", None),
        ("?day=0001-01-01", None),
        ("gs://{bucket}/2020/03/05/f", None),
        ("gs://u:p@b:80/2020/03/05/f", utc(2020, 3, 5)),
        ("gs://a b@c/2020/03/05/f", None),
        ("gs://[::1]:80/2020/03/05/f", utc(2020, 3, 5)),
        ("gs://[::1/2020/03/05/f", None),
        ("gs://b/x#2020/03/05", None),
        ("gs://b/2020/03/05/f#50%", None),
        ("///2020/03/05/f", utc(2020, 3, 5)),
        ("//2020/03/05/f", None),
        (":/2020/03/05/f", None),
        ("mail:2020/03/05", None),
        ("a/b:c/2020/03/05", utc(2020, 3, 5)),
        ("/50%/2020/03/05", None),
        ("/a\tb/2020/03/05", None),
    ],
)
def test_an_info_tells_its_time(info, time):
    assert time_of_info(info) == time


def test_the_file_of_the_meta_tells_the_time_last():
    meta = {"cron": ["0 5 * * *"], "file": ["/d/2024/01/02/x.gz"]}
    assert time_of_task("?x=1", meta) == utc(2024, 1, 2)
    assert time_of_task("?day=2020-01-01", meta) == utc(2020, 1, 1)
    assert time_of_task("?day=2020-01-01", meta | {"cron": ["2019-01-01T5"]}) == utc(2019, 1, 1, 5)
    assert time_of_task("", {"cron": ["2019-01-01T05Z"], "file": [""]}) is None


def test_an_hour_is_read_with_or_without_its_zone_and_written_without():
    assert parse_hour("2024-01-02T05") == utc(2024, 1, 2, 5)
    assert parse_hour("2024-01-02T05Z") == utc(2024, 1, 2, 5)
    east = parse_hour("2024-01-02T05+05:30")
    assert east == utc(2024, 1, 1, 23, 30)
    assert format_hour(east) == "2024-01-02T05"
    assert [
        parse_hour(text) for text in ("", "2024-01-02", "2024-02-30T05", "2024-01-02T24", "x2024-01-02T05")
    ] == [None] * 5


def dates(start, end, by=""):
    return [time.isoformat() for time in steps(start, end, by)]


def test_an_hour_is_truncated_on_the_clock_of_its_zone():
    kolkata = ZoneInfo("Asia/Kolkata")
    assert truncate_hour(datetime(2024, 1, 15, 15, 37, 30, tzinfo=kolkata)) == datetime(
        2024, 1, 15, 15, tzinfo=kolkata
    )
    second = datetime(2024, 11, 3, 1, 37, fold=1, tzinfo=NEW_YORK)
    assert truncate_hour(second).astimezone(UTC) == utc(2024, 11, 3, 6)


def test_a_wall_time_that_does_not_exist_moves_behind_the_gap_and_back():
    assert dates(
        datetime(2024, 3, 9, 2, 30, tzinfo=NEW_YORK), datetime(2024, 3, 11, 2, 30, tzinfo=NEW_YORK)
    ) == [
        "2024-03-09T02:30:00-05:00",
        "2024-03-10T03:30:00-04:00",
        "2024-03-11T02:30:00-04:00",
    ]


def test_a_day_that_a_zone_left_out_is_left_out():
    assert [
        day[:10] for day in dates(datetime(2011, 12, 29, tzinfo=APIA), datetime(2012, 1, 1, tzinfo=APIA))
    ] == [
        "2011-12-29",
        "2011-12-31",
        "2012-01-01",
    ]


def test_the_second_pass_of_an_hour_lies_behind_the_first():
    first, second = (datetime(2024, 11, 3, 1, fold=fold, tzinfo=NEW_YORK) for fold in (0, 1))
    assert dates(second, first, "hour") == ["2024-11-03T01:00:00-05:00", "2024-11-03T01:00:00-04:00"]


def test_months_count_from_the_first_date_backwards_too():
    assert [day[:10] for day in dates(utc(2024, 3, 31), utc(2023, 11, 1), "Monthly")] == [
        "2024-03-31",
        "2024-02-29",
        "2024-01-31",
        "2023-12-31",
        "2023-11-30",
    ]


@pytest.mark.parametrize("by", ["hour", "day", "week", "month"])
@pytest.mark.parametrize("zone", [UTC, NEW_YORK, APIA])
def test_steps_end_with_the_calendar(by, zone):
    last, first = datetime(9999, 12, 30, tzinfo=zone), datetime(1, 1, 3, tzinfo=zone)
    assert 1 <= len(dates(last, datetime(9999, 12, 31, 23, tzinfo=zone), by)) <= 48
    assert 1 <= len(dates(first, datetime(1, 1, 1, tzinfo=zone), by)) <= 49


def test_ten_thousand_years_of_steps_come_one_by_one():
    assert len(list(islice(steps(utc(1, 1, 1), utc(9999, 1, 1), "hour"), 10))) == 10


def test_lists_are_read_with_either_mark():
    assert parse_lists("key:a,b|k2=1:2,|k3:|key:z") == {"key": ("z",), "k2": ("1:2", ""), "k3": ()}


@pytest.mark.parametrize("text, offset", [("", 0), ("abc", 0), ("a:1|", 4), ("a:1|b|c:2", 4), ("a:1|:2", 4)])
def test_a_list_without_key_or_mark_tells_where(text, offset):
    with pytest.raises(Unreadable) as found:
        parse_lists(text)
    assert found.value.offset == offset


def test_rows_take_one_item_of_each_list():
    assert rows_of_lists({"a": ["1", "2"], "b": ["x", "y"]}) == [{"a": "1", "b": "x"}, {"a": "2", "b": "y"}]
    assert rows_of_lists({"a": []}) == []
    with pytest.raises(Unreadable, match="a has 1, b has 2"):
        rows_of_lists({"a": ["1"], "b": ["x", "y"]})


def rows(text, kind="jsonl"):
    return list(rows_of_lines(text.splitlines(keepends=True), kind=kind))


def test_json_lines_become_rows():
    assert rows('\ufeff{"a":1}\r\n\n{"a":-0,"b":[1.50]}\nnull\n') == [
        {"a": "1"},
        {"a": "0", "b": "[1.5]"},
        {},
    ]


@pytest.mark.parametrize(
    "text, told",
    [
        ('{"a":1}\n{"a":}\n', 'line 2: "{\\"a\\":}" is not JSON'),
        ("\n[1]\n", 'line 2: "[1]" is no JSON object'),
        ("   \n", 'line 1: "   " is not JSON'),
        ('{"a":NaN}', "line 1: NaN is no number"),
        ('{"a":1e999}', "line 1: a number is infinite"),
        ('{"a":"\\ud800"}', "line 1: half of a surrogate pair"),
        ('{"a":' + "9" * 5000 + "}", 'line 1: "{'),
        ('{"a":' + "9" * 2000 + "}", "line 1: an integer has more than"),
        ("[" * 100_000, 'line 1: "[['),
    ],
)
def test_a_bad_line_of_json_tells_its_number(text, told):
    with pytest.raises(Unreadable) as found:
        rows(text)
    assert str(found.value).startswith(told)


def test_rows_stream():
    seen = []

    def lines():
        for number in range(3):
            seen.append(number)
            yield f'{{"n":{number}}}\n'

    found = rows_of_lines(lines(), kind="jsonl")
    assert (next(found), seen) == ({"n": "0"}, [0])


def test_csv_becomes_rows():
    assert rows('\ufeffa,b\r\n1,"x,\ny"\r\n\r\n2,""\r\n', "csv") == [
        {"a": "1", "b": "x,\ny"},
        {"a": "2", "b": ""},
    ]
    assert rows("", "csv") == rows("a,b\n", "csv") == []


@pytest.mark.parametrize(
    "text, told",
    [
        ("a,b\n1\n", "line 2: 1 values where 2"),
        ("a,a\n1,2\n", "line 1: a column"),
        ("a,\n1,2\n", "line 1: a column"),
        ('a,b\n"1"x,2\n', "line 2: not CSV"),
        ('a,b\n"1,2\n', "line 2: not CSV"),
    ],
)
def test_a_bad_line_of_csv_tells_its_number(text, told):
    with pytest.raises(Unreadable) as found:
        rows(text, "csv")
    assert str(found.value).startswith(told)


def wait(n, jitter=0.0, delay=None, factor=None, max_delay=None):
    return wait_ns(n, delay=delay, factor=factor, max_delay=max_delay, jitter=jitter)


def test_without_any_option_a_second_doubles_up_to_five_minutes():
    assert [wait(n) // SECOND for n in (-1, 0, 1, 2, 8, 9, 10**9)] == [1, 1, 2, 4, 256, 300, 300]


def test_a_delay_alone_is_fixed():
    assert [wait(n, delay=30 * SECOND) for n in (0, 5, 1000)] == [30 * SECOND] * 3
    assert wait(3, delay=0) == 0
    assert wait(3, delay=30 * SECOND, max_delay=10 * SECOND) == 10 * SECOND


def test_a_delay_with_backoff_grows_up_to_its_limit():
    assert [wait(n, delay=SECOND, factor=2.0, max_delay=MINUTE) // SECOND for n in range(8)] == [
        1,
        2,
        4,
        8,
        16,
        32,
        60,
        60,
    ]
    assert wait(10**6, delay=SECOND, factor=3.0) == DAY
    assert wait(10**6, delay=2 * DAY, factor=3.0) == 2 * DAY
    assert wait(2, factor=1.5) == 2_250_000_000
    assert wait(10**6, delay=SECOND, factor=0.5) == 0


def test_jitter_comes_after_the_cap_and_stays_below_forty_percent():
    assert wait(0, delay=30 * SECOND, jitter=1 - 2**-53) == 41_999_999_999
    assert wait(100, jitter=0.5) == 360 * SECOND
    assert wait(0, delay=2, jitter=0.999) == 2


@pytest.mark.parametrize(
    "marked, told",
    [
        ("«»", "is empty"),
        ("«* * * *» ", "has 4 fields"),
        ("«* * * * * * *»", "has 7 fields"),
        ("0 «25» * * *", '"25" is no hour: 0 to 23'),
        ("0 «25»-30 * * *", '"25" is no hour: 0 to 23'),
        ("0  1,2,«x» * * *", '"x" is no number for the hour'),
        ("0 0 * * «FRI-MON»", "runs backwards"),
        ("0 «22-2» * * *", "runs backwards"),
        ("«22-2» * * * *", "runs backwards"),
        ("1,«5-1»/2,7 * * * *", "runs backwards"),
        ("0 0 «31 2,4,6» *", "never comes"),
        ("TZ=UTC 0 0 «30 feb» ?", "never comes"),
        ("«*-5» * * * *", "has a tail"),
        ("1,«?x»,2 * * * *", "has a tail"),
        ("«,» * * * *", "selects no minute"),
        ("«*/0» * * * *", "step 0"),
        ("0 1,«*/»,2 * * *", "a number is missing"),
        ("0 «1-» * * *", "a number is missing"),
        ("0 0 * * «8»", "0 to 7"),
        ("«99999999999999999999999» * * * *", "is no minute"),
        ("«@Daily»", "@daily"),
        ("«@daily »", "is not known"),
        ("TZ=UTC  «@often»", "is not known"),
        ("TZ=UTC @every «-5m»", "runs backwards"),
        ("CRON_TZ=«Mars/Base» 0 0 * * *", "no time zone"),
        ("TZ=«local» 0 0 * * *", "no time zone"),
        ("TZ=«Europe» 0 0 * * *", "no time zone"),
    ],
)
def test_an_unreadable_schedule_tells_where_it_begins_and_ends(marked, told):
    offset, end = marked.index("«"), marked.index("»") - 1
    with pytest.raises(Unreadable, match=told) as found:
        Cron.parse(marked.replace("«", "").replace("»", ""))
    assert (found.value.offset, found.value.end) == (offset, end)


@pytest.mark.parametrize(
    "text, offset, told",
    [
        ("@every 5", 8, "lacks a unit"),
        ("TZ=Local", 8, "no schedule behind it"),
        ("TZ=UTC", 6, "no schedule behind it"),
        ("0 " * 600, 0, "more than"),
    ],
)
def test_a_schedule_that_ends_too_soon_or_too_late_tells_where(text, offset, told):
    with pytest.raises(Unreadable, match=told) as found:
        Cron.parse(text)
    assert found.value.offset == offset


def test_local_is_the_zone_of_schedules_that_name_none():
    for text in ("TZ=Local 0 6 * * *", "CRON_TZ=Local  @daily"):
        bare = text.partition(" ")[2].strip()
        for zone in ("", "Europe/Berlin"):
            after = datetime(2026, 8, 3, tzinfo=UTC)
            assert Cron.parse(text, zone).next(after) == Cron.parse(bare, zone).next(after)


def test_a_bad_configured_zone_is_told():
    with pytest.raises(Unreadable, match='"Mars/Base" is no time zone'):
        Cron.parse("@daily", "Mars/Base")


@pytest.mark.parametrize(
    "text, fixed",
    [
        ("0 6 * * *", True),
        ("* 0 6 * * *", True),
        ("0,30 1-3 * * *", True),
        ("5/10 9/5 * * *", True),
        ("@daily", True),
        ("*/5 2 * * *", False),
        ("0 * * * *", False),
        ("? 2 * * *", False),
        ("0 1,*/2 * * *", False),
        ("@hourly", False),
        ("@every 1h", False),
    ],
)
def test_a_schedule_without_a_star_in_minute_and_hour_is_fixed(text, fixed):
    assert Cron.parse(text).fixed is fixed


def test_a_schedule_tells_what_it_was_read_from():
    cron = Cron.parse("CRON_TZ=Asia/Tokyo @every 90s", "Europe/Berlin")
    assert (cron.text, cron.zone, cron.every_ns) == (
        "CRON_TZ=Asia/Tokyo @every 90s",
        "Asia/Tokyo",
        90 * SECOND,
    )
    assert Cron.parse("@daily", "Europe/Berlin").zone == "Europe/Berlin"
    assert Cron.parse("TZ=UTC @daily", "Europe/Berlin").zone == ""
    assert Cron.parse("TZ= @daily", "Europe/Berlin").zone == ""
    assert Cron.parse("@daily") == Cron.parse("@daily")
    assert len({Cron.parse("@daily"), Cron.parse("@daily")}) == 1


def upcoming(text, after, n):
    return [time.isoformat() for time in islice(Cron.parse(text).upcoming(after), n)]


def test_two_fixed_times_moved_to_one_instant_come_once():
    assert upcoming("TZ=America/New_York 0,30 2,3 * * *", datetime(2024, 3, 10, 0, tzinfo=NEW_YORK), 3) == [
        "2024-03-10T03:00:00-04:00",
        "2024-03-10T03:30:00-04:00",
        "2024-03-11T02:00:00-04:00",
    ]


def test_a_midnight_that_does_not_exist_moves_behind_the_gap():
    assert upcoming("TZ=America/Sao_Paulo 0 0 * * *", utc(2018, 11, 3, 12), 2) == [
        "2018-11-04T01:00:00-02:00",
        "2018-11-05T00:00:00-02:00",
    ]


def test_asking_inside_the_second_pass_gives_no_time_of_the_first():
    inside = datetime(2024, 11, 3, 1, 10, fold=1, tzinfo=NEW_YORK)
    assert upcoming("TZ=America/New_York 30 1 * * *", inside, 1) == ["2024-11-04T01:30:00-05:00"]
    assert upcoming("TZ=America/New_York */30 * * * *", inside, 1) == ["2024-11-03T01:30:00-05:00"]


def test_a_rare_schedule_finds_the_earlier_of_two_passes():
    assert upcoming("TZ=America/New_York 30 ? 3 11 *", utc(2024, 6, 1), 3) == [
        "2024-11-03T00:30:00-04:00",
        "2024-11-03T01:30:00-04:00",
        "2024-11-03T01:30:00-05:00",
    ]


def test_a_leap_day_after_2100_is_found():
    assert upcoming("0 0 29 2 *", utc(2096, 3, 1), 1) == ["2104-02-29T00:00:00+00:00"]


@pytest.mark.parametrize("text", ["* * * * *", "0 0 * * *", "0 0 29 2 *", "@every 1h"])
@pytest.mark.parametrize("zone", ["", "America/New_York", "Asia/Tokyo"])
def test_no_time_comes_after_the_last_year(text, zone):
    cron = Cron.parse(text, zone)
    assert cron.next(utc(9999, 12, 31, 23, 59, 59)) is None
    assert list(islice(cron.upcoming(datetime.max.replace(tzinfo=UTC)), 3)) == []


def test_an_interval_counts_from_what_it_is_given():
    assert Cron.parse("@every 1d").next(utc(2024, 1, 1, 5)) == utc(2024, 1, 2, 5)


def test_seven_is_sunday_at_either_end():
    for text in ("0 0 * * 7", "0 0 * * 7-7", "0 0 * * sun"):
        assert Cron.parse(text).next(utc(2024, 1, 15)) == utc(2024, 1, 21)
    assert [day[8:10] for day in upcoming("0 0 * * 5-7", utc(2024, 1, 15), 4)] == ["19", "20", "21", "26"]
    assert upcoming("0 0 * * 7/2", utc(2024, 1, 15), 4) == upcoming("0 0 * * SUN/2", utc(2024, 1, 15), 4)


def test_date_ranges_are_told_in_utc():
    east = timezone(timedelta(hours=2))
    assert (
        compress_dates([datetime(2024, 1, 2, 1, tzinfo=east), utc(2024, 1, 2, 0)]) == "2024/01/01-2024/01/02"
    )


def test_every_zone_of_zoneinfo_is_there():
    assert [name for name in available_timezones() if not is_there(name)] == []


@pytest.mark.parametrize(
    "name",
    [
        "../zoneinfo/UTC",
        "/usr/share/zoneinfo/UTC",
        "Europe/",
        "Europe",
        "a\0b",
        "a" * 5000,
        "\ud800",
        ".",
        "zones",
    ],
)
def test_what_is_no_name_of_a_zone_is_unreadable(name):
    with pytest.raises(Unreadable, match="is no time zone"):
        zone_of(name)
