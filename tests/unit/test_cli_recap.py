"""A recap: numbers as the days have them, dates as ranges, the reason that came most often; and workflows as loaded."""

import json
from datetime import UTC, datetime

import pytest

from flowlord.cache.historian import Historian
from flowlord.cli.printer import Look
from flowlord.cli.recap import run as recap
from flowlord.cli.values import values_of
from flowlord.cli.workflows import run as workflows
from flowlord.config import resolve
from flowlord.model.errors import FlowlordError
from flowlord.model.plan import BROKEN, Fact, FactKind, PhaseText
from flowlord.spec.parse import parse
from support.clock import VirtualClock
from support.journal import done, journal, published, task, told

NOON = datetime(2026, 8, 1, 12, tzinfo=UTC)


def settings(where):
    return resolve(
        {"bus": f"sqlite:///{where}/bus.db", "cache": str(where / "t.db"), "workflows": str(where / "none")}
    )


def kept(where, commits) -> None:
    historian = Historian(where / "t.db", VirtualClock())
    historian.follow(journal(commits))
    historian.close()


def of_hour(hour: int, name: str = "load:users"):
    return task(name, hour, meta=f"workflow=daily.toml&cron=2026-07-31T{hour:02}")


@pytest.fixture
def night(tmp_path):
    commits = []
    for hour in range(6):
        key = f"k{hour}"
        commits.append(published(key, of_hour(hour)))
        failed = hour in (2, 4)
        words = f"timeout after {hour}0s" if failed else ""
        facts = [done(key, of_hour(hour), "error" if failed else "complete", words)]
        commits.append((*facts, told(FactKind.DEAD, key, words)) if failed else facts)
    commits += [published("e", of_hour(1, "extract")), done("e", of_hour(1, "extract"))]
    kept(tmp_path, commits)
    return tmp_path


def asked(where, capsys, day="2026-08-01", since="", form="", look="json"):
    capsys.readouterr()
    assert recap(settings(where), day, since, form, Look(look), clock=VirtualClock(NOON)) == 0
    return capsys.readouterr().out


def test_each_kind_of_task_is_one_line_with_numbers_dates_and_its_reason(night, capsys):
    load, extract = json.loads(asked(night, capsys))
    assert (load["task"], load["done"], load["failed"]) == ("load:users", 4, 2)
    assert load["dates"] == "2026/07/31T00-2026/07/31T05"
    assert "timeout after" in load["reason"]
    assert load["ran_s"] == load["longest_s"] == 2
    assert (extract["task"], extract["done"], extract["failed"], extract["reason"]) == ("extract", 1, 0, "")


def test_another_day_has_nothing(night, capsys):
    assert json.loads(asked(night, capsys, day="2026-07-01")) == []


def test_days_from_one_on_are_added_up(night, capsys):
    assert len(json.loads(asked(night, capsys, day="", since="2026-07-20"))) == 2


@pytest.mark.parametrize("look", ["table", "json", "jsonl", "csv", "tsv", "name"])
def test_every_form_can_be_read(night, tmp_path, capsys, look):
    assert "\x1b" not in asked(night, capsys, look=look)
    assert "\x1b" not in asked(night, capsys, day="2026-07-01", look=look)


def test_markdown_is_a_table_whatever_a_message_holds(tmp_path, capsys):
    odd = "a | b\n\x1b[31m <!channel>"
    kept(
        tmp_path,
        [published("k", of_hour(1)), (done("k", of_hour(1), "error", odd), told(FactKind.DEAD, "k", odd))],
    )
    text = asked(tmp_path, capsys, form="markdown", look="table")
    assert "\x1b" not in text
    assert {line.replace("\\|", "").count("|") for line in text.splitlines()[2:]} == {11}


def test_warnings_and_alerts_are_told_as_warned_and_are_no_failures(tmp_path, capsys):
    results = {"w": "warn", "a": "alert", "c": "complete"}
    kept(tmp_path, [(published(key, of_hour(1)), done(key, of_hour(1), of)) for key, of in results.items()])
    [row] = json.loads(asked(tmp_path, capsys))
    assert (row["done"], row["failed"], row["warned"]) == (1, 0, 2)
    head, line = asked(tmp_path, capsys, look="table").splitlines()
    assert "WARNED" in head
    assert line.split()[1:3] == ["1", "2"]
    assert asked(tmp_path, capsys, form="slack", look="table").startswith(
        "*2026-08-01* (UTC): 1 done, 0 failed, 2 warned, 1 kind of task"
    )


