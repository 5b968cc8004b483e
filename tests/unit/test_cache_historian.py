"""The writer of the history: every entry exactly once, whatever happens in between."""

import logging
import multiprocessing
import os
import sqlite3
import stat
from datetime import UTC, datetime, timedelta

import pytest
from msgspec.structs import replace

from flowlord.cache.attempt import COLUMNS
from flowlord.cache.historian import Historian
from flowlord.cache.ledger import MANY
from flowlord.cache.prune import CHUNK
from flowlord.cache.queries import Filter, History
from flowlord.cache.schema import APPLICATION, VERSION, CacheUnusable, open_reader
from flowlord.model.message import Report
from flowlord.model.plan import Fact, FactKind
from support.clock import VirtualClock
from support.journal import BEGIN_US, SECOND_US, Kept, done, journal, published, task, told

NOW_US = BEGIN_US + 3600 * SECOND_US


@pytest.fixture
def path(tmp_path):
    return tmp_path / "state" / "tasks.db"


@pytest.fixture
def clock():
    return VirtualClock(datetime(2026, 8, 1, 12, tzinfo=UTC))


def dump(source) -> list[tuple]:
    """Everything in a history, as rows without their numbers."""
    connection = source if isinstance(source, sqlite3.Connection) else open_reader(source)
    tables = (
        "tasks", "alerts", "decisions", "files", "workflows", "revisions", "phases", "days", "gaps", "cursor",
    )  # fmt: skip
    found = []
    for table in tables:
        names = [row[1] for row in connection.execute(f"PRAGMA table_info({table})") if row[1] != "n"]
        found += [
            (table, *row) for row in sorted(connection.execute(f"SELECT {', '.join(names)} FROM {table}"))
        ]
    return found


def some_journal(tasks: int = 5):
    commits: list = []
    for n in range(tasks):
        commits.append(published(f"k{n}", task(n=n)))
        commits.append(
            (
                done(f"k{n}", task(n=n), "error" if n % 2 else "complete"),
                told(FactKind.RETRY, f"k{n}") if n % 2 else told(FactKind.SKIPPED, f"k{n}"),
            )
        )
    return journal(commits)  # fmt: skip


def test_what_is_followed_can_be_read_by_others_at_once(path, clock):
    historian = Historian(path, clock)
    assert historian.follow(some_journal()) == 10
    history = History.open(str(path))
    [page] = history.pages(Filter(), NOW_US)
    assert [attempt.key for attempt in page] == ["k4", "k3", "k2", "k1", "k0"]
    assert historian.cursor() == 10


def test_entries_that_come_again_are_passed_over(path, clock):
    historian = Historian(path, clock)
    entries = some_journal()
    historian.follow(entries[:6])
    once = dump(historian.connection)
    assert historian.follow(entries[:6]) == 0
    assert dump(historian.connection) == once
    assert historian.follow(entries) == 4
    again = Historian(None, clock)
    again.follow(entries)
    assert dump(historian.connection) == dump(again.connection)


@pytest.mark.parametrize("table", ["tasks", "decisions", "cursor"])
def test_a_step_that_fails_anywhere_leaves_nothing_of_it(path, clock, table):
    entries = some_journal()
    historian = Historian(path, clock)
    historian.follow(entries[:4])
    before = dump(historian.connection)
    historian.connection.execute(
        f"CREATE TEMP TRIGGER trap BEFORE {'UPDATE' if table == 'cursor' else 'INSERT'} ON main.{table}"
        " BEGIN SELECT raise(FAIL, 'no more'); END"
    )
    with pytest.raises(sqlite3.Error, match="no more"):
        historian.follow(entries[4:])
    historian.close()
    restarted = Historian(path, clock)
    assert dump(restarted.connection) == before
    assert restarted.cursor() == 4
    restarted.follow(entries)
    whole = Historian(None, clock)
    whole.follow(entries)
    assert dump(restarted.connection) == dump(whole.connection)


def test_two_historians_may_share_a_file(path, clock):
    one, two = Historian(path, clock), Historian(path, clock)
    entries = some_journal()
    assert [one.follow(entries[:4]), two.follow(entries[:6]), one.follow(entries), two.follow(entries)] == [
        4,
        2,
        4,
        0,
    ]
    alone = Historian(None, clock)
    alone.follow(entries)
    assert dump(path) == dump(alone.connection)


