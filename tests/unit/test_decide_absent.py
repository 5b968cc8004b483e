"""Files that do not come: what `late=` means, and what is told when."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from flowlord.decide.absent import came, look, read_came
from flowlord.model.paused import Pause
from flowlord.model.plan import FactKind
from flowlord.rules.deadline import Deadline
from flowlord.rules.errors import Unreadable
from flowlord.rules.moments import time_of_path
from support.flows import flows_of

DAY = timedelta(days=1)
HOUR_NS = 3_600_000_000_000


def at(day: int, hour: int = 0, minute: int = 0) -> datetime:
    return datetime(2026, 8, day, hour, minute, tzinfo=UTC)


class Desk:
    """A phase with `late`, and the marks that it leaves."""

    def __init__(self, late: str, more: str = "") -> None:
        rule = f"files=/in/*/*/*/*.csv&late={late.replace('+', '%2B')}{more}"
        flows = flows_of({"f.toml": [{"task": "load:x", "rule": rule, "template": "{meta:file}"}]})
        [self.phase] = flows.by_name["f.toml"].phases
        self.seen: str | None = None
        self.last: str | None = None
        assert self.look(at(1)) == []

    def file(self, now: datetime, path: str) -> None:
        self.last = came(self.phase.identity, self.last, path, time_of_path(path), now).new

    def look(self, now: datetime, pause: Pause | None = None, kind: FactKind = FactKind.ABSENT) -> list[str]:
        found = look(self.phase, "r", "", self.seen, read_came(self.last), now, pause)
        if found.mark is not None:
            assert found.mark.seen == self.seen
            self.seen = found.mark.new
        return [fact.text for fact in found.facts if fact.kind is kind]


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("06:00", Deadline("0 0 6 * * *", 0, 0)),
        ("6:30:15", Deadline("15 30 6 * * *", 0, 0)),
        ("06:00-24h", Deadline("0 0 6 * * *", 0, -24 * HOUR_NS)),
        ("06:00 +1h", Deadline("0 0 6 * * *", 0, HOUR_NS)),
        ("2h", Deadline("", 2 * HOUR_NS, 0)),
        ("2h-1d", Deadline("", 2 * HOUR_NS, -24 * HOUR_NS)),
        ("0 6 * * MON-FRI", Deadline("0 6 * * MON-FRI", 0, 0)),
        ("0 6 * * 1-5 -24h", Deadline("0 6 * * 1-5", 0, -24 * HOUR_NS)),
        ("@daily", Deadline("@daily", 0, 0)),
    ],
)
def test_late_is_a_time_a_duration_or_a_schedule_each_with_a_shift(text, found):
    assert Deadline.parse(text) == found


@pytest.mark.parametrize(
    "text", ["", "25:00", "06:60", "soon", "-2h", "0s", "0 6 * * nope", "6", "06:00-", "06:00-24"]
)
def test_what_is_none_of_these_is_refused(text):
    with pytest.raises(Unreadable):
        Deadline.parse(text)


def test_the_file_of_the_day_must_have_come_by_its_time():
    desk = Desk("06:00")
    desk.file(at(1, 5), "/in/2026/08/01/a.csv")
    assert desk.look(at(1, 6)) == []
    assert desk.look(at(2, 5, 59)) == []
    [text] = desk.look(at(2, 6))
    assert text == (
        "the file of 2026-08-02 for load:x did not come by 2026-08-02T06:00:00Z; "
        "the last one that came is /in/2026/08/01/a.csv, at 2026-08-01T05:00:00Z"
    )
    assert desk.look(at(2, 23)) == [], "each once"


def test_a_file_that_comes_too_late_does_not_stand_for_the_one_of_the_next_day():
    desk = Desk("06:00-24h")
    assert len(desk.look(at(1, 6))) == 1
    desk.file(at(1, 7), "/in/2026/07/31/a.csv")
    assert [text[:22] for text in desk.look(at(2, 6))] == ["the file of 2026-08-01"]
    desk.file(at(3, 5), "/in/2026/08/02/a.csv")
    assert desk.look(at(3, 6)) == []
    desk.file(at(3, 9), "/in/2026/07/30/again.csv")
    assert [text[:22] for text in desk.look(at(4, 6))] == ["the file of 2026-08-03"], (
        "an old one changes nothing"
    )


def test_hours_and_months_count_where_deadlines_are_so_far_apart():
    hourly = Desk("5 * * * * -1h")
    hourly.file(at(1, 0, 3), "/in/2026/07/31/23/a.csv")
    assert hourly.look(at(1, 0, 5)) == []
    [text] = hourly.look(at(1, 1, 5))
    assert text.startswith("the file of 2026-08-01T00 ")
    monthly = Desk("0 6 3 * *")
    monthly.file(at(2, 5), "/in/2026/08/01/a.csv")
    assert monthly.look(at(3, 6)) == []


def test_the_time_and_the_day_are_those_of_the_zone():
    desk = Desk("06:00", "&tz=Asia/Tokyo")
    desk.file(at(1, 20), "/in/2026/08/02/a.csv")
    assert [text[12:22] for text in desk.look(at(1, 20, 59))] == []
    assert desk.look(at(1, 21)) == []
    assert [text[12:22] for text in desk.look(at(2, 21))] == ["2026-08-03"]


def test_without_a_time_in_the_path_one_must_have_come_since_the_deadline_before():
    desk = Desk("06:00")
    desk.file(at(1, 3), "/in/a/b/c/daily.csv")
    assert desk.look(at(1, 6)) == []
    assert len(desk.look(at(2, 6))) == 1
    desk.file(at(3, 5, 59), "/in/a/b/c/daily.csv")
    assert desk.look(at(3, 6)) == []


def test_a_duration_counts_from_the_schedule_of_the_phase():
    desk = Desk("2h-24h", "&cron=0 6 * * *")
    assert desk.look(at(1, 7, 59)) == []
    assert [text[:22] for text in desk.look(at(1, 8))] == ["the file of 2026-07-31"]


def test_a_duration_without_a_schedule_counts_from_the_file_before_and_is_told_once_for_each_silence():
    desk = Desk("2h")
    assert desk.look(at(1, 2)) == []
    [text] = desk.look(at(1, 2, 1))
    assert text == "no file came for load:x within 2h; none ever came since it is waited for"
    assert desk.look(at(1, 9)) == []
    desk.file(at(1, 10), "/in/a/b/c/x.csv")
    assert desk.look(at(1, 12)) == []
    assert len(desk.look(at(1, 12, 1))) == 1
    assert desk.look(at(1, 20)) == []


def test_after_a_standstill_each_deadline_is_told_and_no_alert_and_pauses_alert_nobody():
    desk = Desk("06:00")
    assert len(desk.look(at(4, 7))) == 4
    assert desk.look(at(5, 7), Pause("f.toml", at(5)), FactKind.ALERT) == []
    quiet = Desk("06:00", "&no_alert")
    assert quiet.look(at(1, 7), kind=FactKind.ALERT) == []
    loud = Desk("06:00")
    assert len(loud.look(at(1, 7), kind=FactKind.ALERT)) == 1


def test_marks_that_somebody_broke_begin_anew():
    desk = Desk("06:00")
    desk.seen, desk.last = "nonsense", "{"
    assert desk.look(at(2, 7)) == []
    assert len(desk.look(at(3, 6))) == 1


@pytest.mark.parametrize(
    "time", ["2026-01-01T00:00:00", "0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-14:00"]
)
def test_times_in_broken_marks_that_nothing_can_be_counted_from_count_as_none(time):
    assert read_came(f'{{"at":"{time}"}}') is None
    assert read_came(f'{{"at":"2026-01-01T00:00:00Z","moment":"{time}"}}') is None
    for late in ("06:00", "2h"):
        desk = Desk(late)
        desk.seen = time
        assert desk.look(at(2, 7)) == []
