"""One commit is one step: all of it or nothing, fenced by leases, guarded by marks, once for each outcome."""

from datetime import UTC, datetime
from random import Random

import msgspec
import pytest
from msgspec.structs import replace

from contract.given import counts, facts, infos, message, take
from flowlord.bus.landing import rendered
from flowlord.bus.port import PLAN_LIMIT
from flowlord.model.errors import FlowlordError, InvalidTask, LeaseLost, Refused
from flowlord.model.message import Delivery, Message
from flowlord.model.plan import (
    ANY,
    Child,
    Commit,
    Committed,
    Fact,
    FactKind,
    FrozenBatch,
    Mark,
    Mould,
    Plan,
    Quarantined,
)
from flowlord.model.task import MAX_TASK_BYTES, Task, encode


def everything(**more):
    """A plan that would leave a trace everywhere."""
    return Plan(
        publish=(message("load", **more),),
        later=(message("load"),),
        dead=(message("retry-failed"),),
        frozen=(FrozenBatch("big", (message("load"), message("load"))),),
        quarantine=(Quarantined("done", b"{", "no JSON"),),
        facts=(Fact(FactKind.DONE, "k"),),
    )


def assert_nothing_landed(bus):
    assert bus.journal(0, 10) == []
    assert bus.journal_bounds() == (0, 0)
    assert bus.advance() == 0
    assert bus.marks_like("") == {}
    assert [state.topic for state in bus.topics() if state.topic not in {"extract", "done"}] == []


def held(bus):
    """A delivery on a topic whose messages leave no fact."""
    bus.publish([message("done")])
    [delivery] = take(bus, "done")
    return delivery


def test_a_plan_lands_with_its_acknowledgement_and_its_marks(bus):
    delivery = held(bus)
    answer = bus.commit(everything(), acknowledge=[delivery], marks=[Mark("m", None, "1")])
    assert answer == Committed(duplicate=False)
    assert counts(bus, "done") == (0, 0, 0)
    assert counts(bus, "load") == (2, 0, 0)
    assert counts(bus, "retry-failed") == (1, 0, 0)
    assert counts(bus, "quarantine") == (1, 0, 0)
    assert bus.marks(["m"]) == {"m": "1"}
    assert bus.advance() == 2
    assert bus.find([delivery.key]) == []


def test_nothing_lands_when_a_lease_is_lost(bus, lapse):
    delivery = held(bus)
    lapse(delivery)
    assert len(bus.reclaim("reaper", 1)) == 1
    with pytest.raises(LeaseLost) as lost:
        bus.commit(everything(), acknowledge=[delivery], marks=[Mark("m", None, "1")], outcomes=["o"])
    assert lost.value.entry == delivery.entry
    assert_nothing_landed(bus)
    assert bus.commit(Plan(), outcomes=["o"]) == Committed(duplicate=False)


def test_nothing_lands_when_a_mark_is_refused(bus):
    delivery = held(bus)
    with pytest.raises(Refused) as refused:
        bus.commit(everything(), acknowledge=[delivery], marks=[Mark("a", None, "1"), Mark("b", "7", "8")])
    assert (refused.value.mark, refused.value.found) == ("b", None)
    assert_nothing_landed(bus)
    assert counts(bus, "done") == (0, 1, 0)
    assert bus.commit(Plan(), acknowledge=[delivery]) == Committed()


def test_one_lost_lease_among_many_keeps_everything_back(bus):
    bus.publish([message("done"), message("done")])
    first, second = take(bus, "done")
    bus.commit(Plan(), acknowledge=[first])
    with pytest.raises(LeaseLost):
        bus.commit(everything(), acknowledge=[second, first])
    assert_nothing_landed(bus)
    assert counts(bus, "done") == (0, 1, 0)


@pytest.mark.parametrize("forged", ["token", "consumer", "entry"])
def test_a_lease_belongs_to_its_token_its_consumer_and_its_entry(bus, forged):
    import msgspec

    delivery = held(bus)
    other = msgspec.structs.replace(delivery, **{forged: "999" if forged == "entry" else "somebody else's"})
    with pytest.raises(LeaseLost):
        bus.commit(everything(), acknowledge=[other])
    assert_nothing_landed(bus)


