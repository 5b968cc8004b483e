"""A task as a command: what it is given, what its end means, and what no task can make it do."""

import json
import os
import signal
import sys
import threading

import pytest

from flowlord.model.errors import InvalidConfig
from flowlord.model.task import Result, Task
from flowlord.worker.command import Command, task_variables
from flowlord.worker.handler import Why
from flowlord.worker.text import OUTPUT_BYTES
from support.workers import SECOND, await_that, run_of

LONG_ENOUGH = 3 * SECOND
"""For a loaded machine to start a shell and let it say its first words."""


def python(code: str) -> str:
    """A command that runs Python code; `{info}` in it stays text of the code."""
    import shlex

    return f"{shlex.quote(sys.executable)} -I -S -c {shlex.quote(code)}"


def ran(command: str, *, timeout_ns: int = 0, kill_grace_ns: int = SECOND, **fields):
    task = Task(**{"type": "load", "info": "", "id": "1", **fields})
    return Command(command, kill_grace_ns=kill_grace_ns).run(run_of(task, timeout_ns=timeout_ns))


def test_a_command_that_ends_well_completes_its_task():
    assert ran("true").result is Result.COMPLETE


def test_the_task_is_given_as_json_on_stdin():
    task = {"type": "load", "job": "daily", "info": "s3://b/a?x=1&y=ü", "id": "7", "meta": "a=1"}
    found = ran("cat", **task)
    assert json.loads(found.output) == task


def test_the_task_is_given_in_the_environment():
    found = ran("env", job="daily", info="a b", meta="a=1&file-name=x%26y", created="2026-01-01T00:00:00Z")
    told = {line for line in found.output.splitlines() if line.startswith("FLOWLORD_TASK_")}
    assert told == {
        "FLOWLORD_TASK_TYPE=load",
        "FLOWLORD_TASK_JOB=daily",
        "FLOWLORD_TASK_INFO=a b",
        "FLOWLORD_TASK_ID=1",
        "FLOWLORD_TASK_META=a=1&file-name=x%26y",
        "FLOWLORD_TASK_CREATED=2026-01-01T00:00:00Z",
        "FLOWLORD_TASK_KEY=key",
        "FLOWLORD_TASK_DELIVERIES=1",
        "FLOWLORD_TASK_META_A=1",
        "FLOWLORD_TASK_META_FILE_NAME=x&y",
    }


def test_what_a_task_above_this_worker_left_in_the_environment_is_not_handed_on(monkeypatch):
    monkeypatch.setenv("FLOWLORD_TASK_META_SECRET", "of another task")
    monkeypatch.setenv("KEPT", "yes")
    output = ran("env").output
    assert "SECRET" not in output
    assert "KEPT=yes" in output


def test_placeholders_are_filled_in_inside_arguments():
    found = ran(
        "printf '%s|' {type} {job} in={info} {id} {meta:a} {meta:none} '{other}' {created}",
        job="j",
        info="i",
        meta="a=x%26y",
        created="c",
    )
    assert found.output == "load|j|in=i|1|x&y||{other}|c|"


HOSTILE = [
    "a; rm -rf /",
    "$(touch /tmp/x)",
    "`id`",
    "a\nb",
    "* ?",
    "\"quotes' ",
    "{id}",
    "{meta:a}",
    "%s %n",
    "\x1b[2J",
]


@pytest.mark.parametrize("value", HOSTILE)
def test_sec_13_a_value_is_one_argument_whatever_it_holds(value):
    found = ran(
        python("import sys; sys.stdout.write(repr(sys.argv[1:]))") + " -- {info} {meta:v}",
        info=value,
        meta="v=1",
    )
    assert eval(found.output)[1:] == [value, "1"]


@pytest.mark.parametrize("command", ["printf %s {info}", "printf {info}", "printf %s {meta:v}"])
def test_sec_13_a_value_cannot_become_an_option(command):
    found = ran(command, info="--help", meta="v=-rf")
    assert found.result is Result.ERROR
    assert "would be read as an option" in found.msg


def test_sec_13_behind_two_dashes_or_inside_an_argument_a_dash_is_plain_text():
    assert ran("printf -- {info}", info="-n").output == "-n"
    assert ran("printf %s --in={info}", info="-n").output == "--in=-n"


@pytest.mark.parametrize(
    "command",
    [
        "sh -c 'echo {info}'",
        "/bin/sh -ec 'echo {info}'",
        "bash -o pipefail -c 'echo {meta:x}'",
        "bash -c -x 'echo {info}'",
        "env A=b sh -c 'echo {info}'",
        "nice -n 5 bash -lc 'echo {id}'",
        "python3 -c 'print(\"{info}\")'",
        "python3 -W ignore -c 'print({info})'",
        "perl -e 'print {info}'",
        "perl -e'print {info}'",
        "node --eval={info}",
        "su nobody -c 'echo {info}'",
        "ssh host load {info}",
        "env -S 'sh {info}'",
    ],
)
def test_sec_13_a_placeholder_inside_program_text_is_refused(command):
    with pytest.raises(InvalidConfig, match="runs as a program") as error:
        Command(command)
    assert "FLOWLORD_TASK_INFO" in error.value.problems[0].hint


