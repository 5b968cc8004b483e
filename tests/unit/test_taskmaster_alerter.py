"""Who tells the alerts, and what a crash between any two steps of it costs: on a bus in memory and a virtual clock."""

from __future__ import annotations

import json
import logging
import threading

import pytest

from flowlord.alert import keep
from flowlord.alert.events import LONGEST_MUTE_US
from flowlord.alert.policy import Policy
from flowlord.alert.port import NoticeKind, Undelivered
from flowlord.bus.memory import MemoryBus
from flowlord.model import crashpoint
from flowlord.model.errors import BusUnavailable
from flowlord.model.message import Delivery
from flowlord.model.plan import ANY, Fact, FactKind, Mark, Plan
from flowlord.model.task import Task
from flowlord.taskmaster.alerter import HURRY_S, LEASE, LEASE_S, Alerter
from flowlord.taskmaster.alerting import follow
from flowlord.taskmaster.reload import MARK
from flowlord.worker.completion import poison
from support.clock import VirtualClock

POLICY = Policy(channels=("slack",), default="slack")


class Crash(BaseException):
    """The process is gone."""


class Slack:
    """Keeps what arrived; `answers` are exceptions to raise instead, in order."""

    name = "slack"

    def __init__(self):
        self.got, self.answers = [], []

    def send(self, notice):
        if self.answers:
            raise self.answers.pop(0)
        self.got.append(notice)
        return ""

    def hurry(self, limit_s):
        """What is sent takes no time."""

    @property
    def ids(self):
        return [notice.id for notice in self.got]


@pytest.fixture
def clock():
    return VirtualClock()


@pytest.fixture
def bus(clock):
    return MemoryBus(clock)


@pytest.fixture
def slack():
    return Slack()


@pytest.fixture(autouse=True)
def disarmed():
    yield
    crashpoint.arm(None)


def alerter(bus, clock, slack, owner="d1|1", **more):
    return Alerter(bus, clock, POLICY, {"slack": slack}, owner, **more)


def fail(bus, n=1, text="no route to host"):
    """Dead letters, as the router commits them."""
    for _ in range(n):
        task = Task(type="load", job="users", info="?day=2026-01-01", result="error", msg=text)
        told = Fact(FactKind.DEAD, key="k", topic="load", phase="a.toml:load:users", text=text)
        alert = Fact(FactKind.ALERT, key="k", topic="load", phase="a.toml:load:users", text=text, task=task)
        bus.commit(Plan(facts=(told, alert)))


def succeed(bus):
    task = Task(type="load", job="users", info="", result="complete")
    bus.commit(
        Plan(facts=(Fact(FactKind.DONE, key="n", topic="load", phase="a.toml:load:users", task=task),))
    )


def work(one, clock, seconds=0.0):
    """Let it do all there is to do, then let time pass and do what that brings about."""
    while one.step(0.0):
        pass
    for _ in range(int(seconds / 5)):
        clock.advance(5)
        while one.step(0.0):
            pass


def known(bus):
    head = bus.marks([keep.HEAD])
    return keep.read({**head, **bus.marks(keep.names(head[keep.HEAD]))})


def test_a_dead_letter_is_told_and_so_is_that_its_phase_is_well_again(bus, clock, slack):
    one = alerter(bus, clock, slack)
    work(one, clock)
    fail(bus, 3)
    work(one, clock)
    succeed(bus)
    work(one, clock, 900)
    assert [notice.kind for notice in slack.got] == ["new", "recovered"]
    assert slack.got[0].lines[0].dates == "2026/01/01T00"
    assert known(bus).pending == {}


def test_what_was_alerted_before_anybody_followed_is_told_unless_it_is_old(bus, clock, slack):
    fail(bus, text="old")
    clock.advance(3_600)
    fail(bus, text="young")
    work(alerter(bus, clock, slack), clock)
    assert [line.error for notice in slack.got for line in notice.lines] == ["young"]