def test_an_acknowledgement_counts_once(bus):
    delivery = held(bus)
    bus.commit(Plan(), acknowledge=[delivery])
    with pytest.raises(LeaseLost):
        bus.commit(everything(), acknowledge=[delivery])
    assert_nothing_landed(bus)


def test_a_lapsed_lease_that_nobody_took_still_acknowledges(bus, lapse):
    delivery = held(bus)
    lapse(delivery)
    assert bus.commit(Plan(), acknowledge=[delivery]) == Committed()


def test_a_lapsed_lease_passes_on_and_the_late_consumer_cannot_acknowledge(bus, lapse):
    bus.publish([message(info="work")])
    [late] = take(bus, consumer="a")
    lapse(late)
    bus.release(bus.reclaim("reaper", 10))
    [second] = take(bus, consumer="b")
    assert (second.task(), second.deliveries) == (late.task(), 2)
    with pytest.raises(LeaseLost):
        bus.commit(Plan(publish=(message("load"),)), acknowledge=[late])
    assert take(bus, "load") == []
    bus.commit(Plan(publish=(message("load"),)), acknowledge=[second])
    assert len(take(bus, "load")) == 1


# --- marks


def test_a_mark_moves_only_from_the_value_that_was_seen(bus):
    bus.commit(Plan(), marks=[Mark("m", None, "1")])
    with pytest.raises(Refused) as refused:
        bus.commit(Plan(), marks=[Mark("m", None, "2")])
    assert refused.value.found == "1"
    bus.commit(Plan(), marks=[Mark("m", "1", "2")])
    assert bus.marks(["m", "other"]) == {"m": "2"}


def test_a_mark_set_over_anything_never_refuses(bus):
    bus.commit(Plan(), marks=[Mark("m", ANY, "1")])
    bus.commit(Plan(), marks=[Mark("m", ANY, "2")])
    assert bus.marks(["m"]) == {"m": "2"}


def test_a_mark_set_to_none_is_gone(bus):
    bus.commit(Plan(), marks=[Mark("m", None, "1")])
    bus.commit(Plan(), marks=[Mark("m", "1", None)])
    assert bus.marks(["m"]) == {}
    bus.commit(Plan(), marks=[Mark("m", None, "again")])


def test_an_empty_value_is_not_an_absent_mark(bus):
    bus.commit(Plan(), marks=[Mark("m", None, "")])
    with pytest.raises(Refused) as refused:
        bus.commit(Plan(), marks=[Mark("m", None, "x")])
    assert refused.value.found == ""


def test_marks_are_found_by_how_they_begin(bus):
    names = ["tick:a", "tick:b", "tick", "tack:c", "tick:é", "tick:%", "tjck:"]
    bus.commit(Plan(), marks=[Mark(name, None, name) for name in names])
    assert bus.marks_like("tick:") == {name: name for name in names if name.startswith("tick:")}
    assert len(bus.marks_like("")) == len(names)


# --- outcomes


def test_a_result_that_comes_twice_is_acknowledged_and_its_plan_dropped(bus):
    bus.publish([message("done"), message("done")])
    first, second = take(bus, "done")
    outcomes = ["key-1", "type job id created"]
    assert bus.commit(Plan(publish=(message("load"),)), acknowledge=[first], outcomes=outcomes) == Committed()
    told = bus.journal_bounds()
    answer = bus.commit(
        everything(), acknowledge=[second], marks=[Mark("m", "would be refused", "1")], outcomes=outcomes[1:]
    )
    assert answer == Committed(duplicate=True)
    assert counts(bus, "done") == (0, 0, 0)
    assert counts(bus, "load") == (1, 0, 0)
    assert (bus.marks(["m"]), bus.journal_bounds()) == ({}, told)


