"""Who writes to a SQLite bus does so alone, until its checkpoint is done; and what is synced and what is not."""

import errno
import fcntl
import os
import stat
import threading
from contextlib import closing, contextmanager
from datetime import timedelta

import pytest

from flowlord.bus.port import Move, Presence
from flowlord.bus.sqlite import SqliteBus
from flowlord.bus.sqlite_turn import Turn
from flowlord.model.errors import BusUnavailable, BusUnusable
from flowlord.model.message import Message
from flowlord.model.plan import Commit, FrozenBatch, Mark, Plan
from flowlord.model.task import Task
from support.clock import VirtualClock


def message(key="k", topic="extract", **more):
    return Message(topic, Task(type=topic, info="x"), key, **more)


@pytest.fixture
def path(tmp_path):
    return tmp_path / "bus.db"


def all_verbs(bus, clock):
    """Call whatever writes."""
    bus.publish(
        [message(f"k{n}") for n in range(9)] + [message("late", due=clock.now() + timedelta(seconds=1))]
    )
    bus.beat(Presence("a", "worker", "h", 1))
    held = bus.claim(["extract"], "a", 4)
    bus.renew(held)
    bus.release(held[3:])
    plan = Plan(publish=(message("next", "load"),), frozen=(FrozenBatch("b", (message("f", "bulk"),)),))
    bus.commit_many([Commit(plan, (held[0],), (Mark("m", None, "1", ttl_s=1),), ("o",))])
    clock.advance(120)
    bus.promote()
    bus.advance()
    bus.reclaim("b", 1)
    bus.move([Move("load", bus.peek("load", 1)[0].entry, "extract")])
    bus.cancel(["k8"])
    bus.purge("extract")
    bus.sweep()
    bus.leave("a")


def page_count(bus):
    with bus._connection.reading() as db:
        return db.execute("PRAGMA page_count").fetchone()


# --- alone


def test_whatever_ends_a_transaction_or_moves_pages_has_the_turn(path, monkeypatch):
    monkeypatch.setattr("flowlord.bus.sqlite_keep._FREE_PAGES", 0)
    clock = VirtualClock()
    bystander = Turn(str(path))
    seen, alone = [], []

    def look(statement):
        word = statement.split("(")[0]
        if word in {"BEGIN IMMEDIATE", "COMMIT", "ROLLBACK", "PRAGMA incremental_vacuum"}:
            seen.append(word)
            alone.append(not bystander.take())
            bystander.give()

    with closing(SqliteBus(path, clock=clock)) as bus:
        bus._connection._db.set_trace_callback(look)
        bus.publish([message(f"many {n}", "bulk") for n in range(2_000)])
        bus.commit(Plan(), acknowledge=bus.claim(["bulk"], "a", 2_000))
        pages = page_count(bus)
        all_verbs(bus, clock)
        assert page_count(bus) < pages
    bystander.close()
    assert set(seen) == {"BEGIN IMMEDIATE", "COMMIT", "PRAGMA incremental_vacuum"}
    assert seen.count("COMMIT") > 15
    assert all(alone)


def test_while_somebody_writes_others_wait_for_the_turn_and_say_so_when_it_does_not_come(path):
    with (
        closing(SqliteBus(path)) as one,
        closing(SqliteBus(path, patience_s=0.05)) as two,
    ):
        with one._connection.writing("commit"):
            assert two.topics() == []  # who only reads waits for nobody
            with pytest.raises(BusUnavailable, match="locked by another process") as told:
                two.publish([message()])
            assert "fuser" in told.value.hint
        two.publish([message()])
        assert len(one.find(["k"])) == 1


def test_who_waits_for_the_turn_ends_when_its_bus_is_closed(path):
    with closing(SqliteBus(path)) as one, closing(SqliteBus(path)) as two:
        waits, told = threading.Event(), []
        rest = two._connection.pause
        two._connection.pause = lambda seconds: (waits.set(), rest(seconds))

        def publish():
            with pytest.raises(BusUnusable, match="was closed") as error:
                two.publish([message()])
            told.append(error)

        thread = threading.Thread(target=publish)
        with one._connection.writing("commit"):
            thread.start()
            assert waits.wait(40)
            two.close()
            thread.join(40)
        assert len(told) == 1


def test_the_turn_ends_with_a_step_that_fails_and_with_the_connection(path):
    with closing(SqliteBus(path)) as bus:
        with pytest.raises(ZeroDivisionError), bus._connection.writing("commit"):
            raise ZeroDivisionError
        other = Turn(str(path))
        assert other.take()
        other.give()
        with bus._connection.writing("commit"):
            assert not other.take()
    assert other.take()
    other.close()


def test_a_lock_file_that_was_removed_is_no_turn_any_more(path):
    with closing(SqliteBus(path)) as bus:
        os.unlink(f"{path}.lock")
        bus.publish([message()])
        other = Turn(str(path))
        with bus._connection.writing("commit"):
            assert not other.take()
        other.close()


def test_a_lock_file_that_cannot_be_made_is_told(path):
    with closing(SqliteBus(path)) as bus:
        bus._connection._turn.close()
        os.unlink(f"{path}.lock")
        os.mkdir(f"{path}.lock")
        with pytest.raises(BusUnavailable, match=r"bus\.db\.lock cannot be locked"):
            bus.publish([message()])
        os.rmdir(f"{path}.lock")
        bus.publish([message()])


