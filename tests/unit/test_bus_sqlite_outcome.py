"""An engine that fails while it commits: the same commit is sent again until the file says whether it landed."""

import sqlite3
from contextlib import closing

import pytest

from flowlord.bus import sqlite as sqlite_module
from flowlord.bus.sqlite import SqliteBus
from flowlord.bus.sqlite_connection import Connection, OutcomeUnknown
from flowlord.model.errors import BusUnavailable, BusUnusable, LeaseLost, Refused
from flowlord.model.message import Message
from flowlord.model.plan import Commit, Committed, Fact, FactKind, Mark, Plan
from flowlord.model.task import Task
from support.clock import VirtualClock


class Engine:
    """Fails at COMMIT as often as told, before or after the transaction landed."""

    def __init__(self, monkeypatch):
        self.failures, self.lands, self.tried = 0, False, 0
        real = Connection._land

        def land(connection, db):
            self.tried += 1
            if self.failures == 0:
                return real(connection, db)
            self.failures -= 1
            if self.lands:
                real(connection, db)
            else:
                connection._undo(db)
            connection._disconnect()
            raise OutcomeUnknown("disk I/O error while committing")

        monkeypatch.setattr(Connection, "_land", land)
        monkeypatch.setattr(Connection, "pause", lambda connection, seconds: None)


@pytest.fixture
def engine(monkeypatch):
    return Engine(monkeypatch)


@pytest.fixture
def bus(tmp_path):
    with closing(SqliteBus(tmp_path / "bus.db", clock=VirtualClock(), journal_mode="truncate")) as made:
        yield made


def message(topic, key="k"):
    return Message(topic, Task(type=topic, info="x"), key)


@pytest.mark.parametrize("lands", [True, False])
@pytest.mark.parametrize("failures", [1, 3])
def test_a_commit_of_unknown_outcome_lands_once_and_is_answered_as_the_first_time(
    bus, engine, lands, failures
):
    bus.publish([message("done", "a"), message("done", "b")])
    first, second = bus.claim(["done"], "w", 2)
    bus.commit(Plan(), acknowledge=[second])
    engine.failures, engine.lands = failures, lands
    answers = bus.commit_many(
        [
            Commit(
                Plan(publish=(message("load"),), facts=(Fact(FactKind.DONE, "a"),)),
                (first,),
                (Mark("m", None, "1"),),
                ("o",),
            ),
            Commit(Plan(), (second,)),
            Commit(Plan(), (), (Mark("m", None, "2"),)),
            Commit(Plan(publish=(message("load"),)), (), (), ("o",)),
        ]
    )
    assert answers[0] == Committed()
    assert isinstance(answers[1], LeaseLost)
    assert answers[1].entry == second.entry
    assert isinstance(answers[2], Refused)
    assert (answers[2].mark, answers[2].found) == ("m", "1")
    assert answers[3] == Committed(duplicate=True)
    assert [(t.topic, t.waiting + t.running) for t in bus.topics()] == [("done", 0), ("load", 1)]
    assert len(bus.journal(0, 10)) == 1
    assert bus.marks(["m"]) == {"m": "1"}


def test_a_refused_commit_of_unknown_outcome_is_judged_again(bus, engine):
    engine.failures, engine.lands = 1, True
    with pytest.raises(Refused):
        bus.commit(Plan(publish=(message("load"),)), marks=[Mark("m", "x", "y")])
    assert bus.topics() == []


def test_asking_for_the_outcome_ends_when_the_disk_stays_broken(bus, engine, monkeypatch):
    monkeypatch.setattr(sqlite_module, "RESEND_S", 0)
    engine.failures = 99
    with pytest.raises(BusUnavailable, match="while committing"):
        bus.publish([message("load")])
    assert engine.tried == 1


def test_other_verbs_are_not_sent_again(bus, engine):
    bus.publish([message("load")])
    engine.failures, engine.lands = 1, True
    with pytest.raises(BusUnavailable):
        bus.claim(["load"], "w", 1)
    assert bus.topics()[0].running == 1