def test_of_a_duplicate_nothing_is_recorded(bus):
    bus.commit(Plan(), outcomes=["a"])
    assert bus.commit(Plan(), outcomes=["a", "b"]).duplicate
    assert not bus.commit(Plan(), outcomes=["b"]).duplicate


def test_a_lost_lease_is_told_before_a_duplicate(bus):
    delivery = held(bus)
    bus.commit(Plan(), acknowledge=[delivery], outcomes=["a"])
    with pytest.raises(LeaseLost):
        bus.commit(Plan(), acknowledge=[delivery], outcomes=["a"])


def test_an_outcome_of_a_refused_commit_is_not_recorded(bus):
    with pytest.raises(Refused):
        bus.commit(Plan(), marks=[Mark("m", "x", "y")], outcomes=["a"])
    assert not bus.commit(Plan(), outcomes=["a"]).duplicate


# --- many at once


def test_many_commits_each_have_their_own_answer_in_order(bus):
    bus.publish([message("done") for _ in range(3)])
    one, two, three = take(bus, "done")
    bus.commit(Plan(), acknowledge=[two])
    answers = bus.commit_many(
        [
            Commit(Plan(publish=(message("load", "1"),)), (one,), (), ("o1",)),
            Commit(Plan(publish=(message("load", "2"),)), (two,), (), ("o2",)),
            Commit(Plan(publish=(message("load", "3"),)), (), (Mark("m", "x", "y"),)),
            Commit(Plan(publish=(message("load", "4"),)), (three,), (), ("o1",)),
            Commit(Plan(publish=(message("load", "5"),)), (), (Mark("m", None, "y"),)),
        ]
    )
    landed, lost, refused, duplicate, last = answers
    assert (landed, duplicate, last) == (Committed(), Committed(duplicate=True), Committed())
    assert isinstance(lost, LeaseLost)
    assert isinstance(refused, Refused)
    assert (lost.entry, refused.mark, refused.found) == (two.entry, "m", None)
    assert infos(take(bus, "load")) == ["1", "5"]
    assert counts(bus, "done") == (0, 0, 0)


def test_of_many_commits_only_what_landed_is_written_and_told(bus):
    bus.publish([message("done") for _ in range(3)])
    one, two, three = take(bus, "done")
    bus.commit(Plan(), acknowledge=[two])
    due = datetime(2100, 1, 1, tzinfo=UTC)

    def plan(name):
        other = replace(message("high", name), priority=9, cause=f"because of {name}", timeout_ns=7)
        later = replace(message("load", name), due=due)
        return Plan(
            publish=(message("load", name), other), later=(later,), facts=(Fact(FactKind.ALERT, text=name),)
        )

    bus.commit_many(
        [
            Commit(plan("lost"), (two,), (), ("o0",)),
            Commit(plan("first"), (one,), (Mark("m", None, "1"),), ("o1",)),
            Commit(plan("refused"), (), (Mark("m", None, "2"),), ("o2",)),
            Commit(plan("twice"), (three,), (Mark("m", "1", None),), ("o1",)),
            Commit(plan("last"), (), (Mark("m", "1", "3"),), ("o2", "o0")),
        ]
    )
    assert infos(take(bus, "load")) == ["first", "last"]
    assert [(d.task().info, d.priority, d.cause, d.timeout_ns) for d in take(bus, "high")] == [
        ("first", 9, "because of first", 7),
        ("last", 9, "because of last", 7),
    ]
    assert counts(bus, "load")[2] == 2
    assert [(fact.kind, fact.text or fact.task.info) for fact in facts(bus)] == [
        (kind, name) for name in ("first", "last") for kind in (FactKind.ALERT, *[FactKind.PUBLISHED] * 3)
    ]
    assert bus.marks(["m"]) == {"m": "3"}
    assert bus.commit(Plan(), outcomes=["o2"]).duplicate


