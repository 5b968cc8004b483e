"""Who tells the alerts, on every bus: one of several daemons, whatever dies in between, and nothing is forgotten.

Time of a server goes by itself, so nothing here waits for it: leases lapse by the daemons' own, virtual clocks.
"""

from __future__ import annotations

import random
from collections import Counter

import pytest

from flowlord.alert import keep
from flowlord.alert.policy import Policy
from flowlord.alert.port import Undelivered
from flowlord.model import crashpoint
from flowlord.model.plan import Fact, FactKind, Plan
from flowlord.model.task import Task
from flowlord.taskmaster.alerter import LEASE_S, Alerter
from support.clock import VirtualClock

POLICY = Policy(channels=("slack",), default="slack")


class Crash(BaseException):
    """The process is gone."""


class Channel:
    """Takes messages, or raises what is next in `answers`; one for all daemons."""

    name = "slack"

    def __init__(self):
        self.got, self.answers = [], []

    def send(self, notice):
        if self.answers and (error := self.answers.pop()) is not None:
            raise error
        self.got.append(notice)
        return ""

    @property
    def copies(self):
        return Counter(notice.id for notice in self.got)


@pytest.fixture
def channel():
    return Channel()


@pytest.fixture(autouse=True)
def disarmed():
    yield
    crashpoint.arm(None)


class Daemons:
    """Some daemons on one bus, each with a clock of its own; a name that is given again is the next process of it."""

    def __init__(self, bus, channel):
        self.bus, self.channel, self.number = bus, channel, 0

    def begin(self, name):
        self.number += 1
        clock = VirtualClock()
        one = Alerter(self.bus, clock, POLICY, {"slack": self.channel}, f"{name}|{self.number}")
        one.clock = clock
        return one


def fail(bus, name="users", text="no route to host"):
    task = Task(type="load", job=name, info="?day=2026-01-01", result="error", msg=text)
    alert = Fact(FactKind.ALERT, key="k", topic="load", phase=f"a.toml:load:{name}", text=text, task=task)
    bus.commit(Plan(facts=(alert,)))


def work(one):
    while one.step(0.0):
        pass


def known(bus):
    head = bus.marks([keep.HEAD])
    return keep.read({**head, **bus.marks(keep.names(head[keep.HEAD]))})


def accounted(bus, channel):
    """How many failures were told, are on their way, or are counted for the next digest."""
    state = known(bus)
    notices = {notice.id: notice for notice in channel.got}
    notices |= {id_: each.notice for id_, each in state.pending.items()}
    told = sum(line.count for notice in notices.values() for line in notice.lines)
    return told + sum(each.fresh for each in state.incidents.values())


def test_of_two_daemons_one_tells_and_the_other_goes_on_where_it_left_off(bus, channel):
    daemons = Daemons(bus, channel)
    one, two = daemons.begin("d1"), daemons.begin("d2")
    work(one)
    work(two)
    fail(bus)
    work(two)
    assert (one.holds, two.holds, channel.got) == (True, False, [])
    work(one)
    fail(bus, "orders")
    work(two)  # it sees how the lease stands now
    two.clock.advance(LEASE_S + 1)
    work(two)
    work(one)  # it was not heard of, and learns that it is no longer its turn
    assert (one.holds, two.holds) == (False, True)
    assert [line.name for notice in channel.got for line in notice.lines] == ["load:users", "load:orders"]
    assert set(channel.copies.values()) == {1}


@pytest.mark.parametrize(("place", "copies"), [("alerts.send.before", 1), ("alerts.send.after", 2)])
def test_who_is_killed_around_a_send_is_followed_by_one_copy_at_most_under_the_same_id(
    bus, channel, place, copies
):
    daemons = Daemons(bus, channel)

    def trap(name):
        if name == place:
            crashpoint.arm(None)
            raise Crash

    fail(bus)
    one = daemons.begin("d1")
    crashpoint.arm(trap)
    with pytest.raises(Crash):
        work(one)
    [waiting] = known(bus).pending.values()
    assert waiting.sending_us
    two = daemons.begin("d2")
    work(two)
    assert len(channel.got) == copies - 1  # whoever died may be at it still
    two.clock.advance(LEASE_S + 1)
    work(two)
    assert list(channel.copies.values()) == [copies]
    assert known(bus).pending == {}


def test_what_cannot_be_delivered_waits_on_the_bus_for_whoever_comes_next(bus, channel):
    daemons = Daemons(bus, channel)
    channel.answers = [
        Undelivered("no_service", lasting=True)
    ]  # tried again in an hour, or by who comes next
    fail(bus)
    one = daemons.begin("d1")
    work(one)
    one.finish()
    [waiting] = known(bus).pending.values()
    assert (waiting.tries, waiting.error, channel.got) == (1, "no_service", [])
    work(daemons.begin("d2"))
    assert list(channel.copies) == [waiting.notice.id]
    assert known(bus).pending == {}


@pytest.mark.parametrize("seed", range(3))
def test_whoever_steps_dies_stalls_or_is_refused_each_failure_is_accounted_for_once(bus, channel, seed):
    chance = random.Random(seed)
    daemons = Daemons(bus, channel)
    crews = {name: daemons.begin(name) for name in ("d1", "d2")}
    failures, doubtful = 0, 0

    def trap(name):
        nonlocal doubtful
        if chance.random() < 0.1:
            doubtful += name == "alerts.send.after"
            raise Crash

    for _ in range(120):
        match chance.randrange(6):
            case 0 | 1:
                failures += 1
                fail(bus, chance.choice("abc"), f"reason {'xyz'[chance.randrange(3)]}")
            case 2:
                channel.answers.append(
                    chance.choice([None, Undelivered("500"), Undelivered("403", lasting=True)])
                )
            case 3:
                crews[chance.choice(["d1", "d2"])].clock.advance(LEASE_S + 1)
            case _:
                name = chance.choice(["d1", "d2"])
                crashpoint.arm(trap)
                try:
                    crews[name].step(0.0)
                except Crash:
                    crews[name] = daemons.begin(name)
                finally:
                    crashpoint.arm(None)
    last = daemons.begin("d1")
    work(last)
    last.clock.advance(LEASE_S + 1)
    work(last)
    assert last.holds
    assert accounted(bus, channel) == failures
    assert channel.copies.total() - len(channel.copies) <= doubtful
