"""What is told and when, on a virtual clock: new, still, recovered; acts of people; channels that fail."""

from datetime import UTC, datetime, timedelta

import pytest
from msgspec import structs

from flowlord.alert import take as taking
from flowlord.alert.events import happenings
from flowlord.alert.keep import read, written
from flowlord.alert.policy import Policy, Quiet, Route
from flowlord.alert.port import NoticeKind, Severity, Undelivered
from flowlord.alert.state import Act, ActKind, EventKind, Mode, Stage, State, Tried, Trying
from flowlord.alert.take import MOST, OF_SUBJECT, TRIES, TRYING, take
from flowlord.alert.tell import HELD
from flowlord.alert.words import notice_of
from flowlord.decide.schedule import Missed
from flowlord.decide.tick import on_missed
from flowlord.spec.parse import parse
from support.alerts import DAY, HOUR, MINUTE, POLICY, SECOND, START, Desk, failure, success
from support.journal import journal

NEW, STILL, RECOVERED, ALERT = NoticeKind.NEW, NoticeKind.STILL, NoticeKind.RECOVERED, NoticeKind.ALERT
NIGHT = Quiet(22 * 60, 7 * 60, "Europe/Berlin")


def every(minutes, hours, **of):
    return [failure(START + n * minutes * MINUTE, **of) for n in range(int(hours * 60 / minutes))]


