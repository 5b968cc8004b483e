"""Commits land unjudged on a SQLite bus as long as nothing speaks against any; otherwise as if that was not tried."""

from contextlib import closing

import pytest

from flowlord.bus import sqlite_commit
from flowlord.bus.sqlite import SqliteBus
from flowlord.model.errors import LeaseLost, Refused
from flowlord.model.message import Message
from flowlord.model.plan import Commit, Committed, FrozenBatch, Mark, Plan
from flowlord.model.task import Task
from support.clock import VirtualClock


@pytest.fixture
def bus(tmp_path):
    with closing(SqliteBus(tmp_path / "bus.db", clock=VirtualClock())) as made:
        yield made


@pytest.fixture
def judged(monkeypatch):
    """How many commits were judged in each step that was."""
    found = []
    real = sqlite_commit.judge

    def judge(landings, *more):
        found.append(len(landings))
        return real(landings, *more)

    monkeypatch.setattr(sqlite_commit, "judge", judge)
    return found


def message(key, topic="work", **more):
    return Message(topic, Task(type=topic, info="x"), key, **more)


def next_of(delivery):
    return Plan(publish=(message(f"after {delivery.key}", "next"),))


def state(bus):
    return {each.topic: (each.waiting, each.running) for each in bus.topics()}


def test_what_nothing_speaks_against_lands_unjudged(bus, judged):
    bus.publish([message(f"k{n}") for n in range(7)])
    held = bus.claim(["work"], "a", 4) + bus.claim(["work"], "b", 3)  # of two holders
    commits = [Commit(next_of(each), (each,), (), (f"o{n}", f"p{n}")) for n, each in enumerate(held)]
    assert bus.commit_many(commits) == [Committed()] * 7
    assert judged == []
    assert state(bus) == {"work": (0, 0), "next": (7, 0)}
    assert [d.key for d in bus.claim(["next"], "a", 9)] == [f"after k{n}" for n in range(7)]


@pytest.mark.parametrize("days_have_it", [False, True])
def test_an_outcome_that_is_known_stops_its_own_commit_only(bus, judged, monkeypatch, days_have_it):
    monkeypatch.setattr(sqlite_commit, "_FRESH", 1 if days_have_it else 5_000)
    bus.publish([message(f"k{n}") for n in range(3)])
    bus.commit(Plan(), outcomes=["o1"])
    held = bus.claim(["work"], "a", 3)
    commits = [Commit(next_of(each), (each,), (), (f"o{n}",)) for n, each in enumerate(held)]
    assert bus.commit_many(commits) == [Committed(), Committed(duplicate=True), Committed()]
    assert judged == [3]
    assert state(bus) == {"work": (0, 0), "next": (2, 0)}
    assert bus.commit(Plan(publish=(message("z"),)), outcomes=["o2"]) == Committed(duplicate=True)


def test_a_lease_that_is_lost_stops_its_own_commit_only(bus, judged):
    bus.publish([message(f"k{n}") for n in range(3)])
    held = bus.claim(["work"], "a", 3)
    bus.release(held[1:2])
    [other] = bus.claim(["work"], "b", 3)
    answers = bus.commit_many([Commit(next_of(each), (each,), (), (f"o {each.key}",)) for each in held])
    assert [type(answer) for answer in answers] == [Committed, LeaseLost, Committed]
    assert judged == [3]
    assert state(bus) == {"work": (0, 1), "next": (2, 0)}
    assert bus.commit(next_of(other), acknowledge=[other], outcomes=["o k1"]) == Committed()
    assert judged == [3]


@pytest.mark.parametrize(
    "commits",
    [
        lambda d: [Commit(Plan(), (d,), (Mark("m", "not so", "1"),))],
        lambda d: [Commit(Plan(), (d,)), Commit(Plan(), (d,))],
        lambda d: [Commit(Plan(), (), (), ("o",)), Commit(Plan(), (d,), (), ("o",))],
        lambda d: [Commit(Plan(frozen=(FrozenBatch("b", (message("f"),)),)), (d,))],
    ],
)
def test_what_may_speak_against_one_of_them_is_judged(bus, judged, commits):
    bus.publish([message("k")])
    [held] = bus.claim(["work"], "a", 1)
    asked = commits(held)
    answers = bus.commit_many(asked)
    assert judged == [len(asked)]
    last = answers[-1]
    assert state(bus)["work"] == ((0, 1) if isinstance(last, Refused) else (0, 0))


def test_messages_of_many_kinds_land_in_the_order_in_which_they_were_given(bus):
    given = [
        message(f"k{n}", f"t{n % 3}", priority=n % 2, phase="p" * (n % 4), cause=f"c{n}") for n in range(260)
    ]
    bus.publish(given)
    found = {d.key: d for topic in ("t0", "t1", "t2") for d in bus.claim([topic], "a", 500)}
    assert len(found) == 260
    for place, each in enumerate(given, 1):
        got = found[each.key]
        assert got.entry == str(place)
        assert (got.topic, got.priority, got.phase, got.cause) == (
            each.topic, each.priority, each.phase, each.cause
        )  # fmt: skip
