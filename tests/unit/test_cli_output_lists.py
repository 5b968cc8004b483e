"""Every list command, in every form, with nothing, one or many rows, in a pipe and on a terminal."""

import csv
import io
import json
from datetime import timedelta

import pytest

from flowlord.cache.attempt import Attempt
from flowlord.cache.historian import Historian
from flowlord.cli import quarantine, topics, topics_tail, workers
from flowlord.cli.chosen import Row, told
from flowlord.cli.exits import ANSWER_IS_BAD, DONE, INTERRUPTED, NO_SUCH_THING, UNREACHABLE, WRONG_USE
from flowlord.cli.printer import Look
from flowlord.cli.quarantine import Picked
from flowlord.model.errors import BusUnavailable, FlowlordError
from flowlord.model.plan import Plan, Quarantined
from support.journal import journal, published, task
from support.place import Place

EVIL = "\x1b]0;owned\x07 a\tb\nc \u202edcba =1+1"


@pytest.fixture
def place(tmp_path):
    found = Place(tmp_path)
    yield found
    if found._bus is not None:
        found._bus.close()


def fill(place, many):
    """`many` tasks with an evil text: done with a child, dead, to be tried again, running, waiting."""
    for _ in range(many):
        place.bus.commit(Plan(quarantine=(Quarantined("files", EVIL.encode() + b"\\xff", EVIL),)))
    if many:
        place.beat("w1")
        place.send(0, EVIL)
        place.work()
    if many > 1:
        place.send(1, EVIL)
        place.work("error", EVIL)
        place.clock.advance(60)
        place.bus.promote()
        place.work("error", EVIL)
        place.send(2, EVIL)
        place.work("error", EVIL)
    for n in range(3, many):
        place.send(n, EVIL)
    if many > 1:
        place.bus.claim(["extract"], "w2", 1)


COMMANDS = {
    "tasks": lambda place, look: place.tasks(look),
    "tasks --failed": lambda place, look: place.tasks(look, failed=True),
    "tasks --running": lambda place, look: place.tasks(look, running=True),
    "tasks --group-by error": lambda place, look: place.tasks(look, group_by="error"),
    "tasks --group-by topic": lambda place, look: place.tasks(look, group_by="topic"),
    "tasks --group-by day": lambda place, look: place.tasks(look, group_by="day"),
    "tasks --group-by state": lambda place, look: place.tasks(look, group_by="state"),
    "tasks --sort -took": lambda place, look: place.tasks(look, sort="-took"),
    "tasks --error --info": lambda place, look: place.tasks(look, error="CBA", info="*", to="2026-08-01"),
    "quarantine": lambda place, look: quarantine.show_list(
        place.where, Picked(), 0, look=look, clock=place.clock
    ),
    "topics tail": lambda place, look: topics_tail.tail(
        place.where, "retry-failed", number=9, follow=False, look=look, clock=place.clock
    ),
    "topics": lambda place, look: topics.run(place.where, place.cache, look=look, clock=place.clock),
    "topics peek": lambda place, look: topics.peek(place.where, "retry-failed", look=look, clock=place.clock),
    "workers": lambda place, look: workers.run(place.where, look=look, clock=place.clock),
}


def parsed(form, text):
    """What a program reads out of an output: a list of rows."""
    match form:
        case "json":
            return json.loads(text)
        case "jsonl":
            return [json.loads(line) for line in text.splitlines()]
        case "csv":
            return list(csv.DictReader(io.StringIO(text)))
        case "tsv":
            [head, *rows] = [line.split("\t") for line in text.splitlines()] or [[]]
            assert all(len(row) == len(head) for row in rows)
            return [dict(zip(head, row, strict=True)) for row in rows]
        case "name":
            return text.splitlines()
        case _:
            return text.splitlines()[1:]