def test_one_of_two_tells_and_the_other_takes_over_when_it_is_not_heard_of(bus, clock, slack):
    one, two = alerter(bus, clock, slack), alerter(bus, clock, slack, "d2|1")
    work(one, clock)
    work(two, clock)
    assert (one.holds, two.holds) == (True, False)
    fail(bus)
    work(two, clock)
    assert slack.got == []
    work(one, clock)
    work(two, clock)
    clock.advance(LEASE_S - 1)
    work(two, clock)
    assert not two.holds
    clock.advance(2)
    fail(bus, text="another")
    work(two, clock)
    assert (two.holds, len(slack.got)) == (True, 2)
    fail(bus, text="a third")
    work(one, clock)  # it stood still, and learns that it is no longer its turn
    work(two, clock)
    assert (one.holds, len(slack.got)) == (False, 3)


def test_who_ends_in_order_leaves_to_the_next_at_once(bus, clock, slack):
    one, two = alerter(bus, clock, slack), alerter(bus, clock, slack, "d2|1")
    work(one, clock)
    fail(bus)
    one.finish()
    assert len(slack.got) == 1
    work(two, clock)
    assert two.holds
    two.finish()
    assert LEASE not in bus.marks([LEASE])


@pytest.mark.parametrize(("place", "copies"), [("alerts.send.before", 1), ("alerts.send.after", 2)])
def test_a_kill_around_a_send_loses_nothing_and_costs_at_most_one_copy_with_the_same_id(
    bus, clock, slack, place, copies
):
    one = alerter(bus, clock, slack)

    def trap(name):
        if name == place:
            crashpoint.arm(None)
            raise Crash

    crashpoint.arm(trap)
    fail(bus)
    with pytest.raises(Crash):
        work(one, clock)
    work(alerter(bus, clock, slack, "d1|2"), clock)  # another process of the same daemon need not wait
    assert len(slack.got) == copies
    assert len(set(slack.ids)) == 1


@pytest.mark.parametrize("lost", [Crash, BusUnavailable])
def test_a_crash_or_a_lost_answer_at_any_step_loses_nothing_and_doubles_only_what_was_being_sent(lost):
    for at in range(60):
        slack, left = Slack(), [1_000_000]
        bus = MemoryBus(VirtualClock(), lambda name, left=left: fault(name, left))

        def fault(name, left):
            left[0] -= 1
            if left[0] == -1:
                raise lost(name)

        fail(bus, 2)
        one = alerter(bus, VirtualClock(), slack)
        left[0] = at
        for n in range(6):
            try:
                work(one, VirtualClock())
            except Crash:
                one = alerter(bus, VirtualClock(), slack, f"d1|{n + 2}")
            except BusUnavailable:
                pass
            if n == 2:
                due, left[0] = left[0], 1_000_000  # none for those who fail
                fail(bus, 1, "another reason")
                left[0] = due
        told = {(notice.id, line.error): line.count for notice in slack.got for line in notice.lines}
        assert sum(told.values()) == 3, at
        assert len(slack.ids) - len(set(slack.ids)) <= (1 if lost is Crash else 0), at
        assert known(bus).pending == {}


def test_what_cannot_be_delivered_is_kept_said_and_tried_again(bus, clock, slack, caplog):
    health = []
    slack.answers = [Undelivered("429 Too Many Requests", retry_after_s=60.0), Undelivered("500")]
    one = alerter(bus, clock, slack, tell_health=health.append)
    fail(bus)
    with caplog.at_level(logging.WARNING):
        work(one, clock)
    assert health == ["1 alert could not be delivered to slack: 429 Too Many Requests"]
    assert "it is kept and tried again in 60 s" in caplog.text
    clock.advance(55)
    work(one, clock)
    assert (slack.got, len(slack.answers)) == ([], 1)
    work(one, clock, 60)
    assert (len(slack.got), health[-1]) == (1, "")


def test_a_channel_with_a_fault_of_its_own_is_no_end(bus, clock, slack):
    slack.answers = [ValueError("a fault")]
    one = alerter(bus, clock, slack)
    fail(bus)
    work(one, clock, 30)
    assert len(slack.got) == 1


def test_entries_that_were_trimmed_before_they_were_seen_are_told(bus, clock, slack):
    one = alerter(bus, clock, slack)
    fail(bus)
    work(one, clock)
    one.finish()
    fail(bus, 2)
    clock.advance(8 * 86_400)
    assert bus.sweep()["journal"] == 2
    work(alerter(bus, clock, slack, "d2|1"), clock)
    errors = [line.error for notice in slack.got for line in notice.lines]
    assert (
        "entries 2 to 2 of the journal were gone before they were looked at: alerts in them were not told"
        in errors
    )
    assert errors.count("no route to host") == 2  # the first, and the newest, which is kept for ever