@pytest.mark.parametrize(
    "command",
    [
        "sh -c 'echo \"$1\"' sh {info}",
        "sh -c 'echo ${info} $FLOWLORD_TASK_INFO'",
        "sh load.sh {info}",
        "python3 load.py -c {info}",
        "python3 -m load -e {info}",
        "env A=b python3 load.py {info}",
    ],
)
def test_a_placeholder_beside_program_text_is_fine(command, monkeypatch):
    Command(command)


@pytest.mark.parametrize(
    "command,told",
    [
        ("", "empty"),
        ("''", "empty"),
        ("echo 'open", "cannot be split"),
        ("{info}", "may not choose the program"),
        ("/bin/{meta:tool}", "may not choose the program"),
        ("no-such-program-here", "no program"),
    ],
)
def test_a_command_that_cannot_be_honoured_is_refused_at_the_start(command, told):
    with pytest.raises(InvalidConfig, match=told):
        Command(command)


@pytest.mark.parametrize("field", ["info", "meta", "job", "id", "created"])
def test_a_nul_character_is_an_error_result(field):
    found = ran("true", **{field: "a\0b"})
    assert (found.result, "NUL" in found.msg) == (Result.ERROR, True)


def test_no_task_can_set_a_variable_of_its_own_choice():
    meta = "LD_PRELOAD=/tmp/evil.so&PYTHONPATH=/tmp&PATH=/tmp&a%3Db=c"
    names = set(task_variables(run_of(Task(type="load", info="", meta=meta))))
    assert all(name.startswith(b"FLOWLORD_TASK_") and b"=" not in name for name in names)


def test_a_value_too_large_for_the_environment_is_on_stdin():
    info = "x" * 200_000
    found = ran(
        python("import os, sys; print(len(sys.stdin.read()), 'FLOWLORD_TASK_INFO' in os.environ)"), info=info
    )
    frame = len('{"type":"load","info":"","id":"1"}')
    assert found.output == f"{200_000 + frame} False\n"


def test_a_value_too_large_for_an_argument_is_an_error_result():
    found = ran("printf %s {info}", info="x" * 200_000)
    assert found.result is Result.ERROR
    assert "too large for arguments" in found.msg


def test_a_command_that_does_not_read_its_stdin_is_fine():
    assert ran("true", info="x" * 1_000_000).result is Result.COMPLETE


def test_the_last_line_of_stderr_is_the_message():
    found = ran("sh -c 'echo out; echo first >&2; echo last >&2; exit 3'")
    assert (found.result, found.msg) == (Result.ERROR, "last")
    assert found.output == "--- stdout\nout\n--- stderr\nfirst\nlast\n"


def test_without_words_the_message_is_the_exit_status():
    assert ran("sh -c 'exit 3'").msg == "exit status 3"


def test_sec_29_the_message_is_capped_and_its_controls_are_escaped():
    found = ran(python(r"import sys; sys.stderr.write('\x1b]0;x\x07' + 'y' * 5000 + '\n'); sys.exit(1)"))
    assert found.msg.startswith(r"\x1b]0;x\x07yyy")
    assert len(found.msg.encode()) <= 1024


def test_exit_75_asks_to_be_tried_again():
    found = ran("sh -c 'echo not there yet >&2; exit 75'")
    assert (found.again, found.msg) == (True, "not there yet")


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGSEGV, signal.SIGTERM])
def test_death_by_a_signal_is_told_in_words(number):
    found = ran(f"sh -c 'kill -{int(number)} $$'")
    assert (found.result, found.msg) == (Result.ERROR, f"killed by {number.name} (signal {int(number)})")


def test_meta_is_handed_back_literally():
    found = ran(r"printf 'flowlord:meta rows=5\nflowlord:meta note=a=b&c %% +\nflowlord:meta rows=6\n'")
    assert found.meta == {"rows": ["5", "6"], "note": ["a=b&c % +"]}


def test_a_command_may_name_its_result():
    found = ran("sh -c 'echo flowlord:result warn; echo half of it >&2'")
    assert (found.result, found.msg) == (Result.WARN, "half of it")
    assert ran("sh -c 'echo flowlord:result complete; exit 1'").result is Result.ERROR


def test_words_that_say_nothing_do_not_make_a_done_task_fail(caplog):
    assert (
        ran("printf 'flowlord:mete a=1\\nflowlord:meta nothing\\nflowlord:result great\\n'").result
        is Result.COMPLETE
    )
    assert [record.action for record in caplog.records] == ["command"] * 3


def test_endless_output_is_drained_and_only_its_end_kept():
    code = "import sys\nfor _ in range(160): sys.stdout.write('o' * 65536); sys.stderr.write('e' * 65536)\nprint('end')"
    found = ran(python(code))
    assert found.result is Result.COMPLETE
    assert len(found.output.encode()) <= OUTPUT_BYTES
    assert "end\n--- stderr" in found.output