@pytest.mark.parametrize("many", [0, 1, 7])
@pytest.mark.parametrize("kept", [True, False], ids=["history", "journal"])
@pytest.mark.parametrize("command", COMMANDS)
def test_every_list_in_every_form_can_be_parsed(place, capsys, command, many, kept):
    fill(place, many)
    if kept and many:
        place.follow()
    counts = {}
    for look in place.forms:
        assert COMMANDS[command](place, look) == DONE
        out, err = capsys.readouterr()
        counts[look.form] = len(parsed(look.form, out))
        assert "Traceback" not in err
        assert not any(
            (ord(c) < 0x20 and c not in "\n\t") or 0x7F <= ord(c) < 0xA0 or c == "\u202e" for c in out + err
        )
        assert "\t" not in out or look.form == "tsv"
    assert len(set(counts.values())) == 1
    if not many:
        assert set(counts.values()) == {0}


def test_machines_get_the_same_values_in_every_form(place, capsys):
    fill(place, 7)
    place.follow()
    rows = {}
    for form in ("json", "jsonl", "csv", "tsv"):
        place.tasks(Look(form))
        rows[form] = parsed(form, capsys.readouterr().out)
    assert rows["json"] == rows["jsonl"]
    assert {row["info"] for row in rows["json"]} >= {EVIL}
    for text in ("csv", "tsv"):
        assert [list(row) for row in rows[text]] == [list(row) for row in rows["json"]]
        assert [row["key"] for row in rows[text]] == [row["key"] for row in rows["json"]]
    assert {row["state"] for row in rows["json"]} == {
        "complete",
        "retried",
        "dead",
        "waiting",
        "running",
        "later",
    }


def test_an_empty_folder_stays_empty_and_gives_an_empty_list(place, capsys, tmp_path):
    assert place.tasks(Look("json")) == DONE
    assert capsys.readouterr().out == "[]\n"
    assert list(tmp_path.iterdir()) == []


def test_a_pipe_gets_tabs_times_in_utc_and_no_words(place, capsys):
    fill(place, 7)
    place.follow()
    place.tasks()
    out, err = capsys.readouterr()
    assert err == ""
    [first, *rows] = out.splitlines()
    assert first.startswith("state\tid\tkey\t")
    assert len(rows) == 10
    assert "2026-08-01T12:00:02Z" in out
    place.tasks(Look(no_headers=True))
    assert capsys.readouterr().out.splitlines() == rows


@pytest.fixture
def terminal(monkeypatch):
    monkeypatch.setattr("flowlord.cli.printer.on_terminal", lambda: True)
    monkeypatch.setenv("COLUMNS", "90")
    monkeypatch.setenv("TERM", "xterm")


def test_a_terminal_gets_a_table_that_fits(place, capsys, terminal):
    fill(place, 7)
    place.clock.advance(600)
    place.follow()
    place.tasks()
    out, err = capsys.readouterr()
    assert "\x1b[31m☠ dead\x1b[0m" in out
    assert "…" in out
    assert "m ago" in out
    assert "\\x1b]0;owned" in out
    assert err == ""
    place.tasks(Look(color="never", ascii=True))
    out = capsys.readouterr().out
    assert out.isascii()
    assert all(len(line) <= 90 for line in out.splitlines())
    assert "X dead" in out
    place.tasks(Look(color="never", wide=True))
    assert "…" not in capsys.readouterr().out


@pytest.mark.parametrize(
    ("variables", "colored"),
    [
        ({}, True),
        ({"NO_COLOR": "1"}, False),
        ({"TERM": "dumb"}, False),
        ({"NO_COLOR": "1", "CLICOLOR_FORCE": "1"}, False),
    ],
)
def test_colour_follows_the_environment(place, capsys, terminal, monkeypatch, variables, colored):
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    place.send(1)
    place.tasks()
    assert ("\x1b[" in capsys.readouterr().out) is colored