def _open_and_follow(path, ready, go):
    clock = VirtualClock()
    ready.release()
    go.wait(40)
    Historian(path, clock).follow(some_journal())


def test_several_daemons_may_make_the_file_at_the_same_moment(path):
    spawn = multiprocessing.get_context("spawn")
    ready, go = spawn.Semaphore(0), spawn.Event()
    processes = [spawn.Process(target=_open_and_follow, args=(path, ready, go)) for _ in range(4)]
    for process in processes:
        process.start()
    for _ in processes:
        assert ready.acquire(timeout=60)
    go.set()
    for process in processes:
        process.join(60)
    assert [process.exitcode for process in processes] == [0, 0, 0, 0]
    assert History.open(str(path)).count(Filter(), NOW_US) == 5
    assert sorted(each.name for each in path.parent.iterdir() if "aside" in each.name) == []


def test_a_journal_that_was_trimmed_leaves_a_gap_and_goes_on(path, clock, caplog):
    historian = Historian(path, clock)
    historian.follow(journal([published("a")]))
    historian.follow(journal([published("b")], first=8))
    assert History(historian.connection).gaps() == [(BEGIN_US + 8 * SECOND_US, 2, 7)]
    assert historian.cursor() == 8
    assert "2 to 7" in caplog.text
    assert {record.action for record in caplog.records} == {"history.gap"}


def test_another_generation_of_the_bus_is_said_and_followed_from_its_beginning(path, clock, caplog):
    historian = Historian(path, clock)
    assert historian.attach("first")
    historian.follow(journal([published("a"), published("b")]))
    assert historian.attach("first")
    assert historian.cursor() == 2
    assert caplog.text == ""
    assert not historian.attach("second")
    assert historian.cursor() == 0
    assert "reset" in caplog.text
    historian.follow(journal([published("c")]))
    assert sorted(row[1] for row in dump(path) if row[0] == "tasks") == ["a", "b", "c"]
    assert History.open(str(path)).cursor() == (1, "second")


def test_a_damaged_file_is_set_aside_and_told_once(path, clock, caplog):
    path.parent.mkdir()
    path.write_bytes(b"this was never a database" * 100)
    historian = Historian(path, clock)
    historian.follow(some_journal())
    assert (path.parent / "tasks.db.aside-1").read_bytes().startswith(b"this was")
    assert [record.action for record in caplog.records] == ["history.aside"]
    historian.close()
    Historian(path, clock)
    assert len(caplog.records) == 1


def test_a_file_that_breaks_under_way_is_set_aside_and_rebuilt_from_the_journal(path, clock, caplog):
    kept = Kept(some_journal(400))
    historian = Historian(path, clock)
    historian.follow(kept.entries[:700])
    historian.close()
    with path.open("r+b") as file:  # nobody has it open
        file.seek(4096 * 3)
        file.write(os.urandom(4096 * 12))
    historian = Historian(path, clock)
    steps = 0
    while entries := kept.journal(historian.cursor(), 100):
        historian.follow(entries)
        steps += 1
        assert steps < 100
    whole = Historian(None, clock)
    whole.follow(kept.entries)
    assert dump(historian.connection) == dump(whole.connection)
    assert [record.action for record in caplog.records] == ["history.aside"]


def test_a_file_of_a_newer_flowlord_is_set_aside_with_what_is_in_it(path, clock):
    historian = Historian(path, clock)
    historian.follow(some_journal())
    historian.connection.execute(f"PRAGMA user_version = {VERSION + 1}")
    historian.close()
    with pytest.raises(CacheUnusable, match="newer"):
        open_reader(path)
    assert Historian(path, clock).cursor() == 0
    aside = sqlite3.connect(path.parent / "tasks.db.aside-1")
    assert aside.execute("SELECT count(*) FROM tasks").fetchone() == (5,)
    aside.close()
    Historian(path, clock).connection.execute(f"PRAGMA user_version = {VERSION + 1}")
    Historian(path, clock)
    assert (path.parent / "tasks.db.aside-2").exists()


