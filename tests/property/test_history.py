"""However facts come, together or one by one, history is what each of them told by itself.

The reference knows nothing of rows that are made straight from facts, of portions, or of differences: it makes an
attempt of everything, takes in one fact at a time and counts the days anew at the end.
"""

from unittest.mock import patch

from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import astuple, replace

from flowlord.cache import ended, fresh, ledger, rows
from flowlord.cache.days import Slot, Sums, counted
from flowlord.cache.historian import Historian
from flowlord.model.message import Report
from flowlord.model.plan import Fact, FactKind
from support.clock import VirtualClock
from support.journal import BEGIN_US, done, journal, published, task

HOUR = "2026/08/01/07"
KEYS = st.sampled_from([*"abcdefgh", "é", "a:dead", ""])
METAS = st.sampled_from(
    ["", "workflow=daily.toml", "cron=2026-08-02T00", "cron=2026-08-02T00%3A00&retry=2", "retry=failed&retried=3",
     f"file=s3%3A%2F%2Fin%2F{HOUR}%2Fb", f"file=s3://in/{HOUR}/b&cron=", "cron=a&cron=b", "retry=99999999999"]
)  # fmt: skip
INFOS = st.sampled_from(
    ["", "x", f"s3://in/{HOUR}/a.json", "?day=2026-08-03", "20260801T0700", "\x00\x1f\u202e"]
)
TIMES = st.sampled_from(
    ["", "x", "1969-12-31T23:59:59Z", "2026-08-01T00:00:01", "2026-08-01T00:00:03Z", "2026-08-02T01:00:00+02:00",
     "9999-12-31T23:59:59Z", "0001-01-01T00:00:00+23:00"]
)  # fmt: skip
TASKS = st.builds(
    lambda n, **more: task(n=n, **more),
    st.integers(1, 2),
    name=st.sampled_from(["load:users", "other"]),
    meta=METAS, info=INFOS, created=st.sampled_from(["", "2026-08-01T00:00:00Z"]), msg=st.sampled_from(["", "said"]),
    started=TIMES, ended=TIMES, result=st.sampled_from(["", "complete", "warn", "alert", "error", "odd"]),
)  # fmt: skip
REPORTS = st.one_of(
    st.none(),
    st.builds(
        Report, st.sampled_from(["", "w1", "w2"]), st.sampled_from([0, 1, -1]), st.sampled_from(["", "tail"])
    ),
)
ANY = st.builds(
    Fact,
    st.sampled_from([FactKind.PUBLISHED, FactKind.DONE] * 6 + [kind for kind in FactKind if kind != "incident"]),
    key=KEYS,
    topic=st.sampled_from(["load", "other", "done", "quarantine", ""]),
    phase=st.sampled_from(["", "daily.toml:load:users", "daily.toml"]),
    revision=st.sampled_from(["", "7"]),
    cause=st.sampled_from(["", "done:a", "dead:a", "file:s3://in/b:1"]),
    batch=st.sampled_from(["", "b"]),
    priority=st.sampled_from([5, 9, -1]),
    due=st.sampled_from([0, 0, BEGIN_US, BEGIN_US * 2]),
    text=st.sampled_from(["", "again: why", "said"]),
    task=st.one_of(st.none(), TASKS, TASKS),
    report=REPORTS,
)  # fmt: skip
USUAL = st.one_of(
    st.builds(
        lambda key, of, due, cause: published(key, replace(of, result=""), due=due, cause=cause),
        KEYS, TASKS, st.sampled_from([0, 0, 0, BEGIN_US * 2]), st.sampled_from(["", "done:a"]),
    ),
    st.builds(lambda key, of, told: replace(done(key), task=replace(of, msg=""), report=told), KEYS, TASKS, REPORTS),
    st.builds(published, KEYS),
    st.builds(done, KEYS),
)  # fmt: skip
COMMITS = st.lists(st.lists(st.one_of(ANY, USUAL, USUAL), min_size=1, max_size=6), min_size=1, max_size=12)


def attempts_of(historian):
    columns = ", ".join(rows.COLUMNS[1:])
    return list(historian.connection.execute(f"SELECT {columns} FROM tasks ORDER BY n"))


def days_of(historian):
    names = [name for name in (*Slot._fields, *Sums._fields) if not name.endswith("max_us")]
    return sorted(historian.connection.execute(f"SELECT {', '.join(names)} FROM days"))


def one_by_one(entries, many):
    """Take in results first of commits of so many facts; return attempts, and numbers of days."""
    known = {}
    for entry in entries:
        facts = entry.facts
        if len(facts) >= many:
            facts = sorted(facts, key=lambda fact: fact.kind is not FactKind.DONE)
        for fact in facts:
            book = ledger.Ledger(known.values())
            with patch.object(ledger, "is_usual", lambda fact: False):
                book.apply([replace(entry, facts=(fact,))])
            known |= book.changed
    sums = {}
    for each in filter(None, map(counted, known.values())):
        slot, took, waited = each
        one = Sums(1, took > 0, took, 0, waited > 0, waited, 0)
        sums[slot] = sums.get(slot, Sums()).plus(one)
    return (
        [astuple(each)[1:] for each in known.values()],
        sorted((*slot, *(n for n, name in zip(each, Sums._fields, strict=True) if name[-6:] != "max_us"))
            for slot, each in sums.items()),
    )  # fmt: skip


@given(
    begun=st.lists(KEYS, min_size=1, max_size=9, unique=True),
    commits=COMMITS,
    sizes=st.lists(st.integers(1, 12), min_size=1, max_size=4),
    few=st.sampled_from([1, 2, 3, 8]),
    some=st.sampled_from([2, 2_048]),
    many=st.sampled_from([2, 64]),
)
def test_history_is_what_each_fact_told_by_itself(begun, commits, sizes, few, some, many):
    entries = journal([tuple(map(published, begun)), *map(tuple, commits)])
    historian = Historian(None, VirtualClock())
    historian.follow(entries[:1])  # so that much of the rest ends what is known to wait
    at, step = 1, 0
    with (
        patch.object(fresh, "_FEW", few),
        patch.object(fresh, "_SOME", some),
        patch.object(ended, "_FEW", few),
        patch.object(rows, "_FEW", few),
        patch.object(ledger, "MANY", many),
    ):
        while at < len(entries):
            historian.follow(entries[at : at + sizes[step % len(sizes)]])
            at, step = at + sizes[step % len(sizes)], step + 1
    attempts, days = one_by_one(entries, many)
    assert attempts_of(historian) == attempts
    assert days_of(historian) == days