def test_a_state_that_somebody_broke_is_said_and_begun_anew(bus, clock, slack, caplog):
    from flowlord.model.plan import ANY, Mark

    bus.commit(Plan(), marks=[Mark(keep.HEAD, ANY, "{")])
    fail(bus)
    work(alerter(bus, clock, slack), clock)
    assert "cannot be read" in caplog.text
    assert len(slack.got) == 1


def test_acts_of_people_are_heard_from_the_journal(bus, clock, slack):
    one = alerter(bus, clock, slack)
    until = bus.now_us() + 3_600_000_000
    bus.commit(
        Plan(facts=(Fact(FactKind.MUTED, key="load", cause="person:ana@desk", text="moving", due=until),))
    )
    fail(bus)
    work(one, clock, 60)
    assert slack.got == []
    bus.commit(Plan(facts=(Fact(FactKind.UNMUTED, key="load", cause="person:ana@desk"),)))
    work(one, clock, 10)
    assert len(slack.got) == 1
    bus.commit(Plan(facts=(Fact(FactKind.ACKED, key="a1", cause="person:ana@desk", text="mine"),)))
    fail(bus, 5)
    work(one, clock, 1_200)
    assert len(slack.got) == 1
    assert known(bus).incidents["a1"].acked_by == "ana@desk"


def test_a_bus_that_goes_away_while_the_lease_is_taken_costs_nothing_of_what_is_known(
    bus, clock, slack, monkeypatch
):
    one = alerter(bus, clock, slack)
    work(one, clock)
    slack.answers = [Undelivered("down")]
    fail(bus, 3)
    work(one, clock)
    before = known(bus)
    real, asked = bus.marks, []

    def away(keys):
        asked.append(keys)
        if len(asked) == 2:
            raise BusUnavailable("away")
        return real(keys)

    two = alerter(bus, clock, slack, "d1|2")
    monkeypatch.setattr(bus, "marks", away)
    with pytest.raises(BusUnavailable):
        two.step(0.0)
    assert not two.holds
    work(two, clock, 60)
    assert slack.ids == list(before.pending)
    assert known(bus).number == before.number


def test_a_notice_for_a_channel_that_was_renamed_goes_to_the_one_that_is_there(bus, clock, slack):
    one = alerter(bus, clock, slack)
    work(one, clock)
    slack.answers = [Undelivered("down")]
    fail(bus)
    work(one, clock)
    ops = Slack()
    two = Alerter(bus, clock, Policy(channels=("ops",), default="ops"), {"ops": ops}, "d1|2")
    work(two, clock, 60)
    assert [notice.to for notice in ops.got] == ["ops"]
    assert known(bus).pending == {}


@pytest.mark.parametrize(
    ("where", "strange"),
    [
        (keep.HEAD, {"cursor": 10**9}),
        (keep.HEAD, {"begun_us": 10**17}),
        (keep.HEAD, {"paces": {"slack": {"wait_us": 1, "news_us": 10**17}}}),
        (keep.HEAD, {"paces": {"slack": {"wait_us": 1, "failures": -5}}}),
        (keep.INCIDENT, {"id": "another"}),
        (keep.INCIDENT, {"hours": [10**12], "fresh": 1}),
        (keep.INCIDENT, {"before": [10**12], "good_us": 1}),
    ],
)
def test_strange_values_in_marks_keep_nobody_from_hearing_what_comes(bus, clock, slack, where, strange):
    one = alerter(bus, clock, slack)
    work(one, clock)
    fail(bus)
    work(one, clock)
    one.finish()
    key = where if where == keep.HEAD else where + next(iter(known(bus).incidents))
    value = json.dumps(json.loads(bus.marks([key])[key]) | strange)
    bus.commit(Plan(), marks=[Mark(key, ANY, value)])
    two = alerter(bus, clock, slack, "d1|2")
    work(two, clock, 3_900)
    slack.answers = [Undelivered("down")]
    told = len(slack.got)
    bus.commit(Plan(facts=(Fact(FactKind.ALERT, key="o", topic="other", phase="b.toml:other", text="boom"),)))
    work(two, clock, 600)
    assert any("other" in notice.title for notice in slack.got[told:])
    assert len(slack.got) < told + 5


