"""Many at once: exactly one wins, and everybody learns the truth."""

import threading

import pytest

from contract.given import counts, message, take
from flowlord.model.errors import BusUnusable, LeaseLost, Refused
from flowlord.model.plan import Committed, Mark, Plan

THREADS = 8


def together(work):
    """Run `work(n)` in THREADS threads that start at once; return what each returned."""
    start = threading.Barrier(THREADS)
    results = [None] * THREADS

    def run(n):
        start.wait()
        try:
            results[n] = work(n)
        except (Refused, LeaseLost) as error:
            results[n] = error

    threads = [threading.Thread(target=run, args=(n,)) for n in range(THREADS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(40)
    return results


def test_of_many_who_move_a_mark_exactly_one_wins(bus):
    for instant in range(10):
        seen = bus.marks(["tick"]).get("tick")
        mark = Mark("tick", seen, str(instant))
        results = together(lambda n, mark=mark: bus.commit(Plan(publish=(message(),)), marks=[mark]))
        assert sum(isinstance(result, Committed) for result in results) == 1
        assert sum(isinstance(result, Refused) for result in results) == THREADS - 1
    assert counts(bus) == (10, 0, 0)


def test_of_many_who_acknowledge_a_delivery_exactly_one_wins(bus):
    bus.publish([message("done")])
    [held] = take(bus, "done")
    results = together(lambda n: bus.commit(Plan(publish=(message(),)), acknowledge=[held]))
    assert sum(isinstance(result, Committed) for result in results) == 1
    assert counts(bus) == (1, 0, 0)


def test_of_many_who_report_an_outcome_exactly_one_counts(bus):
    results = together(lambda n: bus.commit(Plan(publish=(message(),)), outcomes=["o"]))
    assert sorted(result.duplicate for result in results) == [False] + [True] * (THREADS - 1)
    assert counts(bus) == (1, 0, 0)


def test_a_closed_bus_says_so(bus):
    bus.close()
    bus.close()
    for use in (
        lambda: bus.publish([message()]),
        lambda: bus.claim(["extract"], "a", 1),
        lambda: bus.journal(0, 1),
        bus.topics,
        bus.promote,
        bus.generation,
        bus.sweep,
    ):
        with pytest.raises(BusUnusable, match="closed"):
            use()
