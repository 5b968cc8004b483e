"""What holds for every schedule, batch, wait and date range; schedules are compared with two oracles."""

from datetime import UTC, datetime, timedelta
from itertools import islice
from zoneinfo import ZoneInfo

from cronsim import CronSim
from hypothesis import given, settings
from hypothesis import strategies as st

from flowlord.rules.backoff import wait_ns
from flowlord.rules.batch import STEPS, steps
from flowlord.rules.cron import Cron
from flowlord.rules.cronfields import read_fields
from flowlord.rules.dateranges import compress_dates
from flowlord.rules.errors import Unreadable
from flowlord.rules.moments import format_hour, parse_hour, time_of_task
from flowlord.rules.stamps import stamp
from support.other_walks import croniter_walk

ZONES = [
    "UTC",
    "America/New_York",
    "Europe/Berlin",
    "Australia/Lord_Howe",
    "America/Sao_Paulo",
    "Asia/Kathmandu",
]
moments = st.datetimes(datetime(1990, 1, 1), datetime(2060, 1, 1), timezones=st.just(UTC))


def field(low, high):
    """`*` or a list of numbers, ranges and steps; no starred steps in days, which cronsim reads as Debian does."""
    number = st.integers(low, high)
    # No range of one: with a step cronsim takes it for the whole field.
    span = st.tuples(st.integers(low, high - 1), number).map(
        lambda pair: f"{pair[0]}-{max(pair[1], pair[0] + 1)}"
    )
    item = (
        number.map(str) | span | st.tuples(span, st.integers(1, 9)).map(lambda pair: f"{pair[0]}/{pair[1]}")
    )
    return st.just("*") | st.lists(item, min_size=1, max_size=3).map(",".join)


schedules = st.tuples(field(0, 59), field(0, 23), field(1, 28), field(1, 12), field(0, 7)).map(" ".join)


@given(schedules, moments)
@settings(max_examples=150)
def test_in_utc_a_schedule_names_what_cronsim_names(text, after):
    found = list(islice(Cron.parse(text).upcoming(after), 4))
    assert found == list(islice(CronSim(text, after), 4))


CHANGES = [
    ("America/New_York", datetime(2024, 3, 10, 7)),
    ("America/New_York", datetime(2024, 11, 3, 6)),
    ("Europe/Berlin", datetime(2024, 3, 31, 1)),
    ("Europe/Berlin", datetime(2024, 10, 27, 1)),
    ("Australia/Lord_Howe", datetime(2024, 10, 5, 15, 30)),
    ("Australia/Lord_Howe", datetime(2024, 4, 6, 15)),
    ("America/Sao_Paulo", datetime(2018, 11, 4, 3)),
    ("America/Sao_Paulo", datetime(2018, 2, 18, 2)),
    ("Africa/Casablanca", datetime(2024, 4, 14, 2)),
    ("Pacific/Apia", datetime(2011, 12, 30, 10)),
]
MINUTE = timedelta(minutes=1)


def by_counting(cron, text, first, last):
    """Every time in (first, last], by looking at each minute of the clocks of the zone."""
    zone = ZoneInfo(cron.zone)
    fields = read_fields(text)
    walls, instant = [], first - timedelta(days=1)
    while instant <= last + timedelta(days=1):
        walls.append((instant.astimezone(zone).replace(tzinfo=None), instant))
        instant += MINUTE

    def named(wall):
        return wall.minute in fields.minute.numbers and wall.hour in fields.hour.numbers

    if not cron.fixed:
        found = {instant for wall, instant in walls if named(wall)}
    else:
        found = set()
        days = {wall.date() for wall, _ in walls}
        earliest = {}
        for wall, instant in walls:
            earliest.setdefault(wall, instant)
        wall = walls[0][0]
        while wall <= walls[-1][0]:
            if named(wall) and wall.date() in days:
                behind = [instant for shown, instant in walls if shown > wall]
                if wall in earliest or behind:
                    found.add(earliest[wall] if wall in earliest else min(behind))
            wall += MINUTE
    return sorted(instant for instant in found if first < instant <= last)


@given(
    st.sampled_from(CHANGES),
    st.sampled_from(["*", "0", "30", "*/20", "0,15,45", "7"]),
    st.sampled_from(["*", "0", "1", "2", "1-3", "0,2", "*/2", "3"]),
    st.integers(-200, 60),
)
@settings(max_examples=100)
def test_around_a_change_of_the_clocks_a_schedule_names_what_counting_minutes_names(
    change, minute, hour, lead
):
    name, changes = change
    text = f"{minute} {hour} * * *"
    cron = Cron.parse(text, name)
    first = changes.replace(tzinfo=UTC) + lead * MINUTE
    last = first + timedelta(hours=5)
    found = []
    for time in cron.upcoming(first):
        if time.astimezone(UTC) > last:
            break
        found.append(time.astimezone(UTC))
    assert found == by_counting(cron, text, first, last)


@given(schedules, moments, st.sampled_from(ZONES))
def test_times_only_grow_and_asking_again_agrees(text, after, zone):
    cron = Cron.parse(text, zone)
    found = [time.astimezone(UTC) for time in islice(cron.upcoming(after), 3)]
    assert found == sorted(set(found))
    assert all(time > after and time.microsecond == 0 for time in found)
    if len(found) > 1:
        assert cron.next(found[1] - timedelta(microseconds=1)).astimezone(UTC) == found[1]