def test_a_forked_child_that_outlives_its_parents_step_has_no_part_in_the_turn(path):
    with closing(SqliteBus(path)) as bus:
        reading, writing = os.pipe()
        with bus._connection.writing("commit"):
            child = os.fork()
            if child == 0:
                os.close(writing)
                os.read(reading, 1)  # until the parent has closed its end
                os._exit(0)
        other = Turn(str(path))
        assert other.take()
        other.close()
        os.close(writing)
        os.close(reading)
        os.waitpid(child, 0)


def test_who_may_write_to_the_bus_may_take_the_turn(path):
    SqliteBus(path).close()
    assert stat.S_IMODE(os.stat(f"{path}.lock").st_mode) == 0o600
    os.unlink(f"{path}.lock")
    path.chmod(0o664)
    before = os.umask(0o077)
    try:
        with closing(SqliteBus(path)) as bus:
            bus.publish([message()])
    finally:
        os.umask(before)
    assert stat.S_IMODE(os.stat(f"{path}.lock").st_mode) == 0o664


def test_a_lock_file_that_root_makes_is_for_the_owner_of_the_bus(path, monkeypatch):
    given = []
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    monkeypatch.setattr(os, "fchown", lambda fd, user, group: given.append((user, group)))
    SqliteBus(path).close()
    found = path.stat()
    assert given == [(found.st_uid, found.st_gid)]


def test_a_lock_file_whose_bus_is_gone_tells_that_the_bus_is_gone(path):
    with closing(SqliteBus(path)) as bus:
        for name in os.listdir(path.parent):
            if name.startswith("bus.db") and not name.endswith(".bells"):
                os.unlink(path.parent / name)
        with pytest.raises(BusUnusable, match="was removed while it was in use"):
            bus.publish([message()])


@pytest.mark.parametrize("step", ["_is_there", "flock"])
def test_an_exception_of_a_signal_leaves_no_turn_behind(path, monkeypatch, step):
    with closing(SqliteBus(path)) as bus, closing(Turn(str(path))) as other:
        real = fcntl.flock

        def interrupted(fd, operation):
            real(fd, operation)
            if operation & fcntl.LOCK_EX:
                raise KeyboardInterrupt

        def no_look(self):
            raise OSError(errno.EACCES, "Permission denied")

        with monkeypatch.context() as patched:
            if step == "flock":
                patched.setattr(fcntl, "flock", interrupted)
            else:
                patched.setattr(Turn, "_is_there", no_look)
            with pytest.raises((KeyboardInterrupt, BusUnavailable)):
                bus.publish([message()])
        assert other.take()


def test_who_waits_for_the_turn_of_a_bus_that_is_closed_hears_that(path):
    with closing(Turn(str(path))) as other:
        bus = SqliteBus(path)
        assert other.take()
        monkeyed = bus._connection._clock.monotonic_ns

        def close():
            bus._connection._closed.set()  # as the first thing that another thread's close does
            return monkeyed()

        bus._connection._clock.monotonic_ns = close
        with pytest.raises(BusUnusable, match="closed"):
            bus.publish([message()])
        other.give()
        bus.close()
    os.unlink(f"{path}.lock")
    with pytest.raises(BusUnusable, match="closed"):
        bus.publish([message()])
    assert not os.path.exists(f"{path}.lock")


# --- synced


def test_what_must_be_synced_is_synced_after_an_exception_between_two_steps(path):
    with closing(SqliteBus(path)) as bus:
        bus.publish([message()])
        connection = bus._connection
        db = connection._db

        class Interrupted:
            """The connection, with an exception of a signal behind a statement."""

            def __getattr__(self, name):
                return getattr(db, name)

            def execute(self, statement, *values):
                found = db.execute(statement, *values)
                if "synchronous = NORMAL" in statement:
                    raise KeyboardInterrupt
                return found

        connection._db = Interrupted()
        with pytest.raises(KeyboardInterrupt):
            bus.claim(["extract"], "a", 1)
        connection._db = db
        assert db.execute("PRAGMA synchronous").fetchone() == (1,)
        with connection.writing("commit") as db:
            assert db.execute("PRAGMA synchronous").fetchone() == (2,)


def test_a_claim_waits_for_no_disk_and_everything_else_does(path):
    clock = VirtualClock()
    levels = {}
    with closing(SqliteBus(path, clock=clock)) as bus:
        real = bus._connection.writing

        @contextmanager
        def writing(verb, *, synced=True):
            with real(verb, synced=synced) as db:
                levels.setdefault(verb, set()).update(db.execute("PRAGMA synchronous").fetchone())
                yield db

        bus._connection.writing = writing
        all_verbs(bus, clock)
    assert levels.pop("claim") == {1}  # NORMAL
    assert set(levels) >= {
        "commit",
        "renew",
        "release",
        "promote",
        "advance",
        "reclaim",
        "move",
        "sweep",
        "beat",
    }
    assert set(map(tuple, levels.values())) == {(2,)}  # FULL
