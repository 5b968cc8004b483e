"""A schedule in words, and what a change of the clocks does to its times."""

from datetime import UTC, datetime, timedelta
from itertools import islice, product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flowlord.rules.cron import Cron
from flowlord.rules.daylight import daylight_note
from flowlord.rules.errors import Unreadable
from flowlord.rules.words import in_words, on_clock_changes

WORDS = {
    "0 0 1 * * *": "at 01:00 every day, in UTC",
    "0 1 * * *": "at 01:00 every day, in UTC",
    "* * * * *": "every minute, in UTC",
    "* * * * * *": "every second, in UTC",
    "*/15 * * * *": "every 15 minutes, in UTC",
    "? ? ? ? ?": "every minute, in UTC",
    "*/7 * * * *": "at minutes 0, 7, 14, 21, 28, 35, 42, 49 and 56 of every hour, in UTC",
    "15,45 * * * *": "at minutes 15 and 45 of every hour, in UTC",
    "5 * * * *": "every hour at minute 5, in UTC",
    "5 * * * MON": "every hour at minute 5 on Monday, in UTC",
    "0 */2 * * *": "every 2 hours from 00:00 every day, in UTC",
    "30 1-23/2 * * *": "at minute 30 of the hours 1, 3, 5, 7, 9, 11, 13, 15, 17, 19, 21 and 23 every day, in UTC",
    "0 9-17 * * MON-FRI": "every hour from 09:00 to 17:00 from Monday to Friday, in UTC",
    "*/5 9-17 * * 1-5": "every 5 minutes from 09:00 to 17:59 from Monday to Friday, in UTC",
    "*/5 */6 * * *": "every 5 minutes of every 6th hour every day, in UTC",
    "* 3,5 * * *": "every minute of the hours 3 and 5 every day, in UTC",
    "*/10 * * * * *": "every 10 seconds, in UTC",
    "7 * * * * *": "at second 7, in UTC",
    "10 */2 * * * *": "at second 10 of every 2nd minute of every hour, in UTC",
    "*/10 * 6 * * *": "every 10 seconds from 06:00 to 06:59 every day, in UTC",
    "3/20 1-5/2 * * * *": "at seconds 3, 23 and 43 of the minutes 1, 3 and 5 of every hour, in UTC",
    "10,20 0,30 6 * * *": "at 06:00:10, 06:00:20, 06:30:10 and 06:30:20 every day, in UTC",
    "0 22,23,0,1 * * *": "at 00:00, 01:00, 22:00 and 23:00 every day, in UTC",
    "0 0 13 * FRI": "at 00:00 on the 13th of the month or on Friday, in UTC",
    "0 0 1,2,3,11,12,21,22,23 * *": "at 00:00 on the 1st to 3rd, 11th, 12th and 21st to 23rd of the month, in UTC",
    "0 0 1-31 * MON": "at 00:00 every day, in UTC",
    "0 0 */1 * MON": "at 00:00 on Monday, in UTC",
    "0 0 * * SAT,SUN": "at 00:00 on Saturday and Sunday, in UTC",
    "0 0 * * 5-7": "at 00:00 from Friday to Sunday, in UTC",
    "30 2 * 1-3,7 *": "at 02:30 every day in January to March and July, in UTC",
    "0 0 29 FEB *": "at 00:00 on the 29th of the month in February, in UTC",
    "@yearly": "at 00:00 on the 1st of the month in January, in UTC",
    "@annually": "at 00:00 on the 1st of the month in January, in UTC",
    "@monthly": "at 00:00 on the 1st of the month, in UTC",
    "@weekly": "at 00:00 on Sunday, in UTC",
    "@daily": "at 00:00 every day, in UTC",
    "@midnight": "at 00:00 every day, in UTC",
    "@hourly": "every hour, in UTC",
    "@every 90s": "every 1m30s, counted from the first start of the phase",
    "@every 1ms": "every 1s, counted from the first start of the phase",
    "CRON_TZ=Europe/Berlin 30 2 * * *": "at 02:30 every day, in Europe/Berlin",
    "TZ=Asia/Kathmandu @daily": "at 00:00 every day, in Asia/Kathmandu",
}


@pytest.mark.parametrize(("text", "words"), WORDS.items(), ids=WORDS)
def test_a_schedule_is_put_into_words(text, words):
    assert in_words(Cron.parse(text)) == words


SMALL = ("*", "*/2", "0", "1", "0,1", "0-58", "1-59", "5-7", "*/20", "0,20,40", "3,9", "0-59")
HOURS = ("*", "*/2", "*/12", "0,12", "0", "3", "3-5", "3,4,5", "0-23", "1,7", "22-23")
DAYS = ("*", "1", "1-31", "*/2", "2-3")
WEEKDAYS = ("*", "0", "7", "1-5", "0-6", "*/2", "1")


