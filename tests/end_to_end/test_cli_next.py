"""`flowlord next`: the time line of all schedules, and a schedule in words."""

import json
import re

import pytest

from support.processes import flowlord, write

FLOWS = {
    "w/a.toml": """
[[phase]]
task = "extract:users"
rule = "cron=0 0 * * * *"
template = "?day={yyyy}-{mm}-{dd}"

[[phase]]
task = "lake:compact"
rule = "cron=0 0 0 * * *&offset=-6h&for=-23h&by=hour"
template = "?hour={yyyy}-{mm}-{dd}T{hh}"

[[phase]]
task = "load"
dependsOn = "extract:users"
""",
    "w/b.yaml": """
phases:
  - task: bill:close
    rule: {cron: "30 2 * * *", tz: Europe/Berlin, until: "2027-03-28"}
    template: "?day={yyyy}-{mm}-{dd}"
  - task: old
    rule: {cron: "@daily", until: "2020-01-01"}
""",
}


def test_all_schedules_are_one_time_line_with_what_they_will_send(tmp_path):
    write(tmp_path, FLOWS)
    ended = flowlord("next", "w", "--from", "2027-03-27T23", "--for", "3h", "-o", "json", cwd=tmp_path)
    assert ended.code == 0, ended.err
    assert [(row["at"], row["task"], row["info"], row["tasks"]) for row in ended.data] == [
        ("2027-03-27T23:00:00Z", "extract:users", "?day=2027-03-27", 1),
        ("2027-03-28T00:00:00Z", "extract:users", "?day=2027-03-28", 1),
        ("2027-03-28T00:00:00Z", "lake:compact", "?hour=2027-03-27T18", 24),
        ("2027-03-28T01:00:00Z", "extract:users", "?day=2027-03-28", 1),
        ("2027-03-28T01:00:00Z", "bill:close", "?day=2027-03-28", 1),
        ("2027-03-28T02:00:00Z", "extract:users", "?day=2027-03-28", 1),
    ]
    close = ended.data[4]
    assert close == {
        "at": "2027-03-28T01:00:00Z",
        "local": "2027-03-28T03:00:00+02:00",
        "zone": "Europe/Berlin",
        "task": "bill:close",
        "info": "?day=2027-03-28",
        "tasks": 1,
        "workflow": "b.yaml",
        "place": "w/b.yaml:2",
        "rule": "cron=30 2 * * *&tz=Europe/Berlin&until=2027-03-28",
        "offset": "",
        "notes": [
            "02:30 does not exist that day; it starts when the clocks have changed",
            "the last start: until=2027-03-28",
        ],
        "fault": "",
        "paused": False,
    }
    assert "note: old (w/b.yaml:5) starts no more: until=2020-01-01 is reached" in ended.err


def test_people_get_a_table_with_the_local_clock(tmp_path):
    write(tmp_path, FLOWS)
    arguments = ["next", "w", "--from", "2027-03-27", "-n", "3", "-o", "table", "--wide"]
    ended = flowlord(*arguments, "--topic", "bill", cwd=tmp_path)
    rows = [re.split(" {2,}", line) for line in ended.out.splitlines()]
    bill = ["bill:close", "?day=2027-03-27", "b.yaml:2", "cron 30 2 * * *, tz Europe/Berlin"]
    gap = "02:30 does not exist that day; it starts when the clocks have changed; the last start: until=2027-03-28"
    assert rows == [
        ["UTC", "LOCAL (EUROPE/BERLIN)", "TASK", "INFO", "FROM", "RULE", "NOTE"],
        ["2027-03-27 01:30:00", "02:30:00", *bill],
        ["2027-03-28 01:00:00", "03:00:00", bill[0], "?day=2027-03-28", *bill[2:], gap],
    ]
    batch = flowlord(*arguments, "--topic", "lake", "--tz", "Asia/Tokyo", cwd=tmp_path).out.splitlines()[1]
    assert batch.startswith(
        "2027-03-27 00:00:00  09:00:00            lake:compact  ?hour=2027-03-26T18  (x24)"
    )


@pytest.mark.parametrize("form", ["json", "jsonl", "csv", "tsv", "name"])
def test_nothing_to_come_is_no_error(form, tmp_path):
    write(tmp_path, FLOWS)
    ended = flowlord("next", "w", "--for", "1s", "--from", "2027-01-01T00:00:01", "-o", form, cwd=tmp_path)
    assert (ended.code, ended.out) == (0, "[]\n" if form == "json" else "")


def test_a_broken_file_is_told_and_the_good_ones_are_listed(tmp_path):
    write(tmp_path, FLOWS | {"w/c.toml": '[[phase]]\ntask = "x"\nrule = "cron=0 0 30 2 *"\n'})
    ended = flowlord("next", "w", "--from", "2027-01-01T05", "-n", "2", "-o", "name", cwd=tmp_path)
    assert ended.code == 1
    assert ended.out.splitlines() == ["extract:users"] * 2
    assert "w/c.toml:3:" in ended.err


