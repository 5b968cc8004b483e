"""What waits for its time, and what is published chunk by chunk."""

import threading
from datetime import timedelta

import pytest

from contract.given import counts, facts, infos, message, take
from flowlord.bus.clock import micros
from flowlord.model.errors import Refused
from flowlord.model.plan import FactKind, FrozenBatch, Mark, Plan


def test_a_message_with_a_due_time_in_the_future_waits_for_it(bus, clock):
    due = clock.now() + timedelta(seconds=5)
    bus.publish([message(info="later", due=due), message(info="now")])
    assert infos(take(bus)) == ["now"]
    assert counts(bus) == (0, 1, 1)
    assert bus.next_due_us() == micros(due)
    clock.advance(4.999999)
    assert bus.promote() == 0
    clock.advance(0.000001)
    assert bus.promote() == 1
    assert bus.next_due_us() == 0
    assert infos(take(bus)) == ["later"]


@pytest.mark.parametrize("part", ["publish", "later"])
def test_a_due_time_that_has_passed_is_now(bus, clock, part):
    bus.commit(
        Plan(**{part: (message(due=clock.now()), message(due=clock.now() - timedelta(days=1)), message())})
    )
    assert len(take(bus)) == 3
    assert bus.next_due_us() == 0


def test_due_messages_arrive_by_their_due_time_and_then_by_age(bus, clock):
    def at(seconds):
        return clock.now() + timedelta(seconds=seconds)

    bus.publish([message(info="c", due=at(3)), message(info="b1", due=at(2)), message(info="a", due=at(1))])
    bus.publish([message(info="b2", due=at(2)), message(info="far", due=at(99))])
    clock.advance(10)
    bus.publish([message(info="first")])
    assert bus.promote() == 4
    bus.publish([message(info="last")])
    assert infos(take(bus)) == ["first", "a", "b1", "b2", "c", "last"]


def test_promoting_keeps_everything_about_a_message(bus, clock):
    sent = message(
        key="k", priority=9, phase="p", cause="c", batch="b", due=clock.now() + timedelta(seconds=1)
    )
    bus.publish([message(info="urgent not", priority=5)])
    bus.publish([sent])
    clock.advance(1)
    bus.promote()
    first, _ = take(bus)
    assert (first.task(), first.key, first.phase, first.cause, first.batch) == (sent.task, "k", "p", "c", "b")


def test_promoting_moves_no_more_than_its_limit(bus, clock):
    bus.publish([message(info=str(n), due=clock.now() + timedelta(seconds=n + 1)) for n in range(5)])
    clock.advance(60)
    assert (bus.promote(2), bus.promote(2), bus.promote(2), bus.promote(2)) == (2, 2, 1, 0)
    assert infos(take(bus)) == ["0", "1", "2", "3", "4"]
    assert bus.promote(0) == 0


def test_a_later_message_is_told_once_with_its_due_time(bus, clock):
    due = clock.now() + timedelta(seconds=1)
    bus.commit(Plan(later=(message(key="k", due=due),)))
    clock.advance(2)
    bus.promote()
    [told] = facts(bus)
    assert (told.kind, told.key, told.due) == (FactKind.PUBLISHED, "k", micros(due))


def test_when_the_wall_clock_goes_back_later_only_waits_longer(bus, clock):
    bus.publish([message(due=clock.now() + timedelta(seconds=5))])
    clock.jump(-3600)
    clock.advance(5)
    assert bus.promote() == 0
    clock.advance(3600)
    assert bus.promote() == 1


# --- frozen batches


def frozen(key, size, **more):
    return FrozenBatch(key, tuple(message("load", str(n), key=f"{key}-{n}", **more) for n in range(size)))


def test_a_frozen_batch_is_published_chunk_by_chunk_in_order(bus):
    batch = frozen("big", 1_100)
    bus.commit(Plan(frozen=(batch,)), marks=[Mark("slot", None, "1")])
    assert counts(bus, "load") == (0, 0, 0)
    assert bus.marks_like("batch:") == {"batch:big": "0/1100"}
    assert bus.advance() == 500
    assert bus.marks_like("batch:") == {"batch:big": "500/1100"}
    assert bus.marks(["batch:big"]) == {"batch:big": "500/1100"}
    assert bus.advance() == 500
    assert bus.advance() == 100
    assert bus.marks_like("batch:") == {}
    assert bus.advance() == 0
    found = take(bus, "load", 2_000)
    assert [d.key for d in found] == [m.key for m in batch.messages]
    assert found[0].task() == batch.messages[0].task


def test_a_chunk_may_be_smaller(bus):
    bus.commit(Plan(frozen=(frozen("b", 5),)))
    assert (bus.advance(2), bus.advance(2), bus.advance(0), bus.advance(2)) == (2, 2, 0, 1)
    assert infos(take(bus, "load")) == ["0", "1", "2", "3", "4"]


def test_each_chunk_is_told_when_it_is_published(bus):
    bus.commit(Plan(frozen=(frozen("b", 3),)))
    assert facts(bus) == []
    bus.advance(2)
    assert [fact.key for fact in facts(bus, FactKind.PUBLISHED)] == ["b-0", "b-1"]
    bus.advance(2)
    assert [len(entry.facts) for entry in bus.journal(0, 10)] == [2, 1]


def test_batches_are_published_one_after_the_other(bus):
    bus.commit(Plan(frozen=(frozen("one", 2), frozen("two", 2))))
    bus.commit(Plan(frozen=(frozen("three", 1),)))
    assert [bus.advance() for _ in range(4)] == [2, 2, 1, 0]
    assert [d.key for d in take(bus, "load")] == ["one-0", "one-1", "two-0", "two-1", "three-0"]


def test_an_open_batch_is_not_frozen_again_and_a_finished_one_may_be(bus):
    bus.commit(Plan(frozen=(frozen("b", 2),)))
    with pytest.raises(Refused) as refused:
        bus.commit(Plan(publish=(message("other"),), frozen=(frozen("b", 2),)))
    assert (refused.value.mark, refused.value.found) == ("batch:b", "0/2")
    assert counts(bus, "other") == (0, 0, 0)
    assert (bus.advance(), bus.advance()) == (2, 0)
    bus.commit(Plan(frozen=(frozen("b", 1),)))
    assert bus.advance() == 1


def test_an_empty_batch_is_no_batch(bus):
    bus.commit(Plan(frozen=(FrozenBatch("b", ()),)))
    assert (bus.marks_like("batch:"), bus.advance()) == ({}, 0)


def test_a_frozen_message_that_is_not_due_goes_to_the_later_ones(bus, clock):
    bus.commit(Plan(frozen=(frozen("b", 2, due=clock.now() + timedelta(seconds=9)),)))
    assert bus.advance() == 2
    assert counts(bus, "load") == (0, 0, 2)


def test_two_racers_share_a_batch_and_nothing_is_published_twice(bus):
    bus.commit(Plan(frozen=(frozen("b", 200),)))
    start = threading.Barrier(4)
    shares = []

    def race():
        start.wait()
        share = 0
        while moved := bus.advance(5):
            share += moved
        shares.append(share)

    threads = [threading.Thread(target=race) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(40)
    assert sum(shares) == 200
    assert infos(take(bus, "load", 1_000)) == [str(n) for n in range(200)]
