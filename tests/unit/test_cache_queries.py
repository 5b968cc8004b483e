"""Questions to the history: what they find, in which order, by which index, and what cannot be smuggled into them."""

import pytest

from flowlord.cache.attempt import FAILED, State
from flowlord.cache.filter import Filter, where
from flowlord.cache.fold import BEHIND, catch_up
from flowlord.cache.groups import _KINDS
from flowlord.cache.historian import Historian
from flowlord.cache.queries import PAGE, History
from flowlord.model.plan import FactKind
from support.clock import VirtualClock
from support.journal import BEGIN_US, SECOND_US, Kept, done, journal, published, task, told

NOW_US = BEGIN_US + 1_000 * SECOND_US


def history(*commits) -> History:
    historian = Historian(None, VirtualClock())
    historian.follow(journal(commits))
    return History(historian.connection)


def keys(found: History, size: int = PAGE, **wanted) -> list[str]:
    return [each.key for page in found.pages(Filter(**wanted), NOW_US, size) for each in page]


@pytest.fixture(scope="module")
def several() -> History:
    return history(
        published("a", task("load:users", 1, meta="cron=2026-08-01T00")),
        published("b", task("load:orders", 2, meta="cron=2026-08-01T02"), phase="other.toml:load:orders"),
        published("c", task("extract", 3), due=BEGIN_US + 500 * SECOND_US),
        published("d", task("extract", 4), due=BEGIN_US + 5_000 * SECOND_US, batch="b-1"),
        (
            done("a", task("load:users", 1, meta="cron=2026-08-01T00"), "error", "Über quota"),
            told(FactKind.DEAD, "a"),
        ),
        done("b", task("load:orders", 2, meta="cron=2026-08-01T02")),
        told(FactKind.LATE, "d"),
        told(FactKind.LOST, "c"),
    )


@pytest.mark.parametrize(
    ("wanted", "expected"),
    [
        ({}, ["b", "a", "d", "c"]),
        ({"states": FAILED}, ["a"]),
        ({"states": frozenset({State.COMPLETE})}, ["b"]),
        ({"states": frozenset({State.COMPLETE, State.DEAD})}, ["b", "a"]),
        ({"states": frozenset({State.WAITING})}, ["c"]),
        ({"states": frozenset({State.LATER})}, ["d"]),
        ({"states": frozenset({State.WAITING, State.LATER})}, ["d", "c"]),
        ({"states": frozenset({State.RUNNING})}, []),
        ({"topic": "load"}, ["b", "a"]),
        ({"topic": "load", "job": "users"}, ["a"]),
        ({"workflow": "other.toml"}, ["b"]),
        ({"id": "00000003"}, ["c"]),
        ({"since_us": BEGIN_US + 6 * SECOND_US}, ["b"]),
        ({"until_us": BEGIN_US + 4 * SECOND_US}, ["c"]),
        ({"since_us": BEGIN_US + 3 * SECOND_US, "until_us": BEGIN_US + 6 * SECOND_US}, ["a", "d", "c"]),
        ({"topic": "nobody"}, []),
        ({"info": "s3://in/*.json"}, ["b", "a", "d", "c"]),
        ({"info": "*/[12].json"}, ["b", "a"]),
        ({"info": "*/[!12].json"}, ["d", "c"]),
        ({"info": "*/[^12].json"}, ["d", "c"]),
        ({"info": "s3://in/?.JSON"}, []),
        ({"error": "QUOTA"}, ["a"]),
        ({"error": "%"}, []),
        ({"batch": "b-1"}, ["d"]),
        ({"moment_from": "2026-08-01T01"}, ["b"]),
        ({"moment_to": "2026-08-01T02"}, ["a"]),
        ({"moment_to": "2026-08-01T02:30"}, ["b", "a"]),
        ({"moment_from": "2026-08-01T00", "moment_to": "2026-08-01T01"}, ["a"]),
        ({"ids": frozenset({"00000003-run", "nobody"})}, ["c"]),
        ({"ids": frozenset()}, []),
        ({"late": True}, ["d"]),
        ({"lost": True}, ["c"]),
        ({"lost": True, "late": True}, []),
    ],
)
def test_each_filter_finds_what_it_names_newest_first(several, wanted, expected):
    assert keys(several, **wanted) == expected
    assert several.count(Filter(**wanted), NOW_US) == len(expected)
    every = [each for page in several.pages(Filter(), NOW_US) for each in page]
    assert [each.key for each in every if Filter(**wanted).accepts(each, NOW_US)] == expected


@pytest.mark.parametrize("size", [1, 2, 3, 1000])
def test_pages_of_any_size_give_everything_once(size):
    at_once = history(tuple(published(f"k{n}", task(n=n)) for n in range(10)), published("last"))
    assert keys(at_once, size) == ["last", *[f"k{n}" for n in reversed(range(10))]]