starred = st.one_of(st.just("*"), st.just("?"), st.integers(1, 40).map("*/{}".format))
with_stars = st.tuples(
    *(starred | field(low, high) for low, high in ((0, 59), (0, 59), (0, 23), (1, 31), (1, 12), (0, 7)))
).map(" ".join)  # fmt: skip


@given(with_stars, moments)
@settings(max_examples=150)
def test_our_own_walk_over_the_fields_names_what_croniter_names(text, after):
    try:
        cron = Cron.parse(text)
    except Unreadable:  # a date that never comes
        return
    found = list(islice(cron.upcoming(after), 6))
    assert found == list(islice(croniter_walk(cron.fields, after), 6))
    assert cron.next(after) == found[0]


def test_our_own_walk_waits_for_a_rare_day_and_ends_with_the_calendar():
    rare = Cron.parse("0 0 29 2 *")
    assert [time.year for time in islice(rare.upcoming(datetime(2092, 3, 1, tzinfo=UTC)), 2)] == [2096, 2104]
    assert list(rare.upcoming(datetime(9996, 3, 1, tzinfo=UTC))) == []
    last = list(Cron.parse("0 12 * * *", "Asia/Kathmandu").upcoming(datetime(9999, 12, 30, tzinfo=UTC)))
    assert [time.day for time in last] == [30, 31]
    assert list(Cron.parse("59 59 23 31 12 *").upcoming(datetime(9999, 12, 31, 23, 59, 59, tzinfo=UTC))) == []


@given(st.text(st.sampled_from("0123456789*/,-?+ @TZ=UCaeinmonrvy"), max_size=20) | st.text(max_size=20))
def test_every_schedule_is_read_or_told(text):
    offset = 0
    try:
        cron = Cron.parse(text)
    except Unreadable as told:
        offset = told.offset
    else:
        assert cron.next(datetime(2024, 1, 1, tzinfo=UTC)) is not None
    assert 0 <= offset <= len(text)


@given(moments, st.integers(-60, 60), st.sampled_from(["day", "week"]), st.sampled_from(ZONES[:3]))
def test_days_backwards_are_days_forwards_reversed(start, turns, by, zone):
    start = start.replace(hour=12, minute=0, second=0, microsecond=0, tzinfo=ZoneInfo(zone))
    end = start + timedelta(days=turns * (7 if by == "week" else 1))
    found = list(steps(start, end, by))
    assert found == list(reversed(list(steps(end, start, by))))
    assert (found[0], found[-1], len(found)) == (start, end, abs(turns) + 1)


@given(moments, st.integers(-3000, 3000), st.sampled_from(sorted(STEPS)), st.sampled_from(ZONES))
def test_steps_start_at_the_start_and_never_pass_the_end(start, hours, by, zone):
    start = start.astimezone(ZoneInfo(zone))
    end = start.astimezone(UTC) + timedelta(hours=hours)
    found = [time.astimezone(UTC) for time in steps(start, end, by)]
    assert found[0] == start.astimezone(UTC)
    assert sorted(set(found), reverse=hours < 0) == found
    assert all(min(start, end) <= time <= max(start, end) for time in found)


@given(st.datetimes(min_value=datetime(1, 1, 2), timezones=st.just(UTC)))
def test_an_hour_written_into_meta_is_the_moment_of_the_task(time):
    hour = time.replace(minute=0, second=0, microsecond=0)
    assert parse_hour(format_hour(time)) == hour
    assert time_of_task("", {"cron": [format_hour(time)]}) == hour


@given(
    st.datetimes(datetime(1, 1, 2), datetime(9999, 12, 30), timezones=st.just(UTC)), st.sampled_from(ZONES)
)
def test_a_stamp_is_the_instant_in_utc_with_microseconds(time, zone):
    written = time.isoformat(timespec="microseconds").replace("+00:00", "Z")
    assert stamp(time) == stamp(time.astimezone(ZoneInfo(zone))) == written


options = st.none() | st.integers(0, 10**15)


@given(
    st.integers(-5, 10**6),
    options,
    st.none() | st.floats(0.1, 100),
    options,
    st.floats(0, 1, exclude_max=True),
)
def test_a_wait_is_bounded_and_jitter_adds_less_than_forty_percent(n, delay, factor, max_delay, jitter):
    wait = wait_ns(n, delay=delay, factor=factor, max_delay=max_delay, jitter=0.0)
    assert 0 <= wait <= (max(10**15, 86_400 * 10**9) if max_delay is None else max_delay)
    jittered = wait_ns(n, delay=delay, factor=factor, max_delay=max_delay, jitter=jitter)
    assert wait <= jittered <= wait + wait * 2 // 5


@given(st.lists(st.integers(0, 5000), max_size=20), st.randoms())
def test_date_ranges_know_neither_order_nor_repeats(hours, chance):
    times = [datetime(2024, 1, 1, tzinfo=UTC) + timedelta(hours=each) for each in hours]
    shuffled = times + times[:3]
    chance.shuffle(shuffled)
    assert compress_dates(shuffled) == compress_dates(sorted(set(times)))