def test_colour_in_a_pipe_only_when_it_is_asked_for(place, capsys, monkeypatch):
    fill(place, 7)
    place.tasks(Look("table"))
    assert "\x1b" not in capsys.readouterr().out
    place.tasks(Look("table", color="always"))
    assert "\x1b[31m" in capsys.readouterr().out
    monkeypatch.setenv("CLICOLOR_FORCE", "1")
    for form in ("", "json", "csv"):
        place.tasks(Look(form))
        assert "\x1b" not in capsys.readouterr().out
    place.tasks(Look("table"))
    assert "\x1b[31m" in capsys.readouterr().out


def test_a_terminal_is_told_how_much_more_there_is(place, capsys, terminal):
    for n in range(60):
        place.send(n)
    place.follow()
    place.tasks()
    out, err = capsys.readouterr()
    assert len(out.splitlines()) == 51
    assert err == "… 10 more, --limit 0 for all\n"
    place.tasks(limit=0)
    out, err = capsys.readouterr()
    assert (len(out.splitlines()), err) == (61, "")
    place.tasks(topic="nobody")
    assert capsys.readouterr() == ("", "no such tasks\n")


def test_counting_and_exit_codes(place, capsys):
    fill(place, 7)
    place.follow()
    for asked, count in (
        ({}, "10"),
        ({"failed": True}, "1"),
        ({"running": True}, "1"),
        ({"state": "dead,complete"}, "2"),
    ):
        assert place.tasks(count=True, exit_code=True, **asked) == ANSWER_IS_BAD
        assert capsys.readouterr().out == f"{count}\n"
        assert place.tasks(exit_code=True, **asked) == ANSWER_IS_BAD
        assert len(capsys.readouterr().out.splitlines()) == int(count) + 1
    assert place.tasks(Look("json"), state="cancelled", count=True, exit_code=True) == DONE
    assert json.loads(capsys.readouterr().out) == {"count": 0}


def test_what_waits_and_what_runs_is_the_word_of_the_bus(place, capsys):
    place.send(1)
    place.follow()
    place.clock.advance(1)
    place.send(2)  # the history does not know it yet
    place.bus.claim(["extract"], "w1", 1)
    place.tasks(Look("jsonl"))
    rows = parsed("jsonl", capsys.readouterr().out)
    assert [(row["id"][:8], row["state"], row["worker"]) for row in rows] == [
        ("00000002", "waiting", ""),
        ("00000001", "running", "w1"),
    ]
    place.tasks(Look("name"), waiting=True)
    assert capsys.readouterr().out == f"{2:032x}\n"


@pytest.mark.parametrize("asked", [{"state": "failled"}, {"since": "soon"}, {"until": "2026-99"}])
def test_words_that_mean_nothing_are_wrong_use_with_a_hint(place, asked):
    with pytest.raises(FlowlordError) as told:
        place.tasks(**asked)
    assert told.value.hint or "write" in str(told.value)


@pytest.mark.parametrize("wrong", [{"form": "yaml"}, {"form": "jsn"}, {"color": "sometimes"}])
def test_an_unknown_form_is_refused(wrong):
    with pytest.raises(FlowlordError) as told:
        Look(**wrong)
    assert told.value.hint


def test_the_story_of_a_task_in_every_form(place, capsys):
    fill(place, 7)
    place.follow()
    assert place.task("00000001", Look("json")) == DONE
    told = json.loads(capsys.readouterr().out)
    assert (told["state"], len(told["attempts"])) == ("dead", 2)
    assert place.task("00000000-", Look("json")) == DONE
    told = json.loads(capsys.readouterr().out)
    assert [(each["depth"], each["type"]) for each in told["descendants"]] == [(0, "load")]
    child = told["descendants"][0]["key"]
    for what in (
        "00000001",
        "@failed",
        "@last",
        child[:10],
        "00000000-run/load:users",
        "00000000-run/load",
        f"{1:032x}",
    ):
        for look in place.forms:
            assert place.task(what, look) == DONE
            out, err = capsys.readouterr()
            assert "\x1b" not in out
            assert "\u202e" not in out
            assert out
            assert err == ""
    place.task(child, Look("table"))
    assert "child of extract:users" in capsys.readouterr().out


