"""Workers that are no flowlord and know nothing of it take part: what they report starts the children."""

import shutil
import subprocess

import pytest

from support.processes import ROOT, flowlord, running, started, tasks, until
from support.redis_home import ended_as, redis_home, waiting
from support.redis_programs import lacking
from support.redis_servers import HOST, fresh_namespace, shared_server

FOLDER = ROOT / "examples" / "foreign_worker"
FLOW = """
[[phase]]
task = "shout"
rule = "cron=@yearly"
retry = 1

[[phase]]
task = "next"
dependsOn = "shout"
template = "after {meta:name}"
"""


def lacks_perl() -> bool:
    perl = shutil.which("perl")
    return (
        not perl
        or subprocess.run([perl, "-MJSON::PP", "-e1"], capture_output=True, check=False).returncode != 0
    )


def command(program: str, port: int) -> list[str]:
    """How a user starts it."""
    if program == "worker.sh":
        # No hexadecimal word: the id of a task holds one now and then.
        return [str(FOLDER / program), "shout", "grep", "-q", "-v", "wrong"]
    if lacks_perl():
        lacking("perl with JSON::PP is missing: install the Debian package perl")
    return [str(FOLDER / program), "shout", f"{HOST}:{port}"]


@pytest.mark.parametrize("program", ["worker.sh", "worker.pl"])
def test_a_worker_in_another_language_takes_tasks_and_starts_children(tmp_path, program):
    server, namespace = shared_server("redis"), fresh_namespace()
    home = redis_home(tmp_path, server.url, namespace, {"workflows/a.toml": FLOW})
    env = {"REDIS_URL": server.url, "FLOWLORD_NAMESPACE": namespace}
    infos = ["plain", 'say "hi" \\ there', "größer {}"]
    for info in infos:
        assert flowlord("send", "shout", info, "--meta", "name=x", cwd=home).code == 0
    # One from a program without flowlord, too: its task has no key.
    server.cli("XADD", f"{{{namespace}}}:topic:shout", "*", "task",
               '{"type":"shout","info":"hand-made","meta":"workflow=a.toml&name=y"}')  # fmt: skip
    with (
        started(command(program, server.port), cwd=home, env=env) as foreign,
        started_daemon(home) as daemon,
    ):
        try:
            daemon.says("next complete", 4)
        except AssertionError as late:
            raise AssertionError(f"{late}\n{daemon.err}\n{foreign.err}\n{waiting(home)}") from None
        assert not foreign.is_gone, foreign.err
        until(lambda: not server.ask("XLEN", f"{{{namespace}}}:topic:shout"), "acknowledged and deleted")
        assert daemon.end() == 0
    states = ended_as(home)
    assert [states.get(("shout", name)) for name in infos] == [["complete"]] * 3
    follow = sorted(row["info"] for row in tasks(home, "--topic", "next"))
    assert follow == ["after x", "after x", "after x", "after y"]
    assert server.ask("XPENDING", f"{{{namespace}}}:topic:shout", "workers")["pending"] == 0
    assert not [each for each in waiting(home).values() if each["waiting"] or each["running"]]


def test_what_a_foreign_worker_reports_as_failed_is_tried_again_and_then_dead(tmp_path):
    server, namespace = shared_server("redis"), fresh_namespace()
    flow = FLOW.replace("cron=@yearly", "cron=@yearly&retry_delay=100ms")
    home = redis_home(tmp_path, server.url, namespace, {"workflows/a.toml": flow})
    env = {"REDIS_URL": server.url, "FLOWLORD_NAMESPACE": namespace}
    assert flowlord("send", "shout", "wrong", cwd=home).code == 0
    with started(command("worker.sh", server.port), cwd=home, env=env), started_daemon(home) as daemon:
        daemon.says("failed for good")
        assert daemon.end() == 0
    assert ended_as(home) == {("shout", "wrong"): ["retried", "dead"]}


def started_daemon(home):
    """A daemon that also does the children."""
    return running("run", "workflows", "--worker", "next=builtin:noop", cwd=home)