def test_for_slack_it_is_a_block_that_nothing_in_a_message_ends(tmp_path, capsys):
    odd = "``` <!channel> & *bold*\n\x1b[31m"
    facts = [published("k", of_hour(1)), (done("k", of_hour(1), "error", odd), told(FactKind.DEAD, "k", odd))]
    kept(tmp_path, facts)
    text = asked(tmp_path, capsys, form="slack", look="table")
    head, opening, *lines, closing = text.splitlines()
    assert head == "*2026-08-01* (UTC): 0 done, 1 failed, 1 kind of task"
    assert (opening, closing) == ("```", "```")
    assert "`" not in "".join(lines)
    assert not set("<>\x1b") & set(text)
    assert "&lt;!channel&gt; &amp; *bold*" in text
    assert asked(tmp_path, capsys, day="2026-07-01", form="slack", look="table").count("\n") == 1


def test_a_long_recap_for_slack_fits_a_message(tmp_path, capsys):
    kinds = [of_hour(1, f"task{n}:{'j' * 90}") for n in range(300)]
    kept(tmp_path, [(published(f"k{n}", each), done(f"k{n}", each)) for n, each in enumerate(kinds)])
    text = asked(tmp_path, capsys, form="slack", look="table")
    assert len(text) <= 4_000
    assert "more kinds of tasks" in text.splitlines()[-1]


def test_times_that_are_none_are_refused(night):
    for day, since in (("x", ""), ("", "x"), ("today", "2d")):
        with pytest.raises(FlowlordError):
            recap(settings(night), day, since, "", Look(), clock=VirtualClock())


PHASES = (
    PhaseText(
        "extract:users", 2, "extract:users", "", "cron=0 0 6 * * *&offset=-24h&catchup=last", 3, "?d={dd}"
    ),
    PhaseText("load", 7, "load", "extract:users", "", 0, "x"),
)


def loaded(where) -> None:
    fact = Fact(FactKind.RELOAD, phase="a.toml", revision="abc123@1", text="loaded", phases=PHASES)
    end = published("k", task("extract:users"), phase="a.toml:extract:users")
    kept(where, [fact, end, done("k", task("extract:users"))])


def test_workflows_are_listed_as_they_were_loaded(tmp_path, capsys):
    loaded(tmp_path)
    assert workflows(settings(tmp_path), "", Look("json"), clock=VirtualClock()) == 0
    [row] = json.loads(capsys.readouterr().out)
    assert (row["workflow"], row["phases"], row["cron"], row["children"]) == ("a.toml", 2, 1, 1)
    assert row["next"].endswith("T06:00:00Z")
    assert row["last"] == "complete"
    assert row["loaded_by"] == "test"


@pytest.mark.parametrize("form", ["table", "json", "jsonl", "csv", "tsv", "name"])
def test_one_workflow_is_shown_in_every_form(tmp_path, capsys, form):
    loaded(tmp_path)
    assert workflows(settings(tmp_path), "a.toml", Look(form), clock=VirtualClock()) == 0
    out = capsys.readouterr().out
    assert "\x1b" not in out
    if form == "table":
        assert "catchup         last                      file" in out
        assert "tz              UTC                       default" in out
        assert "starts after extract:users" in out
        assert "starts by cron" in out
    if form == "json":
        first, _ = json.loads(out)
        assert first["values"]["catchup"] == {"value": "last", "origin": "file"}


def test_a_workflow_that_is_not_there_is_no_such_thing(tmp_path, capsys):
    loaded(tmp_path)
    assert workflows(settings(tmp_path), "b.toml", Look(), clock=VirtualClock()) == 5
    assert "did you mean a.toml" in capsys.readouterr().err


def broken(path: str, text: str = "line 3 is wrong") -> Fact:
    key = BROKEN + path.removeprefix("flows/")
    return Fact(FactKind.ALERT, key, phase=path, cause=f"file:{path}", text=text)


