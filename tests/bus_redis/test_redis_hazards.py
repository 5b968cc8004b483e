"""What loses or doubles work on Redis, each done to a real server: docs/hazards.md has the list."""

import json
import threading
from contextlib import closing
from datetime import timedelta

import pytest

from contract.given import LEASE_S, counts, facts, infos, message, take
from flowlord.bus.redis import RedisBus
from flowlord.bus.redis_errors import NotSent, OutcomeUnknown
from flowlord.model.errors import BusUnavailable, BusUnusable, LeaseLost
from flowlord.model.plan import Commit, Committed, FactKind, Mark, Plan
from support.clock import VirtualClock
from support.redis_servers import Server, drop_namespace, fresh_namespace, shared_server

FOREIGN_S = 1_800


@pytest.fixture
def server():
    return shared_server("redis")


@pytest.fixture
def clock():
    return VirtualClock()


@pytest.fixture
def namespace(server):
    name = fresh_namespace()
    yield name
    drop_namespace(name, [server])


@pytest.fixture
def bus(server, clock, namespace):
    with closing(RedisBus(server.url, by="tester", clock=clock, namespace=namespace)) as made:
        yield made


@pytest.fixture
def cli(server, namespace):
    """redis-cli, with {} in keys for the namespace."""

    def run(*words: str) -> str:
        return server.cli(*(word.replace("{}", f"{{{namespace}}}") for word in words))

    return run


@pytest.fixture
def own_server():
    """A server of this test alone, which it may break."""
    with Server("redis", {"appendonly": "yes", "appendfsync": "always"}) as made:
        yield made


def foreign_task(info: str) -> str:
    return json.dumps({"type": "extract", "info": info})


# --- RB-5, RB-6, RB-7: others at our streams


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


# --- RB-12, RB-24: a script that cannot do what it should


def test_what_has_no_stream_to_go_to_waits_and_holds_up_nothing_else(bus, cli, clock):
    bus.publish([message("done")])
    [held] = take(bus, "done")
    cli("LPUSH", "{}:topic:load", "an old queue")
    bus.commit(Plan(publish=(message("extract"), message("load", info="work"))), acknowledge=[held])
    assert (counts(bus), counts(bus, "load"), counts(bus, "done")) == ((1, 0, 0), (0, 0, 1), (0, 0, 0))
    assert bus.claim(["load"], "a", 1, wait_s=0.01) == []
    bus.publish([message("other", due=clock.now() + timedelta(seconds=1))])
    clock.advance(1)
    assert bus.promote(1) == 0  # tried, and put behind the others
    assert bus.promote(1) == 1
    cli("DEL", "{}:topic:load")
    clock.advance(60)
    assert bus.promote() == 1
    assert infos(take(bus, "load")) == ["work"]


def test_a_later_message_whose_data_was_deleted_is_forgotten(bus, cli, clock):
    bus.publish([message(due=clock.now() + timedelta(seconds=n)) for n in (1, 2)])
    cli("HDEL", "{}:delayed", cli("ZRANGE", "{}:later", "1", "1").strip())
    clock.advance(2)
    assert (bus.promote(), bus.promote()) == (1, 0)
    assert len(take(bus)) == 1
    assert cli("ZCARD", "{}:later").strip() == "0"


def test_entries_of_a_clock_that_is_ahead_do_not_stop_ours(bus, cli):
    cli("XADD", "{}:topic:extract", "9000000000000-5", "task", foreign_task("future"))
    bus.publish([message(info="ours"), message(info="too")])
    assert infos(take(bus)) == ["future", "ours", "too"]


def test_what_a_stream_cannot_take_any_more_waits_until_it_can(bus, cli, clock):
    last = f"{(1 << 64) - 1}-{(1 << 64) - 1}"
    cli("XADD", "{}:topic:extract", last, "task", foreign_task("the end"))
    bus.publish([message(info="work")])
    assert counts(bus) == (1, 0, 1)
    assert bus.promote() == 0
    cli("DEL", "{}:topic:extract")
    clock.advance(60)
    assert bus.promote() == 1
    assert infos(take(bus)) == ["work"]


# --- RB-11: answers that are lost


def lose_answers(bus, monkeypatch, script):
    """Let the server do it, and the answer be lost."""
    link = bus._link
    real = link.script

    def run(called, keys, args):
        reply = real(called, keys, args)
        if called.name == script:
            raise OutcomeUnknown("the answer was lost")
        return reply

    monkeypatch.setattr(link, "script", run)


def test_what_a_claim_got_is_not_lost_with_its_answer(bus, monkeypatch):
    bus.publish([message(info=str(n)) for n in range(5)])
    with monkeypatch.context() as patch:
        lose_answers(bus, patch, "claim")
        with pytest.raises(OutcomeUnknown):
            take(bus, limit=2)
    assert counts(bus) == (3, 2, 0)
    again = take(bus, limit=10)
    assert (infos(again), [d.deliveries for d in again]) == (["0", "1"], [1, 1])
    assert infos(take(bus)) == ["2", "3", "4"]
    assert bus.commit(Plan(), acknowledge=again) == Committed()


def test_a_commit_sent_again_lands_once(bus, monkeypatch):
    bus.publish([message("done")])
    [held] = take(bus, "done")
    real, sent = bus._link.script, []

    def run(called, keys, args):
        reply = real(called, keys, args)
        sent.append(called.name)
        if sent.count("ack") == 1:
            raise OutcomeUnknown("the answer was lost")
        return reply

    with monkeypatch.context() as patch:
        patch.setattr(bus._link, "script", run)
        answers = bus.commit_many(
            [
                Commit(Plan(publish=(message(),)), (held,), (Mark("m", None, "1"),)),
                Commit(acknowledge=(held,)),
            ]
        )
    assert sent == ["ack", "ack"]
    assert answers[0] == Committed()
    assert isinstance(answers[1], LeaseLost)
    assert counts(bus) == (1, 0, 0)


