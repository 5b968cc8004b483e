"""Faults between any two steps of the memory bus: a verb has happened as a whole or not at all."""

import pytest

from flowlord.bus.memory import RESENDS, MemoryBus
from flowlord.model.errors import BusUnavailable, LeaseLost
from flowlord.model.message import Message
from flowlord.model.plan import Committed, Fact, FactKind, FrozenBatch, Mark, Plan
from flowlord.model.task import Task
from support.clock import VirtualClock


class Crash(BaseException):
    """The process is gone."""


class Faults:
    """Raises at named steps, as often as told."""

    def __init__(self):
        self.due = {}
        self.seen = []

    def __call__(self, step):
        self.seen.append(step)
        if self.due.get(step, 0) > 0:
            self.due[step] -= 1
            raise self.error

    def at(self, step, error, times=1):
        self.due[step], self.error = times, error


@pytest.fixture
def faults():
    return Faults()


@pytest.fixture
def bus(faults):
    made = MemoryBus(VirtualClock(), faults)
    yield made
    made.close()


def message(topic, key="k"):
    return Message(topic, Task(type=topic, info="x"), key)


def everything():
    return Plan(
        publish=(message("load"),),
        frozen=(FrozenBatch("b", (message("load"),)),),
        facts=(Fact(FactKind.DONE, "k"),),
    )


def held(bus):
    bus.publish([message("done")])
    [delivery] = bus.claim(["done"], "a", 1)
    return delivery


def landed(bus):
    """How much of `everything()` is on the bus: 0 is nothing, 5 is all, once."""
    waiting = {state.topic: state.waiting + state.running for state in bus.topics()}
    marks = bus.marks_like("")
    return waiting.get("load", 0) + len(marks) + len(bus.journal(0, 9)) + (waiting["done"] == 0)


@pytest.mark.parametrize(
    ("step", "after"), [("commit.before", 0), ("commit.checked", 0), ("commit.applied", 5)]
)
def test_a_crash_at_any_step_of_a_commit_leaves_all_or_nothing(bus, faults, step, after):
    delivery = held(bus)
    faults.at(step, Crash())
    with pytest.raises(Crash):
        bus.commit(everything(), acknowledge=[delivery], marks=[Mark("m", None, "1")], outcomes=["o"])
    assert landed(bus) == after
    assert bus.commit(Plan(), outcomes=["o"]).duplicate is (after > 0)


@pytest.mark.parametrize("step", ["commit.before", "commit.checked", "commit.applied"])
@pytest.mark.parametrize("times", [1, RESENDS - 1])
def test_a_commit_whose_answer_was_lost_is_sent_again_and_lands_once(bus, faults, step, times):
    delivery = held(bus)
    faults.at(step, BusUnavailable("lost"), times)
    answer = bus.commit(everything(), acknowledge=[delivery], marks=[Mark("m", None, "1")], outcomes=["o"])
    assert answer == Committed(duplicate=False)
    assert landed(bus) == 5
    with pytest.raises(LeaseLost):
        bus.commit(Plan(), acknowledge=[delivery])


def test_a_commit_that_is_never_answered_ends_as_unavailable(bus, faults):
    delivery = held(bus)
    faults.at("commit.applied", BusUnavailable("lost"), 99)
    with pytest.raises(BusUnavailable):
        bus.commit(everything(), acknowledge=[delivery], marks=[Mark("m", None, "1")])
    assert faults.seen.count("commit.applied") == RESENDS + 1  # and once for the publish of held()
    assert landed(bus) == 5


def test_no_other_verb_is_sent_again(bus, faults):
    bus.publish([message("load")])
    faults.at("claim.applied", BusUnavailable("lost"))
    with pytest.raises(BusUnavailable):
        bus.claim(["load"], "a", 1)
    assert faults.seen.count("claim.applied") == 1
    assert bus.topics()[0].running == 1  # the answer is lost, the lease lapses


def test_every_verb_that_changes_something_has_its_steps(bus, faults):
    bus.publish([message("load")])
    found = bus.claim(["load"], "a", 1)
    bus.renew(found)
    bus.release(found)
    bus.reclaim("r", 1)
    bus.promote()
    bus.advance()
    bus.cancel(["k"])
    bus.move([])
    bus.purge("load")
    bus.leave("a")
    bus.sweep()
    verbs = {step.split(".")[0] for step in faults.seen}
    assert verbs == {
        "commit", "claim", "renew", "release", "reclaim", "promote", "advance", "cancel", "move", "purge", "leave",
        "sweep",
    }  # fmt: skip
    for verb in verbs:
        assert faults.seen.count(f"{verb}.before") == faults.seen.count(f"{verb}.applied")
