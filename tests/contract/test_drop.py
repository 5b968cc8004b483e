"""What leaves the bus by a person's word, and what is set aside because nobody understands it."""

from datetime import timedelta

import pytest

from contract.given import counts, facts, infos, message, take
from flowlord.bus.landing import QUARANTINE_CAP
from flowlord.bus.port import QUARANTINE
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
