"""What a consumer gets: order, bands, alone after a crash, and waiting for news."""

import threading

import pytest

from contract.given import LEASE, counts, infos, message, take
from flowlord.bus.port import ALONE_AFTER
from flowlord.model.message import Report
from flowlord.model.plan import Plan
from flowlord.model.task import decode


def test_a_message_is_claimed_as_it_was_published(bus):
    sent = message(
        "extract", "gs://a/b?c=1", key="k", priority=7, timeout_ns=5, phase="flow.toml:extract", revision="r1",
        cause="tick:flow.toml:extract", batch="b1", report=Report(worker="w", deliveries=2, output="tail"),
    )  # fmt: skip
    bus.publish([sent])
    [got] = take(bus)
    assert got.task() == sent.task
    assert (got.topic, got.key, got.priority, got.timeout_ns) == ("extract", "k", 7, 5)
    assert (got.phase, got.revision) == ("flow.toml:extract", "r1")
    assert (got.cause, got.batch, got.report) == ("tick:flow.toml:extract", "b1", sent.report)
    assert (got.consumer, got.deliveries) == ("a", 1)
    assert got.token


def test_messages_come_in_the_order_in_which_they_were_published(bus):
    for number in range(5):
        bus.publish([message(info=f"{number}a"), message(info=f"{number}b")])
    assert infos(take(bus)) == ["0a", "0b", "1a", "1b", "2a", "2b", "3a", "3b", "4a", "4b"]


def test_a_claim_takes_no_more_than_its_limit_and_the_rest_stays_in_order(bus):
    bus.publish([message(info=str(n)) for n in range(5)])
    assert infos(take(bus, limit=2)) == ["0", "1"]
    assert infos(take(bus, limit=2)) == ["2", "3"]
    assert infos(take(bus, limit=2)) == ["4"]
    assert take(bus) == []
    bus.publish([message()])
    assert take(bus, limit=0) == []


def test_higher_bands_come_first_and_inside_a_band_the_first_comes_first(bus):
    bus.publish([message(info=f"{priority}", priority=priority) for priority in (0, 3, 5, 4, 7, 10, 8, 9, 6)])
    assert infos(take(bus)) == ["10", "9", "7", "8", "5", "4", "6", "0", "3"]


def test_bands_are_strict_over_several_topics_and_inside_a_band_arrival_decides(bus):
    bus.publish(
        [
            message("x", "x5"),
            message("y", "y9", priority=9),
            message("y", "y5"),
            message("x", "x9", priority=9),
        ]
    )
    found = bus.claim(["x", "y", "x"], "a", 10, lease_ns=LEASE)
    assert infos(found) == ["y9", "x9", "x5", "y5"]


def test_several_topics_share_one_limit(bus):
    bus.publish([message("x", "1"), message("y", "2"), message("x", "3"), message("y", "4")])
    assert infos(bus.claim(["y", "x"], "a", 3, lease_ns=LEASE)) == ["1", "2", "3"]
    assert infos(bus.claim(["y", "x"], "a", 3, lease_ns=LEASE)) == ["4"]


def test_only_the_topics_asked_for_are_claimed(bus):
    bus.publish([message("x"), message("y")])
    assert [d.topic for d in bus.claim(["y", "never heard of"], "a", 10)] == ["y"]
    assert bus.claim([], "a", 10) == []


def test_what_one_consumer_holds_nobody_else_gets(bus):
    bus.publish([message(info="1"), message(info="2")])
    assert infos(take(bus, limit=1, consumer="a")) == ["1"]
    assert infos(take(bus, limit=5, consumer="b")) == ["2"]
    assert take(bus, consumer="a") == []


def crash(bus, lapse, limit: int = 10) -> None:
    """Let a consumer die with what it claimed, and the reaper offer that again."""
    lapse(take(bus, limit=limit)[0])
    bus.release(bus.reclaim("reaper", 10))


def test_a_message_that_crashed_two_consumers_is_claimed_alone(bus, lapse):
    bus.publish([message(info=str(n)) for n in range(4)])
    for _ in range(ALONE_AFTER):
        crash(bus, lapse, limit=2)
    assert infos(take(bus)) == ["0"]  # each of the two may be the one that kills
    assert infos(take(bus)) == ["1"]
    assert infos(take(bus)) == ["2", "3"]