def test_a_command_that_runs_too_long_is_ended_with_its_whole_group(tmp_path):
    pids = tmp_path / "pids"
    found = ran(f"sh -c 'sleep 300 & echo $! $$ > {pids}; echo waiting >&2; wait'", timeout_ns=LONG_ENOUGH)
    assert found.result is Result.ERROR
    assert found.msg == "ran longer than its timeout of 3s and was ended: waiting"
    for pid in pids.read_text().split():
        await_that(lambda pid=pid: not alive(int(pid)), f"the end of {pid}")


def test_a_command_that_ignores_sigterm_is_killed_with_its_whole_group(tmp_path):
    pids = tmp_path / "pids"
    script = f'trap "" TERM; (trap "" TERM; sleep 300) & echo $! $$ > {pids}; while :; do sleep 0.05; done'
    found = ran(f"sh -c '{script}'", timeout_ns=LONG_ENOUGH, kill_grace_ns=SECOND // 5)
    assert "was ended" in found.msg
    for pid in pids.read_text().split():
        await_that(lambda pid=pid: not alive(int(pid)), f"the end of {pid}")


def test_those_of_the_group_that_outlive_its_leader_after_a_timeout_are_killed_too(tmp_path):
    pid = tmp_path / "pid"
    script = f'(trap "" TERM; echo ready; sleep 300) & echo $! > {pid}; wait'
    ran(f"sh -c '{script}'", timeout_ns=LONG_ENOUGH)
    await_that(lambda: not alive(int(pid.read_text())), "the end of the child")


def test_a_grandchild_that_keeps_the_output_open_does_not_hang_the_worker(tmp_path, caplog):
    caplog.set_level("INFO")
    pid = tmp_path / "pid"
    found = ran(f"sh -c 'setsid sleep 300 & echo $! > {pid}; echo done'")
    assert (found.result, found.output) == (Result.COMPLETE, "done\n")
    assert "left a process behind" in caplog.text
    os.kill(int(pid.read_text()), signal.SIGKILL)


@pytest.mark.parametrize("why", [Why.LOST, Why.SHUTDOWN])
def test_a_run_that_must_end_early_is_no_result(why):
    run = run_of(Task(type="load", info=""))
    ended = []
    thread = threading.Thread(target=lambda: ended.append(Command("sleep 300").run(run)))
    thread.start()
    run.stop.set(why)
    thread.join(40)
    assert [each.stopped for each in ended] == [why]


def test_forced_ends_at_once_what_does_not_heed_sigterm():
    run = run_of(Task(type="load", info=""))
    ended = []
    command = Command("sh -c 'trap \"\" TERM; sleep 300'", kill_grace_ns=600 * SECOND)
    thread = threading.Thread(target=lambda: ended.append(command.run(run)))
    thread.start()
    run.stop.set(Why.SHUTDOWN)
    run.stop.set(Why.FORCED)
    thread.join(40)
    assert [each.stopped is not None for each in ended] == [True]


def test_a_program_that_went_away_is_an_error_result(tmp_path):
    program = tmp_path / "program"
    program.write_text("#!/bin/sh\n")
    program.chmod(0o755)
    command = Command(str(program))
    program.unlink()
    found = command.run(run_of(Task(type="load", info="")))
    assert found.result is Result.ERROR
    assert found.msg == f"the command cannot be started: No such file or directory: {program}"


def test_without_a_pidfd_the_end_of_a_command_is_seen_all_the_same(monkeypatch, tmp_path):
    monkeypatch.delattr(os, "pidfd_open")
    pid = tmp_path / "pid"
    assert ran("sh -c 'exit 3'").msg == "exit status 3"
    assert ran("sh -c 'exec >&- 2>&-; sleep 0.1; exit 4'").msg == "exit status 4"
    assert ran(f"sh -c 'setsid sleep 300 & echo $! > {pid}'").result is Result.COMPLETE
    assert "was ended" in ran("sleep 300", timeout_ns=SECOND // 10).msg
    os.kill(int(pid.read_text()), signal.SIGKILL)


def test_no_descriptor_is_left_open():
    ran("true")
    before = set(os.listdir("/proc/self/fd"))
    ran("true", info="x" * 1_000_000)
    ran("sh -c 'exit 3'")
    ran("sleep 300", timeout_ns=SECOND // 10)
    assert set(os.listdir("/proc/self/fd")) == before


def test_a_command_sees_only_the_standard_descriptors_and_the_usual_signals():
    inherited = os.open("/dev/null", os.O_RDONLY)
    os.set_inheritable(inherited, True)
    found = ran("sh -c 'ls /proc/self/fd; grep -E \"Sig(Blk|Ign)\" /proc/self/status'")
    fds, masks = found.output.split("SigBlk:")
    assert fds.split() == ["0", "1", "2", "3"]  # 3 is the folder that ls reads
    standard = 0x7FFFFFFF  # 32 and 33 belong to the C library
    assert [int(mask.split(":")[-1], 16) & standard for mask in masks.splitlines()] == [0, 0]
    os.close(inherited)


def alive(pid: int) -> bool:
    """Whether a process runs; one that only waits to be reaped does not."""
    try:
        with open(f"/proc/{pid}/stat") as stat:
            return stat.read().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False
