"""What each fact of the journal means for the row of an attempt."""

import itertools

import pytest

from flowlord.cache.attempt import Attempt, State, microseconds, told_by, told_by_meta
from flowlord.cache.ledger import Ledger
from flowlord.model.plan import Fact, FactKind
from support.journal import BEGIN_US, SECOND_US, done, journal, published, task, told


def after(*commits) -> Ledger:
    ledger = Ledger()
    ledger.apply(journal(commits))
    return ledger


def row(*commits) -> Attempt:
    [attempt] = after(*commits).attempts.values()
    return attempt


def test_a_published_message_waits():
    found = row(published("k", task(meta="workflow=daily.toml&cron=2026-08-01T05&retry=2"), cause="tick:x"))
    assert (found.state, found.type, found.job, found.workflow) == ("waiting", "load", "users", "daily.toml")
    assert (found.number, found.moment, found.published_us) == (3, "2026-08-01T05", BEGIN_US + SECOND_US)
    assert (found.parent, found.retry_of) == ("", "")


def test_a_delayed_message_is_later_until_its_time_has_come():
    due = BEGIN_US + 60 * SECOND_US
    found = row(published("k", due=due))
    assert found.state_at(due - 1) is State.LATER
    assert found.state_at(due) is State.WAITING


@pytest.mark.parametrize("result", ["complete", "warn", "alert", "error"])
def test_a_result_ends_an_attempt_with_what_the_worker_told(result):
    found = row(published("k"), done("k", result=result, msg="words", output="tail"))
    assert (found.state, found.result, found.msg, found.output, found.worker) == (
        result,
        result,
        "words",
        "tail",
        "w1",
    )
    assert found.took_us == 2 * SECOND_US
    assert found.happened_us == BEGIN_US + 2 * SECOND_US


def test_a_failure_that_is_tried_again_is_retried_and_the_next_attempt_names_it():
    again = published("k2", task(meta="retry=1"), cause="retry:k1")
    ledger = after(
        published("k1"),
        (done("k1", result="error", msg="no"), told(FactKind.RETRY, "k1", "try 2 of 3"), again),
    )
    first, second = ledger.attempts.values()
    assert (first.state, first.msg, first.reason) == ("retried", "no", "try 2 of 3")
    assert (second.state, second.retry_of, second.number) == ("waiting", "k1", 2)


def test_a_dead_letter_is_the_end_of_its_attempt_and_no_attempt_itself():
    of = task()
    copy = task(meta="retry=failed&retried=3", result="error")
    facts = (
        done("k", of, "error"),
        told(FactKind.DEAD, "k", "no tries left"),
        told(FactKind.ALERT, "k", "no tries left", copy),
        published("k:dead", copy, topic="retry-failed", cause="dead:k"),
    )
    for order in itertools.permutations(facts):
        ledger = after(published("k", of), order)
        [found] = ledger.attempts.values()
        assert (found.key, found.state, found.reason, found.result) == ("k", "dead", "no tries left", "error")
        assert [alert[1] for alert in ledger.alerts] == ["k"]


def test_a_dead_attempt_that_history_never_saw_begin_is_told_whole():
    facts = (done("k", task(n=7), "error", "no"), told(FactKind.DEAD, "k", "gone"))
    for order in itertools.permutations(facts):
        found = row(order)
        assert (found.state, found.id, found.info, found.msg) == (
            "dead",
            "00000007-run",
            "s3://in/7.json",
            "no",
        )


def test_a_silent_death_raises_no_alert():
    assert after(published("k"), told(FactKind.DEAD, "k", "quiet")).alerts == []


def test_purging_dead_letters_changes_no_history():
    ledger = after(
        published("k"),
        (done("k", result="error"), told(FactKind.DEAD, "k")),
        told(
            FactKind.CANCELLED, "k:dead", "purged", task(result="error"), topic="retry-failed", cause="dead:k"
        ),
    )
    assert {key: each.state for key, each in ledger.attempts.items()} == {"k": "dead"}


def test_a_result_on_its_way_is_no_attempt():
    ledger = after(
        published("k"),
        published("k", task(result="complete"), topic="done"),
        published("x", topic="quarantine"),
    )
    assert {key: each.state for key, each in ledger.attempts.items()} == {"k": "waiting"}


def test_a_result_of_a_task_that_nobody_published_is_kept():
    found = row(done("k", task("foreign", 9), "complete"))
    assert (found.state, found.type, found.id, found.published_us) == (
        "complete",
        "foreign",
        "00000009-run",
        0,
    )


def test_cancelled_and_quarantined_tell_their_reason():
    assert row(published("k"), told(FactKind.CANCELLED, "k", "asked to")).reason == "asked to"
    ledger = after(published("k"), told(FactKind.QUARANTINED, "k", "no JSON"))
    assert ledger.attempts["k"].state == "quarantined"
    assert [(row[1], row[6]) for row in ledger.decisions] == [("quarantined", "no JSON")]


def test_what_was_not_understood_at_all_is_a_decision_and_no_attempt():
    ledger = after(
        told(FactKind.QUARANTINED, "", "no JSON"), told(FactKind.QUARANTINED, "never-seen", "no JSON")
    )
    assert (len(ledger.attempts), len(ledger.decisions)) == (0, 2)


