"""The questions of a bad night, asked of what real daemons left behind: why, trace, gaps."""

import json
import re
from pathlib import Path

import pytest

from support.processes import flowlord, write

FLOW = """
[[phase]]
task = "extract:users"
rule = "cron=@yearly"
template = "?day={yyyy}-{mm}-{dd}"
[[phase]]
task = "load:users"
dependsOn = "extract:users"
retry = 1
rule = "retry_delay=1ms"
template = "?day={yyyy}-{mm}-{dd}"
[[phase]]
task = "needs"
dependsOn = "extract:users"
rule = "require={meta:nothing}"
template = "x"
[[phase]]
task = "report:daily"
dependsOn = "load:users"
template = "r"
[[phase]]
task = "read"
rule = "files=/in/*/*.csv&count=3"
template = "{meta:file}"
[[phase]]
task = "alone"
template = "a"
rule = "cron=0 0 0 1 1 *&from=2020-01-01&until=2021-01-01"
"""


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder in which an extract completed, its load died, and another waits for a paused topic."""
    here = write(tmp_path_factory.mktemp("why"), {"workflows/a.toml": FLOW})
    sent = flowlord("backload", "extract:users", "--at", "2026-08-01", "--execute", cwd=here)
    assert sent.code == 0, sent.err
    workers = ("--worker", "extract=builtin:noop", "--worker", "load=sh -c 'echo no luck >&2; exit 1'")
    assert flowlord("run", "workflows", "--once", *workers, cwd=here).code == 1
    assert flowlord("send", "alone", "by hand", cwd=here).code == 0
    return here


def tasks(home: Path) -> dict[str, dict]:
    return {row["type"]: row for row in flowlord("tasks", "-o", "json", cwd=home).data}


def why(home: Path, what: str, code: int = 0) -> str:
    found = flowlord("why", what, cwd=home)
    assert found.code == code, found.err
    assert "\x1b" not in found.out
    return found.out


def test_a_dead_task_tells_its_tries_who_waits_for_it_and_the_command(home):
    [load] = flowlord("tasks", "--failed", "-o", "json", cwd=home).data
    told = why(home, load["key"])
    assert "load:users 2026-08-01" in told.splitlines()[0]
    assert "it follows extract:users" in told
    assert "try 1 failed: no luck" in told
    assert "it failed after 2 tries: no luck" in told
    assert "report:daily will start by itself when it is complete" in told
    assert f"flowlord retry {load['key'][:12]}" in told


def test_a_topic_without_a_phase_tells_what_waits_there_and_who_could_take_it(home):
    for info in ("a", "b"):
        assert flowlord("send", "nix", info, cwd=home).code == 0
    told = why(home, "nix")
    assert "in nix 2 tasks wait" in told
    assert "no worker takes the topic nix now" in told
    assert "flowlord worker --types nix --exec COMMAND" in told
    assert flowlord("cancel", "--topic", "nix", "--yes", cwd=home).code == 0
    told = why(home, "nix")
    assert "ended: 2 cancelled" in told
    assert "flowlord tasks --topic nix" in told
    why(home, "nix2", code=5)


def test_a_child_that_did_not_start_names_the_parent_it_waits_for(home):
    told = why(home, "report:daily 2026-08-01")
    assert "not started" in told.splitlines()[0]
    assert re.search(r"load:users \([0-9a-f]{8}\) is dead: no luck", told)
    assert "it will start by itself when load:users succeeds" in told


def test_a_child_that_was_left_out_tells_what_it_requires(home):
    told = why(home, "needs 2026-08-01")
    assert "it requires {meta:nothing}, which extract:users did not return" in told


def test_a_date_of_which_nothing_ran_is_told_up_to_the_schedule(home):
    told = why(home, "report:daily 2026-07-15")
    assert "load:users 2026-07-15: not started" in told
    assert "extract:users 2026-07-15: not started" in told
    assert "no start of cron=@yearly has this data time" in told
    assert "flowlord backload extract:users --at 2026-07-15" in told


def test_a_schedule_that_is_over_says_so(home):
    assert "its schedule ended at until=2021-01-01" in why(home, "alone 2022-01-01")
    assert "its schedule begins at from=2020-01-01" in why(home, "alone 2019-01-01")


def test_a_waiting_task_tells_that_nobody_takes_it_and_then_who_paused_it(home):
    key = tasks(home)["alone"]["key"]
    assert "no worker takes the topic alone now" in why(home, key)
    assert flowlord("pause", "alone", "--reason", "disk is full", cwd=home).code == 0
    told = why(home, key)
    assert re.search(r"topic:alone was paused by \S+@\S+ at .*: disk is full", told)
    assert "flowlord resume alone" in told
    told = why(home, "a.toml:alone")
    assert "disk is full; its tasks wait" in told
    assert "flowlord resume alone" in told
    assert flowlord("resume", "alone", cwd=home).code == 0


def test_files_tell_the_nearest_pattern_and_what_their_group_waits_for(home):
    told = why(home, "/in/x/users.csv.gz")
    assert "never seen" in told
    assert "no phase matches it" in told
    assert "/in/*/*.csv" in told
    would = why(home, "/in/x/users.csv")
    assert "it would start read (a.toml:" in would
    waits = why(home, "read 2026-08-01")
    assert "no file of this data time was seen" in waits


def test_a_slot_that_was_before_any_daemon_says_so(home):
    told = why(home, "tick:a.toml:extract:users:2026-01-01T00:00:00Z")
    assert "no daemon had loaded the phase before" in told


def test_a_phase_and_a_backload_tell_how_they_stand(home):
    assert "its next start is planned for" in why(home, "extract:users")
    [backload] = flowlord("backload", "list", "-o", "json", cwd=home).data
    told = why(home, backload["id"])
    assert "1 of 1 tasks were published" in told
    *_, command = told.splitlines()
    assert command == f"  flowlord tasks --batch {backload['id']} --group-by state"
    assert flowlord(*command.split()[1:], "-o", "json", cwd=home).data[0]["count"] == 1


@pytest.mark.parametrize("what", ["ffffffff-no", "nobody 2026-08-01", "tick:x:2026", "", "x" * 100_000])
def test_what_nobody_knows_is_no_such_thing(home, what):
    found = flowlord("why", what, cwd=home)
    assert (found.code, found.out) == (5, "")
    assert "Traceback" not in found.err
    assert len(found.err) < 1_000


def test_a_tree_shows_what_started_a_task_and_what_waits_for_it(home):
    load = tasks(home)["load"]
    tree = flowlord("trace", load["key"], cwd=home)
    assert tree.code == 0, tree.err
    lines = tree.out.splitlines()
    assert lines[0].startswith("backload b-")
    assert "extract:users 2026-08-01" in lines[1]
    assert any("load:users 2026-08-01" in line and "dead" in line and "2 tries" in line for line in lines)
    assert any("report:daily" in line and "waits for load:users" in line for line in lines)
    assert any("needs" in line and "requires" in line for line in lines)
    up = flowlord("trace", load["key"], "--up", cwd=home).out
    assert "needs" not in up
    assert "extract:users" in up
    down = flowlord("trace", load["key"], "--down", cwd=home).out
    assert "extract:users" not in down
    assert "report:daily" in down


def test_a_tree_is_whole_as_json_and_as_dot(home):
    key = tasks(home)["extract"]["key"]
    [top] = flowlord("trace", key, "-o", "json", cwd=home).data
    [extract] = top["children"]
    assert {child["kind"] for child in extract["children"]} == {"task", "skipped"}
    dot = flowlord("trace", key, "-o", "dot", cwd=home).out
    assert dot.startswith("digraph")
    assert dot.count("->") == len(re.findall(r"^  n\d+ \[", dot, re.M)) - 1


def test_a_backload_is_a_tree_of_its_tasks(home):
    [backload] = flowlord("backload", "list", "-o", "json", cwd=home).data
    tree = flowlord("trace", backload["id"], cwd=home)
    assert tree.code == 0
    assert "load:users" in tree.out


@pytest.mark.parametrize(
    ("command", "form"),
    [
        (("why", "@failed"), "json"),
        (("why", "@failed"), "jsonl"),
        (("why", "@failed"), "name"),
        (("trace", "@failed"), "jsonl"),
        (("trace", "@failed"), "csv"),
        (("gaps",), "tsv"),
    ],
)
def test_every_form_of_the_answers_can_be_read(home, command, form):
    found = flowlord(*command, "-o", form, cwd=home)
    assert found.code == 0, found.err
    assert "\x1b" not in found.out + found.err
    if form == "json":
        json.loads(found.out)
    if form == "jsonl":
        [json.loads(line) for line in found.out.splitlines()]


def test_a_pause_of_a_phase_is_told_once(home):
    assert flowlord("pause", "a.toml:alone", cwd=home).code == 0
    told = why(home, "a.toml:alone")
    assert flowlord("resume", "a.toml:alone", cwd=home).code == 0
    assert len(re.findall("a.toml:alone (?:is|was) paused by", told)) == 1


def test_what_chooses_no_task_says_so_in_a_pipe(home):
    for flags in (("--from", "2099-01-01"), ("--topic", "none", "--group-by", "day")):
        ended = flowlord("tasks", *flags, "-o", "json", cwd=home)
        assert (ended.code, ended.data, ended.err) == (0, [], "no such tasks\n")