def test_a_database_of_another_program_is_left_alone(path, clock):
    path.parent.mkdir()
    other = sqlite3.connect(path)
    other.execute("CREATE TABLE tasks (mine)")
    other.commit()
    other.close()
    for opener in (lambda: Historian(path, clock), lambda: open_reader(path)):
        with pytest.raises(CacheUnusable, match="another program"):
            opener()
    assert [each.name for each in path.parent.iterdir()] == ["tasks.db"]


def test_a_file_that_is_removed_under_way_is_begun_anew(path, clock):
    historian = Historian(path, clock)
    historian.follow(some_journal())
    for end in ("", "-wal", "-shm"):
        path.with_name(path.name + end).unlink()
    assert historian.cursor() == 0
    historian.follow(some_journal())
    assert History.open(str(path)).count(Filter(), NOW_US) == 5


def test_the_file_is_for_its_owner_only_and_in_wal(path, clock):
    historian = Historian(path, clock)
    historian.follow(some_journal())
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.with_name("tasks.db-wal").stat().st_mode) == 0o600
    assert historian.connection.execute("PRAGMA journal_mode").fetchone() == ("wal",)
    assert historian.connection.execute("PRAGMA application_id").fetchone() == (APPLICATION,)


def test_the_table_has_the_columns_of_an_attempt(path, clock):
    historian = Historian(path, clock)
    assert {row[1] for row in historian.connection.execute("PRAGMA table_info(tasks)")} == set(COLUMNS)


def test_a_reader_never_blocks_the_writer_nor_sees_half_a_step(path, clock):
    historian = Historian(path, clock)
    historian.follow(some_journal()[:2])
    reader = open_reader(path)
    cursor = reader.execute("SELECT key FROM tasks")
    cursor.fetchone()  # a read that is going on
    historian.connection.execute("PRAGMA busy_timeout = 0")
    historian.follow(some_journal())
    cursor.close()
    assert reader.execute("SELECT count(*) FROM tasks").fetchone() == (5,)
    with pytest.raises(sqlite3.OperationalError, match="readonly"):
        reader.execute("DELETE FROM tasks")


def test_pruning_removes_what_is_old_in_steps_and_keeps_what_is_still_to_come(path, clock):
    historian = Historian(path, clock)
    ahead = published("ahead", due=BEGIN_US + 400 * 86_400 * SECOND_US)
    old = [(published(f"k{n}"), done(f"k{n}"), told(FactKind.SKIPPED, f"k{n}")) for n in range(CHUNK + 10)]
    historian.follow(journal([ahead, *old, told(FactKind.ALERT, "", "old")]))
    assert not historian.prune(timedelta(days=90))
    clock.advance(91 * 86_400)
    most = before = 0
    while historian.prune(timedelta(days=90)):
        most, before = max(most, historian.removed - before), historian.removed
    assert 0 < most <= CHUNK
    assert historian.removed == 2 * (CHUNK + 10) + 1
    assert [
        attempt.key for page in History(historian.connection).pages(Filter(), NOW_US) for attempt in page
    ] == ["ahead"]
    assert historian.cursor() == CHUNK + 12


def test_decisions_are_a_ring(path, clock):
    historian = Historian(path, clock, decisions=10)
    for start in range(1, 100, 7):
        historian.follow(
            journal([told(FactKind.SKIPPED, "", f"no {start + n}") for n in range(7)], first=start)
        )
    kept = historian.connection.execute("SELECT text FROM decisions ORDER BY n").fetchall()
    assert [text for (text,) in kept] == [f"no {n}" for n in range(96, 106)]


def test_text_that_is_no_unicode_does_not_stop_history(path, clock):
    historian = Historian(path, clock)
    odd = Fact(FactKind.ALERT, key="k\ud800", text="half \udcff")
    big = Fact(FactKind.PUBLISHED, key="big", topic="t", priority=1 << 70, task=task())
    assert (
        historian.follow(
            journal([published("good"), (odd, big, told(FactKind.SKIPPED, "k\ud800")), done("good")])
        )
        == 3
    )
    assert historian.cursor() == 3
    assert {row[1] for row in dump(path) if row[0] == "tasks"} == {"good", "big"}
    assert [row[-1] for row in dump(path) if row[0] == "alerts"] == ["half ?"]


