"""The journal: complete, in order, without gaps, one entry for each landed round."""

import threading
from datetime import timedelta

from contract.given import facts, message, take
from flowlord.bus.clock import micros
from flowlord.model.message import Report
from flowlord.model.plan import Commit, Fact, FactKind, FrozenBatch, Mark, Plan
from flowlord.model.task import Task


def test_every_published_message_is_told_with_all_that_is_known_of_it(bus, clock):
    due = clock.now() + timedelta(seconds=1)
    attributes = {"phase": "p", "revision": "r", "cause": "c", "batch": "b", "priority": 7}
    now, later = message("load", key="k1", **attributes), message("load", key="k2", due=due)
    dead = message("retry-failed", key="k3")
    bus.commit(Plan(publish=(now,), later=(later,), dead=(dead,)))
    [entry] = bus.journal(0, 10)
    assert (entry.seq, entry.at_us, entry.by) == (1, micros(clock.now()), "tester")
    assert entry.facts == (
        Fact(FactKind.PUBLISHED, "k1", "load", task=now.task, **attributes),
        Fact(FactKind.PUBLISHED, "k2", "load", task=later.task, due=micros(due)),
        Fact(FactKind.PUBLISHED, "k3", "retry-failed", task=dead.task),
    )


def test_the_facts_of_a_plan_come_before_what_it_published(bus):
    done = Fact(
        FactKind.DONE, "parent", "done", "p", "r", "cause", "b", 3, 9, "text",
        Task(type="a", info="é"), Report("w", 1, "out"),
    )  # fmt: skip
    bus.commit(Plan(publish=(message("load"),), facts=(done,)))
    told = facts(bus)
    assert told[0] == done
    assert [fact.kind for fact in told] == [FactKind.DONE, FactKind.PUBLISHED]


def test_messages_on_done_are_not_told(bus):
    bus.publish([message("done"), message("done")])
    assert bus.journal(0, 10) == []
    assert bus.journal_bounds() == (0, 0)
    bus.publish([message("done"), message("load")])
    assert [fact.topic for fact in facts(bus)] == ["load"]


def test_many_commits_are_one_entry_with_their_facts_in_order(bus):
    commits = [
        Commit(Plan(facts=(Fact(FactKind.SKIPPED, "1"),), publish=(message("load", key="1p"),))),
        Commit(Plan(facts=(Fact(FactKind.SKIPPED, "2"),)), marks=(Mark("m", "x", "y"),)),
        Commit(Plan(publish=(message("done"),))),
        Commit(Plan(facts=(Fact(FactKind.SKIPPED, "4"),)), outcomes=("o",)),
        Commit(Plan(facts=(Fact(FactKind.SKIPPED, "5"),)), outcomes=("o",)),
    ]
    bus.commit_many(commits)
    [entry] = bus.journal(0, 10)
    assert [fact.key for fact in entry.facts] == ["1", "1p", "4"]


def test_entries_of_one_bus_carry_different_commit_ids(bus):
    bus.publish([message()])
    bus.publish([message()])
    first, second = bus.journal(0, 10)
    assert first.commit
    assert second.commit
    assert first.commit != second.commit


def test_numbers_grow_by_one_and_a_reader_goes_on_where_it_stopped(bus):
    for _ in range(5):
        bus.publish([message()])
    assert [entry.seq for entry in bus.journal(0, 3)] == [1, 2, 3]
    assert [entry.seq for entry in bus.journal(3, 3)] == [4, 5]
    assert bus.journal(5, 3) == []
    assert bus.journal(99, 3) == bus.journal(0, 0) == bus.journal(0, -1) == []
    assert bus.journal_bounds() == (1, 5)


def test_what_did_not_land_leaves_no_gap(bus):
    bus.publish([message()])
    bus.commit_many([Commit(Plan(publish=(message(),)), marks=(Mark("m", "x", "y"),))])
    bus.publish([message()])
    assert [entry.seq for entry in bus.journal(0, 10)] == [1, 2]


def test_a_reader_waits_for_the_next_entry(bus):
    found = []
    reader = threading.Thread(target=lambda: found.extend(bus.journal(0, 10, wait_s=30)))
    reader.start()
    bus.publish([message("done")])  # tells nothing
    bus.publish([message(key="k")])
    reader.join(40)
    assert [fact.key for entry in found for fact in entry.facts] == ["k"]
    assert bus.journal(1, 10, wait_s=0.01) == []


def test_a_follower_beside_concurrent_writers_misses_nothing_and_sees_nothing_twice(bus):
    writers, rounds = 6, 25
    start = threading.Barrier(writers)

    def write(name):
        start.wait()
        for number in range(rounds):
            bus.commit(Plan(facts=(Fact(FactKind.SKIPPED, f"{name}-{number}"),)))

    threads = [threading.Thread(target=write, args=(n,)) for n in range(writers)]
    for thread in threads:
        thread.start()
    entries, last = [], 0
    while len(entries) < writers * rounds:
        more = bus.journal(last, 7, wait_s=10)
        assert more, "no entry for ten seconds"
        entries += more
        last = more[-1].seq
    for thread in threads:
        thread.join(40)
    assert [entry.seq for entry in entries] == list(range(1, writers * rounds + 1))
    keys = [fact.key for entry in entries for fact in entry.facts]
    assert sorted(keys) == sorted(f"{w}-{n}" for w in range(writers) for n in range(rounds))
    for writer in range(writers):  # each writer's own order is kept
        assert [k for k in keys if k.startswith(f"{writer}-")] == [f"{writer}-{n}" for n in range(rounds)]


def test_claims_leases_and_marks_tell_nothing(bus, lapse):
    bus.publish([message()])
    last = bus.journal_bounds()
    [held] = take(bus)
    bus.renew([held])
    bus.commit(Plan(), marks=[Mark("m", None, "1")])
    bus.commit(Plan(frozen=(FrozenBatch("b", (message(),)),)))
    bus.commit(Plan(), acknowledge=[held])
    assert bus.journal_bounds() == last
