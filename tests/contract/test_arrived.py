"""Walking through a topic once, in the order of arrival: what waits or runs, and nothing twice."""

from datetime import timedelta

from contract.given import infos, message, take
from flowlord.bus.clock import micros
from flowlord.model.plan import Plan

LONG_US = 1 << 52


def seen(bus, after="", until_us=LONG_US, limit=100, topic="extract"):
    """What arrived: keys with their states."""
    return [(each.key, each.state) for each in bus.arrived(topic, after, until_us, limit)]


def test_what_waits_and_what_runs_is_shown_by_arrival_whatever_its_band(bus):
    bus.publish([message(key="a", priority=1), message(key="b", priority=9), message(key="c")])
    bus.publish([message("load", key="other")])
    [held] = take(bus, limit=1)
    assert held.key == "b"
    assert seen(bus) == [("a", "waiting"), ("b", "running"), ("c", "waiting")]
    [_, running, _] = bus.arrived("extract", "", LONG_US, 100)
    assert (running.consumer, running.deliveries) == ("a", 1)
    assert seen(bus, topic="nobody's") == []


def test_a_walk_goes_on_behind_the_last_entry_and_comes_to_an_end(bus):
    bus.publish([message(key=f"{n}", priority=(1, 5, 7, 9)[n % 4]) for n in range(10)])
    found, after = [], ""
    while part := bus.arrived("extract", after, LONG_US, 3):
        found += [each.key for each in part]
        after = part[-1].entry
        assert len(part) <= 3
    assert found == [f"{n}" for n in range(10)]
    bus.publish([message(key="new")])
    assert seen(bus, after) == [("new", "waiting")]
    assert seen(bus, limit=0) == []


def test_only_what_arrived_in_time_is_shown(bus, clock):
    bus.publish([message(key="old")])
    until_us = micros(clock.now())
    clock.advance(10)
    bus.publish([message(key="new")])
    assert seen(bus, until_us=until_us) == [("old", "waiting")]
    assert seen(bus, until_us=until_us - 1_000_000) == []
    assert seen(bus, until_us=0) == []


def test_what_was_done_dropped_or_waits_for_its_time_is_not_there(bus, clock):
    bus.publish([message(key=key) for key in ("done", "gone", "here")])
    bus.publish([message(key="later", due=clock.now() + timedelta(seconds=60))])
    [held] = take(bus, limit=1)
    bus.commit(Plan(), acknowledge=[held])
    bus.cancel(["gone"])
    assert seen(bus) == [("here", "waiting")]
    clock.advance(60)
    until_us = micros(clock.now()) - 1_000_000
    bus.promote()
    assert seen(bus, until_us=until_us) == [("here", "waiting")], "the time of the other one begins now"
    assert seen(bus) == [("here", "waiting"), ("later", "waiting")]


def test_what_comes_back_from_a_dead_consumer_keeps_its_place(bus, lapse):
    bus.publish([message(key="a"), message(key="b")])
    [held] = take(bus, limit=1, consumer="dead")
    lapse(held)
    [taken] = bus.reclaim("reaper", 10)
    assert (taken.before, taken.consumer, taken.deliveries) == ("dead", "reaper", 1)
    assert seen(bus) == [("a", "running"), ("b", "waiting")]
    bus.release([taken])
    assert seen(bus) == [("a", "waiting"), ("b", "waiting")]
    assert infos(take(bus, limit=1)) == [held.task().info]
    assert take(bus)[0].before == ""