def test_a_clock_that_is_set_back_by_a_day_silences_nobody(bus, clock, slack, caplog):
    one = alerter(bus, clock, slack)
    work(one, clock)
    for n in range(3):
        fail(bus, text=f"reason {'abc'[n]}")
        work(one, clock)
    slack.answers = [Undelivered("429", retry_after_s=3_600.0)]
    fail(bus, text="reason d")
    work(one, clock)
    clock.jump(-86_400)
    fail(bus, text="after the jump")
    work(one, clock)
    told = [line.error for notice in slack.got for line in notice.lines]
    assert told[-2:] == ["reason d", "after the jump"]
    assert "the clock of the bus was set back by" in caplog.text
    succeed(bus)
    work(one, clock, 900)
    assert slack.got[-1].kind == "recovered"


def test_a_hostile_name_makes_no_large_mark_and_its_end_is_known(bus, clock, slack):
    one = alerter(bus, clock, slack)
    work(one, clock)
    for end in "ab":
        phase = "x" * 400_000 + end
        task = Task(type=phase, job="j" * 400_000, info="", result="error", msg="m" * 400_000)
        told = Fact(
            FactKind.ALERT, key="k", topic="t", phase=phase, text=task.msg, task=task, to="c" * 400_000
        )
        bus.commit(Plan(facts=(told,)))
    bus.commit(Plan(facts=(Fact(FactKind.MUTED, key="k" * 400_000, text="t" * 400_000, due=1 << 62),)))
    work(one, clock)
    state = known(bus)
    assert len(state.incidents) == 2
    [mute] = state.mutes.values()
    assert mute.until_us <= bus.now_us() + LONGEST_MUTE_US
    assert sum(len(value) for value in bus.marks_like("alerts:").values()) < 40_000
    good = Task(type="t", info="", result="complete")
    bus.commit(Plan(facts=(Fact(FactKind.DONE, key="n", topic="t", phase="x" * 400_000 + "a", task=good),)))
    work(one, clock)
    assert sorted(bool(each.good_us) for each in known(bus).incidents.values()) == [False, True]


def test_ten_thousand_reasons_are_bounded_in_memory_and_on_the_bus(bus, clock, slack):
    one = alerter(bus, clock, slack)
    work(one, clock)
    facts = [
        Fact(
            FactKind.ALERT, key="k", topic="t", phase=f"f{n % 97}.toml:t:j{n}", text=f"bad {chr(97 + n % 26)}"
        )
        for n in range(10_000)
    ]
    for at in range(0, len(facts), 500):
        bus.commit(Plan(facts=tuple(facts[at : at + 500])))
        work(one, clock)
    state = known(bus)
    assert sum(each.total for each in state.incidents.values()) == 10_000
    assert len(state.incidents) <= 1_002
    assert sum(len(value) for value in bus.marks_like("alerts:").values()) < 2_000_000
    assert len(slack.got) <= 12


def test_who_ends_does_not_try_a_channel_that_failed_last_and_leaves_its_message_to_the_next(
    bus, clock, slack
):
    one = alerter(bus, clock, slack)
    slack.answers = [Undelivered("it does not answer"), Undelivered("tried at the end")]
    fail(bus)
    work(one, clock)
    clock.advance(10)
    fail(bus)
    one.finish()
    assert len(slack.answers) == 1
    assert len(known(bus).pending) == 1
    assert sum(each.total for each in known(bus).incidents.values()) == 2
    slack.answers = []
    work(alerter(bus, clock, slack, "d2|1"), clock, 30)
    assert len(slack.got) == 1


class Hangs(Slack):
    """Says nothing until it is to hurry."""

    def __init__(self):
        super().__init__()
        self.asked, self.hurried = threading.Event(), threading.Event()

    def send(self, notice):
        self.asked.set()
        assert self.hurried.wait(40)
        raise Undelivered("cut", doubtful=True)

    def hurry(self, limit_s):
        self.hurried.set()


def test_an_end_cuts_short_what_is_being_sent_and_leaves_it_to_the_next_without_a_lapse(bus, clock, slack):
    fail(bus)
    hangs, ending = Hangs(), threading.Event()
    one = alerter(bus, clock, hangs)
    telling = threading.Thread(target=follow, args=(lambda: one, lambda state: None, ending))
    telling.start()
    assert hangs.asked.wait(40)
    ending.set()
    telling.join(40)
    assert not telling.is_alive()
    [waiting] = known(bus).pending.values()
    assert (waiting.doubtful, waiting.sending_us) == (True, 0)
    work(alerter(bus, clock, slack, "d2|1"), clock, LEASE_S / 3)
    assert slack.ids == [waiting.notice.id]


