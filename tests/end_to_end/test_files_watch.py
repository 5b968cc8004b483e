"""A running daemon and files that come: each starts what it starts once, and the commands tell what happened."""

from __future__ import annotations

import json
import signal
from pathlib import Path

from support.processes import flowlord, running, slip_in, tasks, until, write

FLOW = """
[[phase]]
task = "load"
rule = "files=in/*/*.csv&settle=200ms"
template = "{meta:file}?day={yyyy}-{mm}-{dd}"

[[phase]]
task = "sum"
rule = "files=in/*/*.csv&count=3&settle=200ms"
template = "{meta:dir}?n={meta:count}"

[[phase]]
task = "report"
dependsOn = "load"
template = "{meta:file}"
"""
WORK = [word for name in ("load", "sum", "report") for word in ("--worker", f"{name}=builtin:noop")]


def infos(home: Path, topic: str) -> list[str]:
    return sorted(task["info"] for task in tasks(home, "--topic", topic) if task["state"] == "complete")


def files(home: Path, *arguments: str) -> list[dict[str, object]]:
    ended = flowlord("files", *arguments, "-o", "json", cwd=home)
    assert ended.code == 0, ended.err
    found: list[dict[str, object]] = ended.data
    return found


def test_files_that_come_start_their_phases_and_the_chain_goes_on(tmp_path):
    write(tmp_path, {"workflows/a.toml": FLOW, "in/2026-08-01/old.csv": "x"})
    with running("run", "workflows", *WORK, cwd=tmp_path) as daemon:
        daemon.says("1 file was there before a.toml:load watched in/*/*.csv")
        write(tmp_path, {"in/2026-08-02/a.csv": "1", "in/2026-08-02/b.csv": "2", "in/2026-08-02/c.txt": "3"})
        daemon.says("started load", times=2)
        (tmp_path / "in/2026-08-02/d.csv").write_text("4", "utf-8")
        daemon.says("load complete", times=3)
        daemon.says("sum complete")
        daemon.says("report complete", times=3)
        daemon.says("no phase matches in/2026-08-02/c.txt")
        assert daemon.end() == 0
    assert infos(tmp_path, "load") == [f"in/2026-08-02/{name}.csv?day=2026-08-02" for name in "abd"]
    assert infos(tmp_path, "sum") == ["in/2026-08-02?n=3"]
    assert infos(tmp_path, "report") == [f"in/2026-08-02/{name}.csv" for name in "abd"]
    [other] = files(tmp_path, "--unmatched")
    assert (other["path"], other["state"]) == ("in/2026-08-02/c.txt", "unmatched")
    assert "fails at 'txt' where it wants 'csv'" in str(other["text"])
    told = files(tmp_path, "--matched", "--pattern", "in/*/a.csv")
    assert {row["moment"] for row in told} == {"2026-08-02T00:00:00Z"}
    assert "load" in told[0]["names"]  # type: ignore[operator]
    assert files(tmp_path, "--until", "1h") == []
    with running("run", "workflows", *WORK, cwd=tmp_path) as daemon:
        write(tmp_path, {"in/2026-08-03/e.csv": "5"})
        daemon.says("in/2026-08-03/e.csv started load")
        daemon.says("report complete")
        assert daemon.end() == 0
    assert len(infos(tmp_path, "load")) == 4