def test_the_next_command_of_a_failed_task_can_be_pasted(place, capsys):
    place.send(1, "s3://in?a=1&b='x y'")
    for _ in range(2):
        place.work("error", "no")
        place.clock.advance(60)
        place.bus.promote()
    place.task("@failed", Look("table"))
    out = capsys.readouterr().out
    assert "next        flowlord retry " in out
    assert (
        """            flowlord send extract:users 's3://in?a=1&b='"'"'x y'"'"'' --workflow daily.toml"""
        in out
    )


def test_an_unknown_task_and_an_ambiguous_one(place, capsys):
    assert place.task("@failed") == NO_SUCH_THING
    for n in range(20):
        place.send(n)
    assert place.task("nope") == NO_SUCH_THING
    assert "nope" in capsys.readouterr().err
    assert place.task("000000") == WRONG_USE
    out, err = capsys.readouterr()
    assert out == ""
    assert "more than 10" in err
    assert len([line for line in err.splitlines() if "extract:users" in line]) == 10
    assert place.task("") == NO_SUCH_THING
    assert place.task("\udcff") == NO_SUCH_THING, "an argument of bytes that are no text"


def test_a_cache_that_cannot_be_read_is_said_and_the_journal_answers(place, capsys, tmp_path):
    fill(place, 3)
    (tmp_path / "tasks.db").write_bytes(b"no database at all" * 100)
    assert place.tasks(Look("name")) == DONE
    out, err = capsys.readouterr()
    assert len(out.splitlines()) == 6
    assert "cannot be read" in err
    assert "journal" in err


def test_a_history_that_breaks_while_it_is_read_is_told(place, capsys, tmp_path):
    historian = Historian(place.cache, place.clock)
    historian.follow(journal([published(f"k{n}", task(n=n)) for n in range(600)]))
    historian.close()
    with (tmp_path / "tasks.db").open("r+b") as file:
        file.seek(4096 * 2)
        file.write(b"\xff" * 4096 * 8)  # the first pages of the tables; how they are named is further behind
    with pytest.raises(BusUnavailable, match="cannot be read") as told:
        place.tasks(Look("json"))
    assert told.value.hint


def test_a_bus_out_of_reach_leaves_what_the_history_knows(place, capsys, tmp_path):
    fill(place, 3)
    place.follow()
    place.bus.close()
    place._bus = None
    (tmp_path / "bus.db").write_bytes(b"no bus at all" * 100)
    for end in ("-wal", "-journal", "-shm"):
        (tmp_path / f"bus.db{end}").unlink(missing_ok=True)
    assert place.tasks(Look("name")) == DONE
    out, err = capsys.readouterr()
    assert len(out.splitlines()) == 6
    assert err.count("the bus cannot be asked") == 1


class Interrupted:
    """A bus that passes everything on, and at the third look into the journal somebody presses Ctrl-C."""

    def __init__(self, bus, before):
        self._bus = bus
        self._steps = list(before)

    def __getattr__(self, name):
        return getattr(self._bus, name)

    def close(self):
        """The test closes it."""

    def journal(self, after, limit, *, wait_s=0.0):
        if wait_s:
            if not self._steps:
                raise KeyboardInterrupt
            self._steps.pop(0)()
        return self._bus.journal(after, limit)


