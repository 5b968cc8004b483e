"""However the journal is cut into portions, and whatever of it comes twice, the history is the same."""

import sqlite3

from hypothesis import example, given
from hypothesis import strategies as st

from flowlord.cache.days import DAY_US, Slot, Sums, days
from flowlord.cache.fold import catch_up, fold
from flowlord.cache.historian import Historian
from flowlord.cache.queries import Filter, History
from flowlord.model.plan import FactKind
from support.clock import VirtualClock
from support.journal import BEGIN_US, Kept, done, journal, published, task, told

KEYS = st.sampled_from(["a", "b", "c", "d"])
RESULTS = st.sampled_from(["complete", "error", "warn", "alert", "odd"])
FACTS = st.one_of(
    st.builds(
        lambda key, n, due: published(key, task(n=n), due=due),
        KEYS, st.integers(1, 3), st.sampled_from([0, BEGIN_US * 2]),
    ),
    st.builds(lambda key, n, result: done(key, task(n=n), result), KEYS, st.integers(1, 3), RESULTS),
    st.builds(
        lambda kind, key, text: told(kind, key, text),
        st.sampled_from([kind for kind in FactKind if kind not in (FactKind.PUBLISHED, FactKind.DONE)]),
        st.one_of(KEYS, st.just("")),
        st.text(max_size=3),
    ),
    st.builds(lambda key: published(f"{key}:dead", topic="retry-failed", cause=f"dead:{key}"), KEYS),
)  # fmt: skip
COMMITS = st.lists(st.lists(FACTS, min_size=1, max_size=4), min_size=1, max_size=12)
TABLES = ("tasks", "alerts", "decisions", "files", "workflows", "revisions", "gaps", "cursor")
DAYS = """SELECT happened_us / 86400000000, topic, type, job, state, count(*), sum(run_us > 0), sum(run_us),
    sum(queue_us > 0), sum(queue_us) FROM attempts WHERE state NOT IN ('waiting', 'later') GROUP BY 1, 2, 3, 4, 5"""


def dump(connection: sqlite3.Connection) -> list[tuple]:
    return [
        tuple(row)[(table not in ("workflows", "cursor")) :]
        for table in TABLES
        for row in connection.execute(f"SELECT * FROM {table} ORDER BY 1, 2")
    ]


@given(commits=COMMITS, sizes=st.lists(st.integers(1, 5), min_size=1, max_size=12), again=st.booleans())
def test_any_portions_give_the_same_history(commits, sizes, again):
    entries = journal([tuple(commit) for commit in commits])
    whole = Historian(None, VirtualClock())
    whole.follow(entries)
    cut = Historian(None, VirtualClock())
    at = 0
    while at < len(entries):
        size = sizes[at % len(sizes)]
        cut.follow(entries[max(0, at - 2) if again else at : at + size])
        at += size
    assert dump(cut.connection) == dump(whole.connection)
    kept = "SELECT day, topic, type, job, state, attempts, ran, ran_us, waited, waited_us FROM days"
    for connection in (cut.connection, whole.connection):
        assert sorted(connection.execute(kept)) == sorted(connection.execute(DAYS))


@given(commits=COMMITS, at=st.integers(0, 12))
@example([[published("a", task())], [published("b", task())], [told(FactKind.MOVED, "a", "")]], 2)
def test_a_reader_that_catches_up_sees_what_the_historian_will_write(commits, at):
    entries = journal([tuple(commit) for commit in commits])
    behind = Historian(None, VirtualClock())
    behind.follow(entries[:at])
    history = History(behind.connection)
    assert catch_up(history, Kept(entries, "")) == 0
    whole = fold(Kept(entries), VirtualClock())

    def rows(source: History) -> dict:
        found = [each for page in source.pages(Filter(), BEGIN_US) for each in page]
        for each in found:
            each.n = None
        assert len({each.key for each in found}) == len(found) == source.count(Filter(), BEGIN_US)
        assert [each.happened_us for each in found] == sorted(
            (each.happened_us for each in found), reverse=True
        )
        return {each.key: each for each in found}

    assert rows(history) == rows(whole)
    today = BEGIN_US // DAY_US
    assert _exact(days(history, today, today + 9)) == _exact(days(whole, today, today + 9))


def _exact(found: dict[Slot, Sums]) -> dict[Slot, Sums]:
    return {slot: sums._replace(ran_max_us=0, waited_max_us=0) for slot, sums in found.items()}