def test_a_file_is_known_however_its_path_is_spelled_and_one_from_before_is_told_as_such(tmp_path):
    flow = '[[phase]]\ntask = "load"\nrule = "files=./in/*.csv&settle=200ms"\ntemplate = "{meta:file}"\n'
    write(tmp_path, {"workflows/a.toml": flow, "in/old.csv": "x"})
    with running("run", "workflows", cwd=tmp_path) as daemon:
        daemon.says("1 file was there before a.toml:load watched ./in/*.csv")
        write(tmp_path, {"in/new.csv": "1"})
        daemon.says("./in/new.csv started load")
        assert daemon.end() == 0
    assert flowlord("why", "in/new.csv", cwd=tmp_path).out.startswith("./in/new.csv: started")
    assert flowlord("trace", f"{tmp_path}/in/new.csv", cwd=tmp_path).out.startswith("./in/new.csv  file")
    assert [row["info"] for row in tasks(tmp_path, "--file", f"{tmp_path}/in/new.csv")] == ["./in/new.csv"]
    told = flowlord("why", f"{tmp_path}/in/old.csv", cwd=tmp_path)
    assert told.out.startswith("./in/old.csv: there before it was watched")
    assert "flowlord files --rerun ./in/old.csv" in told.out
    assert "hint: did you mean ./in/old.csv?" in flowlord("files", "--test", "in/old.csv", cwd=tmp_path).err
    tested = flowlord("files", "--test", "./in/old.csv", cwd=tmp_path)
    assert "it was there before ./in/*.csv was watched; it starts nothing by itself" in tested.err
    assert "before" not in flowlord("files", "--test", "./in/new.csv", cwd=tmp_path).err
    write(tmp_path, {"in/old.csv": "written again"})
    assert "it starts by itself when a daemon sees it" in flowlord("why", "in/old.csv", cwd=tmp_path).out


def test_run_once_starts_what_is_there_and_nothing_twice(tmp_path):
    write(tmp_path, {"workflows/a.toml": FLOW, "in/2026-08-01/old.csv": "x"})
    for _ in range(2):
        assert flowlord("run", "workflows", "--once", *WORK, cwd=tmp_path).code == 0
        assert infos(tmp_path, "load") == ["in/2026-08-01/old.csv?day=2026-08-01"]


def test_a_path_is_explained_without_a_bus(tmp_path):
    write(tmp_path, {"workflows/a.toml": FLOW})
    ended = flowlord("files", "--test", "in/2026-08-02/a.csv", "-o", "json", cwd=tmp_path)
    assert (ended.code, ended.data["moment"]) == (0, "2026-08-02T00:00:00Z")
    assert [(each["phase"], each["infos"]) for each in ended.data["matches"]] == [
        ("load", ["in/2026-08-02/a.csv?day=2026-08-02"]),
        ("sum", ["in/2026-08-02?n=1"]),
    ]
    words = flowlord("files", "--test", "in/2026-08-02/a.csv.gz", cwd=tmp_path)
    assert words.code == 1
    assert words.out.splitlines() == [
        "no phase matches",
        "a.toml:1  nearest: in/*/*.csv, which ends before '.gz'",
        "data time in the path: 2026-08-02T00:00:00Z",
    ]
    hidden = flowlord("files", "--test", "in/x/.a.csv", cwd=tmp_path)
    assert "its name is a hidden or a temporary one" in hidden.out
    assert not (tmp_path / ".flowlord").exists()


def test_a_person_starts_files_again(tmp_path):
    write(tmp_path, {"workflows/a.toml": FLOW, "in/2026-08-01/a.csv": "x", "in/2026-08-01/b.csv": "x"})
    one = flowlord("files", "--rerun", "in/2026-08-01/a.csv", "-o", "json", cwd=tmp_path)
    assert (one.code, {row["name"] for row in one.data}) == (0, {"load", "sum"})
    asked = flowlord("files", "--rerun", "in/*/*.csv", cwd=tmp_path)
    assert "nothing was started yet; add --execute" in asked.err
    shown = flowlord("files", "--rerun", "in/*/*.csv", "-o", "json", cwd=tmp_path)
    assert {row["id"] for row in shown.data} == {""}  # nothing has them yet
    assert all(row["id"] for row in one.data)
    assert len(tasks(tmp_path, "--topic", "load")) == 1
    assert flowlord("files", "--rerun", "in/*/*.csv", "-y", cwd=tmp_path).code == 0
    assert len(tasks(tmp_path, "--topic", "load")) == 3
    assert "again, as" in str(files(tmp_path, "--pattern", "in/*/b.csv")[0]["text"])
    missing = flowlord("files", "--rerun", "in/2026-08-01/none.csv", cwd=tmp_path)
    assert (missing.code, "there is no such file" in missing.err) == (1, True)