@pytest.mark.parametrize("about", ["leases", "marks", "outcomes", "all three"])
def test_a_batch_is_judged_as_its_commits_one_by_one(bus, about):
    chosen = Random(7)
    halves = ("together", "apart")
    for half in halves:
        bus.publish([message(half, str(n)) for n in range(16)])
    held = {half: take(bus, half) for half in halves}
    for n in (3, 9):  # fences that are lost in the middle
        bus.commit_many([Commit(Plan(), (held[half][n],)) for half in halves])

    def commits(half, shapes):
        return [
            Commit(
                Plan(
                    tuple(
                        replace(message(f"{half}-{topic}", info), priority=rank) for topic, info, rank in rows
                    ),
                    facts=tuple(Fact(FactKind.ALERT, half, text=text) for text in texts),
                ),
                tuple(held[half][n] for n in acks),
                tuple(Mark(f"{half}-{key}", seen, new) for key, seen, new in marks),
                tuple(f"{half}-{outcome}" for outcome in outcomes),
            )
            for acks, marks, outcomes, rows, texts in shapes
        ]

    def some(what, *counts):
        return range(chosen.choice(counts) if about in (what, "all three") else 0)

    def shape(turn, place):  # what is about the same often meets in one batch
        return (
            [2 * turn + chosen.randrange(2) for _ in some("leases", 0, 1, 1, 2)],
            [
                (chosen.choice("abc"), chosen.choice((ANY, None, "1", "2")), chosen.choice(("1", "2", None)))
                for _ in some("marks", 0, 1, 1, 2)
            ],
            [f"{turn - chosen.choice((0, 0, 0, 1))}{chosen.choice('kl')}" for _ in some("outcomes", 0, 1, 2)],
            [
                (chosen.choice("xy"), f"{place}/{n}", chosen.choice((1, 5, 9)))
                for n in range(chosen.choice((0, 1, 3)))
            ],
            [f"{place}"] * chosen.choice((0, 1)),
        )

    def said(answer):
        match answer:
            case LeaseLost():
                return "lost", held_at[answer.entry]
            case Refused():
                return "refused", answer.mark.partition("-")[2], answer.found
            case _:
                return ("duplicate" if answer.duplicate else "landed",)

    held_at = {each.entry: n for half in halves for n, each in enumerate(held[half])}
    for turn in range(8):
        shapes = [shape(turn, place) for place in range(chosen.randrange(1, 5))]
        one_by_one = [bus.commit_many([each])[0] for each in commits("apart", shapes)]
        assert [*map(said, bus.commit_many(commits("together", shapes)))] == [*map(said, one_by_one)]

    def left(half):
        found = {topic: infos(take(bus, f"{half}-{topic}")) for topic in "xy"}
        told = [
            fact.text or fact.task.info
            for fact in facts(bus)
            if half in (fact.key, fact.topic.partition("-")[0]) and fact.topic != half
        ]
        marks = [bus.marks([f"{half}-{key}"]).get(f"{half}-{key}") for key in "abc"]
        names = [f"{half}-{turn}{letter}" for turn in range(-1, 8) for letter in "kl"]
        again = [bus.commit(Plan(), outcomes=[name]).duplicate for name in names]
        return counts(bus, half), found, told, marks, again

    assert left("together") == left("apart")


def test_each_commit_sees_what_the_ones_before_it_left(bus):
    delivery = held(bus)
    answers = bus.commit_many(
        [
            Commit(marks=(Mark("m", None, "1"),), outcomes=("o",)),
            Commit(marks=(Mark("m", None, "2"),)),
            Commit(marks=(Mark("m", "1", None),)),
            Commit(marks=(Mark("m", None, "3"),)),
            Commit(outcomes=("o",)),
            Commit(acknowledge=(delivery,)),
            Commit(acknowledge=(delivery,)),
        ]
    )
    kinds = ["duplicate" if isinstance(a, Committed) and a.duplicate else type(a).__name__ for a in answers]
    assert kinds == ["Committed", "Refused", "Committed", "Committed", "duplicate", "Committed", "LeaseLost"]
    assert bus.marks(["m"]) == {"m": "3"}


def test_many_commits_publish_in_their_order(bus):
    bus.commit_many(
        [Commit(Plan(publish=(message("load", f"{n}a"), message("load", f"{n}b")))) for n in range(9)]
    )
    assert infos(take(bus, "load")) == [f"{n}{half}" for n in range(9) for half in "ab"]


