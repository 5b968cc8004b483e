"""Starts that wait, are left out, come late on purpose, or fall into a pause."""

from datetime import UTC, datetime, timedelta

import pytest

from flowlord.decide.schedule import look
from flowlord.decide.tick import on_missed
from flowlord.model.paused import Pause, Paused, target_of
from flowlord.model.plan import FactKind
from flowlord.model.workflow import Phase, Rule
from flowlord.rules.timetable import Timetable

NOON = datetime(2026, 8, 1, 12, tzinfo=UTC)
SECOND, MINUTE, HOUR = timedelta(seconds=1), timedelta(minutes=1), timedelta(hours=1)


def phase_with(cron="* * * * *", **rule):
    return Phase("f.toml", "a", "x", name="a:x", rule=Rule(cron=cron, **rule))


class Clockwork:
    """Looks at a phase as a daemon does, and keeps what came of it."""

    def __init__(self, phase, watermark=NOON):
        self.phase, self.watermark = phase, watermark
        self.table = Timetable.of(phase.rule, phase.identity)
        self.started, self.missed, self.looks = [], [], 0
        self.due = None

    def look(self, now, open_tasks=0, pauses=()):
        """Look until nothing more is due at `now`; returns what was started by it."""
        before = len(self.started)
        for _ in range(50):
            self.looks += 1
            self.due = look(self.phase, self.table, self.watermark, now, open_tasks=open_tasks, pauses=pauses)
            assert self.due.watermark >= self.watermark
            self.started += self.due.ticks
            self.missed += self.due.missed
            self.watermark = self.due.watermark
            if self.due.next is None or self.due.next > now:
                return self.started[before:]
            if self.due.ticks and self.phase.rule.overlap != "allow":
                open_tasks += 1
        raise AssertionError("it never came to rest")


# --- from, until, jitter


def test_a_phase_past_its_until_starts_what_it_missed_before_and_then_never_again():
    clock = Clockwork(phase_with(until="2026-08-01T12:02"))
    assert clock.look(NOON + 10 * MINUTE) == [NOON + MINUTE, NOON + 2 * MINUTE]
    assert clock.due.next is None
    assert clock.look(NOON + HOUR) == []


def test_a_phase_before_its_from_looks_again_when_it_begins():
    clock = Clockwork(phase_with(first="2026-08-02"))
    assert clock.look(NOON + HOUR) == []
    assert clock.due.next == datetime(2026, 8, 2, tzinfo=UTC)
    assert not clock.missed


def test_what_lies_before_the_window_is_counted_within_the_bounds_only():
    for cron, count in (("* * * * *", 60), ("@every 1m", 60)):
        clock = Clockwork(phase_with(cron, until="2026-08-01T13:00:30"))
        clock.look(NOON + 9 * HOUR)
        assert [each.count for each in clock.missed] == [count]
        assert clock.watermark == NOON + HOUR


def test_jitter_moves_the_start_and_not_the_instant():
    phase = phase_with("0 * * * *", jitter_ns=600_000_000_000)
    clock = Clockwork(phase)
    delay = clock.table.delay
    assert timedelta(0) < delay < 10 * MINUTE
    assert clock.look(NOON + HOUR + delay - SECOND) == []
    assert clock.due.next == NOON + HOUR + delay
    assert clock.look(NOON + HOUR + delay) == [NOON + HOUR]
    assert clock.due.next == NOON + 2 * HOUR + delay


def test_with_jitter_on_time_counts_from_when_the_start_is_due():
    phase = phase_with("0 * * * *", jitter_ns=1_800_000_000_000, catchup="none")
    clock = Clockwork(phase)
    delay = clock.table.delay
    assert delay > MINUTE, "else this shows nothing"
    assert clock.look(NOON + HOUR + delay + 9 * SECOND) == [NOON + HOUR]
    assert clock.look(NOON + 2 * HOUR + delay + 11 * SECOND) == []
    assert "starts nothing late" in clock.missed[0].reason


