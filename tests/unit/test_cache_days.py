"""What history keeps of a day, and of the workflows that were loaded in it."""

import sqlite3
from contextlib import closing

import pytest

from flowlord.cache import schema, snapshot
from flowlord.cache.days import DAY_US, Slot, Sums, days
from flowlord.cache.historian import Historian
from flowlord.cache.queries import History
from flowlord.cache.schema import APPLICATION, MIGRATIONS
from flowlord.model.plan import Fact, FactKind, PhaseText
from support.clock import VirtualClock
from support.journal import BEGIN_US, SECOND_US, done, journal, published, task, told

TODAY = BEGIN_US // DAY_US


def slot(state: str, day: int = TODAY) -> Slot:
    return Slot(day, "load", "load", "users", state)


@pytest.fixture
def historian():
    return Historian(None, VirtualClock())


def test_a_day_tells_how_many_ended_how_and_how_long_they_ran(historian):
    historian.follow(
        journal([published("a"), published("b"), published("c"), done("a"), done("b", result="error")])
    )
    found = days(History(historian.connection), TODAY, TODAY)
    two = 2 * SECOND_US
    assert found == {
        slot("complete"): Sums(1, 1, two, two, 0, 0, 0),
        slot("error"): Sums(1, 1, two, two, 0, 0, 0),
    }


def test_an_attempt_that_gets_another_state_leaves_the_one_it_had(historian):
    commits = [published("a"), done("a", result="error"), told(FactKind.RETRY, "a")]
    for entry in journal(commits):
        historian.follow([entry])
    assert set(days(History(historian.connection), TODAY, TODAY)) == {slot("retried")}
    assert historian.connection.execute("SELECT count(*) FROM days").fetchone() == (1,)


def test_what_is_heard_of_again_on_a_later_day_counts_there(historian):
    historian.follow(journal([published("a"), done("a", result="error")]))
    late = journal([told(FactKind.DEAD, "a", "given up")], first=86_400)
    historian.follow(late)
    assert set(days(History(historian.connection), TODAY, TODAY + 1)) == {slot("dead", TODAY + 1)}


def test_a_file_of_an_older_version_gets_its_days_out_of_its_rows(tmp_path):
    path = tmp_path / "tasks.db"
    now = Historian(None, VirtualClock())
    commits = [published("a"), done("a"), published("b"), done("b", result="error"), published("c")]
    now.follow(journal(commits))
    kept = now.connection.execute("SELECT * FROM days ORDER BY state").fetchall()
    old = sqlite3.connect(path)
    old.executescript("".join(MIGRATIONS[:2]))
    columns = ", ".join(row[1] for row in old.execute("PRAGMA table_info(tasks)"))
    rows = now.connection.execute(f"SELECT {columns} FROM tasks").fetchall()
    old.executemany(f"INSERT INTO tasks VALUES ({', '.join('?' * len(rows[0]))})", rows)
    old.executescript(f"PRAGMA application_id = {APPLICATION}; PRAGMA user_version = 2")
    old.close()
    assert len(kept) == 2
    again = Historian(path, VirtualClock())
    assert again.connection.execute("SELECT * FROM days ORDER BY state").fetchall() == kept
    with closing(sqlite3.connect(tmp_path / "tasks.db.version-2")) as as_it_was:
        assert as_it_was.execute("PRAGMA user_version").fetchone() == (2,)
        assert as_it_was.execute("SELECT count(*) FROM tasks").fetchone() == (3,)
    assert not list(tmp_path.glob("*.new-*"))


def test_an_older_file_that_cannot_be_copied_is_brought_up_to_date_all_the_same(
    tmp_path, monkeypatch, caplog
):
    path = tmp_path / "tasks.db"
    monkeypatch.setattr(schema, "MIGRATIONS", MIGRATIONS[:2])
    monkeypatch.setattr(schema, "VERSION", 2)
    schema.open_writer(path).close()
    monkeypatch.undo()

    def no_room(*_: object, **__: object) -> None:
        raise schema.CacheUnusable("there is no room")

    monkeypatch.setattr(snapshot, "copy_to", no_room)
    historian = Historian(path, VirtualClock())
    assert historian.connection.execute("PRAGMA user_version").fetchone() == (schema.VERSION,)
    assert [record.action for record in caplog.records] == ["history.not-kept"]


