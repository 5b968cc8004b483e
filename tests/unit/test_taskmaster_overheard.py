"""What one follower of the journal hands on to another one in its process, and what the other one does without."""

from __future__ import annotations

import threading
from datetime import timedelta

import pytest

from flowlord.alert import keep
from flowlord.alert.policy import Policy
from flowlord.bus.memory import MemoryBus
from flowlord.cache.historian import Historian
from flowlord.model.plan import Fact, FactKind, Plan
from flowlord.model.task import Task
from flowlord.taskmaster.alerter import Alerter
from flowlord.taskmaster.follower import Follower
from flowlord.taskmaster.overheard import Overheard
from support.clock import VirtualClock
from support.journal import journal, published

PATIENCE_S = 40


def entries(first: int, last: int):
    return journal([published(f"k{n}") for n in range(first, last + 1)], first=first)


def numbers(found) -> list[int]:
    return [entry.seq for entry in found]


@pytest.fixture
def heard() -> Overheard:
    """One that somebody listens to."""
    one = Overheard(most_facts=10)
    assert not one.hear("g", 0)
    return one


def test_what_was_read_is_heard_from_behind_what_is_known_and_no_further_than_a_hole(heard):
    heard.tell("g", entries(1, 3))
    heard.tell("g", entries(4, 6))
    heard.tell("g", entries(8, 9))
    assert numbers(heard.hear("g", 1)) == [2, 3]
    assert numbers(heard.hear("g", 1)) == [2, 3]
    assert numbers(heard.hear("g", 3)) == [4, 5, 6]
    assert not heard.hear("g", 6)
    assert numbers(heard.hear("g", 7)) == [8, 9]
    assert not heard.hear("g", 9)


def test_of_other_data_nothing_is_heard(heard):
    heard.tell("g", entries(1, 3))
    assert not heard.hear("other", 0)
    heard.tell("other", entries(1, 2))
    assert not heard.hear("g", 0)
    assert numbers(heard.hear("other", 0)) == [1, 2]


def test_what_is_told_anew_takes_the_place_of_what_had_its_numbers(heard):
    heard.tell("g", entries(3, 4))
    heard.tell("g", entries(5, 7))
    lost = heard.hear("g", 4)
    heard.tell("g", entries(2, 5))  # a server lost its newest data, and counts on from less
    assert numbers(heard.hear("g", 1)) == [2, 3, 4, 5]
    [found] = heard.hear("g", 4)
    assert found is not lost[0]
    assert not heard.hear("g", 5)
    for _ in range(4):  # as often as it cannot be written
        heard.tell("g", entries(6, 10))
    assert numbers(heard.hear("g", 5)) == [6, 7, 8, 9, 10]


def test_for_one_who_does_not_listen_nothing_is_kept_and_once_it_listens_it_hears_what_comes(heard):
    for first in range(1, 100, 5):
        heard.tell("g", entries(first, first + 4))
    assert not heard.hear("g", 0)
    heard.tell("g", entries(101, 150))  # more than is kept, but nothing else waits
    assert numbers(heard.hear("g", 100)) == list(range(101, 151))
    deaf = Overheard()
    deaf.tell("g", entries(1, 3))
    assert not deaf.hear("g", 0)


def test_who_waits_is_woken_by_what_is_read(heard):
    found: list[int] = []
    waits = threading.Thread(target=lambda: found.extend(numbers(heard.hear("g", 0, PATIENCE_S))))
    waits.start()
    heard.tell("g", entries(1, 2))
    waits.join(PATIENCE_S)
    assert found == [1, 2]


class Channel:
    """Keeps what was said."""

    def __init__(self) -> None:
        self.got: list[str] = []

    def send(self, notice) -> str:
        self.got.append(notice.title)
        return ""

    def hurry(self, limit_s: float) -> None:
        """What is sent takes no time."""


class Watched(MemoryBus):
    """A bus that counts the entries that were read from it."""

    read = 0

    def journal(self, after, limit, *, wait_s=0.0):
        found = super().journal(after, limit, wait_s=wait_s)
        self.read += len(found)
        return found


def fail(bus: MemoryBus, n: int) -> None:
    about = {"key": f"k{n}", "topic": "load", "phase": f"f.toml:load{n}", "text": "no route"}
    task = Task(type="load", info="", result="error")
    bus.commit(Plan(facts=(Fact(FactKind.DEAD, **about), Fact(FactKind.ALERT, task=task, **about))))


def failing(bus: MemoryBus) -> set[str]:
    head = bus.marks([keep.HEAD])
    known = keep.read({**head, **bus.marks(keep.names(head[keep.HEAD]))})
    return {each.phase for each in known.incidents.values()}


def test_alerts_are_told_out_of_what_the_history_has_read_and_without_it_out_of_the_bus():
    clock, channel, overheard = VirtualClock(), Channel(), Overheard()
    bus = Watched(clock)
    historian = Historian(None, clock)
    history = Follower(bus, clock, lambda: historian, timedelta(days=9), overheard=overheard)
    policy = Policy(channels=("slack",), default="slack")
    alerts = Alerter(bus, clock, policy, {"slack": channel}, "d|1", overheard=overheard)
    while alerts.step(0.0) or history.step(0.0):
        pass
    fail(bus, 1)
    bus.read = 0
    history.step(0.0)
    alerts.step(0.0)
    assert (bus.read, len(channel.got)) == (1, 1)
    while alerts.step(0.0) or history.step(0.0):
        pass
    fail(bus, 2)  # nobody writes history any more
    while alerts.step(0.0):
        pass
    assert failing(bus) == {"f.toml:load1", "f.toml:load2"}
    fail(bus, 3)
    while history.step(0.0) or alerts.step(0.0):
        pass
    assert failing(bus) == {"f.toml:load1", "f.toml:load2", "f.toml:load3"}