def test_many_commits_are_many(bus):
    size = 1_203  # above every statement's size, and no multiple of one
    bus.publish([message(info=str(n)) for n in range(size)])
    found = take(bus, limit=size)
    assert infos(found) == [str(n) for n in range(size)]
    answers = bus.commit_many(
        [
            Commit(Plan(publish=(message("done", d.key),)), (d,), (Mark(d.key, None, "1"),), (d.key,))
            for d in found
        ]
    )
    assert set(answers) == {Committed()}
    assert counts(bus) == (0, 0, 0)
    assert infos(take(bus, "done", size)) == [d.key for d in found]
    assert len(bus.marks([d.key for d in found])) == size


def test_no_commits_are_no_trouble(bus):
    assert bus.commit_many([]) == []
    assert bus.commit(Plan()) == Committed()
    bus.publish([])
    assert bus.journal_bounds() == (0, 0)


# --- what no bus may carry


def test_a_task_of_a_megabyte_lands_and_one_byte_more_does_not(bus):
    frame = len('{"type":"extract","info":""}')
    fits = Message("extract", Task(type="extract", info="x" * (MAX_TASK_BYTES - frame)), "k")
    bus.publish([fits])
    assert len(take(bus)[0].payload) == MAX_TASK_BYTES
    told = bus.journal_bounds()
    too_large = Message("load", Task(type="extract", info="x" * (MAX_TASK_BYTES - frame + 1)), "k")
    with pytest.raises(InvalidTask, match="more than 1048576"):
        bus.publish([message("load"), too_large])
    with pytest.raises(InvalidTask):
        bus.commit(Plan(frozen=(FrozenBatch("b", (message("load"), too_large)),)))
    assert counts(bus, "load") == (0, 0, 0)
    assert bus.journal_bounds() == told


@pytest.mark.parametrize("where", ["info", "key", "topic", "cause"])
def test_text_that_no_encoding_holds_is_refused_before_anything_lands(bus, where):
    broken = "\ud800"
    task = Task(type="load", info=broken if where == "info" else "")
    sent = Message(
        broken if where == "topic" else "load",
        task,
        broken if where == "key" else "k",
        cause=broken if where == "cause" else "",
    )
    with pytest.raises(InvalidTask):
        bus.publish([message("load"), sent])
    assert bus.topics() == []


def test_a_plan_of_ten_thousand_messages_lands_and_a_larger_one_must_be_frozen(bus):
    plan = tuple(message("load", key=f"k{n}") for n in range(PLAN_LIMIT))
    with pytest.raises(FlowlordError, match="more than the 10000"):
        bus.publish((*plan, message("load")))
    assert counts(bus, "load") == (0, 0, 0)
    bus.publish(plan)
    assert counts(bus, "load") == (PLAN_LIMIT, 0, 0)


def test_an_entry_is_never_used_twice(bus):
    seen: set[str] = set()
    for _ in range(3):
        bus.publish([message()])
        [delivery] = take(bus)
        assert delivery.entry not in seen
        seen.add(delivery.entry)
        bus.commit(Plan(), acknowledge=[delivery])


def test_deliveries_of_other_buses_are_nobodys_here(bus):
    for entry in ("77", "0", "1700000000000-0", ""):
        stranger = Delivery("extract", entry, b"{}", "t", "a")
        with pytest.raises(LeaseLost):
            bus.commit(everything(), acknowledge=[stranger])
        assert bus.renew([stranger]) == [stranger]
        bus.release([stranger])
    assert_nothing_landed(bus)


