"""Counting attempts by error, topic, day and state, and putting them in order."""

import pytest
from msgspec.structs import asdict

from flowlord.cache.attempt import FAILED, State
from flowlord.cache.filter import Filter
from flowlord.cache.fold import catch_up
from flowlord.cache.groups import BY, grouped, move
from flowlord.cache.historian import Historian
from flowlord.cache.queries import ORDERS, History
from flowlord.model.plan import FactKind
from support.clock import VirtualClock
from support.journal import BEGIN_US, SECOND_US, Kept, done, journal, published, task, told

NOW_US = BEGIN_US + 1_000 * SECOND_US


def failure(key, name, n, msg, hour):
    of = task(name, n, meta=f"workflow=daily.toml&cron=2026-08-01T{hour:02}")
    return published(key, of), (done(key, of, "error", msg), told(FactKind.DEAD, key, msg))


COMMITS = [
    *failure("a", "load:users", 1, "timeout after 31 s", 3),
    *failure("b", "load:orders", 2, "timeout after 7 s", 1),
    *failure("c", "transform:geo", 3, "missing column 'zip'", 2),
    published("d", task("load:users", 4)),
    done("d", task("load:users", 4)),
    published("e", task("load:users", 5), due=BEGIN_US + 5 * SECOND_US),
    published("f", task("load:users", 6), due=BEGIN_US + 5_000 * SECOND_US),
]


def history(commits, behind=0):
    """A history of which the last `behind` entries are told by the journal only."""
    entries = journal(commits)
    historian = Historian(None, VirtualClock())
    historian.attach("g1")
    historian.follow(entries[: len(entries) - behind])
    found = History(historian.connection)
    catch_up(found, Kept(entries))
    return found


def counts(found, by, wanted=None):
    wanted = wanted or Filter()
    return {group.value: group.count for group in grouped(found, wanted, by, NOW_US)}


@pytest.mark.parametrize("behind", [0, 1, 4, len(COMMITS)])
def test_groups_count_the_same_whether_the_file_or_the_journal_tells_it(behind):
    found = history(COMMITS, behind)
    failed = Filter(states=FAILED)
    assert counts(found, "error", failed) == {"timeout after # s": 2, "missing column 'zip'": 1}
    assert counts(found, "topic") == {"load": 5, "transform": 1}
    assert counts(found, "day") == {"2026-08-01": 6}
    assert counts(found, "state") == {"dead": 3, "complete": 1, "waiting": 1, "later": 1}


def test_a_group_of_errors_tells_its_tasks_its_data_times_and_when_it_was_last():
    first, _ = grouped(history(COMMITS), Filter(states=FAILED), "error", NOW_US)
    assert asdict(first) == {
        "value": "timeout after # s",
        "count": 2,
        "names": {"load:users", "load:orders"},
        "moment_from": "2026-08-01T01",
        "moment_to": "2026-08-01T03",
        "last_us": BEGIN_US + 4 * SECOND_US,
    }


def test_what_runs_is_counted_as_running():
    found = history(COMMITS)
    runs = list(found.by_keys(["e"]).values())
    after = {
        group.value: group.count
        for group in move(grouped(found, Filter(), "state", NOW_US), runs, State.RUNNING)
    }
    assert after == {"dead": 3, "complete": 1, "running": 1, "later": 1}


@pytest.mark.parametrize("by", BY)
def test_nothing_has_no_groups(by):
    assert grouped(history([]), Filter(), by, NOW_US) == []


@pytest.mark.parametrize("behind", [0, 3])
@pytest.mark.parametrize("descending", [False, True])
@pytest.mark.parametrize("by", ORDERS)
def test_a_list_is_in_the_order_that_is_asked_for(by, descending, behind):
    found = history(COMMITS, behind)
    whole = found.ordered(Filter(), NOW_US, by, 0, descending=descending)
    assert len(whole) == 6
    values = [ORDERS[by](each) for each in whole]
    assert values == sorted(values, reverse=descending)
    some = found.ordered(Filter(), NOW_US, by, 2, descending=descending)
    assert [ORDERS[by](each) for each in some] == values[:2]


def test_what_a_file_started_is_found_with_all_that_followed():
    path = "s3://acme/in/a:b.csv"
    first = published("a", task("load", 1), cause=f"file:daily.toml:load:{path}:v1")
    child = published("b", task("clean", 1), cause="done:a")
    other = published("c", task("load", 2), cause="file:daily.toml:load:s3://acme/in/other.csv:v1")
    for behind in (0, 3):
        found = history([first, child, other], behind)
        wanted = Filter(ids=found.ids_of_file(path))
        assert sorted(each.key for page in found.pages(wanted, NOW_US) for each in page) == ["a", "b"]
        assert found.ids_of_file("s3://acme/in/nobody.csv") == frozenset()
        assert list(found.pages(Filter(ids=frozenset()), NOW_US)) == []
