"""Holding, lengthening, giving back and taking over."""

import pytest

from contract.given import LEASE, LEASE_S, counts, facts, infos, message, take
from flowlord.model.errors import LeaseLost
from flowlord.model.message import Message
from flowlord.model.plan import FactKind, Plan


def test_a_lease_that_has_not_lapsed_is_not_reclaimed(bus, clock):
    bus.publish([message()])
    take(bus)
    clock.advance(LEASE_S - 0.001)
    assert bus.reclaim("reaper", 10) == []


def test_a_lease_lapses_when_its_time_is_over(bus, clock):
    bus.publish([message(info="work", key="k", cause="why")])
    [held] = take(bus)
    clock.advance(LEASE_S)
    [taken] = bus.reclaim("reaper", 10)
    assert (taken.task(), taken.key, taken.cause) == (held.task(), "k", "why")
    assert (taken.entry, taken.consumer, taken.deliveries) == (held.entry, "reaper", 1)
    assert taken.token != held.token


def test_the_wall_clock_moves_no_lease(bus, clock):
    bus.publish([message()])
    take(bus)
    clock.jump(86_400)
    assert bus.reclaim("reaper", 10) == []
    clock.jump(-2 * 86_400)
    clock.advance(LEASE_S)
    assert len(bus.reclaim("reaper", 10)) == 1


def test_a_renewed_lease_lasts_from_its_renewal(bus, clock):
    bus.publish([message()])
    held = take(bus)
    clock.advance(LEASE_S - 1)
    assert bus.renew(held, lease_ns=LEASE) == []
    clock.advance(LEASE_S - 1)
    assert bus.reclaim("reaper", 10) == []
    clock.advance(1)
    assert len(bus.reclaim("reaper", 10)) == 1


def test_a_lapsed_lease_that_nobody_took_can_be_renewed(bus, lapse):
    bus.publish([message()])
    held = take(bus)
    lapse(held[0])
    assert bus.renew(held, lease_ns=LEASE) == []
    assert bus.reclaim("reaper", 10) == []


def test_renewing_tells_what_is_lost(bus, lapse):
    bus.publish([message(info=str(n)) for n in range(4)])
    held = take(bus)
    done, released, taken, kept = held
    bus.commit(Plan(), acknowledge=[done])
    bus.release([released])
    lapse(taken)
    bus.renew([kept], lease_ns=LEASE)
    assert infos(bus.reclaim("reaper", 10)) == ["2"]
    assert bus.renew(held, lease_ns=LEASE) == [done, released, taken]
    assert bus.renew([], lease_ns=LEASE) == []


def test_of_two_deliveries_of_one_message_only_the_late_one_is_lost(bus, lapse):
    bus.publish([message()])
    [late] = take(bus)
    lapse(late)
    [taken] = bus.reclaim("reaper", 1)
    assert bus.renew([taken, late, taken]) == [late]


def test_a_released_message_goes_back_to_its_place_in_line(bus):
    bus.publish([message(info=str(n)) for n in range(4)])
    first, second = take(bus, limit=2)
    bus.release([second])
    bus.release([first])
    assert infos(take(bus)) == ["0", "1", "2", "3"]


def test_a_released_delivery_does_not_count(bus):
    bus.publish([message()])
    for _ in range(5):
        [held] = take(bus)
        assert held.deliveries == 1
        bus.release([held])


def test_a_released_message_comes_back_after_its_delay(bus, clock):
    bus.publish([message(info="work")])
    [held] = take(bus)
    bus.release([held], delay_ns=10_000_000_000)
    assert (take(bus), counts(bus)) == ([], (0, 0, 1))
    assert bus.next_due_us() > 0
    clock.advance(9.9)
    assert bus.promote() == 0
    clock.advance(0.1)
    assert bus.promote() == 1
    [again] = take(bus)
    assert (infos([again]), again.deliveries) == (["work"], 1)


def test_a_delayed_release_keeps_the_count_of_crashes(bus, clock, lapse):
    bus.publish([message()])
    lapse(take(bus)[0])
    bus.release(bus.reclaim("reaper", 1), delay_ns=1_000_000_000)
    clock.advance(1)
    bus.promote()
    assert take(bus)[0].deliveries == 2


def test_releasing_what_is_no_longer_held_changes_nothing(bus, lapse):
    bus.publish([message()])
    [late] = take(bus)
    lapse(late)
    [taken] = bus.reclaim("reaper", 1)
    bus.release([late])
    bus.release([late], delay_ns=1_000)
    assert counts(bus) == (0, 1, 0)
    bus.commit(Plan(), acknowledge=[taken])
    bus.release([taken])
    bus.release([])
    assert counts(bus) == (0, 0, 0)


def test_each_crash_of_a_started_delivery_counts(bus, lapse):
    bus.publish([message()])
    for crashes in (1, 2, 3):
        [held] = take(bus)
        assert held.deliveries == crashes
        lapse(held)
        [taken] = bus.reclaim("reaper", 1)
        assert taken.deliveries == crashes
        bus.release([taken])


def test_the_hold_of_a_reaper_is_no_start(bus, lapse):
    bus.publish([message()])
    lapse(take(bus)[0])
    for reaper in ("r1", "r2", "r3"):  # each dies with it
        [taken] = bus.reclaim(reaper, 1, lease_ns=LEASE)
        assert (taken.deliveries, taken.consumer) == (1, reaper)
        lapse(taken)
    [taken] = bus.reclaim("r4", 1)
    bus.release([taken])
    assert take(bus)[0].deliveries == 2


def test_two_reapers_do_not_take_the_same_lease(bus, lapse):
    bus.publish([message() for _ in range(3)])
    lapse(take(bus)[0])
    assert len(bus.reclaim("r1", 2)) == 2
    assert len(bus.reclaim("r2", 2)) == 1
    assert bus.reclaim("r3", 2) == []


def test_what_lapsed_first_is_reclaimed_first(bus, clock):
    bus.publish([message(info=str(n)) for n in range(3)])
    first = take(bus, limit=1)
    clock.advance(1)
    take(bus, limit=1)
    clock.advance(1)
    take(bus, limit=1)
    clock.advance(LEASE_S - 3)
    bus.renew(first, lease_ns=LEASE)
    clock.advance(LEASE_S)
    assert infos(bus.reclaim("reaper", 2)) == ["1", "2"]
    assert infos(bus.reclaim("reaper", 2)) == ["0"]


def test_reclaiming_nothing_takes_nothing(bus, lapse):
    bus.publish([message()])
    lapse(take(bus)[0])
    assert bus.reclaim("reaper", 0) == []
    assert counts(bus) == (0, 1, 0)


def test_a_poisonous_message_is_dead_lettered_by_the_reaper(bus, lapse):
    bus.publish([message(info="poison")])
    [late] = take(bus)
    lapse(late)
    [taken] = bus.reclaim("reaper", 1)
    dead = Message("retry-failed", taken.task(), taken.key)
    bus.commit(Plan(dead=(dead,)), acknowledge=[taken])
    assert (counts(bus), counts(bus, "retry-failed")) == ((0, 0, 0), (1, 0, 0))
    with pytest.raises(LeaseLost):
        bus.commit(Plan(), acknowledge=[late])


def test_holding_tells_nothing(bus, lapse):
    bus.publish([message("done")])
    [held] = take(bus, "done")
    bus.renew([held])
    lapse(held)
    bus.release(bus.reclaim("reaper", 1))
    assert facts(bus) == []
    bus.release(take(bus, "done"), delay_ns=1)
    assert facts(bus, FactKind.PUBLISHED) == []
