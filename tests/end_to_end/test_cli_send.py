"""`flowlord send`: what it answers, when it waits, and what it never does twice."""

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from flowlord.bus.clock import SystemClock
from support.processes import flowlord, running, tasks, write

FILES = {
    "workflows/a.toml": """
        [[phase]]
        task = "ok"
        rule = "cron=@yearly"

        [[phase]]
        task = "after"
        dependsOn = "ok"

        [[phase]]
        task = "bad"
        rule = "cron=@yearly&retry_delay=50ms"
        retry = 1

        [[phase]]
        task = "twice"
        rule = "cron=@yearly"

        [[phase]]
        task = "parent"
        rule = "cron=@yearly"

        [[phase]]
        task = "bad:child"
        dependsOn = "parent"
    """,
    "workflows/b.toml": """
        [[phase]]
        task = "twice"
        rule = "cron=@yearly"
    """,
}
WORKERS = {
    "ok": "builtin:echo",
    "after": "builtin:noop",
    "twice": "builtin:noop",
    "parent": "builtin:noop",
    "bad": "sh -c 'echo out of luck >&2; exit 3'",
}


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A folder with a daemon that runs in it."""
    here = write(tmp_path_factory.mktemp("send"), FILES)
    hosted = [word for name, command in WORKERS.items() for word in ("--worker", f"{name}={command}")]
    with running("run", "workflows", *hosted, cwd=here) as daemon:
        daemon.says("a.toml was loaded")
        yield here
        assert daemon.end() == 0
        assert "Traceback" not in daemon.err


def with_info(home: Path, info: str) -> list[dict]:
    return [row for row in tasks(home) if row["info"] == info]


def runs(home: Path) -> set[str]:
    """What was sent. Children and retries of earlier tests' tasks may still come; they share the ids of their runs."""
    return {row["id"] for row in tasks(home)}


def test_it_says_the_id_and_names_the_workflow_whose_children_follow(home):
    sent = flowlord("send", "ok", "plain", cwd=home)
    assert sent.code == 0
    assert "ok is a phase of a.toml; its children follow" in sent.err
    assert "sent " in sent.err
    [line] = sent.out.splitlines()
    assert len(line) == 36, "a pipe gets the whole id and nothing else"


def test_a_topic_that_others_would_trip_over_is_noted_and_a_phase_without_children_promises_none(tmp_path):
    write(tmp_path, {"workflows/a.toml": '[[phase]]\ntask = "alone"\nrule = "cron=@yearly"\n'})
    sent = flowlord("send", "a b", "x", cwd=tmp_path)
    assert sent.code == 0
    assert "note: the topic 'a b' holds ' '; letters, digits and" in sent.err
    sent = flowlord("send", "alone", "x", cwd=tmp_path)
    assert "note: alone is a phase of a.toml\n" in sent.err
    assert "holds" not in sent.err


def test_waiting_ends_with_zero_when_the_task_is_complete(home):
    sent = flowlord("send", "ok", "hello", "--wait", cwd=home)
    assert sent.code == 0
    assert "done in" in sent.err
    assert "hello" in sent.err


def test_waiting_ends_with_one_when_it_failed_after_its_retries(home):
    sent = flowlord("send", "bad", "unlucky", "--wait", cwd=home)
    assert sent.code == 1
    assert "out of luck" in sent.err
    assert sorted(row["attempt"] for row in with_info(home, "unlucky")) == [1, 2]


def test_waiting_ends_with_124_when_time_is_over(home):
    sent = flowlord("send", "nobody", "x", "--wait", "--timeout", "300ms", cwd=home)
    assert sent.code == 124
    [row] = with_info(home, "x")
    assert f"still waiting after 300ms, it has not begun: flowlord why {row['key'][:12]}" in sent.err


def test_waiting_for_children_counts_their_failures_too(home):
    assert flowlord("send", "parent", "--wait", cwd=home).code == 0
    sent = flowlord("send", "parent", "--wait", "--children", cwd=home)
    assert sent.code == 1
    assert "out of luck" in sent.err


def test_the_same_key_sends_once(home):
    first = flowlord("send", "ok", "keyed", "--key", "k1", "--wait", cwd=home)
    again = flowlord("send", "ok", "keyed", "--key", "k1", cwd=home)
    assert (first.code, again.code) == (0, 0)
    assert "already sent as" in again.err
    assert again.out == first.out, "the same id again"
    assert len(with_info(home, "keyed")) == 1


def test_the_same_key_over_a_file_that_grew_sends_what_is_new(home):
    for rows, ids in (("a-1\n", 1), ("a-1\na-2\na-3\n", 3)):
        sent = flowlord("send", "ok", "--from-file", "-", "--key", "grows", cwd=home, stdin=rows)
        assert sent.code == 0, sent.err
        assert len(sent.out.split()) == ids
    assert [len(with_info(home, f"a-{n}")) for n in (1, 2, 3)] == [1, 1, 1]