def test_skipped_missed_files_and_loads_are_recorded():
    ledger = after(
        told(FactKind.SKIPPED, "k", "requires x"),
        told(FactKind.MISSED, "", "nobody ran"),
        Fact(FactKind.FILE, cause="file:/a.csv:1", text="no phase matches /a.csv"),
        Fact(FactKind.RELOAD, phase="daily.toml", revision="1", text="loaded"),
        Fact(FactKind.RELOAD, phase="daily.toml", revision="2", text="changed"),
    )
    assert [row[1] for row in ledger.decisions] == ["skipped", "missed"]
    assert [(row[1], row[-3]) for row in ledger.files] == [("/a.csv", "file:/a.csv:1")]
    assert [row[:2] for row in ledger.workflows.values()] == [("daily.toml", "2")]


def test_publishing_again_opens_what_is_open_and_leaves_what_has_ended():
    assert row(published("k"), published("k")).published_us == BEGIN_US + SECOND_US
    assert row(published("k"), done("k"), published("k")).state == "complete"


def test_every_kind_of_fact_is_understood():
    for kind in FactKind:
        after(Fact(kind))
        after(Fact(kind, key="k", task=task()))


@pytest.mark.parametrize(
    ("text", "us"),
    [
        ("1970-01-01T00:00:01Z", 1_000_000),
        ("1970-01-01T01:00:01.5+01:00", 1_500_000),
        ("1970-01-01T00:00:01.123456789Z", 1_123_456),
        ("1970-01-01T00:00:01", 1_000_000),
        ("", 0),
        ("yesterday", 0),
        ("0001-01-01T00:00:00Z", 0),
    ],
)
def test_times_of_the_wire_are_microseconds_or_unknown(text, us):
    assert microseconds(text) == us


@pytest.mark.parametrize(
    ("meta", "number", "moment"),
    [
        ("", 1, ""),
        ("retry=2", 3, ""),
        ("xretry=2&cron=2026-08-01T00%3A30", 1, "2026-08-01T00:30"),
        ("retry=failed&retried=3", 4, ""),
        ("retry=many", 1, ""),
        ("retry=99999999999999999999", 1, ""),
        ("cron=a&cron=b", 1, "a"),
    ],
)
def test_meta_tells_the_attempt_and_the_data_time(meta, number, moment):
    assert told_by_meta(meta) == (number, moment)


@pytest.mark.parametrize(
    ("info", "meta", "moment"),
    [
        ("in/2026/11/26/new.csv", "workflow=a.toml&file=in/2026/11/26/new.csv", "2026-11-26T00"),
        ("./in/2026/11/25/old.csv?day=2026-11-24", "", "2026-11-24T00"),
        ("s3://lake/2026/11/26/07/a.csv", "retry=1", "2026-11-26T07"),
        ("?name=users", "file=in/20261126T070500.csv", "2026-11-26T07"),
        ("in/2026/11/26/new.csv", "cron=2026-08-01T05", "2026-08-01T05"),
        ("?id=20261126", "", ""),
        ("?name=users", "profile=2026", ""),
    ],
)
def test_a_task_without_a_planned_hour_has_the_data_time_of_its_info_or_its_file(info, meta, moment):
    each = task(info=info, meta=meta)
    assert told_by(each)[1] == moment
    assert row(published("k", each)).moment == moment
    assert row(done("k", each)).moment == moment, "heard of by its end only"


def test_what_is_late_and_what_was_lost_is_noted_beside_where_it_stands():
    late = told(FactKind.LATE, "k", "not done after 4h")
    ledger = after(published("k"), late, late, told(FactKind.LOST, "k", "w1"), told(FactKind.LOST, "k", "w2"))
    [found] = ledger.attempts.values()
    assert (found.state, found.late_us, found.lost) == ("waiting", BEGIN_US + 2 * SECOND_US, 2)
    assert found.due_us == BEGIN_US + 5 * SECOND_US, "it was offered again when the last one was lost"
    assert [kind for _, kind, *_ in ledger.decisions] == ["lost", "lost"], (
        "the alert beside tells why it is late"
    )
    found = row(published("k"), late, done("k"))
    assert (found.state, found.late_us) == ("complete", BEGIN_US + 2 * SECOND_US)


def test_what_is_late_without_being_known_is_known_from_then_on():
    found = row(Fact(FactKind.LATE, key="k", topic="load", phase="a.toml:load", task=task()))
    assert (found.key, found.topic, found.workflow, found.lost) == ("k", "load", "a.toml", 0)


def test_what_was_put_back_says_why_until_it_ends():
    due = BEGIN_US + 60 * SECOND_US
    words = "put back 2 times, last by w1: not there yet; gives up at 2026-08-02T00:00:00Z"
    back = (published("k", due=due), told(FactKind.AGAIN, "k", words))
    for commit in (back, back[::-1]):
        found = row(published("k"), commit)
        assert (found.state, found.reason, found.due_us) == ("later", words, due)
        assert row(published("k"), commit, done("k")).reason == ""
        ended = (done("k", result="error"), told(FactKind.DEAD, "k", "no tries are left"))
        assert row(published("k"), commit, ended).reason == "no tries are left"
        assert row(published("k"), commit, ended[::-1]).reason == "no tries are left"
    assert [kind for _, kind, *_ in after(published("k"), back).decisions] == ["again"]


def test_a_moved_attempt_is_of_its_new_topic_and_moving_it_to_the_results_changes_nothing():
    ledger = Ledger()
    ledger.apply(journal([published("k"), told(FactKind.MOVED, "k", topic="slow", cause="moved:load")]))
    assert ledger.attempts["k"].topic == "slow"
    ledger.apply(journal([told(FactKind.MOVED, "k", topic="done"), told(FactKind.MOVED, "", topic="files")]))
    assert ledger.attempts["k"].topic == "slow"