@pytest.mark.parametrize("kept", [True, False], ids=["history", "journal"])
def test_following_prints_changes_as_they_come_until_ctrl_c(place, capsys, monkeypatch, kept):
    place.send(1)
    place.send(2)
    place.work()
    if kept:
        place.follow()
    steps = [lambda: place.work("error", "no"), lambda: None, lambda: place.send(3)]
    monkeypatch.setattr("flowlord.bus.open.open_bus", lambda *_, **__: Interrupted(place.bus, steps))
    assert place.tasks(Look("jsonl"), follow=True) == INTERRUPTED
    rows = parsed("jsonl", capsys.readouterr().out)
    assert {(row["id"][:8], row["type"], row["state"]) for row in rows[:3]} == {
        ("00000001", "extract", "complete"),
        ("00000001", "load", "waiting"),
        ("00000002", "extract", "waiting"),
    }
    assert rows[2]["id"] == "00000001-run", "what happened last comes last"
    assert [(row["id"][:8], row["state"]) for row in rows[3:]] == [
        ("00000002", "retried"),
        ("00000002", "later"),
        ("00000003", "waiting"),
    ]
    assert rows[3]["published"], "what history knows of it is not forgotten"


def test_following_filters_and_needs_a_bus_and_lines(place, capsys, monkeypatch):
    assert place.tasks(follow=True) == UNREACHABLE
    place.send(1)
    with pytest.raises(FlowlordError, match="never ends"):
        place.tasks(Look("json"), follow=True)
    capsys.readouterr()
    steps = [lambda: place.work("error", "no"), lambda: place.send(2, topic="other")]
    monkeypatch.setattr("flowlord.bus.open.open_bus", lambda *_, **__: Interrupted(place.bus, steps))
    assert place.tasks(Look("jsonl"), follow=True, topic="other") == INTERRUPTED
    assert [row["topic"] for row in parsed("jsonl", capsys.readouterr().out)] == ["other"]


def test_a_reader_that_goes_away_is_no_error(place, monkeypatch, capsys):
    place.send(1)
    place.follow()

    def gone(_):
        raise BrokenPipeError

    monkeypatch.setattr("flowlord.cli.printer._out", gone)
    assert place.tasks() == DONE
    assert capsys.readouterr() == ("", "")


def test_topics_tell_lengths_failures_and_who_serves_them(place, capsys):
    fill(place, 7)
    place.follow()
    place.beat("gone", lease_ns=1)
    topics.run(place.where, place.cache, look=Look("json"), clock=place.clock)
    rows = {row["topic"]: row for row in json.loads(capsys.readouterr().out)}
    assert [rows["extract"][name] for name in ("waiting", "running", "failed_24h")] == [3, 1, 1]
    assert rows["retry-failed"]["waiting"] == 1
    topics.run(place.where, None, look=Look("json"), clock=place.clock)
    assert {row["failed_24h"] for row in json.loads(capsys.readouterr().out)} == {None}


def test_peeking_shows_bytes_that_are_no_text_and_takes_nothing(place, capsys):
    from flowlord.model.plan import Plan, Quarantined

    place.bus.commit(Plan(quarantine=(Quarantined("done", b"\xff\xfe \x1b[31m", "no JSON"),)))
    for _ in range(2):
        assert topics.peek(place.where, "quarantine", look=Look("json"), clock=place.clock) == DONE
        [row] = json.loads(capsys.readouterr().out)
        assert row["payload"] == "\\xff\\xfe \x1b[31m"
    topics.peek(place.where, "quarantine", look=Look("table"), clock=place.clock)
    assert "\\xff\\xfe \\x1b[31m" in capsys.readouterr().out
    assert topics.peek(place.where, "quarantin", clock=place.clock) == NO_SUCH_THING
    assert "did you mean quarantine?" in capsys.readouterr().err


def test_workers_tell_who_is_alive_and_who_is_lost(place, capsys):
    place.beat("lost")
    place.clock.advance(120)
    place.beat("alive", running=("k1", "k2"))
    workers.run(place.where, look=Look("json"), clock=place.clock)
    rows = json.loads(capsys.readouterr().out)
    assert [(row["consumer"], row["state"], row["in_flight"]) for row in rows] == [
        ("alive", "alive", 2),
        ("lost", "lost", 0),
    ]
    workers.run(place.where, look=Look("table"), clock=place.clock)
    assert "2/4" in capsys.readouterr().out


