"""Looking without taking: topics, peek and find."""

from datetime import timedelta

from contract.given import LEASE, infos, message, take
from flowlord.bus.clock import micros
from flowlord.bus.port import TopicState
from flowlord.model.plan import Plan, Quarantined


def test_topics_count_what_waits_runs_and_comes_later(bus, clock):
    start = clock.now()
    bus.publish([message("b"), message("a", priority=1), message("a", due=start + timedelta(hours=1))])
    clock.advance(1)
    bus.publish([message("a", priority=9), message("c", due=start + timedelta(hours=1))])
    take(bus, "b")
    assert bus.topics() == [
        TopicState("a", 2, 0, 1, micros(start)),
        TopicState("b", 0, 1, 0, 0),
        TopicState("c", 0, 0, 1, 0),
    ]


def test_a_topic_that_is_empty_again_is_remembered(bus):
    bus.publish([message("a")])
    bus.commit(Plan(), acknowledge=take(bus, "a"))
    assert bus.topics() == [TopicState("a", 0, 0, 0, 0)]


def test_the_age_of_a_promoted_message_counts_from_its_arrival(bus, clock):
    bus.publish([message(due=clock.now() + timedelta(seconds=5))])
    clock.advance(60)
    bus.promote()
    assert bus.topics()[0].oldest_us == micros(clock.now())


def test_peek_shows_what_runs_then_the_line_then_what_comes_later(bus, clock):
    bus.publish([message(info="runs", key="k", cause="why", phase="p")])
    [held] = take(bus, consumer="me")
    bus.publish(
        [
            message(info="low", priority=0),
            message(info="one"),
            message(info="two"),
            message(info="high", priority=8),
        ]
    )
    bus.publish([message(info=f"in {s}", due=clock.now() + timedelta(seconds=s)) for s in (9, 7)])
    seen = bus.peek("extract", 100)
    assert [(p.state, p.payload.split(b'"info":"')[1].split(b'"')[0].decode()) for p in seen] == [
        ("running", "runs"), ("waiting", "high"), ("waiting", "one"), ("waiting", "two"), ("waiting", "low"),
        ("later", "in 7"), ("later", "in 9"),
    ]  # fmt: skip
    first = seen[0]
    assert (first.topic, first.entry, first.payload) == ("extract", held.entry, held.payload)
    assert (first.key, first.priority, first.cause, first.phase) == ("k", 5, "why", "p")
    assert (first.consumer, first.deliveries, first.at_us, first.due_us) == ("me", 1, micros(clock.now()), 0)
    assert (seen[1].consumer, seen[1].deliveries) == ("", 0)
    assert seen[-1].due_us == micros(clock.now()) + 9_000_000
    assert bus.peek("extract", 3) == seen[:3]
    assert bus.peek("nothing here", 3) == []
    assert bus.peek("extract", 0) == bus.peek("extract", -1) == []


def test_peek_shows_the_newest_first_when_asked(bus, clock):
    bus.publish([message(key="1"), message(key="2")])
    take(bus)
    bus.publish([message(key="low", priority=0), message(key="high", priority=9), message(key="mid")])
    bus.publish([message(key=f"in {s}", due=clock.now() + timedelta(seconds=s)) for s in (9, 7)])
    assert [p.key for p in bus.peek("extract", 100, newest=True)] == [
        "2",
        "1",
        "mid",
        "high",
        "low",
        "in 9",
        "in 7",
    ]
    assert [p.key for p in bus.peek("extract", 3, newest=True)] == ["2", "1", "mid"]


def test_peeking_takes_nothing(bus):
    bus.publish([message(info="1")])
    bus.peek("extract", 10)
    assert infos(take(bus)) == ["1"]


def test_a_peek_tells_how_often_a_message_was_started(bus, lapse):
    bus.publish([message()])
    for crashes in (1, 2):
        lapse(take(bus)[0])
        [taken] = bus.reclaim("reaper", 1, lease_ns=LEASE)
        assert bus.peek("extract", 1)[0].deliveries == crashes  # the reaper's hold is no start
        bus.release([taken])
        assert bus.peek("extract", 1)[0].deliveries == crashes
    take(bus)
    assert bus.peek("extract", 1)[0].deliveries == 3


def test_find_shows_messages_by_their_dispatch_key_wherever_they_are(bus, clock):
    bus.publish([message("x", key="running")])
    take(bus, "x")
    bus.publish([message("x", key="waiting"), message("y", key="twice"), message("done", key="twice")])
    bus.publish(
        [message("x", key="later", due=clock.now() + timedelta(seconds=9)), message("x", key="other")]
    )
    found = bus.find(["later", "running", "waiting", "twice", "unknown", "twice"])
    assert [(p.key, p.topic, p.state) for p in found] == [
        ("running", "x", "running"), ("waiting", "x", "waiting"),
        ("twice", "y", "waiting"), ("twice", "done", "waiting"), ("later", "x", "later"),
    ]  # fmt: skip
    assert bus.find([]) == []


def test_a_message_without_a_key_is_never_found_by_it(bus):
    bus.commit(Plan(quarantine=(Quarantined("done", b"?", "why"),)))
    assert bus.find([""]) == []