def test_the_connection_that_failed_is_replaced_with_the_same_settings(bus, engine):
    engine.failures = 1
    bus.publish([message("load")])
    with bus._connection.reading() as db:
        assert db.execute("PRAGMA journal_mode").fetchone() == ("truncate",)
        assert db.execute("PRAGMA synchronous").fetchone() == (2,)


def test_a_file_that_was_replaced_meanwhile_is_not_taken_for_the_one_that_failed(bus, engine, tmp_path):
    SqliteBus(tmp_path / "other.db").close()
    bus.publish([message("load")])
    (tmp_path / "other.db").replace(tmp_path / "bus.db")
    engine.failures = 1
    with pytest.raises(BusUnusable, match="replaced"):
        bus.publish([message("load")])


# --- a full disk


def test_a_full_file_system_is_told_and_nothing_of_the_commit_is_there(bus):
    bus.publish([message("work", f"k{n}") for n in range(100)])
    held = bus.claim(["work"], "w", 1)
    with bus._connection.reading() as db:
        [pages] = db.execute("PRAGMA page_count").fetchone()
        db.execute(f"PRAGMA max_page_count = {pages + 3}")
    with pytest.raises(BusUnavailable, match=r"disk of .* is full") as told:
        bus.commit(Plan(publish=tuple(message("load", f"k{n}") for n in range(2_000))), acknowledge=held)
    assert "df -h" in told.value.hint
    assert [(t.topic, t.waiting, t.running) for t in bus.topics()] == [("work", 99, 1)]
    with bus._connection.reading() as db:
        db.execute("PRAGMA max_page_count = 1000000")
    assert bus.commit(Plan(publish=(message("load"),)), acknowledge=held) == Committed()


# --- what goes wrong inside a step


@pytest.mark.parametrize("error", [ValueError("a fault of ours"), KeyboardInterrupt()])
def test_an_exception_inside_a_step_undoes_it_and_the_bus_goes_on(bus, monkeypatch, error):
    from flowlord.bus import sqlite_commit

    def fail(*args, **more):
        raise error

    with monkeypatch.context() as patch:
        patch.setattr(sqlite_commit, "tell", fail)
        with pytest.raises(type(error)):
            bus.publish([message("load")])
    assert bus.topics() == []
    bus.publish([message("load")])
    assert bus.journal_bounds() == (1, 1)


def test_a_transaction_left_open_by_a_signal_is_undone_by_the_next_use(bus):
    bus._connection._db.execute("BEGIN IMMEDIATE")
    bus._connection._db.execute("DELETE FROM meta")
    bus.publish([message("load")])
    assert len(bus.find(["k"])) == 1


def test_faults_of_ours_are_shown_as_they_are(bus):
    with pytest.raises(sqlite3.OperationalError, match="no such table"), bus._connection.reading() as db:
        db.execute("SELECT * FROM nowhere")


@pytest.mark.parametrize(
    ("code", "kind"),
    [
        (sqlite3.SQLITE_FULL, BusUnavailable), (sqlite3.SQLITE_IOERR, BusUnavailable),
        (sqlite3.SQLITE_IOERR | 5 << 8, BusUnavailable), (sqlite3.SQLITE_CANTOPEN, BusUnavailable),
        (sqlite3.SQLITE_BUSY, BusUnavailable), (sqlite3.SQLITE_READONLY, BusUnavailable),
        (sqlite3.SQLITE_CORRUPT, BusUnusable), (sqlite3.SQLITE_NOTADB, BusUnusable),
        (sqlite3.SQLITE_READONLY | 4 << 8, BusUnusable),
    ],
)  # fmt: skip
def test_errors_of_the_engine_are_told_in_our_words(bus, code, kind):
    error = sqlite3.OperationalError("what the engine said")
    error.sqlite_errorcode = code
    with pytest.raises(kind, match=r"bus\.db") as told, bus._connection.reading():
        raise error
    assert told.value.__cause__ is error