def test_a_new_phase_with_jitter_does_not_start_for_an_instant_before_it_was_there():
    phase = phase_with("0 * * * *", jitter_ns=1_800_000_000_000)
    table = Timetable.of(phase.rule, phase.identity)
    now = NOON + SECOND
    first = look(phase, table, None, now)
    assert (first.watermark, first.next) == (now, NOON + HOUR + table.delay)
    assert look(phase, table, now, NOON + table.delay).ticks == ()


# --- overlap


def test_with_skip_a_start_is_left_out_while_the_one_before_it_is_open():
    clock = Clockwork(phase_with(overlap="skip"))
    assert clock.look(NOON + MINUTE) == [NOON + MINUTE]
    assert clock.look(NOON + 2 * MINUTE, open_tasks=3) == []
    assert clock.watermark == NOON + 2 * MINUTE
    [left_out] = clock.missed
    assert left_out.reason == "overlap=skip, and 3 tasks of an earlier start had not come to an end"
    facts = on_missed(clock.phase, left_out).facts
    assert [fact.kind for fact in facts] == [FactKind.SKIPPED], "so it was asked for: recorded, and no alert"
    assert clock.look(NOON + 3 * MINUTE) == [NOON + 3 * MINUTE]


def test_with_skip_of_many_late_starts_only_the_first_comes():
    clock = Clockwork(phase_with(overlap="skip"))
    assert clock.look(NOON + 5 * MINUTE) == [NOON + MINUTE]
    assert [(each.count, each.wanted) for each in clock.missed] == [(4, True)]


def test_with_queue_starts_stand_in_line_with_their_own_instants():
    clock = Clockwork(phase_with(overlap="queue"))
    assert clock.look(NOON + MINUTE) == [NOON + MINUTE]
    for minute in (2, 3, 4):
        assert clock.look(NOON + minute * MINUTE, open_tasks=1) == []
        assert (clock.watermark, clock.due.waits) == (NOON + MINUTE, True)
        assert clock.due.next == NOON + minute * MINUTE + SECOND
    assert clock.look(NOON + 5 * MINUTE) == [NOON + 2 * MINUTE]
    assert clock.look(NOON + 5 * MINUTE) == [NOON + 3 * MINUTE]
    assert not clock.missed


def test_the_line_is_no_longer_than_the_catch_up_window_and_what_falls_out_of_it_is_told():
    clock = Clockwork(phase_with(overlap="queue", catchup_window_ns=300_000_000_000))
    assert clock.look(NOON + 20 * MINUTE, open_tasks=1) == []
    assert [(each.count, each.last, each.wanted) for each in clock.missed] == [
        (14, NOON + 14 * MINUTE, False)
    ]
    assert clock.look(NOON + 20 * MINUTE) == [NOON + 15 * MINUTE]


def test_what_stands_in_line_is_not_late_also_for_rules_that_start_each_second():
    clock = Clockwork(phase_with("* * * * * *", overlap="queue"))
    assert clock.look(NOON + 30 * SECOND) == [NOON + SECOND]
    assert not clock.missed


def test_queue_with_catchup_last_keeps_a_place_for_one():
    clock = Clockwork(phase_with(overlap="queue", catchup="last"))
    assert clock.look(NOON + 3 * MINUTE, open_tasks=1) == []
    assert clock.look(NOON + 6 * MINUTE, open_tasks=1) == []
    assert clock.look(NOON + 6 * MINUTE) == [NOON + 6 * MINUTE]
    assert sum(each.count for each in clock.missed) == 5


# --- pauses


def pause(since, until=None, target="f.toml", **more):
    return Pause(target, since, until, **more)


def test_a_paused_phase_starts_nothing_and_tells_in_one_fact_what_it_left_out():
    clock = Clockwork(phase_with())
    held = pause(NOON + 90 * SECOND, by="ann", reason="database is moving")
    assert clock.look(NOON + MINUTE, pauses=[held]) == [NOON + MINUTE]
    for minute in (2, 3, 100):
        assert clock.look(NOON + minute * MINUTE, pauses=[held]) == []
    assert (clock.watermark, clock.missed, clock.due.waits) == (NOON + MINUTE, [], True)
    over = pause(held.since, NOON + 200 * MINUTE, by="ann", reason="database is moving")
    assert clock.look(NOON + 201 * MINUTE, pauses=[over]) == [NOON + 200 * MINUTE, NOON + 201 * MINUTE]
    [left_out] = clock.missed
    assert (left_out.first, left_out.last, left_out.count) == (NOON + 2 * MINUTE, NOON + 199 * MINUTE, 198)
    [fact] = on_missed(clock.phase, left_out).facts
    assert fact.kind is FactKind.SKIPPED
    assert "paused by ann at 2026-08-01T12:01:30Z: database is moving" in fact.text