def test_two_schedules_with_the_same_words_name_the_same_times():
    begin = datetime(2026, 2, 27, 23, 58, tzinfo=UTC)
    known: dict[str, tuple[str, list[datetime]]] = {}
    some = [
        *(f"{s} {m} {h} * * *" for s, m, h in product(SMALL, SMALL, HOURS[:6])),
        *(f"{m} {h} {d} * {w}" for m, h, d, w in product(SMALL[:4], HOURS, DAYS, WEEKDAYS)),
    ]
    for text in some:
        cron = Cron.parse(text)
        times = list(islice(cron.upcoming(begin), 70))
        first, same = known.setdefault(in_words(cron), (text, times))
        assert same == times, f"{first} and {text} are both {in_words(cron)!r}"
    assert len(known) > 300


@given(st.text(st.sampled_from("0123456789*/,-? MONJAN"), min_size=5, max_size=40))
def test_whatever_is_a_schedule_has_words_of_one_line(text):
    try:
        cron = Cron.parse(text, "Europe/Berlin")
    except Unreadable:
        return
    assert in_words(cron).isprintable()
    assert on_clock_changes(cron)


def notes(text: str, zone: str, after: datetime, number: int) -> list[tuple[str, str]]:
    cron = Cron.parse(text, zone)
    found = islice(cron.upcoming(after.replace(tzinfo=UTC)), number)
    return [(time.isoformat(), daylight_note(cron, time)) for time in found]


def test_a_time_in_a_gap_is_told_with_the_clock_that_does_not_exist():
    assert notes("30 2 * * *", "Europe/Berlin", datetime(2027, 3, 27, 12), 2) == [
        (
            "2027-03-28T03:00:00+02:00",
            "02:30 does not exist that day; it starts when the clocks have changed",
        ),
        ("2027-03-29T02:30:00+02:00", ""),
    ]


def test_several_times_of_one_gap_are_one_start_with_all_their_clocks():
    [(at, note)] = notes("0,10,20,30,40 2 * * *", "Europe/Berlin", datetime(2027, 3, 27, 12), 1)
    assert at == "2027-03-28T03:00:00+02:00"
    assert note.startswith("02:00, 02:10, 02:20, … do not exist that day")


def test_a_time_of_its_own_at_the_end_of_the_gap_is_told_apart():
    [(at, note)] = notes("0 2,3 * * *", "Europe/Berlin", datetime(2027, 3, 28, 0, 30), 1)
    assert at == "2027-03-28T03:00:00+02:00"
    assert note == "02:00 does not exist that day; it starts when the clocks have changed too"


def test_a_repeated_hour_is_told_by_the_kind_of_schedule():
    day = datetime(2026, 10, 24, 23, 45)
    [(at, note), _] = notes("30 2 * * *", "Europe/Berlin", day, 2)
    assert (at, note) == ("2026-10-25T02:30:00+02:00", "02:30 comes twice that day; it starts at the first")
    found = notes("*/30 * * * *", "Europe/Berlin", day, 6)
    assert [note for _, note in found] == [
        "02:00 comes twice that day; this is the first",
        "02:30 comes twice that day; this is the first",
        "02:00 comes twice that day; this is the second",
        "02:30 comes twice that day; this is the second",
        "",
        "",
    ]


def test_where_no_clock_changes_there_is_nothing_to_tell():
    assert notes("30 2 * * *", "UTC", datetime(2027, 3, 27), 1)[0][1] == ""
    assert on_clock_changes(Cron.parse("30 2 * * *")) == ""
    assert on_clock_changes(Cron.parse("@every 1h", "Europe/Berlin")) == ""
    assert on_clock_changes(Cron.parse("* 2 * * *", "Europe/Berlin")).startswith("it follows real time")


@given(
    st.sampled_from(
        ["Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "Pacific/Apia", "Africa/Casablanca"]
    ),
    st.sampled_from(["*/30 * * * *", "0,30 0-5 * * *", "15 2 * * *", "0 0 * * *", "0 1-3 * * *"]),
    st.datetimes(datetime(2010, 1, 1), datetime(2040, 1, 1), timezones=st.just(UTC)),
)
def test_a_time_whose_clock_is_not_named_always_has_a_note(zone, text, after):
    cron = Cron.parse(text, zone)
    fields = cron.fields
    assert fields is not None
    for time in islice(cron.upcoming(after), 30):
        named = time.minute in fields.minute.numbers and time.hour in fields.hour.numbers
        note = daylight_note(cron, time)
        assert named or "not exist that day" in note
        before = (time.astimezone(UTC) - timedelta(hours=12)).astimezone(time.tzinfo)
        after_ = (time.astimezone(UTC) + timedelta(hours=12)).astimezone(time.tzinfo)
        if before.utcoffset() == after_.utcoffset() == time.utcoffset():
            assert note == ""
