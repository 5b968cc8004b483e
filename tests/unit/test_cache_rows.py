"""An attempt is read as it was written, whichever statement its form is written by."""

from __future__ import annotations

import pytest
from msgspec.structs import astuple, replace

from flowlord.cache import ended, fresh, rows
from flowlord.cache.attempt import COLUMNS, Attempt
from flowlord.cache.days import differences
from flowlord.cache.historian import Historian
from flowlord.cache.ledger import Ledger
from flowlord.cache.many import SIZES
from flowlord.cache.schema import in_memory
from flowlord.model.plan import FactKind
from support.clock import VirtualClock
from support.journal import done, journal, published, task
from support.journal import told as said

WAITING = Attempt(None, "k", "id", "info", "a=b", "c", "cron", 5, 6, 0, 0, 7,
    "t", "t", "j", "f:t", "f", "r", "b", 7, 2, "m")  # fmt: skip
WELL = replace(
    WAITING,
    state="complete",
    result="complete",
    started_us=8,
    ended_us=9,
    happened_us=9,
    worker="w",
    deliveries=1,
)
FORMS = [
    WAITING,
    WELL,
    replace(WELL, worker="", deliveries=0),
    replace(WELL, msg="told"),
    replace(WELL, reason="why"),
    replace(WELL, output="tail"),
    replace(WAITING, late_us=3),
    replace(WAITING, lost=1),
    replace(WAITING, result="complete"),
    replace(WAITING, started_us=1),
    replace(WAITING, ended_us=1),
    replace(WAITING, worker="w"),
    replace(WAITING, deliveries=1),
]


@pytest.fixture
def db():
    connection = in_memory()
    yield connection
    connection.close()


def told(db) -> list[tuple[object, ...]]:
    return db.execute(f"SELECT {', '.join(COLUMNS)} FROM tasks ORDER BY n").fetchall()


def numbered(attempts: list[Attempt]) -> list[Attempt]:
    return [replace(each, n=n, key=f"k{n}") for n, each in enumerate(attempts, 1)]


@pytest.mark.parametrize("few", [2, 8, 1 << 30])
@pytest.mark.parametrize("write", [rows.write, rows.write_harmless])
def test_attempts_of_any_form_are_numbered_in_the_order_in_which_they_came(
    db, write, few, monkeypatch
) -> None:
    monkeypatch.setattr(rows, "_FEW", few)
    mixed = numbered([WAITING] * SIZES[0] + [WAITING, WELL] * SIZES[0] + FORMS * 3)
    write(db, [replace(each, n=None) for each in mixed])
    assert told(db) == [astuple(each) for each in mixed]


@pytest.mark.parametrize("before", FORMS)
def test_a_change_from_any_form_to_any_other_is_whole(db, before) -> None:
    after = numbered(FORMS)
    rows.write(db, [replace(before, key=each.key) for each in after])
    rows.write(db, after)
    assert told(db) == [astuple(each) for each in after]


@pytest.mark.parametrize("times", [1, 9, 300])
@pytest.mark.parametrize("few", [2, 8, 1 << 30])
def test_what_one_fact_tells_is_written_as_the_attempt_that_it_makes(db, times, few, monkeypatch) -> None:
    monkeypatch.setattr(fresh, "_FEW", few)
    late = task(
        meta="cron=2026-08-02T00&retry=1", info="s3://b/2026/08/01/07/a", created="2026-08-01T00:00:00Z"
    )
    some = [
        lambda key: published(key, late, cause="done:x", batch="b", priority=8),
        lambda key: published(key, task("other", meta=f"n={key}")),
        lambda key: done(key, late),
        lambda key: done(key, task(meta=f"n={key}"), "warn", worker=""),
        lambda key: replace(done(key), report=None, revision="7"),
        lambda key: done(key, result="error"),
        lambda key: replace(
            done(key), task=replace(late, result="complete", started="x", ended="2020-01-01")
        ),
    ]
    entries = journal(fact(f"k{n}-{at}") for n in range(times) for at, fact in enumerate(some))
    ledger, whole = Ledger(), Ledger()
    ledger.apply(entries)
    whole.apply(entries)
    expected = whole.changed
    for n, each in enumerate(expected.values(), 8):
        each.n = n
    attempts, heard_once = ledger.numbered(7)
    assert (attempts, sum(len(some) for _, some in heard_once)) == ([], len(expected))
    assert fresh.write(db, heard_once) == differences(expected, {})
    assert told(db) == [astuple(each) for each in expected.values()]


def test_an_attempt_is_made_only_of_what_ends_in_an_unusual_way(monkeypatch) -> None:
    usual = [f"k{n}" for n in range(300)]
    unusual = {
        "msg": [done("msg", msg="said")],
        "output": [done("output", output="tail")],
        "twice": [done("twice"), done("twice")],
        "dead": [done("dead", result="error"), said(FactKind.DEAD, "dead", "tried 3 times")],
        "back": [done("back")],
    }
    historian = Historian(None, VirtualClock())
    entries = journal(
        [
            [published(key) for key in (*usual, *unusual)],
            said(FactKind.AGAIN, "back", "again: why"),
            [done(key, result="warn" if key == "k7" else "complete") for key in usual],
            *unusual.values(),
        ]
    )
    historian.follow(entries[:2])
    looked_for: list[str] = []
    known = Historian._known
    monkeypatch.setattr(Historian, "_known", lambda self, keys: looked_for.extend(keys) or known(self, keys))
    historian.follow(entries[2:])
    assert sorted(looked_for) == sorted(unusual)
    states = dict(historian.connection.execute("SELECT key, state FROM tasks"))
    assert states == dict.fromkeys([*usual, *unusual], "complete") | {"k7": "warn", "dead": "dead"}
    historian.close()


def test_keys_of_ends_are_told_apart_from_those_that_are_first_heard_of() -> None:
    entries = journal(
        [[published("new"), done("new")], done("old"), [done("gone"), said(FactKind.LATE, "gone")]]
    )
    once, others = ended.heard(entries, first_heard=True)
    assert (list(once), others) == (["old"], {"gone"})
    once, others = ended.heard(entries, first_heard=False)
    assert (list(once), others) == (["old"], {"gone", "new"})