def reloaded(name: str, text: str, revision: str = "4f1c2ab9@1") -> Fact:
    phases = (PhaseText("extract", 1, "extract", "", "cron=@daily"),) if revision else ()
    return Fact(FactKind.RELOAD, phase=name, revision=revision, text=text, phases=phases)


def listed(where, capsys, look="json"):
    assert workflows(settings(where), "", Look(look), clock=VirtualClock(NOON)) == 0
    out = capsys.readouterr().out
    return json.loads(out) if look == "json" else out


def test_a_workflow_that_broke_is_marked_and_one_that_never_ran_has_a_row(tmp_path, capsys):
    told = [
        reloaded("a.toml", "loaded"),
        broken("flows/a.toml"),
        broken("flows/new.toml", "no phases"),
        broken("flows/a.toml", "line 4 is wrong"),
    ]
    kept(tmp_path, told)
    first, second = listed(tmp_path, capsys)
    assert (first["workflow"], first["revision"], first["problem"]) == (
        "a.toml",
        "4f1c2ab9@1",
        "line 4 is wrong",
    )
    assert first["broken"] == "2026-08-01T00:00:02Z", "since it broke first"
    assert (second["workflow"], second["phases"], second["revision"]) == ("flows/new.toml", 0, "")
    table = listed(tmp_path, capsys, "table")
    assert "runs revision 4f1c2ab9: line 4 is wrong" in table
    assert "never ran: no phases" in table
    assert workflows(settings(tmp_path), "a.toml", Look("table"), clock=VirtualClock(NOON)) == 0
    assert "its last good version runs: line 4 is wrong" in capsys.readouterr().out
    assert workflows(settings(tmp_path), "new.toml", Look("table"), clock=VirtualClock(NOON)) == 5
    assert "is broken and never ran" in capsys.readouterr().err


@pytest.mark.parametrize(
    "fact", [reloaded("a.toml", "can be read again"), reloaded("a.toml", "was removed", "")]
)
def test_a_file_that_was_mended_or_removed_is_broken_no_more(tmp_path, capsys, fact):
    kept(tmp_path, [reloaded("a.toml", "loaded"), broken("flows/a.toml"), fact])
    assert not any(row["broken"] for row in listed(tmp_path, capsys))
    assert "broken" not in listed(tmp_path, capsys, "table").lower()


def test_a_version_that_is_restored_beside_the_alert_leaves_the_file_broken(tmp_path, capsys):
    kept(tmp_path, [(reloaded("a.toml", "is broken; its last good version runs"), broken("flows/a.toml"))])
    [row] = listed(tmp_path, capsys)
    assert (row["workflow"], bool(row["broken"])) == ("a.toml", True)


def test_a_broken_file_below_a_folder_is_not_the_good_one_of_the_same_name(tmp_path, capsys):
    kept(tmp_path, [reloaded("a.toml", "loaded"), broken("flows/sub/a.toml")])
    good, below = listed(tmp_path, capsys)
    assert (good["workflow"], good["broken"]) == ("a.toml", None)
    assert (below["workflow"], below["revision"], bool(below["broken"])) == ("flows/sub/a.toml", "", True)


def test_nothing_loaded_and_no_files_is_an_empty_list(tmp_path, capsys):
    assert workflows(settings(tmp_path), "", Look("json"), clock=VirtualClock()) == 0
    assert json.loads(capsys.readouterr().out) == []


def test_each_value_says_where_it_comes_from():
    flow, _ = parse(b'[[phase]]\ntask="a"\nrule="cron=@daily&timeout=5m&mine=1"\nretry=2\n', "a.toml")
    assert flow is not None
    found = {each.name: (each.value, each.origin) for each in values_of(flow.phases[0], "Europe/Berlin")}
    assert found["timeout"] == ("5m", "file")
    assert found["retry"] == ("2", "file")
    assert found["tz"] == ("Europe/Berlin", "configuration")
    assert found["catchup"] == ("all", "default")
    assert found["mine"] == ("1", "file, handed on")


def test_days_without_tasks_are_told_in_a_pipe_too(night, capsys):
    assert recap(settings(night), "2020-01-01", "", "", Look("tsv"), clock=VirtualClock(NOON)) == 0
    told = capsys.readouterr()
    assert (told.out, told.err) == ("", "2020-01-01 (UTC): 0 done, 0 failed, 0 kinds of tasks\n")
