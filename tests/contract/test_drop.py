"""What leaves the bus by a person's word, and what is set aside because nobody understands it."""

from datetime import timedelta

import pytest

from contract.given import counts, facts, infos, message, take
from flowlord.bus.landing import QUARANTINE_CAP
from flowlord.bus.port import QUARANTINE, Move
from flowlord.model.errors import InvalidTask
from flowlord.model.plan import Fact, FactKind, Plan, Quarantined


def test_purging_a_topic_drops_what_waits_on_it_and_tells_each(bus, clock):
    bus.publish([message(key="held"), message("other")])
    take(bus)
    gone = message(key="waits", phase="p", revision="r", cause="c", batch="b", priority=9)
    due = clock.now() + timedelta(seconds=9)
    bus.publish([gone, message(key="later", due=due)])
    assert bus.purge("extract") == 2
    assert counts(bus) == (0, 1, 0)
    assert counts(bus, "other") == (1, 0, 0)
    told = facts(bus, FactKind.CANCELLED)
    assert sorted(fact.key for fact in told) == ["later", "waits"]
    assert next(fact for fact in told if fact.key == "waits") == Fact(
        FactKind.CANCELLED, "waits", "extract", "p", "r", "c", "b", 9, text="purged", task=gone.task
    )
    assert next(fact for fact in told if fact.key == "later").due > 0
    assert bus.next_due_us() == 0
    assert bus.promote() == 0


def test_purging_many_is_purging_all(bus):
    bus.publish([message(key=f"k{n}", priority=n % 11) for n in range(1_203)])
    assert bus.purge("extract") == 1_203
    assert counts(bus) == (0, 0, 0)
    assert len(facts(bus, FactKind.CANCELLED)) == 1_203
    assert (bus.purge("extract"), bus.purge("never heard of")) == (0, 0)


def test_a_cancelled_message_is_not_claimed(bus, clock):
    bus.publish([message(info="1", key="1"), message(info="2", key="2"), message(info="3", key="3")])
    bus.publish([message("load", key="4", due=clock.now() + timedelta(seconds=1))])
    assert bus.cancel(["2", "4", "unknown", "2"], reason="no longer wanted") == 2
    assert infos(take(bus)) == ["1", "3"]
    clock.advance(2)
    assert bus.promote() == 0
    told = facts(bus, FactKind.CANCELLED)
    assert sorted((fact.key, fact.topic, fact.text) for fact in told) == [
        ("2", "extract", "no longer wanted"), ("4", "load", "no longer wanted"),
    ]  # fmt: skip
    assert bus.find(["2", "4"]) == []


def test_a_running_message_is_not_cancelled(bus):
    bus.publish([message(key="k")])
    [held] = take(bus)
    assert bus.cancel(["k"]) == 0
    assert facts(bus, FactKind.CANCELLED) == []
    bus.release([held])
    assert bus.cancel(["k"]) == 1


def test_a_result_that_waits_is_not_cancelled_with_its_task(bus):
    bus.publish([message("done", key="k"), message(key="k")])
    assert bus.cancel(["k"]) == 1
    assert counts(bus, "done") == (1, 0, 0)


def test_cancelling_many_by_key(bus):
    bus.publish([message(key=f"k{n}") for n in range(1_203)])
    assert bus.cancel([f"k{n}" for n in range(1_203)]) == 1_203
    assert take(bus) == []
    assert bus.cancel([]) == 0


def test_messages_without_a_key_are_not_cancelled_by_an_empty_one(bus):
    bus.commit(Plan(quarantine=(Quarantined("done", b"?", "why"),)))
    assert bus.cancel([""]) == 0


# --- move


def moves(bus, topic, to, **more):
    return [Move(topic, each.entry, to, **more) for each in bus.peek(topic, 1_000) if each.state != "running"]


def test_a_moved_message_lies_on_its_new_topic_as_the_newest_and_is_otherwise_the_same(bus, clock):
    bus.publish([message("load", key="there")])
    bus.publish([message(key="a", priority=9, phase="p", revision="r", cause="c", batch="b", timeout_ns=5)])
    due = clock.now() + timedelta(seconds=9)
    bus.publish([message(key="b", due=due, priority=1)])
    clock.advance(1)
    before = {each.key: each for each in bus.peek("extract", 9)}
    assert bus.move(moves(bus, "extract", "load"), reason="by me") == 2
    assert (counts(bus), counts(bus, "load")) == ((0, 0, 0), (2, 0, 1))
    for each in bus.peek("load", 9)[:1] + bus.peek("load", 9)[2:]:
        was = before[each.key]
        assert (each.payload, each.priority, each.phase, each.cause) == (
            was.payload,
            was.priority,
            was.phase,
            was.cause,
        )
        assert (each.due_us, each.state) == (was.due_us, was.state)
    told = facts(bus, FactKind.MOVED)
    assert [(fact.key, fact.topic, fact.cause, fact.text) for fact in told] == [
        ("a", "load", "moved:extract", "by me"), ("b", "load", "moved:extract", "by me"),
    ]  # fmt: skip
    assert facts(bus, FactKind.CANCELLED) == []
    [first, second] = take(bus, "load")
    assert (first.key, first.timeout_ns, first.revision, first.batch) == ("a", 5, "r", "b")
    assert second.key == "there"
    clock.advance(10)
    assert bus.promote() == 1
    assert [each.key for each in take(bus, "load")] == ["b"]
    assert bus.move(moves(bus, "extract", "load")) == 0