def test_a_pause_for_a_while_ends_by_itself():
    clock = Clockwork(phase_with())
    held = pause(NOON, NOON + 150 * SECOND)
    assert clock.look(NOON + 2 * MINUTE, pauses=[held]) == []
    assert clock.due.next <= held.until
    assert clock.look(NOON + 3 * MINUTE, pauses=[held]) == [NOON + 3 * MINUTE]


def test_resume_with_catchup_starts_what_lies_within_the_window_whatever_the_rule_says():
    clock = Clockwork(phase_with(catchup="none", catchup_window_ns=300_000_000_000))
    over = pause(NOON, NOON + 10 * MINUTE, catchup=True)
    started = clock.look(NOON + 10 * MINUTE, pauses=[over])
    assert started == [NOON + minute * MINUTE for minute in range(5, 11)]
    assert [each.count for each in clock.missed] == [4]


def test_what_was_due_before_the_pause_is_not_left_out_by_it():
    clock = Clockwork(phase_with())
    over = pause(NOON + 3 * MINUTE - SECOND, NOON + 5 * MINUTE + SECOND)
    started = clock.look(NOON + 7 * MINUTE, pauses=[over])
    assert started == [NOON + minute * MINUTE for minute in (1, 2, 6, 7)]
    assert [(each.first, each.last) for each in clock.missed] == [(NOON + 3 * MINUTE, NOON + 5 * MINUTE)]


def test_several_pauses_after_each_other_and_at_once():
    clock = Clockwork(phase_with())
    pauses = [
        pause(NOON + MINUTE, NOON + 3 * MINUTE),
        pause(NOON + 2 * MINUTE, NOON + 4 * MINUTE, "a:x"),
        pause(NOON + 6 * MINUTE, NOON + 7 * MINUTE),
    ]
    started = clock.look(NOON + 8 * MINUTE, pauses=pauses)
    assert started == [NOON + minute * MINUTE for minute in (4, 5, 7, 8)]
    assert sum(each.count for each in clock.missed) == 4


def test_a_pause_counts_from_when_a_start_with_jitter_is_due():
    phase = phase_with("0 * * * *", jitter_ns=1_800_000_000_000)
    clock = Clockwork(phase)
    delay = clock.table.delay
    held = pause(NOON + HOUR + SECOND)  # behind the planned instant, before the start
    assert clock.look(NOON + HOUR + delay, pauses=[held]) == []
    assert clock.watermark == NOON


@pytest.mark.parametrize(
    ("target", "phase", "topic"),
    [
        ("f.toml", True, False),
        ("a:x", True, False),
        ("f.toml:a:x", True, False),
        ("g.toml", False, False),
        ("a:y", False, False),
        ("g.toml:a:x", False, False),
        ("a", False, True),
        ("topic:a", False, True),
        ("topic:b", False, False),
    ],
)
def test_a_target_is_a_topic_a_phase_or_a_workflow(target, phase, topic):
    paused = Paused((pause(NOON, target=target_of(target)),))
    assert (paused.phase(phase_with(), NOON) is not None, paused.topic("a", NOON) is not None) == (
        phase,
        topic,
    )
    assert paused.phase(phase_with(), NOON - SECOND) is None


def test_the_second_phase_of_a_name_is_paused_with_the_name_or_alone():
    second = Phase("f.toml", "a", "x", name="a:x#2")
    assert Paused((pause(NOON, target="a:x"),)).phase(second, NOON)
    assert Paused((pause(NOON, target="f.toml:a:x#2"),)).phase(second, NOON)
    assert not Paused((pause(NOON, target="f.toml:a:x#2"),)).phase(phase_with(), NOON)