def test_wrong_questions_get_their_exit_codes(tmp_path):
    write(tmp_path, FLOWS)
    unknown = flowlord("next", "w", "--topic", "extrct", cwd=tmp_path)
    assert (unknown.code, unknown.out) == (5, "")
    assert "did you mean extract?" in unknown.err
    child = flowlord("next", "w", "--topic", "load", cwd=tmp_path)  # a phase, without a schedule
    assert child.code == 0
    assert "has no schedule: it starts when extract:users is complete" in child.err
    write(
        tmp_path,
        {"w/in.toml": '[[phase]]\ntask = "ingest"\nrule = "files=/in/*.csv"\ntemplate = "{meta:file}"\n'},
    )
    by_files = flowlord("next", "w", "--topic", "ingest", cwd=tmp_path)
    assert by_files.code == 0
    assert "ingest (in.toml:1) has no schedule: it starts on files like /in/*.csv" in by_files.err
    for arguments in (
        ["nowhere"], ["w", "--for", "soon"], ["w", "--for", "-2h"], ["w", "--for", "0"], ["w", "--from", "when"],
        ["w", "--tz", "Mars/Base"],
        ["w", "-o", "xml"], ["w", "-n", "-1"], ["--explain", "* * * * *", "-o", "csv"],
    ):  # fmt: skip
        ended = flowlord("next", *arguments, cwd=tmp_path)
        assert (ended.code, ended.out) == (2, ""), arguments
        assert "Traceback" not in ended.err


def test_every_counts_from_the_mark_that_the_daemon_left_on_the_bus(tmp_path):
    write(tmp_path, {"w/a.toml": '[[phase]]\ntask = "beat"\nrule = "cron=@every 1h"\n'})
    fresh = flowlord("next", "w", "-n", "1", "-o", "json", cwd=tmp_path)
    assert "@every counts from the phase's first start" in fresh.data[0]["notes"][0]
    assert not (tmp_path / ".flowlord").exists()  # looking makes no bus
    assert flowlord("run", "w", "--once", cwd=tmp_path).code == 0
    known = flowlord("next", "w", "-n", "2", "-o", "json", cwd=tmp_path)
    assert [row["notes"] for row in known.data] == [[], []]
    first, second = (row["at"][13:] for row in known.data)
    assert first == second


def test_a_schedule_is_explained(tmp_path):
    ended = flowlord(
        "next",
        "--explain",
        "30 2 * * *",
        "--tz",
        "Europe/Berlin",
        "--from",
        "2027-03-28",
        "-n",
        "2",
        cwd=tmp_path,
    )
    assert ended.code == 0
    changes = "a time that is skipped comes once, right after the gap; one that occurs twice comes once, at the first"
    gap = "02:30 does not exist that day; it starts when the clocks have changed"
    assert ended.out.splitlines() == [
        "30 2 * * *",
        "  at 02:30 every day, in Europe/Berlin",
        f"  where the clocks change {changes}",
        "next:",
        f"  2027-03-28T01:00:00Z   2027-03-28T03:00:00+02:00   {gap}",
        "  2027-03-29T00:30:00Z   2027-03-29T02:30:00+02:00",
    ]
    whole = flowlord(
        "next", "--explain", "?cron=@hourly&tz=Asia/Tokyo&retry_delay=1m", "-o", "json", cwd=tmp_path
    )
    assert (whole.data["words"], len(whole.data["times"])) == ("every hour, in Asia/Tokyo", 5)
    write(tmp_path, {"flowlord.toml": '[taskmaster]\nzone = "America/New_York"\n'})
    configured = flowlord("next", "--explain", "TZ=Local 0 5 * * *", "-o", "json", cwd=tmp_path)
    assert (configured.data["words"], configured.data["zone"]) == (
        "at 05:00 every day, in America/New_York",
        "America/New_York",
    )


def test_a_schedule_that_is_none_is_told_with_its_place(tmp_path):
    ended = flowlord("next", "--explain", "0 0 30 2 *", cwd=tmp_path)
    assert (ended.code, ended.out) == (1, "")
    assert ended.err.splitlines() == [
        'error: "0 0 30 2 *" never comes: no such month has day 30',
        "  0 0 30 2 *",
        "      ^",
    ]
    as_json = flowlord("next", "--explain", "CRON_TZ=Nowhere @daily", "-o", "json", cwd=tmp_path)
    assert as_json.code == 1
    assert json.loads(as_json.out)["column"] == 9


def test_what_is_paused_is_told_as_long_as_the_pause_holds(tmp_path):
    write(tmp_path, FLOWS)
    assert (
        flowlord("pause", "a.toml:extract:users", "--for", "90m", "--reason", "moving", cwd=tmp_path).code
        == 0
    )
    assert flowlord("pause", "lake", cwd=tmp_path).code == 0
    rows = flowlord(
        "next", "w", "--from", "+0s", "--for", "3h", "--topic", "extract", "-o", "json", cwd=tmp_path
    ).data
    assert [row["paused"] for row in rows] in ([True, False, False], [True, True, False])
    assert rows[0]["notes"][0].startswith("a.toml:extract:users was paused")
    assert rows[0]["notes"][0].endswith(": moving")
    [lake] = flowlord("next", "w", "-n", "1", "--topic", "lake", "-o", "json", cwd=tmp_path).data
    assert (lake["paused"], lake["notes"][0][:21]) == (False, "topic:lake was paused")
    unasked = flowlord(
        "next", "w", "--for", "3h", "--topic", "extract", "--offline", "-o", "json", cwd=tmp_path
    ).data
    assert not any(row["paused"] for row in unasked)
    table = flowlord("next", "w", "-n", "1", "--topic", "extract", "-o", "table", cwd=tmp_path).out
    assert "  paused  " in table


def test_a_bus_that_cannot_be_asked_is_told(tmp_path):
    write(tmp_path, FLOWS)
    ended = flowlord("next", "w", "-n", "1", "--bus", "redis://127.0.0.1:1", "-o", "name", cwd=tmp_path)
    assert (ended.code, len(ended.out.splitlines())) == (0, 1)
    assert "what is paused is not known" in ended.err
