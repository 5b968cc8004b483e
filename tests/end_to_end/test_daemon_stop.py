"""How a daemon ends: by itself with --once, in order after one signal, at once after two."""

import signal
import socket
import sys

import pytest

from support.processes import LIMIT_S, flowlord, running, tasks, until, write

FLOW = """
[[phase]]
task = "slow"
rule = "cron=@yearly"

[[phase]]
task = "next"
dependsOn = "slow"
"""


def both_are_complete(home) -> bool:
    return {row["topic"]: row["state"] for row in tasks(home)} == {"slow": "complete", "next": "complete"}


def waiting_for(file: str) -> str:
    """A command that says it has begun, then ends once a file is there."""
    text = f"touch begun; while [ ! -e {file} ]; do sleep 0.02; done; echo finished >&2"
    return f'sh -c "{text}"'


def test_once_works_until_nothing_is_left_and_ends(tmp_path):
    write(tmp_path, {"workflows/a.toml": FLOW})
    assert flowlord("send", "slow", cwd=tmp_path).code == 0
    workers = ("--worker", "slow=true", "--worker", "next=true")
    ended = flowlord("run", "workflows", "--once", *workers, cwd=tmp_path)
    assert ended.code == 0, ended.err
    assert sorted((row["topic"], row["state"]) for row in tasks(tmp_path)) == [
        ("next", "complete"),
        ("slow", "complete"),
    ]


def test_once_waits_for_retries_and_ends_with_one_when_something_is_dead(tmp_path):
    flow = FLOW.replace("cron=@yearly", "cron=@yearly&retry_delay=100ms") + "retry = 0\n"
    write(tmp_path, {"workflows/a.toml": flow.replace('"slow"\nrule', '"slow"\nretry = 2\nrule', 1)})
    assert flowlord("send", "slow", cwd=tmp_path).code == 0
    ended = flowlord("run", "workflows", "--once", "--worker", "slow=false", cwd=tmp_path)
    assert ended.code == 1, ended.err
    found = [row for row in tasks(tmp_path) if row["topic"] == "slow"]
    assert sorted((row["attempt"], row["state"]) for row in found) == [
        (1, "retried"),
        (2, "retried"),
        (3, "dead"),
    ]
    assert flowlord("run", "workflows", "--once", "--worker", "slow=false", cwd=tmp_path).code == 0, (
        "nothing is left"
    )


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_one_signal_lets_running_tasks_finish_and_exits_with_zero(tmp_path, number):
    write(tmp_path, {"workflows/a.toml": FLOW})
    with running("run", "workflows", "--worker", f"slow={waiting_for('go')}", cwd=tmp_path) as daemon:
        assert flowlord("send", "slow", cwd=tmp_path).code == 0
        until((tmp_path / "begun").exists, "the task to begin")
        daemon.tell(number)
        daemon.says("finishing")
        assert not daemon.is_gone, daemon.err
        write(tmp_path, {"go": ""})
        assert daemon.wait() == 0, daemon.err
    states = {row["topic"]: row["state"] for row in tasks(tmp_path)}
    assert states == {"slow": "complete", "next": "waiting"}, "the result is routed before it leaves"
    assert flowlord("workers", "-o", "json", cwd=tmp_path).data == []