def test_a_message_that_was_rendered_before_lands_as_any_other(bus):
    plain = message(
        "load", 'a "created":"x" b', phase="f:load", revision="r", cause="c", holds="phase:f:load"
    )
    other = message("load", plain.task.info, key=plain.key, phase="f:load", revision="r", cause="c")
    ahead = msgspec.structs.replace(other, task=plain.task, key="k2", holds=plain.holds)
    bus.commit_many(
        [
            Commit(Plan(publish=(plain,)), marks=(Mark("m1", None, "1"),)),
            Commit(Plan(publish=(ahead,)), (), (Mark("m2", None, "1"),), ("o",), rendered(ahead)),
            Commit(Plan(publish=(ahead,)), (), (Mark("m2", None, "1"),), ("o2",), rendered(ahead)),
        ]
    )
    assert bus.marks(["m1", "m2"]) == {"m1": "1", "m2": "1"}
    assert bus.open_counts([plain.holds]) == {plain.holds: 2}
    one, two = facts(bus, FactKind.PUBLISHED)
    assert (one.key, two.key) == (plain.key, "k2")
    assert msgspec.structs.replace(two, key=one.key) == one
    first, second = take(bus, "load")
    assert (first.payload, first.cause) == (second.payload, second.cause)


def test_what_follows_from_a_usual_result_lands_as_decided_for_any(bus):
    mould = Mould("load", 9, 7, "f:load", "r")
    made = [message("load", f"é {n}").task for n in range(2)]
    about = {"topic": "load", "phase": "f:load", "revision": "r", "cause": "done:p"}
    children = tuple(
        Child(
            mould,
            f"k{n}",
            encode(task),
            "done:p",
            b',"phase":"f:load","revision":"r","priority":9,"cause":"done:p"',
        )
        for n, task in enumerate(made)
    )
    told = [
        Fact(FactKind.DONE, "p", "first"),
        *(Fact(FactKind.PUBLISHED, f"k{n}", **about) for n in range(2)),
    ]
    usual = Plan(children=children, told=b",".join(map(msgspec.json.encode, told)))
    plain = Plan(publish=(message("load", key="k3", priority=9),), facts=(Fact(FactKind.SKIPPED, "k3"),))
    first, second = (held(bus) for _ in range(2))
    commits = [
        Commit(usual, (first,), (), ("o", "p")),
        Commit(usual, (second,), (), ("p",)),
        Commit(plain),
        Commit(usual, (first,)),
    ]
    answers = bus.commit_many(commits)
    assert answers[:3] == [Committed(), Committed(duplicate=True), Committed()]
    assert isinstance(answers[3], LeaseLost)
    [entry] = bus.journal(0, 10)
    assert [(fact.kind, fact.key) for fact in entry.facts] == [
        (FactKind.DONE, "p"), (FactKind.PUBLISHED, "k0"), (FactKind.PUBLISHED, "k1"),
        (FactKind.SKIPPED, "k3"), (FactKind.PUBLISHED, "k3"),
    ]  # fmt: skip
    one, two, other = take(bus, "load")
    assert [each.task() for each in (one, two)] == made
    for n, each in enumerate((one, two)):
        found = (each.key, each.priority, each.timeout_ns, each.phase, each.revision, each.cause, each.batch)
        assert found == (f"k{n}", 9, 7, "f:load", "r", "done:p", "")
    assert (other.key, other.priority) == ("k3", 9)


def test_a_child_that_no_bus_may_carry_lands_nowhere(bus):
    delivery = held(bus)
    child = Child(Mould("load", 5, 0, "", ""), "k", b"x" * (MAX_TASK_BYTES + 1), "c", b"")
    with pytest.raises(InvalidTask, match="topic 'load'"):
        bus.commit(Plan(children=(child,), told=b'{"kind":"done"}'), acknowledge=[delivery])
    assert_nothing_landed(bus)


def test_keys_of_ours_and_of_others_are_outcomes_of_their_own(bus):
    """A key of ours is remembered by the bytes that it stands for, any other by its hash."""
    keys = ["0a" * 16, "0A" * 16, "0a " * 8 + "0a" * 4, "ag" * 16, "é" * 32, "0a" * 15]
    answers = bus.commit_many([Commit(outcomes=(key,)) for key in (*keys, *keys)])
    assert answers == [Committed()] * len(keys) + [Committed(duplicate=True)] * len(keys)