def test_what_somebody_holds_or_what_is_gone_is_not_moved(bus):
    bus.publish([message(key="held"), message(key="gone"), message(key="waits")])
    entries = {each.key: each.entry for each in bus.peek("extract", 9)}
    [held] = take(bus, limit=1)
    bus.cancel(["gone"])
    asked = [Move("extract", entry, "load") for entry in entries.values()]
    elsewhere = Move("other", entries["waits"], "load")
    odd = [
        Move("extract", entry, "load")
        for entry in ("", "nothing", "7/8/9", "extract/1-2-3", "9999999", "x/later")
    ]
    assert bus.move([elsewhere, *odd]) == 0
    assert bus.move(asked) == 1
    assert [each.key for each in bus.peek("load", 9)] == ["waits"]
    bus.release([held])
    assert bus.move(asked) == 1
    assert [each.key for each in bus.peek("load", 9)] == ["waits", "held"]


def test_moving_to_nowhere_drops_and_tells_why(bus):
    bus.publish([message(key="a"), message(key="b")])
    first, _ = moves(bus, "extract", "")
    assert bus.move([first], reason="not wanted") == 1
    assert [each.key for each in bus.peek("extract", 9)] == ["b"]
    assert [(fact.key, fact.text) for fact in facts(bus, FactKind.CANCELLED)] == [("a", "not wanted")]


def test_a_moved_message_goes_on_to_hold_its_group_open_and_a_dropped_one_does_not(bus):
    bus.publish([message(key="a", holds="g"), message(key="b", holds="g")])
    first, second = moves(bus, "extract", "load")
    assert bus.move([first]) == 1
    assert bus.open_counts(["g"]) == {"g": 2}
    assert bus.move([Move("extract", second.entry)]) == 1
    assert bus.open_counts(["g"]) == {"g": 1}


def test_a_quarantined_message_goes_back_to_its_topic_changed_or_not(bus):
    bus.commit(
        Plan(quarantine=(Quarantined("files", b"\xff\x00", "no JSON"), Quarantined("done", b"{", "no JSON")))
    )
    one, two = bus.peek(QUARANTINE, 9)
    sent = [
        Move(QUARANTINE, one.entry, "files"),
        Move(QUARANTINE, two.entry, "done", payload=b"{}", key="k", cause="replayed"),
    ]
    assert bus.move(sent, reason="by me") == 2
    [raw] = take(bus, "files")
    assert (raw.payload, raw.key, raw.cause) == (b"\xff\x00", "", "")
    [mended] = take(bus, "done")
    assert (mended.payload, mended.key, mended.cause) == (b"{}", "k", "replayed")
    assert counts(bus, QUARANTINE) == (0, 0, 0)


def test_many_move_in_their_order(bus):
    bus.publish([message(info=str(n), key=f"k{n}") for n in range(1_203)])
    asked = [Move("extract", each.entry, "load") for each in bus.peek("extract", 2_000)]
    assert bus.move(asked) == 1_203
    assert bus.move(asked) == 0
    assert infos(take(bus, "load", limit=2_000)) == [str(n) for n in range(1_203)]
    assert len(facts(bus, FactKind.MOVED)) == 1_203


def test_a_purge_tells_the_reason_that_it_was_given(bus):
    bus.publish([message(key="a")])
    assert bus.purge("extract", reason="by me") == 1
    assert [fact.text for fact in facts(bus, FactKind.CANCELLED)] == ["by me"]


# --- quarantine


@pytest.mark.parametrize("payload", [b"", b"{", b"\xff\x00\xfe", b'{"type": 1}', b"x" * (3 << 20)])
def test_a_message_that_is_no_task_is_kept_byte_for_byte_with_its_reason(bus, payload):
    bus.commit(Plan(quarantine=(Quarantined("done", payload, "no JSON"),)))
    [seen] = bus.peek(QUARANTINE, 10)
    assert (seen.payload, seen.cause, seen.origin, seen.state) == (payload, "no JSON", "done", "waiting")
    [held] = take(bus, QUARANTINE)
    assert (held.payload, held.cause) == (payload, "no JSON")
    with pytest.raises(InvalidTask):
        held.task()


def test_quarantining_alone_tells_what_its_plan_tells(bus):
    fact = Fact(FactKind.QUARANTINED, topic="done", text="no JSON")
    bus.commit(Plan(quarantine=(Quarantined("done", b"{", "no JSON"),), facts=(fact,)))
    assert facts(bus) == [fact]


def test_purging_the_quarantine_tells_of_bytes_that_are_no_task(bus):
    bus.commit(Plan(quarantine=(Quarantined("done", b"{", "no JSON"),)))
    assert bus.purge(QUARANTINE) == 1
    [told] = facts(bus, FactKind.CANCELLED)
    assert (told.topic, told.cause, told.task) == (QUARANTINE, "no JSON", None)


def test_the_quarantine_is_capped_and_tells_what_it_dropped(bus):
    def bad(first, size):
        return tuple(Quarantined("done", str(n).encode(), str(n)) for n in range(first, first + size))

    bus.commit(Plan(quarantine=bad(0, QUARANTINE_CAP)))
    assert facts(bus) == []
    bus.commit(Plan(quarantine=bad(QUARANTINE_CAP, 3)))
    assert counts(bus, QUARANTINE) == (QUARANTINE_CAP, 0, 0)
    assert bus.peek(QUARANTINE, 1)[0].payload == b"3"
    told = facts(bus)
    assert [(fact.kind, fact.cause) for fact in told] == [(FactKind.CANCELLED, str(n)) for n in range(3)]
    assert "10000" in told[0].text