def test_waiting_for_what_was_sent_and_failed_before_tells_so(home):
    assert flowlord("send", "bad", "x2", "--key", "k3", "--wait", cwd=home).code == 1
    assert flowlord("send", "bad", "x2", "--key", "k3", "--wait", "--timeout", "10s", cwd=home).code == 1


def test_waiting_for_what_was_sent_before_ends(home):
    """A task that is over has nothing left to wait for."""
    assert flowlord("send", "ok", "over", "--key", "k2", "--wait", cwd=home).code == 0
    again = flowlord("send", "ok", "over", "--key", "k2", "--wait", "--timeout", "10s", cwd=home)
    assert again.code == 0, again.err


def test_a_delay_is_kept(home):
    before = SystemClock().now()
    sent = flowlord("send", "ok", "late", "--delay", "1s", "--wait", cwd=home)
    assert sent.code == 0
    [row] = with_info(home, "late")
    due, began = (datetime.fromisoformat(row[name]) for name in ("due", "started"))
    assert before + timedelta(seconds=1) <= due <= began


def test_a_moment_in_the_future_waits_until_then(home):
    sent = flowlord("send", "ok", "far", "--at", "2999-01-01T00:00:00Z", cwd=home)
    assert sent.code == 0
    assert [row["state"] for row in with_info(home, "far")] == ["later"]


def test_many_are_sent_from_a_file_and_from_stdin(home, tmp_path):
    rows = tmp_path / "rows.jsonl"
    rows.write_text(
        '{"info": "row-1", "meta": {"a": "1"}}\n\nrow-2\n{"info": "row-3", "priority": 9}\n', "utf-8"
    )
    sent = flowlord("send", "ok", "--from-file", str(rows), "--wait", cwd=home)
    assert sent.code == 0, sent.err
    assert "3 tasks" in sent.err
    assert len(sent.out.split()) == 3
    assert {len(with_info(home, f"row-{n}")) for n in (1, 2, 3)} == {1}
    piped = flowlord("send", "ok", "--from-file", "-", cwd=home, stdin="row-4\nrow-5\n")
    assert piped.code == 0
    assert len(piped.out.split()) == 2
    alone = flowlord("send", "ok", "-", cwd=home, stdin="from stdin\n")
    assert alone.code == 0
    assert len(with_info(home, "from stdin")) == 1


def test_a_phase_of_two_files_needs_the_workflow_to_be_named(home):
    sent = flowlord("send", "twice", "a", cwd=home)
    assert sent.code == 0
    assert "a.toml, b.toml all have a phase twice" in sent.err
    named = flowlord("send", "twice", "b", "--workflow", "b.toml", cwd=home)
    assert named.code == 0
    assert "note:" not in named.err
    assert with_info(home, "b")[0]["workflow"] == "b.toml"


def test_what_is_sent_can_be_read_as_json(home):
    sent = flowlord("send", "ok", "as json", "-o", "json", cwd=home)
    [row] = sent.data
    assert (row["topic"], row["info"], row["sent"]) == ("ok", "as json", True)


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (["ok", "--meta", "nopair"], 2, "key=value"),
        (["ok", "--priority", "urgent"], 2, "low, normal, high, critical"),
        (["ok", "--delay", "10"], 2, "10"),
        (["ok", "--delay", "1s", "--at", "now"], 2, "exclude each other"),
        (["ok", "--at", "someday"], 2, "someday"),
        (["ok", "--timeout", "soon", "--wait"], 2, "soon"),
        (
            ["ok", "--from-file", "nowhere.jsonl"],
            2,
            "nowhere.jsonl cannot be read: No such file or directory\n",
        ),
        (["", "x"], 2, "topic"),
        (["ok", "--workflow", "c.toml"], 5, "a.toml"),
        (["after", "--workflow", "b.toml"], 5, "no phase after"),
        (["ok", "--workflows", "nowhere"], 2, "nowhere"),
        (["done", "x"], 2, "hint: only workers report there"),
        (["done:job", "x"], 2, "the topic of results"),
        (["quarantine", "x"], 2, "hint: flowlord topics peek quarantine"),
    ],
)
def test_what_cannot_be_meant_is_refused_before_anything_is_sent(home, arguments, code, words):
    before = runs(home)
    sent = flowlord("send", *arguments, cwd=home)
    assert sent.code == code, sent.err
    assert words in sent.err
    assert "Traceback" not in sent.err
    assert runs(home) == before


def test_a_row_of_a_file_that_is_wrong_sends_nothing_at_all(home, tmp_path):
    rows = tmp_path / "rows.jsonl"
    rows.write_text('fine\n{"info": \n', "utf-8")
    before = runs(home)
    sent = flowlord("send", "ok", "--from-file", str(rows), cwd=home)
    assert sent.code == 2
    assert "rows.jsonl" in sent.err
    assert runs(home) == before


