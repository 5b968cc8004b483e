"""Statements for many rows at a time do what they would do one by one."""

import sqlite3

import pytest

from flowlord.cache.many import SIZES, Many, row

INSERT = Many("INSERT OR FAIL INTO t VALUES", row(2))
UPDATE = Many("UPDATE OR FAIL t SET text = v.column2 FROM (VALUES", row(2), ") AS v WHERE t.n = v.column1")


@pytest.fixture
def db():
    connection = sqlite3.connect(":memory:", isolation_level=None)
    connection.execute("CREATE TABLE t (n INTEGER PRIMARY KEY, text TEXT NOT NULL)")
    yield connection
    connection.close()


@pytest.mark.parametrize("count", [0, 1, 3, SIZES[0] - 1, SIZES[0], 3 * SIZES[0] + 77])
def test_every_row_is_written_once_and_changed_once(db, count):
    rows = [(n, f"é'\"\x00{n}") for n in range(count)]
    INSERT.run(db, rows)
    assert db.execute("SELECT * FROM t ORDER BY n").fetchall() == rows
    UPDATE.run(db, [(n, f"new {n}") for n in range(count)])
    assert db.execute("SELECT * FROM t ORDER BY n").fetchall() == [(n, f"new {n}") for n in range(count)]


def test_a_row_that_cannot_be_is_told(db):
    INSERT.run(db, [(1, "there")])
    with pytest.raises(sqlite3.IntegrityError):
        INSERT.run(db, [(2, "fine"), (1, "again")])
