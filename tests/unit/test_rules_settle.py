"""Files that stand still, by looks and times alone."""

from __future__ import annotations

from flowlord.rules.settle import UNCLOSED_NS, Settling

S = 1_000_000_000


def test_a_file_has_settled_when_two_looks_that_far_apart_are_equal() -> None:
    machine = Settling()
    machine.see("a", "v1", 0, [2 * S])
    assert machine.due(2 * S - 1) == []
    assert machine.due(2 * S) == ["a"]
    assert machine.looked("a", "v1", 2 * S) == 2 * S
    assert len(machine) == 0


def test_one_that_changes_begins_anew() -> None:
    machine = Settling()
    machine.see("a", "v1", 0, [2 * S])
    assert machine.due(2 * S) == ["a"]
    assert machine.looked("a", "v2", 2 * S) is None
    assert machine.due(3 * S) == []
    assert machine.due(4 * S) == ["a"]
    assert machine.looked("a", "v2", 4 * S) == 2 * S


def test_seeing_it_as_it_was_does_not_make_it_wait_longer() -> None:
    machine = Settling()
    for now in range(3):
        machine.see("a", "v1", now * S, [2 * S])
    assert machine.due(2 * S) == ["a"]


def test_phases_that_wait_differently_each_get_their_time() -> None:
    machine = Settling()
    machine.see("a", "v1", 0, [10 * S, 2 * S, 2 * S])
    assert machine.due(2 * S) == ["a"]
    assert machine.looked("a", "v1", 2 * S) == 2 * S
    assert "a" in machine
    assert machine.due(9 * S) == []
    assert machine.due(10 * S) == ["a"]
    assert machine.looked("a", "v1", 10 * S) == 10 * S
    assert "a" not in machine


def test_one_that_is_being_written_waits_for_its_close_or_for_long() -> None:
    machine = Settling()
    machine.see("a", "v1", 0, [S], opened=True)
    machine.see("a", "v1", S, [S])  # a listing between
    assert machine.due(10 * S) == []
    machine.see("a", "v1", 10 * S, [S], closed=True)
    assert machine.due(11 * S) == ["a"]
    assert machine.looked("a", "v1", 11 * S) == S
    machine.see("b", "v1", 0, [S], opened=True)
    assert machine.due(UNCLOSED_NS) == ["b"]
    assert machine.looked("b", "v1", UNCLOSED_NS) == S


def test_one_that_is_gone_is_forgotten() -> None:
    machine = Settling()
    machine.see("a", "v1", 0, [S])
    assert machine.due(S) == ["a"]
    assert machine.looked("a", None, S) is None
    assert (len(machine), machine.due(100 * S), machine.paths()) == (0, [], [])


def test_many_come_in_portions_and_in_the_order_of_their_time() -> None:
    machine = Settling()
    for n in range(10):
        machine.see(str(n), "v", (9 - n) * S, [S])
    assert machine.next_ns() == S
    assert machine.due(100 * S, limit=4) == ["9", "8", "7", "6"]
    assert len(machine.due(100 * S)) == 6