def test_a_second_signal_leaves_at_once_and_nothing_is_lost(tmp_path):
    write(tmp_path, {"workflows/a.toml": FLOW})
    lease = ("--lease", "1s")
    with running(
        "run", "workflows", *lease, "--worker", f"slow={waiting_for('never')}", cwd=tmp_path
    ) as daemon:
        assert flowlord("send", "slow", cwd=tmp_path).code == 0
        until((tmp_path / "begun").exists, "the task to begin")
        daemon.tell(signal.SIGTERM)
        daemon.says("finishing")
        assert daemon.end(signal.SIGTERM, limit_s=20) == 143, daemon.err  # the grace is 25 s
    write(tmp_path, {"never": ""})  # ends what the killed daemon left running
    with running(
        "run", "workflows", *lease, "--worker", "slow=true", "--worker", "next=true", cwd=tmp_path
    ) as daemon:
        until(lambda: both_are_complete(tmp_path), every_s=0.3)
        assert daemon.end() == 0


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_daemon_that_still_loads_its_workflows_leaves_at_once_and_with_zero(tmp_path, number):
    with socket.create_server(("127.0.0.1", 0)) as silent:
        silent.settimeout(LIMIT_S)
        env = {
            "AWS_ENDPOINT_URL": f"http://127.0.0.1:{silent.getsockname()[1]}",
            "AWS_ACCESS_KEY_ID": "a",
            "AWS_SECRET_ACCESS_KEY": "b",
        }
        with running("run", "s3://bucket/flows/", cwd=tmp_path, env=env) as daemon:
            asked, _ = silent.accept()  # and nobody will ever answer
            with asked:
                daemon.tell(signal.SIGHUP)  # to look at workflows is what it does
                daemon.tell(number)
                assert daemon.wait() == 0, daemon.err
                assert "told to stop before it began" in daemon.err
    assert flowlord("workers", "-o", "json", cwd=tmp_path).data == []


def test_what_does_not_finish_within_the_grace_is_handed_back(tmp_path):
    write(tmp_path, {"workflows/a.toml": FLOW})
    with running(
        "run", "workflows", "--grace", "300ms", "--worker", f"slow={waiting_for('never')}", cwd=tmp_path
    ) as daemon:
        assert flowlord("send", "slow", cwd=tmp_path).code == 0
        until((tmp_path / "begun").exists, "the task to begin")
        assert daemon.end() == 0, daemon.err
    [row] = tasks(tmp_path)
    assert (row["topic"], row["state"]) == ("slow", "waiting")


def test_a_daemon_that_is_killed_loses_nothing(tmp_path):
    write(tmp_path, {"workflows/a.toml": FLOW})
    quick = ("--lease", "1s")
    with running("run", "workflows", *quick, "--worker", f"slow={waiting_for('go')}", cwd=tmp_path) as daemon:
        assert flowlord("send", "slow", cwd=tmp_path).code == 0
        until((tmp_path / "begun").exists, "the task to begin")
        assert daemon.end(signal.SIGKILL) == -signal.SIGKILL
    write(tmp_path, {"go": ""})
    with running("run", "workflows", *quick, "--worker", "slow=true", "--worker", "next=true", cwd=tmp_path):
        until(lambda: both_are_complete(tmp_path), every_s=0.3)


def test_a_worker_of_its_own_drains_on_sigterm_too(tmp_path):
    write(tmp_path, {"workflows/a.toml": FLOW})
    with running("worker", "--types", "slow", "--exec", waiting_for("go"), cwd=tmp_path) as worker:
        assert flowlord("send", "slow", cwd=tmp_path).code == 0
        until((tmp_path / "begun").exists, "the task to begin")
        worker.tell(signal.SIGTERM)
        write(tmp_path, {"go": ""})
        assert worker.wait() == 0, worker.err
    ended = flowlord("run", "workflows", "--once", "--worker", "next=true", cwd=tmp_path)
    assert ended.code == 0, ended.err
    assert {row["state"] for row in tasks(tmp_path)} == {"complete"}


def test_a_worker_may_end_after_so_many_tasks(tmp_path):
    for n in range(3):
        assert flowlord("send", "slow", str(n), cwd=tmp_path).code == 0
    ended = flowlord(
        "worker", "--types", "slow", "--exec", f"{sys.executable} -c pass", "--max-tasks", "2", cwd=tmp_path
    )
    assert ended.code == 0, ended.err
    [state] = [row for row in flowlord("topics", "-o", "json", cwd=tmp_path).data if row["topic"] == "slow"]
    assert state["waiting"] == 1