def test_a_page_goes_on_where_it_ended_whatever_was_added():
    historian = Historian(None, VirtualClock())
    historian.follow(journal([published(f"k{n}") for n in range(4)]))
    pages = History(historian.connection).pages(Filter(), NOW_US, 2)
    assert [each.key for each in next(pages)] == ["k3", "k2"]
    historian.follow(journal([published("new"), done("k3")], first=5))
    assert [each.key for page in pages for each in page] == ["k1", "k0"]


@pytest.mark.parametrize("in_file", range(5))
def test_the_last_of_a_batch_is_the_newest_whoever_tells_it(in_file):
    """All of a batch are published at one moment, and one of them may end before the last is written."""
    entries = journal([tuple(published(f"k{n}") for n in range(6)), done("k5"), done("k0"), done("k2")])
    historian = Historian(None, VirtualClock())
    historian.follow(entries[:in_file])
    found = History(historian.connection)
    assert catch_up(found, Kept(entries)) == 0
    last = found.newest()
    assert last is not None
    assert last.key == "k5"
    assert last.state == "complete"


def test_counting_may_stop_early():
    many = history(tuple(published(f"k{n}") for n in range(30)))
    assert many.count(Filter(), NOW_US, most=10) == 10
    assert many.count(Filter(), NOW_US) == 30


HOSTILE = [
    "'",
    "' OR 1=1 --",
    "%",
    "_",
    "a%",
    "\x00",
    "x\ud800",
    "*",
    "\\",
    '"; DROP TABLE tasks; --',
    "é",
    "k" * 1_000_000,
]


@pytest.mark.parametrize("text", HOSTILE, ids=range(len(HOSTILE)))
def test_no_text_is_more_than_a_text(text):
    found = history(published("k"), done("other", task(n=2)))
    names = ("topic", "job", "workflow", "id", "error", "batch", "moment_from")
    for wanted in (*(Filter(**{name: text}) for name in names), Filter(ids=frozenset({text}))):
        assert list(found.pages(wanted, NOW_US)) == []
    assert found.ids_like(text, 5) == []
    assert [each.key for each in found.keys_like(text, 5)] == []
    assert found.run(text) == []
    assert found.by_keys([text]) == {}
    assert found.decisions([text]) == []
    assert found.count(Filter(), NOW_US) == 2


def test_odd_texts_are_found_by_themselves():
    odd = ["a'b", "50%", "a_b", "ünïcödé", "a\nb"]
    found = history(*[published(text, task(n=n, id=text)) for n, text in enumerate(odd)])
    for text in odd:
        assert text in found.ids_like(text[:1], 9)
        assert keys(found, id=text) == [text]
        assert [each.key for each in found.keys_like(text, 5)] == [text]


def test_an_id_that_is_whole_is_not_ambiguous():
    found = history(
        published("k1", task(id="abc")), published("k2", task(id="abcd")), published("k3", task(id="abx"))
    )
    assert found.ids_like("abc", 5) == ["abc"]
    assert found.ids_like("ab", 5) == ["abc", "abcd", "abx"]
    assert found.ids_like("ab", 2) == ["abc", "abcd"]


def chain() -> list:
    """extract fails once, then completes and starts two loads, one of which dies."""
    extract, one, two = task("extract"), task("load:a"), task("load:b")
    again = published("e2", task("extract", meta="retry=1"), cause="retry:e1")
    children = published("l1", one, cause="done:e2"), published("l2", two, cause="done:e2")
    skipped = told(FactKind.SKIPPED, "l1", "requires x")
    return [
        published("e1", extract, cause="tick:x"),
        (done("e1", extract, "error"), told(FactKind.RETRY, "e1"), again),
        (done("e2", extract), *children),
        (done("l1", one, "error"), told(FactKind.DEAD, "l1", "no tries left"), skipped),
        published("other", task("extract", 2), cause="tick:y"),
    ]


@pytest.mark.parametrize("known", range(6))
def test_a_story_is_the_same_whether_the_file_or_the_journal_tells_it(known):
    entries = journal(chain())
    historian = Historian(None, VirtualClock())
    historian.follow(entries[:known])
    found = History(historian.connection)
    assert catch_up(found, Kept(entries, "")) == 0
    [second] = found.keys_like("e2", 5)
    assert [each.key for each in found.attempts(second)] == ["e1", "e2"]
    assert [each.key for each in found.attempts(found.by_keys(["e1"])["e1"])] == ["e1", "e2"]
    assert [(each.key, each.state) for each in found.children(found.attempts(second))] == [
        ("l1", "dead"),
        ("l2", "waiting"),
    ]
    assert [each.key for each in found.run("00000001-run")] == ["e1", "e2", "l1", "l2"]
    assert found.newest().key == "other"
    assert found.newest(failed=True).key == "l1"
    assert found.ids_like("0000000", 5) == ["00000001-run", "00000002-run"]
    assert found.children([]) == []