# --- RB-16: memory is full


def test_when_memory_is_full_new_work_is_refused_whole_and_old_work_ends(clock):
    with Server("redis") as server, closing(RedisBus(server.url, clock=clock)) as bus:
        bus.publish([message(info="1"), message(info="2")])
        first, second = take(bus)
        told = bus.journal_bounds()
        server.cli("CONFIG", "SET", "maxmemory", "1mb")
        with pytest.raises(NotSent, match="memory"):
            bus.publish([message("load")])
        assert counts(bus, "load") == (0, 0, 0)
        assert bus.journal_bounds() == told
        bus.commit(Plan(publish=(message("done"),)), acknowledge=[first])
        bus.release([second])
        assert counts(bus, "done") == (1, 0, 0)
        assert counts(bus) == (1, 0, 0)
        server.cli("CONFIG", "SET", "maxmemory", "0")
        bus.publish([message("load")])


# --- RB-18: a bus that was reset


def test_a_reset_is_noticed_by_whatever_is_asked_first_and_told_once(bus, cli, clock, server, namespace):
    bus.publish([message()])
    [held] = take(bus)
    with closing(RedisBus(server.url, by="other", clock=clock, namespace=namespace)) as other:
        drop_namespace(namespace, [server])
        with pytest.raises(BusUnavailable, match="reset"):
            bus.commit(Plan(publish=(message(),)), acknowledge=[held])
        with pytest.raises(BusUnavailable, match="reset"):
            other.journal(5, 10)
        [told] = facts(bus, FactKind.ALERT)
        assert "reset" in told.text
        assert bus.generation() == other.generation()
        bus.publish([message(info="new")])
        assert infos(take(other)) == ["new"]
        with pytest.raises(LeaseLost):
            bus.commit(Plan(), acknowledge=[held])


def test_a_stream_that_was_deleted_begins_again_at_its_first_entry(bus, cli):
    bus.publish([message()])
    take(bus)
    cli("DEL", "{}:topic:extract")
    cli("XADD", "{}:topic:extract", "*", "task", foreign_task("early"))
    assert infos(take(bus)) == ["early"]


# --- RB-23, RB-25: restarts


def test_a_server_that_forgot_our_scripts_gets_them_again(bus, cli):
    bus.publish([message(info="1")])
    cli("SCRIPT", "FLUSH")
    bus.publish([message(info="2")])
    assert infos(take(bus)) == ["1", "2"]


def test_an_outage_makes_no_lease_look_lapsed(own_server, clock):
    with closing(RedisBus(own_server.url, clock=clock)) as bus:
        bus.publish([message(info="work")])
        [held] = take(bus)
        own_server.kill()
        clock.advance(10 * LEASE_S)
        with pytest.raises(BusUnavailable):
            bus.reclaim("reaper", 10)
        own_server.restart()
        assert bus.reclaim("reaper", 10) == []  # its time runs from when it was seen again
        assert bus.renew([held]) == []
        clock.advance(LEASE_S)
        assert infos(bus.reclaim("reaper", 10)) == ["work"]


def test_what_was_accepted_is_there_after_the_server_was_killed(own_server, clock):
    with closing(RedisBus(own_server.url, clock=clock)) as bus:
        bus.publish([message(info=str(n)) for n in range(50)])
        held = take(bus, limit=10)
        bus.commit(Plan(publish=(message("done"),)), acknowledge=held[:5])
        own_server.kill()
        own_server.restart()
        assert counts(bus) == (40, 5, 0)
        assert counts(bus, "done") == (1, 0, 0)
        assert bus.commit(Plan(), acknowledge=held[5:]) == Committed()
        assert infos(take(bus)) == [str(n) for n in range(10, 50)]


def test_a_claim_that_waits_goes_on_after_a_restart(own_server):
    with closing(RedisBus(own_server.url)) as bus:
        waiting = threading.Event()
        errors, found = [], []

        def wait():
            waiting.set()
            try:
                found.extend(bus.claim(["extract"], "a", 1, wait_s=30))
            except BusUnavailable as error:
                errors.append(error)

        thread = threading.Thread(target=wait)
        thread.start()
        waiting.wait()
        own_server.kill()
        thread.join(10)
        assert not thread.is_alive()
        own_server.restart()
        bus.publish([message(info="after")])
        assert infos(bus.claim(["extract"], "a", 1, wait_s=10)) == ["after"] or infos(found) == ["after"]


# --- names


@pytest.mark.parametrize(
    "topic",
    [
        "a:low",
        "a:high",
        "a:normal",
        "a/b",
        "a b",
        "é",
        "{x}",
        "a:normal:normal",
        "later",
        "a/later",
        "1/later",
    ],
)
def test_no_two_bands_of_any_topics_share_a_stream(bus, topic):
    bus.publish([message("a", "other", priority=1), message("a", "plain"), message(topic, "mine")])
    assert len(bus.find([p.key for p in bus.peek(topic, 5)])) == 1
    assert infos(take(bus, topic)) == ["mine"]
    assert infos(take(bus, "a")) == ["plain", "other"]
    bus.publish([message(topic, key="gone")])
    assert bus.cancel(["gone"]) == 1


def test_several_servers_that_are_no_cluster_are_refused(server):
    with Server("redis") as other, pytest.raises(BusUnusable, match="several buses"):
        RedisBus(f"redis://127.0.0.1:{server.port},127.0.0.1:{other.port}")
