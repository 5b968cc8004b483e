"""Batches that are made while they are published: two marks that open together and move by compare-and-set."""

from typing import Any

import pytest

from contract.given import counts, message
from flowlord.bus.port import Bus
from flowlord.model.errors import Refused
from flowlord.model.plan import Commit, Committed, FrozenBatch, Mark, OpenBatch, Plan, Series
from flowlord.model.task import Task, encode

BATCH = OpenBatch("b1", '{"recipe": "text"}', "[0]", 20_000)


def test_an_opened_batch_is_two_marks_that_land_with_the_rest_of_its_commit(bus: Bus) -> None:
    bus.commit(Plan(publish=(message(),), opened=(BATCH,)), marks=[Mark("tick:p", None, "1")])
    assert bus.marks(["batch:b1", "recipe:b1", "tick:p"]) == {
        "batch:b1": "[0]",
        "recipe:b1": '{"recipe": "text"}',
        "tick:p": "1",
    }
    assert bus.marks_like("batch:") == {"batch:b1": "[0]"}
    assert counts(bus) == (1, 0, 0)
    assert bus.advance() == 0  # nothing here is the bus's own to publish


def test_what_is_open_is_not_opened_again(bus: Bus) -> None:
    bus.commit(Plan(opened=(BATCH,)))
    with pytest.raises(Refused):
        bus.commit(Plan(publish=(message(),), opened=(BATCH,)))
    assert counts(bus) == (0, 0, 0)


def test_parts_land_only_where_the_batch_is_and_many_in_one_round_trip(bus: Bus) -> None:
    bus.commit(Plan(opened=(BATCH,)))

    def part(seen: str, new: str | None) -> Commit:
        return Commit(Plan(publish=(message(),)), marks=(Mark("batch:b1", seen, new),))

    answers = bus.commit_many([part("[0]", "[1]"), part("[1]", "[2]"), part("[1]", "[9]"), part("[2]", None)])
    assert [isinstance(answer, Committed) for answer in answers] == [True, True, False, True]
    assert counts(bus) == (3, 0, 0)
    assert bus.marks_like("batch:") == {}


def test_a_series_lands_as_its_messages_would_whatever_lands_before_and_behind_it(bus: Bus) -> None:
    about = {"phase": "f.toml:p", "revision": "r", "cause": "c", "batch": "b"}

    def series(*infos: str, **more: Any) -> Commit:
        tasks = [Task(type="extract", info=info, id=info, created="now") for info in infos]
        found = Series("extract", infos, tuple(map(encode, tasks)), **{**about, **more})
        return Commit(Plan(series=(found,)), marks=(Mark("m", None, "1"),) if infos[0] == "refused" else ())

    bus.commit(Plan(), marks=[Mark("m", None, "0")])
    commits = [
        Commit(Plan(publish=(message(info="other", phase="q"), message(info="same", phase="q")))),
        series("refused", "too", cause=""),
        series("a", "b", cause=""),
        Commit(Plan(publish=(message(info="timed", timeout_ns=5, **{**about, "cause": ""}),))),
        series("c", "d", cause=""),
        series("e", "f", timeout_ns=7, holds="g", identities=("e-1", "f-1")),
        Commit(Plan(publish=(message(info="last", **about),))),
    ]
    answers = bus.commit_many(commits)
    assert [isinstance(answer, Committed) for answer in answers] == [
        True,
        False,
        True,
        True,
        True,
        True,
        True,
    ]
    found = [
        (each.task().info, each.phase, each.cause, each.timeout_ns)
        for each in bus.claim(["extract"], "w", 20)
    ]
    assert found == [
        ("other", "q", "", 0), ("same", "q", "", 0),
        ("a", "f.toml:p", "", 0), ("b", "f.toml:p", "", 0), ("timed", "f.toml:p", "", 5),
        ("c", "f.toml:p", "", 0), ("d", "f.toml:p", "", 0),
        ("e", "f.toml:p", "c", 7), ("f", "f.toml:p", "c", 7), ("last", "f.toml:p", "c", 0),
    ]  # fmt: skip
    told = [fact for entry in bus.journal(0, 100) for fact in entry.facts]
    assert [fact.task.info for fact in told if fact.task] == [info for info, *_ in found]
    assert {fact.batch for fact in told} == {"", "b"}
    assert bus.open_counts(["g"]) == {"g": 2}
    bus.commit(Plan(), outcomes=["e-1", "f-1"])
    assert bus.open_counts(["g"]).get("g", 0) == 0


def test_open_batches_of_both_kinds_are_found_by_their_marks_among_others(bus: Bus) -> None:
    frozen = FrozenBatch("b2", (message(), message()))
    bus.commit(Plan(opened=(BATCH,), frozen=(frozen,)), marks=[Mark("batchelor", None, "x")])
    assert bus.marks_like("batch:") == {"batch:b1": "[0]", "batch:b2": "0/2"}
    assert bus.advance() == 2
    assert bus.marks_like("batch:") == {"batch:b1": "[0]"}


def test_the_time_of_a_bus_is_that_of_what_lands_on_it(bus: Bus) -> None:
    before = bus.now_us()
    bus.publish([message()])
    [entry] = bus.journal(0, 1)
    assert before <= entry.at_us <= bus.now_us()
