"""Wrong use and a bus that cannot be used: the exit code, the reason, the next step."""

import pytest

from support.processes import flowlord, write

FLOW = {"workflows/a.toml": '[[phase]]\ntask = "ok"\nrule = "cron=@yearly"\n'}


def told(ended, code: int, *words: str) -> None:
    assert ended.code == code, ended.out + ended.err
    assert "Traceback" not in ended.err
    assert ended.out == ""
    for word in words:
        assert word in ended.err, ended.err


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["taks"], ["taks", "Did you mean 'tasks'"]),
        (["--faild", "tasks"], ["--faild", "before a command"]),
        (["tasks", "--faild"], ["--faild", "--failed"]),
        (["validat", "x"], ["Did you mean 'validate'"]),
        (["send", "ok", "--proirity", "1"], ["--priority"]),
        (["tasks", "-o", "jsn"], ["jsn", "json"]),
        (["tasks", "--state", "complet"], ["complet", "complete"]),
        (["tasks", "--since", "yore"], ["yore"]),
        (["run", "workflows", "--grace", "10"], ["10"]),
        (["run", "workflows", "--worker", "ok"], ["TYPE=COMMAND"]),
        (["run", "workflows", "--worker", "ok=no-such-program"], ["no-such-program"]),
        (["run", "workflows", "--app", "no_such_module"], ["no_such_module"]),
        (["run", "workflows", "--log-format", "xml"], ["xml"]),
        (["worker"], ["--types"]),
        (["worker", "--types", "noop", "--bus", "memory:"], ["memory:", "ends with this process"]),
        (["send", "ok", "--bus", "memory:"], ["memory:", "ends with this process"]),
        (["topics", "peak"], ["peek"]),
        (["task"], ["ID"]),
        (["send"], ["TOPIC"]),
        (["tasks", "--color", "sometimes"], ["sometimes"]),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else None,
)
def test_wrong_use_exits_with_two_and_names_what_is_right(tmp_path, arguments, words):
    told(flowlord(*arguments, cwd=write(tmp_path, FLOW)), 2, *words)


UNUSABLE = ["sqlite:////proc/nope/x.db", "sqlite:///damaged.db", "sqlite:///foreign.db", "sqlite:///folder"]
WRITING = [
    ["run", "workflows"],
    ["run", "workflows", "--once"],
    ["send", "ok"],
    ["worker", "--types", "noop"],
]
READING = [["tasks"], ["task", "@last"], ["topics"], ["topics", "peek", "done"], ["workers"]]


@pytest.mark.parametrize(
    ("command", "address"),
    [(command, address) for command in WRITING for address in UNUSABLE]
    # What was never made holds nothing: reading it is no error.
    + [(command, address) for command in READING for address in UNUSABLE[1:3]],
    ids=lambda value: value if isinstance(value, str) else " ".join(value),
)
def test_a_bus_that_cannot_be_used_exits_with_three_and_tells_how_to_go_on(tmp_path, command, address):
    write(tmp_path, FLOW)
    (tmp_path / "damaged.db").write_bytes(b"SQLite format 3\0" + b"\x07garbage" * 2000)
    (tmp_path / "folder").mkdir()
    make_foreign(tmp_path / "foreign.db")
    ended = flowlord(*command, "--bus", address, cwd=tmp_path)
    told(ended, 3, "error: ", "hint: ", address.rpartition("/")[2])


def make_foreign(path) -> None:
    import sqlite3
    from contextlib import closing

    with closing(sqlite3.connect(path)) as db:
        db.execute("CREATE TABLE albums(name TEXT)")
        db.commit()


@pytest.mark.parametrize("address", ["kafka://x", "bus.db", "sqlite:bus.db", ""])
def test_an_address_that_is_none_is_told_with_the_forms_that_are(tmp_path, address):
    write(tmp_path, FLOW)
    ended = flowlord("send", "ok", "--bus", address or "sqlite:///", cwd=tmp_path)
    told(ended, 2, "sqlite:///")


def test_a_stop_by_ctrl_c_while_waiting_exits_with_130(tmp_path):
    import signal

    from support.processes import running

    with running("send", "ok", "--wait", cwd=write(tmp_path, FLOW)) as process:
        process.says("sent ")
        assert process.end(signal.SIGINT) == 130
        assert "Traceback" not in process.err


def test_a_reader_that_leaves_early_is_no_error(tmp_path):
    from support.processes import FLOWLORD, ran

    write(tmp_path, FLOW)
    rows = "".join(f"row {n}\n" for n in range(2000))
    assert flowlord("send", "ok", "--from-file", "-", cwd=tmp_path, stdin=rows).code == 0
    command = " ".join([*FLOWLORD, "tasks", "--limit", "0", "-o", "jsonl"])
    ended = ran(["bash", "-o", "pipefail", "-c", f"{command} | head -n 1"], cwd=tmp_path)
    assert ended.code == 0, ended.err
    assert ended.err.count("Error") == 0
    assert len(ended.out.splitlines()) == 1