def test_the_first_failure_is_told_at_once_and_further_ones_in_digests_at_growing_intervals():
    desk = Desk()
    desk.live(every(1, 4))
    at = [(notice.at_us - START) // MINUTE for notice in desk.sent]
    assert desk.kinds == [NEW, *[STILL] * 6]
    assert at == [0, 5, 15, 35, 75, 155, 235]
    assert (
        sum(line.count for notice in desk.sent for line in notice.lines)
        == desk.sent[-1].lines[0].total
        == 235
    )


def test_a_digest_counts_what_came_since_the_message_before_and_all_there_ever_was():
    desk = Desk()
    desk.hear(failure(START))
    for at in (1, 2, 6):
        desk.until(START + at * MINUTE)
        desk.hear(*(failure(START + at * MINUTE + n, hour=n) for n in range(10)))
    desk.until(START + 16 * MINUTE)
    counts = [(line.count, line.total) for notice in desk.sent for line in notice.lines]
    assert counts == [(1, 1), (20, 21), (10, 31)]
    assert [notice.title for notice in desk.sent] == [
        "load:users failed",
        "load:users still fails (20 more, 21 in all)",
        "load:users still fails (10 more, 31 in all)",
    ]


@pytest.mark.parametrize("more", [False, True])
def test_starts_that_were_missed_together_count_each(more):
    count = 3
    first = datetime(2026, 8, 3, tzinfo=UTC)
    missed = Missed(first, first + timedelta(minutes=2), count, "no daemon ran", more)
    phase = parse(b'[[phase]]\ntask="a"\nrule="cron=* * * * *"\n', "f.toml")[0].phases[0]
    told = happenings(journal([on_missed(phase, missed).facts]), ())
    [incident] = take(State(), told, POLICY).incidents.values()
    assert (incident.kind, incident.total, incident.fresh) == (EventKind.MISSED, count, count)
    one = on_missed(phase, Missed(first, first, 1, "late")).facts
    [incident] = take(State(), happenings(journal([one]), ()), POLICY).incidents.values()
    assert incident.total == 1


def test_after_a_quiet_window_the_interval_is_the_least_again():
    desk = Desk()
    desk.live(every(1, 0.5))
    desk.until(START + 3 * HOUR)
    again = START + 4 * HOUR
    desk.hear(failure(again))
    desk.until(again + 6 * MINUTE)
    assert desk.sent[-1].at_us - again == 5 * MINUTE
    assert desk.state.paces["slack"].wait_us == 10 * MINUTE


def test_it_is_over_when_its_phase_went_well_and_it_was_quiet_for_the_least_interval():
    desk = Desk()
    desk.live([failure(START, hour=10), failure(START + MINUTE, hour=11), success(START + 2 * MINUTE)])
    desk.until(START + HOUR)
    assert desk.kinds == [NEW, STILL, RECOVERED]
    over = desk.sent[-1]
    assert (over.severity, over.title) == (Severity.INFO, "load:users is well again after 2m (2 times)")
    assert (over.lines[0].count, over.lines[0].dates) == (2, "1970/01/01T10-1970/01/01T11")
    assert not any(each.is_open for each in desk.state.incidents.values())


def test_a_success_between_failures_is_no_recovery_and_one_that_comes_again_must_be_quiet_for_longer():
    desk = Desk()
    for n in range(12):  # a failure and a success each four minutes
        desk.live([failure(START + n * 4 * MINUTE), success(START + n * 4 * MINUTE + MINUTE)])
    assert RECOVERED not in desk.kinds
    desk.until(START + 2 * HOUR)
    assert desk.kinds.count(RECOVERED) == 1
    desk.live([failure(START + 2 * HOUR), success(START + 2 * HOUR + MINUTE)])
    [incident] = desk.state.incidents.values()
    assert (incident.id, incident.window_us, desk.sent[-1].kind) == ("a1", 10 * MINUTE, NEW)
    desk.until(START + 2 * HOUR + 10 * MINUTE)
    assert desk.sent[-1].kind is not RECOVERED
    desk.until(START + 2 * HOUR + 11 * MINUTE)
    assert desk.sent[-1].kind is RECOVERED


def test_numbers_times_and_paths_do_not_make_another_incident_and_another_reason_does():
    desk = Desk()
    desk.hear(
        failure(START, text="row 17 of s3://lake/2026/08/01.csv: no zip"),
        failure(START, text="row 4711 of s3://lake/2026/08/02.csv: no zip"),
        failure(START, text="disk full"),
    )
    assert [each.total for each in desk.state.incidents.values()] == [2, 1]
    [notice] = desk.sent  # of one step: one message
    assert [line.error for line in notice.lines] == [
        "row 4711 of s3://lake/2026/08/02.csv: no zip",
        "disk full",
    ]
    assert notice.title == "2 new alerts: load:users"


def test_results_that_ask_for_attention_are_told_at_once_each_in_quiet_hours_too():
    desk = Desk(Policy(channels=("slack",), default="slack", quiet=Quiet(0, 23 * 60)))
    asked = [failure(START + n * MINUTE, kind=EventKind.RESULT, text="look at this") for n in range(3)]
    desk.live(asked)
    assert desk.kinds == [ALERT] * 3
    assert desk.sent[0].text == "load:users: look at this"


def test_a_burst_of_results_is_gathered_behind_the_first_ones_and_none_is_lost():
    desk = Desk()
    desk.live(failure(START + n * SECOND // 100, kind=EventKind.RESULT) for n in range(6_000))  # a minute
    desk.until(START + 2 * MINUTE)
    assert sum(line.count for notice in desk.sent for line in notice.lines) == 6_000
    assert len(desk.sent) <= 10 + 6 + 1


@pytest.mark.parametrize(
    ("mode", "kinds"),
    [(Mode.EVERY, [NEW] * 4), (Mode.EDGE, [NEW, STILL, STILL]), (Mode.DIGEST, [STILL, STILL])],
)
def test_a_phase_says_how_it_is_told(mode, kinds):
    desk = Desk()
    desk.live(failure(START + n * 4 * MINUTE, mode=mode) for n in range(4))
    desk.until(START + 40 * MINUTE)
    assert desk.kinds == kinds
    assert sum(line.count for notice in desk.sent for line in notice.lines) == 4


def test_a_muted_topic_is_silent_until_the_mute_ends_and_then_told_in_one():
    desk = Desk()
    desk.hear(Act(ActKind.MUTE, START, "load", "ana", "moving", START + 2 * HOUR))
    desk.live(every(1, 1))
    assert not desk.sent
    desk.until(START + 2 * HOUR)
    assert (desk.kinds, desk.sent[0].lines[0].count) == ([NEW], 60)
    desk.hear(Act(ActKind.MUTE, desk.now, "*", until_us=desk.now + DAY), failure(desk.now, "other"))
    assert len(desk.sent) == 1
    desk.hear(Act(ActKind.UNMUTE, desk.now, "*"))
    assert desk.sent[-1].lines[0].name == "other"


def test_an_acknowledged_incident_is_told_only_when_it_is_over():
    desk = Desk()
    desk.hear(failure(START))
    desk.hear(Act(ActKind.ACK, START + 1, "a1", "ana@desk", "I am on it"))
    desk.live(every(1, 3)[1:])
    assert desk.kinds == [NEW]
    desk.live([success(desk.now + MINUTE)])
    desk.until(desk.now + HOUR)
    assert desk.kinds == [NEW, RECOVERED]
    assert desk.sent[-1].lines[0].count == 180
    desk.hear(failure(desk.now))
    assert (desk.kinds[-1], desk.state.incidents["a1"].acked_by) == (NEW, "")


def test_in_quiet_hours_what_can_wait_waits_for_their_end():
    desk = Desk(Policy(channels=("slack",), default="slack", quiet=NIGHT))
    desk.live(every(10, 3))  # from 02:00 in Berlin
    assert not desk.sent
    desk.until(START + 12 * HOUR)
    assert [(notice.kind, (notice.at_us - START) // HOUR) for notice in desk.sent] == [(NEW, 5)]


def test_quiet_hours_end_on_the_clocks_of_their_zone():
    quiet = NIGHT
    assert quiet.until_us(START) == START + 5 * HOUR
    assert quiet.until_us(START + 6 * HOUR) == 0
    assert quiet.until_us(START + 20 * HOUR) == START + 29 * HOUR
    assert Quiet(12 * 60, 0).until_us(START + 13 * HOUR) == START + DAY


def test_channels_are_chosen_by_phase_then_by_route_and_unknown_ones_are_the_default():
    policy = Policy(
        channels=("slack", "ops", "dev"),
        default="slack",
        routes=(Route("load:*", "ops"), Route("users.toml", "dev")),
    )
    desk = Desk(policy)
    desk.hear(failure(START, to="dev"), failure(START), failure(START, "geo"), failure(START, "x", to="gone"))
    told = {notice.to: sorted(line.name for line in notice.lines) for notice in desk.sent}
    assert told == {"dev": ["geo", "load:users"], "ops": ["load:users"], "slack": ["x"]}


def test_while_a_channel_is_away_for_a_week_little_waits_and_nothing_is_lost():
    asked = []

    def away(notice):
        asked.append(notice)
        raise Undelivered("connection refused")

    desk = Desk(answer=away)
    desk.live(failure(START + n * 10 * MINUTE, f"load:{n % 7}") for n in range(6 * 24 * 7))
    assert len(desk.state.pending) <= HELD + 1
    assert 7 * 24 * 6 <= len(asked) <= 7 * 24 * 6 + 20  # at most once in ten minutes, after the first ones
    desk.answer = lambda notice: ""
    desk.until(desk.now + HOUR)
    assert len(desk.sent) <= HELD + 3
    assert sum(line.count for notice in desk.sent for line in notice.lines) == 6 * 24 * 7
    assert len({notice.id for notice in desk.sent}) == len(desk.sent)
    assert not desk.state.pending


def test_retry_after_is_honoured_and_the_notice_keeps_its_name():
    asked = []

    def limited(notice):
        asked.append((desk.now, notice.id))
        if len(asked) < 3:
            raise Undelivered("too many requests", retry_after_s=90.0)
        return ""

    desk = Desk(answer=limited)
    desk.hear(failure(START))
    desk.until(START + HOUR)
    times, names = zip(*asked, strict=True)
    assert [time - START for time in times] == [0, 90 * SECOND, 180 * SECOND]
    assert len(set(names)) == 1


def test_what_is_refused_for_good_is_kept_tried_seldom_and_holds_up_no_other_one():
    def picky(notice):
        if notice.lines[0].name == "load:bad":
            raise Undelivered("invalid_blocks", lasting=True)
        return ""

    desk = Desk(answer=picky)
    desk.hear(failure(START, "load:bad"))
    desk.hear(failure(START, "load:good"))
    desk.until(START + 3 * HOUR)
    assert [notice.lines[0].name for notice in desk.sent] == ["load:good"]
    [kept] = desk.state.pending.values()
    assert (kept.lasting, kept.tries) == (True, 4)


def test_one_incident_is_one_message_that_is_updated_until_it_comes_again():
    handles = iter(f"1.{n}" for n in range(100))
    desk = Desk(answer=lambda notice: notice.thread or next(handles))
    desk.live([*every(1, 1), success(START + 61 * MINUTE)])
    desk.until(START + 3 * HOUR)
    assert [notice.thread for notice in desk.sent] == ["", *["1.0"] * (len(desk.sent) - 1)]
    desk.hear(failure(START + 3 * HOUR))
    assert desk.sent[-1].thread == ""


def test_without_a_channel_incidents_are_kept_and_nothing_waits():
    desk = Desk(Policy())
    desk.live([*every(1, 1), success(START + HOUR)])
    assert [(each.total, each.fresh) for each in desk.state.incidents.values()] == [(60, 60)]
    desk.until(START + DAY)
    assert (desk.sent, desk.state.pending) == ([], {})
    assert [each.stage for each in desk.state.incidents.values()] == [Stage.RECOVERED]


def test_twenty_thousand_failures_in_a_minute_make_a_handful_of_messages():
    desk = Desk()
    found = [failure(START + n * 3_000, f"load:{n % 50}", f"row {n} of 9 is bad") for n in range(20_000)]
    for at in range(0, len(found), 400):
        desk.live(found[at : at + 1])
        desk.hear(*found[at + 1 : at + 400])
    desk.until(START + 6 * MINUTE)
    assert len(desk.sent) <= 6
    assert sum(each.total for each in desk.state.incidents.values()) == 20_000


def test_what_is_kept_stays_small_whatever_fails_with_whatever_reason():
    desk = Desk()
    words = ["".join(chr(97 + n // 26**i % 26) for i in range(4)) for n in range(6_000)]
    desk.hear(*(failure(START, f"load:{word}", f"bad {word}") for word in words[:3_000]))
    desk.hear(*(failure(START, "one", f"bad {word}") for word in words[3_000:]))
    assert len(desk.state.incidents) <= MOST + 2
    assert sum(each.total for each in desk.state.incidents.values()) == 6_000
    several = Desk()
    several.hear(*(failure(START, "one", f"bad {word}") for word in words))
    assert len(several.state.incidents) == OF_SUBJECT + 1


def test_what_nothing_can_end_is_over_when_it_has_not_come_again_for_a_day():
    desk = Desk()
    desk.hear(failure(START, kind=EventKind.MESSAGE))
    desk.until(START + DAY + HOUR)
    assert [each.stage for each in desk.state.incidents.values()] == [Stage.OVER]
    assert desk.kinds == [NEW]


def test_incidents_that_are_over_make_room(monkeypatch):
    monkeypatch.setattr(taking, "MOST", 40)
    desk = Desk()
    words = ["".join(chr(97 + n // 26**i % 26) for i in range(3)) for n in range(200)]
    for n, word in enumerate(words):
        at = START + n * HOUR
        desk.hear(failure(at, f"load:{word}"), success(at + 1, f"load:{word}"))
        desk.until(at + 50 * MINUTE)
    assert len(desk.state.incidents) <= 40
    assert len(desk.state.groups) <= 40
    assert desk.state.number == 200


def test_the_quiet_time_begins_with_the_success_after_the_last_failure():
    desk = Desk()
    desk.live([failure(START), success(START + 4 * MINUTE)])
    desk.until(START + 8 * MINUTE)
    assert desk.kinds == [NEW]
    desk.until(START + 9 * MINUTE)
    assert desk.kinds == [NEW, RECOVERED]


def test_what_goes_well_beside_a_failure_of_the_same_start_is_no_end_of_it():
    desk = Desk()
    well = success(START + MINUTE)
    desk.live([structs.replace(failure(START), batch="one"), structs.replace(well, batch="one")])
    desk.until(START + HOUR)
    assert desk.kinds == [NEW]
    desk.hear(structs.replace(success(START + HOUR), batch="two"))
    desk.until(START + 2 * HOUR)
    assert desk.kinds == [NEW, RECOVERED]


def test_nothing_is_well_while_a_failed_try_of_its_phase_waits_to_be_made_again():
    desk = Desk()
    phase = failure(START).phase
    desk.live([failure(START), success(START + MINUTE), Trying(phase, START + 2 * MINUTE, "again")])
    desk.live([success(START + 3 * MINUTE)])
    desk.until(START + HOUR)
    assert desk.kinds == [NEW]
    desk.live([Tried(phase, START + HOUR, "again"), success(START + HOUR)])
    desk.until(START + HOUR + 5 * MINUTE)
    assert desk.kinds == [NEW, RECOVERED]


def test_a_try_whose_end_nobody_sees_holds_up_the_end_of_alerts_for_a_day_only():
    desk = Desk()
    phase = failure(START).phase
    desk.live([failure(START), Trying(phase, START + MINUTE, "again")])
    desk.live([success(START + DAY)])
    desk.until(START + DAY + HOUR)
    assert RECOVERED not in desk.kinds
    desk.live([success(START + DAY + HOUR)])
    desk.until(START + DAY + 2 * HOUR)
    assert desk.kinds[-1] == RECOVERED
    assert desk.state.tries == {}


def test_a_try_is_over_under_whichever_name_its_end_came():
    desk = Desk()
    phase = failure(START).phase
    desk.live(
        [failure(START), Trying(phase, START + MINUTE, "again"), Tried("", START + 2 * MINUTE, "again")]
    )
    desk.live([success(START + 2 * MINUTE)])
    desk.until(START + HOUR)
    assert desk.kinds == [NEW, RECOVERED]


def test_further_tries_that_never_end_stay_few():
    desk = Desk()
    desk.hear(*(Trying(f"a.toml:{n // 50}", START + n, str(n)) for n in range(10_000)))
    assert len(desk.state.tries) == TRYING
    assert {len(keys) for keys in desk.state.tries.values()} == {TRIES}
    assert read(written(State(), desk.state)[0]).tries == desk.state.tries


@pytest.mark.parametrize("kind", [STILL, RECOVERED])
def test_title_lines_and_summary_name_incidents_in_one_order(kind):
    state = take(State(), (failure(START + n, "zab"[n % 3 % (n // 3 + 1)]) for n in range(9)), POLICY)
    notice = notice_of("n", kind, list(state.incidents.values())[::-1], POLICY, "slack", START + MINUTE)
    order = [line.name for line in notice.lines]
    assert order == ["z", "a", "b"]
    assert [row.partition(":")[0] for row in notice.text.split("\n")] == order
    assert notice.title.endswith(": z, a, b")
