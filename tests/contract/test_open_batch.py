"""Batches that are made while they are published: two marks that open together and move by compare-and-set."""

import pytest

from contract.given import counts, message
from flowlord.bus.port import Bus
from flowlord.model.errors import Refused
from flowlord.model.plan import Commit, Committed, FrozenBatch, Mark, OpenBatch, Plan

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