def test_decisions_gaps_and_failures_are_told():
    found = history(*chain())
    assert found.decisions(["l1", "e1"]) == [(BEGIN_US + 4 * SECOND_US, "skipped", "requires x")]
    assert found.failures(0) == {"load": 1}
    assert found.failures(NOW_US) == {}
    assert found.gaps() == []


def test_a_reader_too_far_behind_says_how_far():
    found = history(published("k"))
    far = Kept(journal([published("x")], first=BEHIND + 5), "")
    assert catch_up(found, far) == BEHIND + 4
    assert found.newer == {}


def test_a_bus_that_was_reset_is_read_from_its_beginning():
    historian = Historian(None, VirtualClock())
    historian.attach("before")
    historian.follow(journal([published(f"k{n}") for n in range(5)]))
    found = History(historian.connection)
    assert catch_up(found, Kept(journal([published("new")]), "after")) == 0
    assert sorted(keys(found)) == ["k0", "k1", "k2", "k3", "k4", "new"]


@pytest.mark.parametrize(
    "wanted",
    [
        Filter(),
        Filter(states=FAILED),
        Filter(states=frozenset({State.WAITING})),
        Filter(states=frozenset({State.COMPLETE})),
        Filter(topic="load"),
        Filter(topic="load", job="users", workflow="daily.toml", states=FAILED),
        Filter(since_us=1, until_us=2),
        Filter(id="ab"),
        Filter(batch="b-1"),
        Filter(late=True),
        Filter(lost=True),
        Filter(ids=frozenset({"a", "b"})),
        Filter(states=FAILED, error="timeout", info="*x*", moment_from="2026-08-01"),
    ],
)
def test_every_list_walks_an_index_and_never_the_table(wanted):
    found = history(published("k"))
    condition, values = where(wanted, NOW_US)
    plan = found._connection.execute(
        f"EXPLAIN QUERY PLAN SELECT n FROM tasks WHERE {condition} ORDER BY happened_us DESC, n DESC LIMIT 50",
        values,
    ).fetchall()
    steps = [row[3] for row in plan if "json_each" not in row[3] and "LIST SUBQUERY" not in row[3]]
    assert all("INDEX tasks_" in step or "TEMP B-TREE" in step for step in steps), plan


@pytest.mark.parametrize(
    ("wanted", "by", "index"),
    [
        (Filter(states=FAILED), "error", "tasks_state"),
        (Filter(), "topic", "COVERING INDEX tasks_happened"),
        (Filter(), "day", "COVERING INDEX tasks_happened"),
        (Filter(), "state", "COVERING INDEX tasks_happened"),
        (Filter(batch="b-1"), "state", "tasks_batch"),
    ],
)
def test_groups_are_counted_out_of_an_index(wanted, by, index):
    found = history(published("k"))
    condition, values = where(wanted, NOW_US)
    sql = f"SELECT {_KINDS[by]}, count(*), max(happened_us) FROM tasks WHERE {condition} GROUP BY 1, 2, 3"
    plan = [row[3] for row in found._connection.execute(f"EXPLAIN QUERY PLAN {sql}", values)]
    assert any(index in step for step in plan), plan


def test_the_tasks_of_a_file_and_of_a_batch_are_found_by_an_index():
    found = history(published("k"))
    for sql, index in (
        (
            "SELECT id FROM tasks WHERE cause >= 'file' AND cause < 'filet' AND instr(cause, ':x:')",
            "tasks_file",
        ),
        (
            "SELECT n FROM tasks WHERE batch = 'b' AND batch <> '' ORDER BY happened_us DESC LIMIT 9",
            "tasks_batch",
        ),
    ):
        plan = [row[3] for row in found._connection.execute(f"EXPLAIN QUERY PLAN {sql}")]
        assert any(index in step for step in plan), plan


@pytest.mark.parametrize(
    ("tail", "index"),
    [
        ("WHERE key IN ('a', 'b')", "tasks_key"),
        ("WHERE key >= 'a' AND key < 'b' ORDER BY key LIMIT 5", "tasks_key"),
        ("WHERE id = 'a' AND cause IN ('done:x') ORDER BY n LIMIT 5", "tasks_id"),
        ("WHERE id >= 'a' AND id < 'b'", "tasks_id"),
    ],
)
def test_every_look_at_one_task_walks_its_index(tail, index):
    found = history(published("k"))
    [plan] = [row[3] for row in found._connection.execute(f"EXPLAIN QUERY PLAN SELECT msg FROM tasks {tail}")]
    assert index in plan
