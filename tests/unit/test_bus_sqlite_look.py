"""Reading a SQLite bus: entries of later releases, bounded answers, and plans that walk no more than they show."""

from contextlib import closing

import pytest

from flowlord.bus import sqlite_look
from flowlord.bus.sqlite import SqliteBus
from flowlord.model.message import Message
from flowlord.model.plan import Fact, FactKind, Plan
from flowlord.model.task import Task
from support.quick import quick_folder


@pytest.fixture
def bus():
    with quick_folder() as folder, closing(SqliteBus(folder / "bus.db")) as made:
        yield made


def message(key="k", **more):
    return Message("extract", Task(type="extract", info="x"), key, **more)


def test_facts_of_a_later_flowlord_are_left_out_and_the_rest_is_read(bus):
    bus.commit(Plan(facts=(Fact(FactKind.DONE, "known"),)))
    later = b'[{"kind":"teleported","key":"a"},{"kind":"done","key":"b","unknown":{"x":[1]}}]'
    with bus._connection.writing("commit") as db:
        db.execute("INSERT INTO journal(at_us, by, commit_id, facts) VALUES (1, 'later', 'c', ?)", (later,))
    assert [[fact.key for fact in entry.facts] for entry in bus.journal(0, 9)] == [["known"], ["b"]]


def test_an_answer_of_the_journal_is_bounded_in_bytes(bus, monkeypatch):
    monkeypatch.setattr(sqlite_look, "JOURNAL_BYTES", 1_000)
    for n in range(5):
        bus.commit(Plan(facts=(Fact(FactKind.SKIPPED, str(n), text="x" * 600),)))
    seen, after = [], 0
    while found := bus.journal(after, 100):
        assert len(found) <= 2
        seen += [entry.seq for entry in found]
        after = seen[-1]
    assert seen == [1, 2, 3, 4, 5]


@pytest.mark.parametrize(
    ("query", "parameters"),
    [
        ("SELECT rank, id, topic FROM waiting WHERE topic = ? ORDER BY rank, id LIMIT ?", ("extract", 1)),
        (sqlite_look._OLDEST, {"topic": "extract", "limit": 1}),
        (sqlite_look._FIND + " (?)", ("k",)),
        ("SELECT due_us, id FROM later WHERE due_us <= ? ORDER BY due_us, id LIMIT ?", (1, 1)),
        ("SELECT key, value FROM marks WHERE key >= ? AND key < ? ORDER BY key", ("a", "b")),
    ],
)
def test_no_common_question_walks_a_whole_table(bus, query, parameters):
    with bus._connection.reading() as db:
        plan = [row[3] for row in db.execute(f"EXPLAIN QUERY PLAN {query}", parameters)]
    tables = [
        step for step in plan if step.startswith("SCAN") and step.split()[1] not in {"p", "leases", "later"}
    ]
    assert [step for step in tables if "(subquery" not in step and "CONSTANT" not in step] == [], plan


def test_a_claim_costs_the_same_however_many_wait(bus):
    """Counted in steps of the engine, so that a slow machine changes nothing."""

    def steps_of_a_claim():
        count = [0]

        def tick():
            count[0] += 1

        bus._connection._db.set_progress_handler(tick, 1)
        assert len(bus.claim(["extract"], "a", 5)) == 5
        bus._connection._db.set_progress_handler(None, 0)
        return count[0]

    bus.publish([message(f"a{n}", priority=n % 11) for n in range(100)])
    few = steps_of_a_claim()
    for start in range(0, 30_000, 10_000):
        bus.publish([message(f"b{start + n}", priority=n % 11) for n in range(10_000)])
    assert steps_of_a_claim() <= few * 1.5