def test_what_a_rule_asks_for_is_said_where_a_person_starts_files_that_do_not_have_it(tmp_path):
    flow = """
    [[phase]]
    task = "load"
    rule = "files=in/*.csv&min_size=3B"
    template = "{meta:file}"

    [[phase]]
    task = "sum"
    rule = "files=in/*.csv&count=2&group={yyyy}"
    template = "?n={meta:count}"
    """
    write(tmp_path, {"workflows/a.toml": flow, "in/a.csv": "x", "in/b.csv": "xyz"})
    for more in ((), ("-y",)):
        told = flowlord("files", "--rerun", "in/*.csv", *more, cwd=tmp_path)
        assert told.code == 0
        assert "load (a.toml:1) wants at least 3 bytes, which 1 file here did not reach" in told.err
        assert "sum (a.toml:6) wants 2 files of a group: by hand each file starts it alone" in told.err
    assert len(tasks(tmp_path, "--topic", "load")) == 2


def test_a_path_that_is_spelled_from_here_is_told_as_the_pattern_spells_it(tmp_path):
    flow = f"""
    [[phase]]
    task = "load"
    rule = "files={tmp_path}/drop/*.txt"
    template = "{{meta:file}}"
    """
    write(tmp_path, {"workflows/a.toml": flow, "drop/x.txt": "x"})
    hint = f"did you mean {tmp_path}/drop/x.txt?"
    for path in ("drop/x.txt", "./drop/x.txt"):
        tested = flowlord("files", "--test", path, cwd=tmp_path)
        assert (tested.code, hint in tested.err) == (1, True)
    told = flowlord("why", "drop/x.txt", cwd=tmp_path)
    assert told.out.startswith(f"{tmp_path}/drop/x.txt: never seen (asked for as drop/x.txt)")
    assert "did you mean" not in flowlord("files", "--test", "drop/x.csv", cwd=tmp_path).err


def test_notices_on_the_files_topic_start_phases_and_broken_ones_are_set_aside(tmp_path):
    flow = """
    [[phase]]
    task = "load"
    rule = "files=s3://in/*.csv"
    template = "{meta:file}"
    """
    write(tmp_path, {"workflows/a.toml": flow, "flowlord.toml": 'file_topic = "files"\n'})
    record = {
        "eventName": "ObjectCreated:Put",
        "s3": {"bucket": {"name": "in"}, "object": {"key": "a.csv", "eTag": "e1"}},
    }
    gone = record | {"eventName": "ObjectRemoved:Delete"}
    with running("run", "workflows", "--worker", "load=builtin:noop", cwd=tmp_path) as daemon:
        daemon.says("is here")
        bus = tmp_path / ".flowlord" / "bus.db"
        slip_in(bus, "files", json.dumps({"Records": [record, gone]}).encode())
        daemon.says("load complete")
        daemon.says("s3://in/a.csv was deleted, which starts nothing")
        slip_in(bus, "files", json.dumps({"Records": [record]}).encode())
        daemon.says("s3://in/a.csv is known")
        slip_in(bus, "files", b'{"path": "s3://in/b.txt"}')
        daemon.says("no phase matches s3://in/b.txt")
        slip_in(bus, "files", b"no notice")
        until(
            lambda: flowlord("topics", "peek", "quarantine", "-o", "json", cwd=tmp_path).data,
            "the quarantine",
        )
        assert daemon.end(signal.SIGTERM) == 0
    assert infos(tmp_path, "load") == ["s3://in/a.csv"]
    [aside] = flowlord("topics", "peek", "quarantine", "-o", "json", cwd=tmp_path).data
    assert "the message is not JSON" in json.dumps(aside)
    states = sorted(str(row["state"]) for row in files(tmp_path))
    assert states == ["deleted", "known", "started", "unmatched"]
