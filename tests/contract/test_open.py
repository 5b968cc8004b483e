"""Which tasks hold a group open: from the commit that lands them to their outcome or other end."""

from datetime import timedelta

import pytest

from contract.given import infos, take
from flowlord.bus.lifetimes import SWEEP_CHUNK, SWEEP_STEPS
from flowlord.bus.port import CHUNK
from flowlord.model.errors import Refused
from flowlord.model.message import SAME, Message
from flowlord.model.plan import Commit, FrozenBatch, Mark, OpenBatch, Plan
from flowlord.model.task import Task

GROUP = "phase:flow.toml:extract"
DAY_S = 86_400


def opening(number, holds=GROUP, **more):
    """A message that holds the group open, told from others by its number."""
    task = Task(type="extract", info=str(number), id=f"run-{number}", created="2026-08-01T05:00:00Z")
    return Message("extract", task, f"key-{number}", holds=holds, **more)


def is_open(bus, group=GROUP):
    """The keys of what holds a group open; the count must agree."""
    found = bus.open_tasks(group, 100)
    assert bus.open_counts([group, "nobody's"]) == {group: len(found), "nobody's": 0}
    return [task.key for task in found]


def test_a_task_holds_its_group_open_until_its_outcome_is_recorded(bus, clock):
    bus.publish([opening(1), opening(2), opening(3, holds="")])
    assert is_open(bus) == ["key-1", "key-2"]
    held = take(bus)
    assert is_open(bus) == ["key-1", "key-2"]
    bus.commit(Plan(), acknowledge=held[:1], outcomes=["key-1", opening(1).task.identity])
    assert is_open(bus) == ["key-2"]
    clock.advance(1)
    bus.publish([opening(4)])
    assert is_open(bus) == ["key-2", "key-4"]
    assert bus.open_tasks(GROUP, 1)[0].key == "key-2"
    assert bus.open_tasks(GROUP, 0) == []


def test_a_worker_that_hands_back_only_the_json_ends_it_too(bus):
    bus.publish([opening(1)])
    bus.commit(Plan(), outcomes=[opening(1).task.identity])
    assert is_open(bus) == []


def test_a_retry_goes_on_holding_what_the_try_before_it_held(bus):
    bus.publish([opening(1)])
    bus.commit(Plan(publish=(opening(2, holds=SAME),)), outcomes=["key-1", opening(1).task.identity])
    assert is_open(bus) == ["key-2"]
    # A result that comes twice changes nothing.
    assert bus.commit(Plan(publish=(opening(3, holds=SAME),)), outcomes=["key-1"]).duplicate
    assert is_open(bus) == ["key-2"]
    bus.commit(Plan(), outcomes=[opening(2).task.identity])
    assert is_open(bus) == []


def test_a_retry_of_what_held_nothing_holds_nothing(bus):
    bus.publish([opening(1, holds=""), opening(9)])
    bus.commit(Plan(publish=(opening(2, holds=SAME),)), outcomes=[opening(1).task.identity])
    assert (is_open(bus), is_open(bus, SAME)) == (["key-9"], [])


def test_many_results_in_one_round_trip_keep_their_groups_apart(bus):
    bus.publish([opening(1), opening(2, holds="other"), opening(3)])
    bus.commit_many(
        [
            Commit(Plan(publish=(opening(11, holds=SAME),)), outcomes=(opening(1).task.identity,)),
            Commit(Plan(publish=(opening(12, holds=SAME),)), outcomes=(opening(2).task.identity,)),
            Commit(Plan(publish=(opening(13),)), marks=(Mark("m", "never so", "1"),)),
        ]
    )
    assert (is_open(bus), is_open(bus, "other")) == (["key-11", "key-3"], ["key-12"])


def test_what_is_refused_opens_and_ends_nothing(bus):
    bus.publish([opening(1)])
    with pytest.raises(Refused):
        bus.commit(
            Plan(publish=(opening(2),)),
            marks=[Mark("m", "never so", "1")],
            outcomes=[opening(1).task.identity],
        )
    assert is_open(bus) == ["key-1"]


def test_waiting_for_a_retry_and_crashes_keep_it_open(bus, clock, lapse):
    bus.publish([opening(1, due=clock.now() + timedelta(seconds=9)), opening(2)])
    [held] = take(bus)
    lapse(held)
    bus.release(bus.reclaim("reaper", 10))
    bus.promote()
    assert is_open(bus) == ["key-1", "key-2"]
    assert sorted(infos(take(bus))) == ["1", "2"]
    assert is_open(bus) == ["key-1", "key-2"]


def test_what_is_cancelled_or_purged_is_open_no_more(bus, clock):
    bus.publish([opening(n) for n in range(3)])
    bus.publish([opening(n, due=clock.now() + timedelta(seconds=9)) for n in range(3, 6)])
    assert bus.cancel(["key-1", "key-4"]) == 2
    assert is_open(bus) == ["key-0", "key-2", "key-3", "key-5"]
    assert bus.purge("extract") == 4
    assert is_open(bus) == []


def test_a_frozen_batch_holds_its_group_until_its_last_chunk_is_published(bus):
    rows = tuple(opening(n) for n in range(CHUNK + 1))
    bus.commit(Plan(frozen=(FrozenBatch("b", rows),)))
    assert is_open(bus) == ["b"]
    bus.advance()
    assert bus.open_counts([GROUP]) == {GROUP: CHUNK + 1}
    for start in range(0, CHUNK, 100):
        bus.commit(Plan(), outcomes=[row.task.identity for row in rows[start : start + 100]])
    assert is_open(bus) == ["b"]
    bus.advance()
    assert is_open(bus) == [f"key-{CHUNK}"]


def test_a_task_without_id_or_stamp_holds_by_its_key(bus):
    bus.publish([Message("extract", Task(type="extract", info=""), "k", holds=GROUP)])
    assert is_open(bus) == ["k"]
    bus.commit(Plan(), outcomes=["k"])
    assert is_open(bus) == []


def test_the_same_task_published_twice_is_open_once(bus):
    bus.publish([opening(1)])
    bus.publish([opening(1), opening(1, holds="other")])
    assert (is_open(bus), is_open(bus, "other")) == ([], ["key-1"])


def test_after_eight_days_nobody_waits_for_it_any_more(bus, clock):
    bus.publish([opening(1)])
    clock.advance(8 * DAY_S)
    bus.publish([opening(2)])
    assert bus.sweep()["open"] == 0
    clock.advance(1)
    assert bus.sweep()["open"] == 1
    assert is_open(bus) == ["key-2"]


def test_more_than_fit_one_question(bus):
    assert SWEEP_CHUNK * SWEEP_STEPS > 2_500
    bus.publish([opening(n, holds=f"g{n % 2}") for n in range(2_500)])
    assert bus.open_counts(["g0", "g1"]) == {"g0": 1_250, "g1": 1_250}
    assert [task.key for task in bus.open_tasks("g1", 2)] == ["key-1", "key-1001"]
    assert bus.open_counts([]) == {}
    bus.commit(Plan(), outcomes=[opening(n).task.identity for n in range(2_500)])
    assert bus.open_counts(["g0", "g1"]) == {"g0": 0, "g1": 0}


def test_a_batch_that_is_made_while_it_is_published_holds_its_group_until_its_outcome(bus):
    bus.commit(Plan(opened=(OpenBatch("b", "{}", "[]", 9, GROUP),)))
    assert is_open(bus) == ["b"]
    bus.commit(Plan(publish=(opening(1),)), marks=[Mark("batch:b", "[]", None)], outcomes=["batch:b"])
    assert is_open(bus) == ["key-1"]
