"""Questions about decisions and loads: from the file and from the journal alike, each by an index."""

import pytest

from flowlord.cache.decided import (
    alerts_of,
    backloaded,
    begins_us,
    known_keys,
    loads,
    of_keys,
    of_phases,
    sizes_of_batches,
    written,
)
from flowlord.cache.fold import catch_up
from flowlord.cache.historian import Historian
from flowlord.cache.queries import History
from flowlord.model.plan import FactKind, PhaseText
from support.clock import VirtualClock
from support.journal import BEGIN_US, SECOND_US, Kept, done, journal, published, task, told

PHASE = "daily.toml:load:users"
COMMITS = [
    told(
        FactKind.RELOAD,
        "",
        "loaded",
        phase="daily.toml",
        revision="abc@1",
        phases=(PhaseText("load:users", 2),),
    ),
    told(FactKind.MISSED, "", "not started", phase=PHASE, cause=f"tick:{PHASE}:2026-08-01T00:00:00Z", due=7),
    told(FactKind.SKIPPED, "k1", "require", phase=PHASE),
    told(FactKind.ALERT, "", "could not start", phase=PHASE, cause="tick:x"),
    published("k1", task(meta="cron=2026-08-01T01"), batch="b-1"),
    (
        done("k1", task(meta="cron=2026-08-01T01")),
        published("k2", task(meta="cron=2026-08-01T01&retry=1"), batch="b-1"),
    ),
    published("k3", task(meta="cron=2026-08-01T02"), batch="b-1"),
    published("k4", task(n=2, meta="cron=2026-08-01T02"), batch="other"),
    told(FactKind.RELOAD, "", "removed", phase="daily.toml"),
]


@pytest.mark.parametrize("known", range(len(COMMITS) + 1))
def test_the_file_and_the_journal_together_tell_the_same_whatever_each_has(known):
    entries = journal(COMMITS)
    historian = Historian(None, VirtualClock())
    historian.attach("g1")
    historian.follow(entries[:known])
    found = History(historian.connection)
    catch_up(found, Kept(entries))
    [missed, skipped] = of_phases(found, [PHASE, "another"], 0)
    assert (missed.kind, missed.last_us, skipped.kind, skipped.last_us) == ("missed", 7, "skipped", 0)
    assert of_phases(found, [PHASE], 0, ("missed",)) == [missed]
    assert of_phases(found, [PHASE], BEGIN_US + 3 * SECOND_US) == [skipped]
    assert of_keys(found, ["k1"]) == [skipped]
    assert alerts_of(found, [PHASE], 0) == {"tick:x": "could not start"}
    assert [(each.name, each.digest) for each in loads(found)] == [("daily.toml", "abc"), ("daily.toml", "")]
    assert [each.line for each in written(found)["daily.toml", "abc"]] == [2]
    assert begins_us(found) == BEGIN_US + 5 * SECOND_US
    assert known_keys(found, ["k1", "k9", "k3"]) == {"k1", "k3"}
    assert sizes_of_batches(found, ["b-1", "other", "none"]) == {"b-1": 2, "other": 1}
    assert backloaded(found) == {(PHASE, "2026-08-01T01"): 1, (PHASE, "2026-08-01T02"): 1}


def test_a_text_that_is_no_unicode_is_found_nowhere_and_breaks_nothing():
    found = History(Historian(None, VirtualClock()).connection)
    odd = "x\ud800"
    assert of_phases(found, [odd], 0) == of_keys(found, [odd]) == []
    assert known_keys(found, [odd]) == set()
    assert sizes_of_batches(found, [odd]) == {}


@pytest.mark.parametrize(
    ("ask", "index"),
    [
        (lambda history: of_phases(history, ["a"], 0, ("missed",)), "decisions_phase"),
        (lambda history: of_keys(history, ["a"]), "decisions_key"),
        (lambda history: alerts_of(history, ["a"], 0), "alerts_phase"),
        (lambda history: known_keys(history, ["a"]), "COVERING INDEX tasks_key"),
        (lambda history: sizes_of_batches(history, ["a"]), "INDEX tasks_batch"),
        (backloaded, "COVERING INDEX tasks_backloaded"),
    ],
)
def test_each_question_uses_its_index(ask, index):
    history = History(Historian(None, VirtualClock()).connection)
    asked = []
    plain = history.rows
    history.rows = lambda sql, values: asked.append((sql, values)) or plain(sql, values)
    ask(history)
    [(sql, values)] = asked
    plan = " ".join(str(row[3]) for row in plain(f"EXPLAIN QUERY PLAN {sql}", values))
    assert index in plan
    assert (
        "SCAN tasks USING COVERING INDEX" in plan or "SCAN" not in plan
    )  # of a partial index all rows are wanted