@pytest.mark.parametrize(
    ("rule", "told"),
    [("alert_to=oncall", ["oncall"]), ("alert=digest&alert_to=oncall", []), ("alert=none", ["slack"])],
)
def test_what_a_worker_sets_aside_is_told_as_its_phase_asks_though_workers_know_no_phases(
    bus, clock, slack, rule, told
):
    text = f'[[phase]]\ntask = "load:users"\nrule = "cron=@daily&{rule}"\n'
    kept = json.dumps({"revision": "r", "text": text, "of": "workflows"})
    bus.commit(Plan(), marks=[Mark(f"{MARK}a.toml", ANY, kept)])
    oncall = Slack()
    policy = Policy(channels=("slack", "oncall"), default="slack")
    one = Alerter(bus, clock, policy, {"slack": slack, "oncall": oncall}, "d1|1")
    for phase in ("a.toml:load:users", "gone.toml:load:users"):
        aside = Delivery("load", "1", b"\xff", "t", "c", key="k", phase=phase)
        bus.commit(poison(aside, "it is no JSON").plan)
    work(one, clock)
    channels = {"slack": slack, "oncall": oncall}
    got = [
        (name, line.workflow)
        for name in sorted(channels)
        for each in channels[name].got
        for line in each.lines
    ]
    assert got == sorted([*((name, "a.toml") for name in told), ("slack", "gone.toml")])
    assert sum(each.total for each in known(bus).incidents.values()) == 2


def test_an_alerter_that_was_made_while_the_process_was_told_to_end_hurries(bus, clock):
    ending, done = threading.Event(), []

    class Telling(Alerter):
        def step(self, wait_s=1.0):
            done.append("step")
            return False

        def hurry(self):
            done.append("hurry")

        def finish(self):
            done.append("finish")

    def begin():
        ending.set()
        return Telling(bus, clock, POLICY, {}, "d1|1")

    follow(begin, lambda state: None, ending)
    assert done[0] == "hurry"  # a second time by the thread that waits for the end, perhaps
    assert set(done) == {"hurry", "finish"}


@pytest.mark.parametrize(
    "kept",
    [
        '{"text": 5}',
        '{"text": null}',
        '{"text": ["a"]}',
        '{"text": "\\ud800"}',
        "5",
        "null",
        "[]",
        "{",
        "",
        "[" * 100_000,
    ],
)
def test_a_text_of_a_workflow_that_is_none_holds_up_no_alert(bus, clock, slack, kept):
    bus.commit(Plan(), marks=[Mark(f"{MARK}a.toml", ANY, kept)])
    one = alerter(bus, clock, slack)
    aside = Delivery("load", "1", b"\xff", "t", "c", key="k", phase="a.toml:load:users")
    bus.commit(poison(aside, "it is no JSON").plan)
    work(one, clock)
    assert [line.workflow for each in slack.got for line in each.lines] == ["a.toml"]
    assert known(bus).cursor == bus.journal_bounds()[1]


def test_a_fault_in_reading_what_phases_ask_holds_up_no_alert(bus, clock, slack, monkeypatch, caplog):
    def broken(bus, names):
        raise AttributeError("nobody thought of this")

    monkeypatch.setattr("flowlord.taskmaster.reload.last_good", broken)
    aside = Delivery("load", "1", b"\xff", "t", "c", key="k", phase="a.toml:load:users")
    bus.commit(poison(aside, "it is no JSON").plan)
    work(alerter(bus, clock, slack), clock)
    assert [line.workflow for each in slack.got for line in each.lines] == ["a.toml"]
    assert "told the usual way" in caplog.text


def test_who_ends_sends_nothing_any_more_once_the_hurry_is_over_and_leaves_it_to_the_next(bus, clock, slack):
    one = alerter(bus, clock, slack)
    work(one, clock)
    fail(bus)
    one.hurry()
    clock.advance(HURRY_S / 2)
    one.hurry()  # once more makes it no longer
    clock.advance(HURRY_S / 2)
    one.finish()
    assert slack.got == []
    [waiting] = known(bus).pending.values()
    assert (waiting.tries, waiting.sending_us) == (0, 0)
    work(alerter(bus, clock, slack, "d2|1"), clock)
    assert slack.ids == [waiting.notice.id]


