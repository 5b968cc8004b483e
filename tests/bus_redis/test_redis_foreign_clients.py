"""Programs that are not ours at our streams: what they may do, and what they cannot spoil."""

import pytest

from contract.given import LEASE_S, counts, facts, foreign_task, infos, message, take
from flowlord.model.plan import Committed, FactKind, Plan

FOREIGN_S = 1_800


def test_an_xack_by_somebody_else_ends_nothing(bus, cli):
    bus.publish([message(info="work")])
    [held] = take(bus)
    cli("XACK", "{}:topic:extract", "workers", held.entry.rpartition("/")[2])
    assert counts(bus) == (0, 1, 0)
    assert bus.commit(Plan(publish=(message("done"),)), acknowledge=[held]) == Committed()


def test_a_message_deleted_under_its_lease_is_told(bus, cli, clock):
    bus.publish([message(info="work")])
    [held] = take(bus)
    cli("XDEL", "{}:topic:extract", held.entry.rpartition("/")[2])
    clock.advance(LEASE_S)
    assert bus.reclaim("reaper", 10) == []
    [told] = facts(bus, FactKind.ALERT)
    assert held.entry in told.text
    assert counts(bus) == (0, 0, 0)


def test_our_claims_leave_nothing_pending_and_no_consumers_behind(bus, cli):
    bus.publish([message() for _ in range(9)])
    for name in "abc":
        take(bus, limit=3, consumer=name)
    assert cli("XPENDING", "{}:topic:extract", "workers").splitlines()[0] == "0"
    assert cli("XINFO", "CONSUMERS", "{}:topic:extract", "workers").count("flowlord") <= 1


# --- foreign producers and workers


def test_a_plain_producer_needs_one_field(bus, cli):
    cli("XADD", "{}:topic:extract", "*", "task", foreign_task("plain"))
    cli("XADD", "{}:topic:extract:high", "*", "task", foreign_task("urgent"))
    found = bus.claim(["extract"], "a", 10, wait_s=1)
    found += bus.claim(["extract"], "a", 10, wait_s=1)
    assert sorted(infos(found)) == ["plain", "urgent"]
    assert {d.task().info: d.priority for d in found} == {"plain": 5, "urgent": 7}
    assert [state.topic for state in bus.topics()] == ["extract"]


def test_an_entry_that_is_no_task_reaches_whoever_quarantines_it(bus, cli):
    cli("XADD", "{}:topic:done", "*", "what", "is this")
    cli("XADD", "{}:topic:done", "*", "a", "1", "b", "2")
    cli("XADD", "{}:topic:done", "*", "task", "{", "about", "[", "key", "k", "at", "soon")
    found = take(bus, "done")
    assert [d.payload for d in found] == [b"is this", b'{"a":"1","b":"2"}', b"{"]


HOSTILE = [
    (b"about", b"\xff\xfe{"),
    (b"about", b'{"x":' + b"[" * 3_000),
    (b"about", b'{"timeout_ns": 1000000000000000000000000000000}'),
    (b"about", b'{"priority": -7, "phase": 3}'),
    (b"at", b"9" * 5_000),
    (b"key", b"\xff"),
    (b"\xff", b"\xfe"),
]


@pytest.mark.parametrize("place", range(len(HOSTILE)))
def test_whatever_a_foreigner_writes_can_be_claimed_taken_over_and_looked_at(
    bus, server, namespace, clock, place
):
    name, value = HOSTILE[place]
    with server.client() as client:
        client.xadd(f"{{{namespace}}}:topic:extract", {"task": foreign_task("theirs"), name: value})
    bus.publish([message(info="ours")])
    assert len(take(bus)) == 2
    clock.advance(LEASE_S)
    found = bus.reclaim("reaper", 10)
    assert infos(found) == ["theirs", "ours"]
    bus.release(found, delay_ns=1)
    assert len(bus.peek("extract", 5)) == 2
    clock.advance(1)
    assert bus.promote() == 2
    assert infos(take(bus)) == ["theirs", "ours"]
    bus.release(bus.claim(["extract"], "b", 9))
    clock.advance(LEASE_S)
    bus.release(bus.reclaim("reaper", 10))
    assert bus.purge("extract") == 2


def test_a_foreign_payload_in_a_field_of_another_name_survives_a_delay(bus, cli, clock):
    cli("XADD", "{}:topic:extract", "*", "data", foreign_task("work"))
    bus.release(take(bus), delay_ns=1_000)
    clock.advance(1)
    bus.promote()
    assert infos(take(bus)) == ["work"]


def test_a_group_that_somebody_makes_at_the_end_hides_nothing(bus, cli):
    bus.publish([message(info="work")])
    cli("XGROUP", "CREATE", "{}:topic:extract", "workers", "$")
    bus.sweep()
    assert infos(take(bus)) == ["work"]


def test_a_group_that_somebody_sets_back_hands_out_nothing_twice(bus, cli):
    bus.publish([message(info=str(n)) for n in range(5)])
    held = take(bus, limit=3)
    bus.release(held[:1])
    cli("XGROUP", "SETID", "{}:topic:extract", "workers", "0")
    assert infos(take(bus, consumer="b")) == ["0", "3", "4"]
    assert take(bus) == []
    assert counts(bus) == (0, 5, 0)


def test_what_a_foreign_worker_abandoned_is_offered_to_foreign_workers_again(bus, cli, clock):
    bus.publish([message(info="work")])
    cli("XREADGROUP", "GROUP", "workers", "theirs", "STREAMS", "{}:topic:extract", ">")
    bus.reclaim("reaper", 10)
    clock.advance(FOREIGN_S)
    bus.release(bus.reclaim("reaper", 10))
    assert "work" in cli("XREADGROUP", "GROUP", "workers", "others", "STREAMS", "{}:topic:extract", ">")


def test_a_foreign_worker_takes_part_and_what_it_abandons_comes_back(bus, cli, clock):
    bus.publish([message(info="work", key="k")])
    take(bus, limit=0)
    cli("XGROUP", "CREATE", "{}:topic:extract", "workers", "0")
    assert "work" in cli("XREADGROUP", "GROUP", "workers", "theirs", "STREAMS", "{}:topic:extract", ">")
    assert counts(bus) == (0, 1, 0)
    assert [(p.state, p.consumer) for p in bus.peek("extract", 5)] == [("running", "theirs")]
    assert take(bus) == []
    assert bus.reclaim("reaper", 10) == []  # seen for the first time
    clock.advance(FOREIGN_S)
    [taken] = bus.reclaim("reaper", 10)
    assert (taken.key, taken.deliveries) == ("k", 1)
    bus.release([taken])
    assert infos(take(bus)) == ["work"]


def test_what_a_foreign_worker_acknowledged_and_left_lying_is_swept(bus, cli):
    bus.publish([message(info="theirs"), message(info="ours"), message(info="next")])
    cli("XGROUP", "CREATE", "{}:topic:extract", "workers", "0")
    cli("XREADGROUP", "GROUP", "workers", "theirs", "COUNT", "1", "STREAMS", "{}:topic:extract", ">")
    [ours] = take(bus, limit=1)
    entry = cli("XRANGE", "{}:topic:extract", "-", "+", "COUNT", "1").splitlines()[0]
    cli("XACK", "{}:topic:extract", "workers", entry)
    bus.sweep()
    assert cli("XLEN", "{}:topic:extract").strip() == "2"
    assert counts(bus) == (1, 1, 0)
    bus.release([ours])
    assert infos(take(bus)) == ["ours", "next"]