def test_a_key_that_is_no_unicode_counts_in_no_day_however_often_it_is_told(path, clock):
    historian = Historian(path, clock)
    historian.follow(journal([done("k\ud800"), done("good")]))
    historian.follow(journal([done("k\ud800")], first=3))
    assert historian.connection.execute("SELECT sum(attempts) FROM days").fetchone() == (1,)


@pytest.mark.parametrize("worker", ["w\ud800", "w1"])
def test_what_cannot_be_kept_does_not_stop_history_beside_what_is_told_again(path, clock, worker):
    historian = Historian(path, clock)
    odd = replace(done("odd"), report=Report(worker, 1 << 63))
    first, second = journal([published("k"), (published("k"), done("k"), odd)])
    historian.follow([first])
    assert historian.follow([second]) == 1
    states = dict(historian.connection.execute("SELECT key, state FROM tasks"))
    assert states == {"k": "complete", "odd": "complete"}


@pytest.mark.parametrize("size", [1, 100])
def test_times_that_no_clock_ever_told_do_not_stop_history(path, clock, size):
    long = {"started": "1970-01-01T00:00:01Z", "ended": "9999-12-31T00:00:00Z"}
    ends = [replace(done(f"k{n}"), task=task(result="complete", **long)) for n in range(100)]
    entries = journal([[published(f"k{n}") for n in range(50)], *ends])
    historian = Historian(path, clock)
    historian.follow(entries[:1])
    for at in range(1, len(entries), size):
        assert historian.follow(entries[at : at + size]) == size
    told_us = historian.connection.execute("SELECT attempts, ran, ran_us FROM days").fetchall()
    assert told_us == [(100, 100, (1 << 63) - 1)]


def test_a_dead_letter_that_a_worker_took_and_failed_on_is_an_attempt_of_its_own(path, clock):
    historian = Historian(path, clock)
    for entry in journal(
        [
            published("k"),
            (done("k", result="error"), told(FactKind.DEAD, "k", "no")),
            (done("k:dead", result="error"), told(FactKind.DEAD, "k:dead", "again no")),
        ]
    ):
        assert historian.follow([entry]) == 1
    found = historian.connection.execute("SELECT key, state, reason FROM tasks ORDER BY n").fetchall()
    assert found == [("k", "dead", "no"), ("k:dead", "dead", "again no")]


@pytest.mark.parametrize(
    ("fact", "expected"),
    [
        (told(FactKind.QUARANTINED, "k", "why"), ("quarantined", "load")),
        (told(FactKind.MOVED, "k", topic="other"), ("waiting", "other")),
    ],
)
def test_what_is_told_of_a_known_row_counts_beside_a_copy_that_is_published(path, clock, fact, expected):
    historian = Historian(path, clock)
    copy = published("k", cause="dead:j")
    for entry in journal([published("k"), (copy, fact)]):
        historian.follow([entry])
    assert historian.connection.execute("SELECT state, topic FROM tasks").fetchall() == [expected]


def test_nothing_is_logged_while_all_is_well(path, clock, caplog):
    caplog.set_level(logging.INFO)
    historian = Historian(path, clock)
    historian.attach("g")
    historian.follow(some_journal())
    historian.prune(timedelta(days=1))
    assert caplog.text == ""


def test_a_large_commit_makes_the_same_rows_alone_and_among_others(clock):
    large = [fact for n in range(MANY) for fact in (done(f"d{n}", task(n=n)), published(f"p{n}", task(n=n)))]
    ends = [done(f"p{n}", task(n=n), msg="told") for n in range(0, MANY, 3)]
    commits = [
        [published("a"), done("b")],
        large,
        [done("a"), published("c")],
        [*ends, published("e")],
        large,
    ]
    entries = journal(commits)
    found = []
    for portions in ([entries], [[entry] for entry in entries]):
        historian = Historian(None, clock)
        for some in portions:
            historian.follow(some)
        found.append(historian.connection.execute("SELECT * FROM tasks ORDER BY n").fetchall())
        found.append(historian.connection.execute("SELECT * FROM days ORDER BY state").fetchall())
    assert found[:2] == found[2:]
    assert len(found[0]) == 2 * MANY + 4