def test_who_ends_still_sends_while_the_hurry_lasts(bus, clock, slack):
    one = alerter(bus, clock, slack)
    work(one, clock)
    fail(bus)
    one.hurry()
    clock.advance(HURRY_S / 2)
    one.finish()
    assert len(slack.got) == 1


def batch_of_three(bus, minute):
    """A start of three rows as the router commits it: one fails, is tried once more, and fails for good."""
    phase, start = "a.toml:load:users", f"start{minute}"

    def result(key, result, *more, batch=start):
        task = Task(type="load", job="users", info=f"?n={key}", result=result, msg="no such table")
        told = Fact(FactKind.DONE, key=key, topic="load", phase=phase, batch=batch, task=task)
        bus.commit(Plan(facts=(told, *more)))

    again, bad = f"again{minute}", f"bad{minute}"
    retry = Fact(FactKind.RETRY, key=bad, topic="load", phase=phase, text="try 2 of 2 in 1s")
    told = Fact(FactKind.PUBLISHED, again, "load", phase, cause=f"retry:{bad}", batch=start)
    result(bad, "error", retry, told)
    for row in "ab":
        result(f"{row}{minute}", "complete")
    yield
    task = Task(type="load", job="users", info="?n=bad", result="error", msg="no such table")
    dead = Fact(FactKind.DEAD, key=again, topic="load", phase=phase, text="no such table")
    alert = Fact(FactKind.ALERT, key=again, topic="load", phase=phase, text="no such table", task=task)
    result(again, "error", dead, alert)
    for row in "cd":
        result(f"{row}{minute}", "complete")
    yield


def test_a_row_that_fails_in_each_start_is_never_well_by_its_siblings(bus, clock, slack):
    policy = Policy(channels=("slack",), default="slack", min_us=20_000_000)
    one = Alerter(bus, clock, policy, {"slack": slack}, "d1|1")
    work(one, clock)
    for minute in range(10):
        for _ in batch_of_three(bus, minute):
            work(one, clock, 30)
    assert {notice.kind for notice in slack.got} == {NoticeKind.NEW, NoticeKind.STILL}
    succeed(bus)
    work(one, clock, 25)
    assert slack.got[-1].kind is NoticeKind.RECOVERED


def test_a_try_that_begins_and_ends_between_two_looks_is_the_end_of_its_alert(bus, clock, slack):
    one = alerter(bus, clock, slack)
    work(one, clock)
    for _ in batch_of_three(bus, 0):
        work(one, clock)
    succeed(bus)
    work(one, clock, 10)  # it counts its quiet time now
    phase = "a.toml:load:users"
    told = Fact(FactKind.PUBLISHED, "mended", "load", phase, cause="retry:again0", batch="start0")
    task = Task(type="load", job="users", info="", result="complete")
    done = Fact(FactKind.DONE, key="mended", topic="load", phase=phase, batch="start0", task=task)
    bus.commit(Plan(facts=(told,)))
    bus.commit(Plan(facts=(done,)))
    work(one, clock, 400)
    assert [notice.kind for notice in slack.got] == [NoticeKind.NEW, NoticeKind.RECOVERED]


def test_a_person_who_has_the_failed_row_made_again_makes_its_phase_well(bus, clock, slack):
    one = alerter(bus, clock, slack)
    work(one, clock)
    for _ in batch_of_three(bus, 0):
        work(one, clock)
    phase = "a.toml:load:users"
    told = Fact(FactKind.PUBLISHED, "mended", "load", phase, cause="retry:again0", batch="start0")
    bus.commit(Plan(facts=(told,)))
    work(one, clock, 400)
    assert [notice.kind for notice in slack.got] == [NoticeKind.NEW]
    task = Task(type="load", job="users", info="", result="complete")
    done = Fact(FactKind.DONE, key="mended", topic="load", phase=phase, batch="start0", task=task)
    bus.commit(Plan(facts=(done,)))
    work(alerter(bus, clock, slack, "d1|2"), clock, 400)  # the process after it knows of the open try
    assert [notice.kind for notice in slack.got] == [NoticeKind.NEW, NoticeKind.RECOVERED]