def test_workers_count_the_leases_of_one_that_was_killed_between_two_heartbeats(place, capsys):
    place.beat("killed")
    place.send(1)
    assert place.bus.claim(["extract"], "killed", 1)
    workers.run(place.where, look=Look("json"), clock=place.clock)
    [row] = json.loads(capsys.readouterr().out)
    assert (row["in_flight"], row["running"]) == (1, [])
    workers.run(place.where, look=Look("table"), clock=place.clock)
    assert "1/4" in capsys.readouterr().out


def test_a_task_whose_worker_died_is_ready_since_it_was_offered_again(place, capsys):
    from flowlord.model.plan import Fact, FactKind, Plan

    place.send(1)
    place.clock.advance(600)
    [row] = place.bus.peek("extract", 1)
    place.bus.commit(Plan(facts=(Fact(FactKind.LOST, key=row.key, topic="extract", text="lost w1"),)))
    place.follow()
    assert place.bus.claim(["extract"], "w2", 1)
    place.clock.advance(60)
    place.tasks(Look("json"))
    [told] = json.loads(capsys.readouterr().out)
    assert (told["state"], told["worker"], told["lost"]) == ("running", "w2", 1)
    assert told["due"] > told["published"]
    place.tasks(Look("table"))
    assert "60s ago" in capsys.readouterr().out.replace("1m ago", "60s ago")


def test_since_and_until_are_when_it_happened(place, capsys):
    place.send(1)
    place.clock.advance(timedelta(days=1).total_seconds())
    place.send(2)
    place.follow()

    def ids(**asked):
        place.tasks(Look("name"), **asked)
        return [line[-8:] for line in capsys.readouterr().out.splitlines()]

    assert ids(since="1h") == ["00000002"]
    assert ids(since="2026-08-01", until="2026-08-01") == ["00000001"]
    assert ids(since="yesterday") == ["00000002", "00000001"]
    assert ids(until="yesterday") == ["00000001"]
    assert ids(limit=1) == ["00000002"]
    assert ids(id="00000001") == ["00000001"]


def test_a_list_of_failures_counts_all_of_them_and_sends_the_same_again(place, capsys, terminal):
    for n in range(1, 6):
        place.send(n)
        place.work("error", "quota")
        place.clock.advance(60)
        place.bus.promote()
        place.work("error", "quota")
    place.follow()

    def summary(limit, **chosen):
        assert place.tasks(Look(color="never"), limit=limit, **chosen) == DONE
        return capsys.readouterr().err.splitlines()[-1]

    place.tasks(Look("name"), failed=True)
    newest = f"flowlord task {capsys.readouterr().out[:12]}"
    assert summary(2, failed=True) == (
        f"5 failed (2 of those shown with one reason).  Again: flowlord retry --failed   Details: {newest}"
    )
    assert summary(0, state="dead", topic="extract", error="quo") == (
        f"5 failed.  Again: flowlord retry --state dead --topic extract --error quo   Details: {newest}"
    )


def test_a_terminal_is_not_flooded_by_what_became_of_many(place, capsys, terminal):
    of = Attempt(key="k", type="load")
    rows = [Row("sent", of), *([Row("sent", of)] * 200), Row("refused", of, "it runs")]
    assert told(rows, "sent", Look(color="never"), name="new_key") == 1
    out, err = capsys.readouterr()
    assert len(out.splitlines()) == 51
    assert out.splitlines()[1].startswith("refused")
    assert err.splitlines() == ["… 152 more; -o jsonl would have told each", "201 sent, 1 refused"]
    assert told(rows, "sent", Look("jsonl"), name="new_key") == 1
    assert len(capsys.readouterr().out.splitlines()) == 202