def test_what_one_crash_took_along_is_claimed_in_one_go(bus, lapse):
    bus.publish([message(info=str(n)) for n in range(4)])
    crash(bus, lapse, limit=2)
    assert infos(take(bus)) == ["0", "1", "2", "3"]


def test_a_crashed_message_behind_others_ends_the_claim_before_it(bus, lapse):
    bus.publish([message(info="low", priority=1)])
    for _ in range(ALONE_AFTER):
        crash(bus, lapse)
    bus.publish([message(info="1"), message(info="2")])
    assert infos(take(bus)) == ["1", "2"]
    assert infos(take(bus)) == ["low"]


def test_a_claim_waits_for_the_first_message(bus):
    found = []
    waiter = threading.Thread(target=lambda: found.extend(bus.claim(["extract"], "a", 10, wait_s=30)))
    waiter.start()
    bus.publish([message(info="news")])
    waiter.join(40)
    assert infos(found) == ["news"]


def test_a_claim_that_waited_in_vain_returns_nothing(bus):
    assert bus.claim(["extract"], "a", 10, wait_s=0.01) == []


def test_a_claim_does_not_wait_to_fill_up(bus):
    bus.publish([message()])
    assert len(bus.claim(["extract"], "a", 10, wait_s=60)) == 1


@pytest.mark.parametrize("how", ["commit", "release", "promote", "advance"])
def test_every_way_onto_a_topic_wakes_who_waits(bus, clock, how):
    from datetime import timedelta

    from flowlord.model.plan import FrozenBatch

    bus.publish([message("other")])
    [held] = take(bus, "other")
    bus.publish([message(due=clock.now() + timedelta(seconds=1))])
    bus.commit(Plan(frozen=(FrozenBatch("b", (message(),)),)))
    topic = "other" if how == "release" else "extract"
    found = []
    waiter = threading.Thread(target=lambda: found.extend(bus.claim([topic], "b", 1, wait_s=30)))
    waiter.start()
    match how:
        case "commit":
            bus.commit(Plan(publish=(message(),)), acknowledge=[held])
        case "release":
            bus.release([held])
        case "promote":
            clock.advance(1)
            assert bus.promote() == 1
        case "advance":
            assert bus.advance() == 1
    waiter.join(40)
    assert [d.topic for d in found] == [topic]


def test_closing_ends_the_waiting(bus):
    waiter = threading.Thread(target=lambda: bus.claim(["extract"], "a", 1, wait_s=60))
    waiter.start()
    bus.close()
    waiter.join(40)
    assert not waiter.is_alive()


def test_many_threads_share_a_topic_and_each_message_goes_to_one(bus):
    bus.publish([message(info=str(n)) for n in range(200)])
    found = []
    start = threading.Barrier(8)

    def consume(name):
        start.wait()
        while got := bus.claim(["extract"], name, 7):
            found.extend(got)

    threads = [threading.Thread(target=consume, args=(f"c{n}",)) for n in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(40)
    assert sorted(map(int, infos(found))) == list(range(200))
    assert counts(bus) == (0, 200, 0)


def test_payloads_are_kept_byte_for_byte_and_hold_whatever_text_a_task_holds(bus):
    info = 's3://a/b?c={"d": "\u2028 é 😀 \x00 \\"}'
    bus.publish([message(info=info, key="ключ")])
    [got] = take(bus)
    assert decode(got.payload).info == info
    assert got.key == "ключ"


def test_many_that_wait_are_claimed_in_order_by_one_claim_after_the_other(bus):
    bus.publish([message(info=str(n), cause=f"c{n}") for n in range(160)])
    found = [take(bus, limit=60) for _ in range(4)]
    assert [infos(some) for some in found] == [
        [str(n) for n in range(first, min(first + 60, 160))] for first in (0, 60, 120, 180)
    ]
    assert {(d.deliveries, d.cause == f"c{d.task().info}") for some in found for d in some} == {(1, True)}
    assert bus.renew([d for some in found for d in some], lease_ns=LEASE) == []
    assert counts(bus) == (0, 160, 0)
