"""What loses or doubles work on Redis, each done to a real server: docs/hazards.md has the list."""

import threading
from contextlib import closing
from datetime import timedelta

import pytest

from contract.given import LEASE_S, counts, facts, foreign_task, infos, message, take
from flowlord.bus.port import Presence
from flowlord.bus.redis import RedisBus
from flowlord.bus.redis_errors import NotSent, OutcomeUnknown
from flowlord.model.errors import BusUnavailable, BusUnusable, LeaseLost
from flowlord.model.plan import Commit, Committed, FactKind, Mark, Plan
from support.redis_servers import Server, drop_namespace


@pytest.fixture
def own_server():
    """A server of this test alone, which it may break."""
    with Server("redis", {"appendonly": "yes", "appendfsync": "always"}) as made:
        yield made


# --- RB-12, RB-24: a script that cannot do what it should


def test_what_has_no_stream_to_go_to_waits_and_holds_up_nothing_else(bus, cli, clock, caplog):
    bus.publish([message("done")])
    [held] = take(bus, "done")
    cli("LPUSH", "{}:topic:load", "an old queue")
    bus.commit(Plan(publish=(message("extract"), message("load", info="work"))), acknowledge=[held])
    assert (counts(bus), counts(bus, "load"), counts(bus, "done")) == ((1, 0, 0), (0, 0, 1), (0, 0, 0))
    assert bus.claim(["load"], "a", 1, wait_s=0.01) == []
    bus.publish([message("other", due=clock.now() + timedelta(seconds=1))])
    clock.advance(1)
    assert bus.promote(1) == 0  # tried, told, and put behind the others
    assert "load" in caplog.text
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


@pytest.mark.parametrize("ends", [False, True])
def test_a_commit_of_one_message_sent_again_lands_once(bus, monkeypatch, ends):
    """It has a script of its own, which keeps no answer but knows the name."""
    bus.publish([message("done")])
    held = take(bus, "done") if ends else []
    real, sent = bus._link.script, []

    def run(called, keys, args):
        reply = real(called, keys, args)
        sent.append(called.name)
        if len(sent) == 1:
            raise OutcomeUnknown("the answer was lost")
        return reply

    with monkeypatch.context() as patch:
        patch.setattr(bus._link, "script", run)
        assert bus.commit(Plan(publish=(message(),)), acknowledge=held) == Committed()
    assert sent == ["end" if ends else "single"] * 2
    assert counts(bus) == (1, 0, 0)
    assert len(bus.journal(0, 10)) == 1
    if ends:
        with pytest.raises(LeaseLost):
            bus.commit(Plan(publish=(message(),)), acknowledge=held)
    assert counts(bus) == (1, 0, 0)


def test_what_is_completed_by_itself_leaves_no_crashes_behind(bus, cli, clock):
    """Whether it was the first to hold it, one who was given it after a crash, or the reaper."""

    def crashed():
        bus.publish([message()])
        take(bus)
        bus.reclaim("reaper", 10)  # sees the lease
        clock.advance(LEASE_S + 0.001)
        [found] = bus.reclaim("reaper", 10)
        assert cli("EXISTS", "{}:crashes") == "1"
        return found

    bus.commit(Plan(publish=(message("done"),)), acknowledge=[crashed()])
    assert cli("EXISTS", "{}:crashes") == "0"
    bus.release([crashed()])
    [again] = take(bus)
    bus.commit(Plan(publish=(message("done"),)), acknowledge=[again])
    assert cli("EXISTS", "{}:crashes") == "0"


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


# --- RB-22: long scripts


def test_cancelling_very_many_goes_through_a_topic_once_and_leaves_nothing_behind(clock):
    with Server("redis") as server, closing(RedisBus(server.url, clock=clock)) as bus:
        bus.publish([message(key=f"k{n}") for n in range(4_000)])
        bus.publish([message(key="other")])
        server.cli("CONFIG", "RESETSTAT")
        assert bus.cancel([f"k{n}" for n in range(0, 4_000, 2)], reason="no longer wanted") == 2_000
        told = server.cli("INFO", "commandstats")
        read = next(line for line in told.splitlines() if line.startswith("cmdstat_smismember:"))
        assert int(read.split("calls=")[1].split(",")[0]) <= 4_001 / 200 + 2
        assert counts(bus) == (2_001, 0, 0)
        assert "wanted" not in server.cli("KEYS", "*")


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
        thread.join(40)
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


# --- what somebody else wrote


def test_a_heartbeat_that_nobody_can_read_hides_no_process(bus, cli):
    bus.beat(Presence("w1", "worker", "host", 1))
    cli("HSET", "{}:beat", "strange", "garbage")
    assert [each.consumer for each in bus.presences()] == ["w1"]