def _older(path, monkeypatch):
    """Make a history of version 2."""
    with monkeypatch.context() as before:
        before.setattr(schema, "MIGRATIONS", MIGRATIONS[:2])
        before.setattr(schema, "VERSION", 2)
        schema.open_writer(path).close()


def _version(path):
    with closing(sqlite3.connect(path)) as found:
        return found.execute("PRAGMA user_version").fetchone()[0]


def test_a_copy_of_an_older_file_stays_when_another_daemon_was_faster(tmp_path, monkeypatch):
    path = tmp_path / "tasks.db"
    _older(path, monkeypatch)
    look = snapshot._version

    def slow(at, **more):
        found = look(at, **more)
        monkeypatch.setattr(snapshot, "_version", look)
        Historian(path, VirtualClock()).close()  # the whole of what the other one does
        return found

    monkeypatch.setattr(snapshot, "_version", slow)
    Historian(path, VirtualClock()).close()
    assert (_version(path), _version(tmp_path / "tasks.db.version-2")) == (schema.VERSION, 2)
    assert not list(tmp_path.glob("*.new-*"))


@pytest.mark.parametrize("there", [True, False])
def test_a_copy_that_is_of_the_new_tables_gets_no_name_of_older_ones(tmp_path, monkeypatch, there):
    path, copy = tmp_path / "tasks.db", tmp_path / "tasks.db.version-2"
    _older(path, monkeypatch)
    if there:
        _older(copy, monkeypatch)
        with closing(sqlite3.connect(copy)) as earlier:
            earlier.execute("CREATE TABLE earlier (mark)")
    copy_to = snapshot.copy_to

    def late(*args, **more):
        schema.open_writer(path).close()
        copy_to(*args, **more)

    monkeypatch.setattr(snapshot, "copy_to", late)
    Historian(path, VirtualClock()).close()
    assert copy.exists() == there
    if there:
        with closing(sqlite3.connect(copy)) as found:
            assert found.execute("SELECT count(*) FROM earlier").fetchone() == (0,)
    assert not list(tmp_path.glob("*.new-*"))


def test_every_version_before_can_be_brought_up_to_date(tmp_path, monkeypatch):
    for version in range(1, len(MIGRATIONS)):
        path = tmp_path / f"{version}.db"
        monkeypatch.setattr(schema, "MIGRATIONS", MIGRATIONS[:version])
        monkeypatch.setattr(schema, "VERSION", version)
        schema.open_writer(path).close()
        monkeypatch.undo()
        historian = Historian(path, VirtualClock())
        historian.follow(journal([published("a"), done("a")]))
        assert set(days(History(historian.connection), TODAY, TODAY)) == {slot("complete")}


def test_history_tells_which_revision_was_loaded_when_and_by_whom(historian):
    first, second = PhaseText("load", 3, task="load", retry=2), PhaseText("tidy", 9, depends_on="load")
    facts = [
        Fact(FactKind.RELOAD, phase="a.toml", revision="11@abc", text="loaded", phases=(first, second)),
        Fact(FactKind.RELOAD, phase="a.toml", revision="22@abc", text="changed", phases=(first,)),
        Fact(FactKind.RELOAD, phase="a.toml", text="removed"),
    ]
    historian.follow(journal(facts))
    db = historian.connection
    rows = db.execute("SELECT at_us, revision, phases, loaded_by, text FROM revisions ORDER BY n").fetchall()
    assert rows == [
        (BEGIN_US + SECOND_US, "11@abc", 2, "test", "loaded"),
        (BEGIN_US + 2 * SECOND_US, "22@abc", 1, "test", "changed"),
        (BEGIN_US + 3 * SECOND_US, "", 0, "test", "removed"),
    ]
    asked = "SELECT digest, name, line, task, depends_on, retry FROM phases ORDER BY 1, 2"
    assert db.execute(asked).fetchall() == [
        ("11", "load", 3, "load", "", 2), ("11", "tidy", 9, "", "load", 0), ("22", "load", 3, "load", "", 2),
    ]  # fmt: skip


def test_the_view_of_attempts_tells_times_that_people_can_read(historian):
    late = task()
    historian.follow(journal([published("a", late), done("a", late)]))
    historian.connection.row_factory = sqlite3.Row
    [row] = historian.connection.execute("SELECT * FROM attempts")
    assert (row["published"], row["started"], row["ended"], row["run_us"]) == (
        "2026-08-01T00:00:01.000Z", "2026-08-01T00:00:01.000Z", "2026-08-01T00:00:03.000Z", 2 * SECOND_US,
    )  # fmt: skip