@pytest.mark.parametrize(
    ("row", "words"),
    [
        ('{"info": null, "job": null}', "info is null; it must be a text"),
        ('{"info": "x", "job": 5}', "job is 5; it must be a text"),
        ('{"info": ["x"]}', 'info is ["x"]; it must be a text'),
        ('{"info": "\\ud800"}', "it must be Unicode text"),
        ('{"info": "x", "priority": true}', "priority is true; it must be 0 to 10, or low"),
        ('{"info": "x", "priority": 11}', "priority is 11; it must be 0 to 10, or low"),
        ('{"info": "x", "priority": "urgent"}', 'priority is "urgent"; it must be 0 to 10, or low'),
        ('{"info": "x", "meta": null}', "meta is null; it must be an object"),
        ('{"info": "x", "meta": ["a"]}', 'meta is ["a"]; it must be an object'),
        ('{"info": "x", "meta": {"a": null}}', "meta.a is null; it must be a text, a number"),
        ('{"info": "x", "meta": {"a": {"b": 1}}}', 'meta.a is {"b": 1}; it must be a text, a number'),
        ('{"info": "x", "meta": {"a": NaN}}', "meta.a is NaN; it must be a text, a number"),
        ('{"info": "x", "meta": {"": "b"}}', "keys are not empty"),
        ('{"info": ' + "[" * 100_000 + "]" * 100_000 + "}", "nested too deeply"),
        ('{"info": "x"', "not JSON"),
    ],
)
def test_a_row_that_is_no_task_is_told_with_its_line_and_what_is_allowed(home, tmp_path, row, words):
    rows = tmp_path / "rows.jsonl"
    rows.write_text(f"fine\n\n{row}\n", "utf-8")
    before = runs(home)
    sent = flowlord("send", "ok", "--from-file", str(rows), cwd=home)
    assert sent.code == 2
    assert f"{rows}:3: " in sent.err
    assert words in sent.err
    assert "Traceback" not in sent.err
    assert runs(home) == before


def test_numbers_and_truths_in_the_meta_of_a_row_are_written_as_in_json(home):
    row = '{"info": "typed", "meta": {"n": 5, "x": 1.5, "yes": true, "no": false, "t": "text"}}'
    assert flowlord("send", "ok", "--from-file", "-", "--wait", cwd=home, stdin=row).code == 0
    [found] = with_info(home, "typed")
    assert {"n=5", "x=1.5", "yes=true", "no=false", "t=text"} <= set(found["meta"].split("&"))


def test_a_task_is_not_sent_to_where_results_are_configured_to_travel(tmp_path):
    sent = flowlord("send", "reports", "x", cwd=tmp_path, env={"FLOWLORD_DONE_TOPIC": "reports"})
    assert sent.code == 2
    assert "the topic of results" in sent.err


@pytest.mark.parametrize(("history", "words"), [(True, "; the history says"), (False, "journal begins\n")])
def test_waiting_for_what_ended_before_the_journal_begins_says_so(tmp_path, history, words):
    """The journal is trimmed by hand, as a sweep does after a week."""
    write(tmp_path, FILES)
    hosted = [word for name, command in WORKERS.items() for word in ("--worker", f"{name}={command}")]
    with running("run", "workflows", *hosted, cwd=tmp_path) as daemon:
        daemon.says("a.toml was loaded")
        assert flowlord("send", "ok", "old", "--key", "good", "--wait", cwd=tmp_path).code == 0
        assert flowlord("send", "bad", "old", "--key", "bad", "--wait", cwd=tmp_path).code == 1
        assert flowlord("send", "ok", "newest", "--wait", cwd=tmp_path).code == 0
        assert daemon.end() == 0
    with closing(sqlite3.connect(tmp_path / ".flowlord/bus.db")) as db, db:
        db.execute("DELETE FROM journal WHERE seq < (SELECT max(seq) FROM journal)")
        db.execute("DELETE FROM waiting")
        db.execute("DELETE FROM messages")
    env = {} if history else {"FLOWLORD_CACHE_ENABLED": "false"}
    again = ("--wait", "--timeout", "10s")
    good = flowlord("send", "ok", "old", "--key", "good", *again, cwd=tmp_path, env=env)
    assert (good.code, "ended before the journal begins" in good.err) == (0, True), good.err
    assert words in good.err
    bad = flowlord("send", "bad", "old", "--key", "bad", *again, cwd=tmp_path, env=env)
    assert (bad.code, "ended before the journal begins" in bad.err) == (int(history), True), bad.err
    assert ("dead" in bad.err) == history


def test_a_workflow_that_is_broken_and_never_worked_is_named_as_such(tmp_path):
    write(tmp_path, {"workflows/a.toml": "[[phase]]\ntask = 5\n"})
    sent = flowlord("send", "ok", "--workflow", "a.toml", cwd=tmp_path)
    assert sent.code == 5
    assert "the workflow a.toml is broken" in sent.err
    plain = flowlord("send", "ok", cwd=tmp_path)
    assert plain.code == 0
    assert "a.toml is broken, it is left out" in plain.err
