"""What is going to start: one time line of all phases, with what each would send."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from itertools import islice, takewhile

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flowlord.decide.ahead import Coming, ahead, coming, is_over, scheduled, teller
from flowlord.decide.context import Context
from flowlord.decide.tick import on_tick
from flowlord.model.paused import Pause, Paused
from flowlord.model.workflow import Workflows
from support.flows import workflow

NOW = datetime(2026, 8, 3, 5, 0, tzinfo=UTC)
CTX = Context(
    now=NOW, host="etl-7f-x2", sources={"rows": [{"n": "1"}, {"n": "2"}], "none": [], "gone": "rows is gone"}
)


def flows(**files: Sequence[dict[str, object]]) -> Workflows:
    return Workflows({f"{name}.toml": workflow(f"{name}.toml", phases) for name, phases in files.items()})


def starts(
    found: Workflows, hours: float = 24, *, first: datetime = NOW, zone: str = "", topic: str = "", marks=None
) -> list[Coming]:
    entries = scheduled(found, zone, topic, marks)
    planned = list(ahead(entries, first, first + timedelta(hours=hours)))
    told = [coming(each, CTX) for each in planned]
    assert [teller(each.of, CTX)(each) for each in planned] == told, "the short way says the same"
    return told


def at(found: list[Coming]) -> list[tuple[str, str]]:
    return [(f"{each.instant.astimezone(UTC):%dT%H:%M:%S}", each.of.phase.base_name) for each in found]


def test_all_phases_of_all_files_are_one_line_in_time():
    found = flows(
        b=[{"task": "hourly", "rule": "cron=0 * * * *"}],
        a=[{"task": "half", "rule": "cron=30 5,6 * * *"}, {"task": "child", "dependsOn": "half"}],
    )
    assert at(starts(found, 2)) == [
        ("03T05:00:00", "hourly"), ("03T05:30:00", "half"), ("03T06:00:00", "hourly"), ("03T06:30:00", "half"),
        ("03T07:00:00", "hourly"),
    ]  # fmt: skip


def test_at_one_instant_files_and_lines_give_the_order():
    found = flows(b=[{"task": "z", "rule": "cron=0 6 * * *"}, {"task": "y", "rule": "cron=0 6 * * *"}],
                  a=[{"task": "x", "rule": "cron=0 8 * * *&tz=Europe/Berlin"}])  # fmt: skip
    assert [name for _, name in at(starts(found))] == ["x", "z", "y"]


def test_only_the_topic_or_the_job_that_was_asked_for():
    found = flows(
        a=[{"task": f"t:{job}", "rule": "cron=0 6 * * *"} for job in "ab"]
        + [{"task": "u", "rule": "cron=0 6 * * *"}]
    )
    assert [name for _, name in at(starts(found, topic="t"))] == ["t:a", "t:b"]
    assert [name for _, name in at(starts(found, topic="t:b"))] == ["t:b"]


def test_from_and_until_bound_a_phase_and_its_last_start_is_told():
    rule = "cron=0 * * * *&from=2026-08-03T07&until=2026-08-03T09"
    found = starts(flows(a=[{"task": "t", "rule": rule}]))
    assert at(found) == [("03T07:00:00", "t"), ("03T08:00:00", "t"), ("03T09:00:00", "t")]
    assert [each.notes for each in found] == [(), (), ("the last start: until=2026-08-03T09",)]


def test_a_day_of_until_counts_to_its_end_in_the_zone_of_the_rule():
    found = flows(a=[{"task": "t", "rule": "cron=0 23 * * *&until=2026-08-03&tz=America/New_York"}])
    assert at(starts(found, 48)) == [("04T03:00:00", "t")]
    [entry] = scheduled(found)
    assert not is_over(entry, datetime(2026, 8, 4, 3, tzinfo=UTC))
    assert is_over(entry, datetime(2026, 8, 4, 4, tzinfo=UTC))


def test_without_an_end_the_line_goes_on_for_as_long_as_anything_starts():
    found = flows(
        a=[{"task": "t", "rule": "cron=0 0 29 2 *"}, {"task": "u", "rule": "cron=@daily&until=2026-08-05"}]
    )
    line = ahead(scheduled(found), NOW, None)
    assert [each.instant.isoformat()[:10] for each in islice(line, 4)] == [
        "2026-08-04", "2026-08-05", "2028-02-29", "2032-02-29",
    ]  # fmt: skip


def test_every_counts_from_its_mark_and_says_when_nobody_knows_it():
    found = flows(a=[{"task": "t", "rule": "cron=@every 6h"}])
    mark = {"a.toml:t": datetime(2026, 8, 2, 22, 30, tzinfo=UTC)}
    assert [time for time, _ in at(starts(found, marks=mark))] == [
        "03T10:30:00", "03T16:30:00", "03T22:30:00", "04T04:30:00",
    ]  # fmt: skip
    [first, *_] = starts(found)
    assert f"{first.instant:%H:%M}" == "11:00"
    assert first.notes == ("counted from here; @every counts from the phase's first start",)


def test_a_mark_ahead_of_the_line_is_where_the_beat_begins():
    found = flows(a=[{"task": "t", "rule": "cron=@every 6h"}])
    mark = {"a.toml:t": datetime(2026, 8, 3, 9, tzinfo=UTC)}
    assert [time for time, _ in at(starts(found, 12, marks=mark))] == ["03T15:00:00"]


def test_the_configured_zone_holds_for_rules_that_name_none():
    found = flows(a=[{"task": "t", "rule": "cron=0 9 * * *"}, {"task": "u", "rule": "cron=0 9 * * *&tz=UTC"}])
    assert at(starts(found, zone="Europe/Berlin")) == [("03T07:00:00", "t"), ("03T09:00:00", "u")]


def test_what_a_start_sends_depends_on_files_rows_and_limits():
    found = starts(
        flows(
            a=[
                {"task": "files", "rule": "cron=0 6 * * *&files=in/*.csv"},
                {"task": "none", "rule": "cron=0 6 * * *&meta-file=none"},
                {"task": "gone", "rule": "cron=0 6 * * *&meta-file=gone"},
                {"task": "many", "rule": "cron=0 6 * * *&for=-9d&batch_limit=9"},
                {"task": "far", "rule": "cron=0 6 * * *&offset=-2100000h", "template": "{yyyy}"},
                {"task": "soon", "rule": "cron=0 6 * * *&jitter=90s"},
            ]
        ),
        2,
    )
    told = {each.of.phase.topic: each for each in found}
    assert told["files"].notes == ("starts on the files that arrived by then",)
    assert (told["none"].tasks, told["none"].notes) == (0, ("no rows: it sends nothing",))
    assert told["gone"].fault == "rows is gone"
    assert told["many"].fault.startswith("the batch makes more than 9 tasks")
    assert told["far"].info == "1787"
    assert told["soon"].notes == ("starts 56.55s later (jitter)",)


def test_a_paused_phase_is_told_as_long_as_the_pause_holds_and_so_is_a_paused_topic():
    found = flows(a=[{"task": "t:x", "rule": "cron=0 * * * *"}])
    pauses = (
        Pause("a.toml", NOW - timedelta(hours=1), NOW + timedelta(minutes=30), by="ann", reason="moving"),
        Pause("topic:t", NOW + timedelta(minutes=30)),
    )
    ctx = Context(now=NOW, paused=Paused(pauses))
    line = [coming(each, ctx) for each in ahead(scheduled(found), NOW, NOW + timedelta(hours=1))]
    assert [each.paused for each in line] == [True, False]
    assert line[0].notes == ("a.toml was paused by ann at 2026-08-03T04:00:00Z: moving",)
    assert line[1].notes == ("topic:t was paused at 2026-08-03T05:30:00Z",)


def test_every_begins_at_from():
    found = flows(a=[{"task": "t", "rule": "cron=@every 6h&from=2026-08-03T07:30"}])
    assert [time for time, _ in at(starts(found))] == [
        "03T07:30:00",
        "03T13:30:00",
        "03T19:30:00",
        "04T01:30:00",
    ]


RULES = [
    "cron=17 3 * * *", "cron=0 0 */7 * * *&offset=-25h", "cron=30 2 * * *&tz=Europe/Berlin&offset=36m",
    "cron=0 6 * * *&for=-72h", "cron=20 */5 * * *&for=5h&by=hour&tz=Asia/Kathmandu", "cron=@every 5h&job=late",
    "cron=0 6 * * *&meta=n:1,2,3|w:a,b,c", "cron=0 6 * * *&meta-file=rows&for=-1w&by=day",
    "cron=0 6 1 * *&for=-90d&by=month",
    "cron=@monthly&meta=n:", "cron=0 0 1 1 *&for=-300d&batch_limit=300", "cron=@daily&meta-file=gone",
]  # fmt: skip
TEMPLATES = [
    "", "?day={yyyy}-{mm}-{dd}T{hh}:{min}", "{uuid}/{host}/{pod}/{ts}",
    "{meta:n}{meta:w}{meta:cron}{meta:workflow}{meta:job}",
    "{yyyy}#{uuid}{meta:n}", "x" * 40_000 + "{meta:n}" + "ü" * 15_000,
]  # fmt: skip


@given(
    st.sampled_from(RULES),
    st.sampled_from(TEMPLATES),
    st.datetimes(datetime(2020, 1, 1), datetime(2030, 1, 1), timezones=st.just(UTC)),
)
def test_what_is_said_is_what_the_tick_sends(rule, template, first):
    found = flows(a=[{"task": "t:", "rule": rule, "template": template}])
    for planned in islice(ahead(scheduled(found), first, None), 3):
        said = coming(planned, CTX)
        plan = on_tick(planned.of.phase, planned.instant, CTX)
        sent = [*plan.publish, *(message for frozen in plan.frozen for message in frozen.messages)]
        assert said.tasks == len(sent)
        assert said.info == (sent[0].task.info if sent else "")
        assert bool(said.fault) == bool(plan.facts)
        if plan.facts:
            assert said.fault in plan.facts[0].text


@pytest.mark.parametrize("first", [datetime(1, 1, 1, tzinfo=UTC), datetime(9999, 12, 31, 23, 59, tzinfo=UTC)])
def test_the_ends_of_the_calendar_are_survived(first):
    found = flows(
        a=[
            {"task": "t", "rule": "cron=0 0 * * *&offset=-48h&tz=Europe/Berlin"},
            {"task": "u", "rule": "cron=@every 1h"},
        ]
    )
    assert not any(is_over(entry, first) for entry in scheduled(found))
    for planned in islice(ahead(scheduled(found), first, None), 4):
        coming(planned, CTX)


def test_a_phase_that_has_no_start_before_its_until_is_over():
    found = flows(a=[{"task": "t", "rule": "cron=0 0 1 1 *&until=2026-12-31"}])
    [entry] = scheduled(found)
    assert is_over(entry, NOW)
    assert not is_over(entry, datetime(2026, 1, 1, tzinfo=UTC))


SCHEDULES = st.builds(
    "{} {} {} * * *{}".format,
    st.sampled_from(["0", "*", "*/7", "30"]),
    st.sampled_from(["0", "*", "*/13", "5"]),
    st.sampled_from(["*", "6,7", "5"]),
    st.sampled_from(["", "&tz=Asia/Kolkata", "&from=2026-08-03T05:30", "&until=2026-08-03T06:10"]),
)


@given(st.lists(SCHEDULES, min_size=1, max_size=6), st.integers(1, 9_000))
def test_the_line_is_every_instant_of_every_phase_in_order_however_dense_they_are(rules, seconds):
    found = flows(a=[{"task": f"t:{n}", "rule": f"cron={rule}"} for n, rule in enumerate(rules)])
    entries, last = scheduled(found), NOW + timedelta(seconds=seconds)
    wanted = sorted(
        (instant.astimezone(UTC), number)
        for number, entry in enumerate(entries)
        for instant in takewhile(lambda each: each <= last, entry.table.upcoming(NOW - timedelta(seconds=1)))
    )
    line = [(each.instant.astimezone(UTC), entries.index(each.of)) for each in ahead(entries, NOW, last)]
    assert line == wanted


def test_schedules_that_begin_to_be_dense_after_long_quiet_come_in_order_and_bit_by_bit():
    rules = [f"cron=* * * * * *&from=2030-01-01T00:00:0{n}" for n in range(3)]
    found = flows(a=[{"task": f"t:{n}", "rule": rule} for n, rule in enumerate(rules)])
    line = list(islice(ahead(scheduled(found), NOW, None), 40_000))
    assert [(each.instant.timestamp(), each.of.phase.job) for each in line] == sorted(
        (each.instant.timestamp(), each.of.phase.job) for each in line
    )
    assert len({(each.instant, each.of.phase.job) for each in line}) == 40_000
    assert line[-1].instant == datetime(2030, 1, 1, tzinfo=UTC) + timedelta(seconds=13_334)
