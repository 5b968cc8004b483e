"""Daemons that reload: by a signal, by a command for all of them, and out of buckets; who runs what can be seen."""

import os
import signal
import subprocess

import pytest

from support.object_servers import bucket_on, shared_gcs, shared_s3
from support.processes import FLOWLORD, flowlord, running, until, write

PHASE = '[[phase]]\ntask = "{name}"\nrule = "cron=@yearly"\n'
BROKEN = '[[phase]]\ntask = "a"\nrule = "cron=@yearly&ofset=-1h"\n'
SLOW = ("--reload", "1h")


def masters(home, env=None) -> list[dict]:
    rows = flowlord("workers", "-o", "json", cwd=home, env=env).data
    return [row for row in rows if row["kind"] == "taskmaster" and row["state"] == "alive"]


def test_a_change_is_picked_up_at_once_by_a_hint_and_a_signal_asks_for_a_look(tmp_path):
    write(tmp_path, {"workflows/a.toml": PHASE.format(name="one")})
    with running("run", "workflows", *SLOW, cwd=tmp_path) as daemon:
        daemon.says("a.toml was loaded")
        until(lambda: masters(tmp_path), "a heartbeat")
        write(tmp_path, {"workflows/sub/b.toml": PHASE.format(name="two")})
        daemon.says("sub/b.toml was loaded")
        daemon.tell(signal.SIGHUP)
        write(tmp_path, {"workflows/a.toml": BROKEN})
        daemon.says("did you mean 'offset'?")
        daemon.tell(signal.SIGHUP)
        daemon.tell(signal.SIGHUP)
        write(tmp_path, {"workflows/a.toml": PHASE.format(name="three")})
        daemon.says("a.toml was changed")
        assert daemon.err.count("did you mean 'offset'?") == 1
        assert daemon.end() == 0


@pytest.mark.parametrize("ignored", [False, True])
def test_a_terminal_that_closes_ends_the_daemon_in_order_unless_it_was_told_to_ignore_that(tmp_path, ignored):
    write(tmp_path, {"workflows/a.toml": PHASE.format(name="one")})
    ours, theirs = os.openpty()
    words = ["nohup"] * ignored + [*FLOWLORD, "run", "workflows"]
    with (tmp_path / "err").open("wb") as err:
        daemon = subprocess.Popen(
            ["setsid", "--ctty", *words], cwd=tmp_path, stdin=theirs, stdout=err, stderr=err
        )
    os.close(theirs)
    try:
        until(lambda: b"a.toml was loaded" in (tmp_path / "err").read_bytes(), "its start")
        until(lambda: masters(tmp_path), "a heartbeat")
        os.close(ours)  # hangs up
        if ignored:
            write(tmp_path, {"workflows/a.toml": PHASE.format(name="two")})
            daemon.send_signal(signal.SIGHUP)
            until(lambda: b"a.toml was changed" in (tmp_path / "err").read_bytes(), "the reload")
            daemon.terminate()
        assert daemon.wait(40) == 0
    finally:
        daemon.kill()
        daemon.wait()


def test_a_reload_reaches_every_daemon_and_waits_until_each_runs_what_it_found(tmp_path):
    """Two daemons with folders of their own: one falls behind, is named with the file, and catches up."""
    env = {"FLOWLORD_BUS": f"sqlite:///{tmp_path / 'bus.db'}"}
    for name in ("one", "two"):
        write(
            tmp_path / name,
            {"workflows/a.toml": PHASE.format(name="a"), "workflows/b.toml": PHASE.format(name="b")},
        )
    nobody = flowlord("reload", cwd=tmp_path, env=env)
    assert (nobody.code, nobody.out) == (5, "")
    with (
        running("run", "workflows", *SLOW, cwd=tmp_path / "one", env=env) as one,
        running("run", "workflows", *SLOW, cwd=tmp_path / "two", env=env) as two,
    ):
        until(lambda: len(masters(tmp_path, env)) == 2, "both")
        assert len({row["revision"] for row in masters(tmp_path, env)}) == 1
        write(tmp_path / "one", {"workflows/b.toml": PHASE.format(name="changed")})
        told = flowlord("reload", "-o", "json", cwd=tmp_path, env=env)
        assert told.code == 0, told.err
        assert {row["state"] for row in told.data} == {"reloaded"}
        assert {row["pid"] for row in told.data} == {one.process.pid, two.process.pid}
        assert len({row["revision"] for row in told.data}) == 2
        assert "they differ in b.toml" in told.err
        for words in (
            flowlord("workers", cwd=tmp_path, env=env),
            flowlord("doctor", "workers", cwd=tmp_path, env=env),
        ):
            assert "they differ in b.toml" in words.out + words.err
        write(tmp_path / "two", {"workflows/b.toml": PHASE.format(name="changed")})
        told = flowlord("reload", "-o", "json", cwd=tmp_path, env=env)
        assert (told.code, len({row["revision"] for row in told.data})) == (0, 1)
        assert "differ" not in told.err
        write(tmp_path / "two", {"workflows/b.toml": BROKEN})
        told = flowlord("reload", "-o", "json", cwd=tmp_path, env=env)
        assert told.code == 1
        assert {row["pid"]: row["state"] for row in told.data} == {
            one.process.pid: "reloaded", two.process.pid: "older"
        }  # fmt: skip
        two.stand_still(tmp_path / "bus.db")
        late = flowlord("reload", "--timeout", "0.5", cwd=tmp_path, env=env)
        two.tell(signal.SIGCONT)
        assert late.code == 124
        assert "did not answer within 0.5 s" in late.err
        assert flowlord("reload", "--no-wait", cwd=tmp_path, env=env).code == 0
        two.process.kill()
        two.process.wait()
        told = flowlord("reload", "-o", "json", cwd=tmp_path, env=env)
        assert told.code == 0, told.err
        states = {row["pid"]: row["state"] for row in told.data}
        assert states[one.process.pid] == "reloaded"
        assert states.get(two.process.pid, "gone") == "gone", (
            "or its lease has lapsed, on a machine that crawls"
        )
        one.process.kill()
        one.process.wait()
        nobody = flowlord("reload", cwd=tmp_path, env=env)
        assert (nobody.code, nobody.out) == (5, ""), "not waited for until its lease lapses"
        assert "no taskmaster is alive" in nobody.err


def test_tasks_carry_the_digest_of_their_file_and_the_commit_of_its_folder(tmp_path):
    write(tmp_path, {"workflows/a.toml": '[[phase]]\ntask = "a"\nrule = "cron=* * * * * *"\n'})
    names = ("GIT_AUTHOR_EMAIL", "GIT_COMMITTER_EMAIL", "GIT_AUTHOR_NAME", "GIT_COMMITTER_NAME")
    env = os.environ | dict.fromkeys(names, "a@b")

    def git(*words):
        done = subprocess.run(
            ["git", *words],
            cwd=tmp_path / "workflows",
            env=env,
            check=True,
            capture_output=True,
            text=True,
            timeout=60,
        )
        return done.stdout.strip()

    def carried():
        return {row["revision"] for row in flowlord("tasks", "-o", "json", cwd=tmp_path).data}

    git("init", "-q")
    with running("run", "workflows", "--reload", "300ms", cwd=tmp_path) as daemon:
        daemon.says("tick.sent")
        git("add", ".")
        git("commit", "-q", "-m", "one")
        commit = git("rev-parse", "HEAD")[:7]
        until(
            lambda: any(each.endswith(f"@{commit}") for each in carried()),
            "a task with the commit",
            every_s=0.3,
        )
        assert len({each.partition("@")[0] for each in carried()}) == 1
        until(
            lambda: {row["revision"].partition("@")[2] for row in masters(tmp_path)} == {commit},
            "the daemon with the commit",
        )
        assert "a.toml was changed" not in daemon.err
        assert daemon.end() == 0


@pytest.mark.parametrize("kind", ["s3", "gs"])
def test_workflows_run_out_of_a_bucket_and_outlive_it(tmp_path, kind):
    server = shared_s3() if kind == "s3" else shared_gcs()
    with bucket_on(server) as root:
        storage, env = server.storage(), server.variables
        storage.write(f"{root}/flows/a.toml", PHASE.format(name="one").encode())
        storage.write(f"{root}/flows/deep/b.yaml", b"phases:\n- {task: two, rule: 'cron=@yearly'}\n")
        checked = flowlord("validate", f"{root}/flows/", cwd=tmp_path, env=env)
        assert (checked.code, checked.err.strip()) == (0, "2 files, 2 phases: ok")
        with running("run", f"{root}/flows/", "--reload", "200ms", cwd=tmp_path, env=env) as daemon:
            daemon.says("deep/b.yaml was loaded")
            storage.write(f"{root}/flows/a.toml", PHASE.format(name="changed").encode())
            daemon.says("a.toml was changed")
            storage.write(f"{root}/flows/deep/b.yaml", b"phases: [")
            daemon.says(f"{root}/flows/deep/b.yaml:1:")
            wrong = flowlord("validate", f"{root}/flows/", cwd=tmp_path, env=env)
            assert wrong.code == 1
            assert f"{root}/flows/deep/b.yaml:1:" in wrong.out
            daemon.tell(signal.SIGSTOP)  # a look between the files and the bucket would find them taken away
            server.drop_bucket(root.partition("://")[2])
            daemon.tell(signal.SIGCONT)
            daemon.says("cannot be looked at: there is no bucket")
            sent = flowlord(
                "send", "changed", "--workflow", "a.toml", "--workflows", "none", cwd=tmp_path, env=env
            )
            assert sent.code != 0, "a folder of our own was asked for"
            until(lambda: "there is no bucket" in masters(tmp_path, env)[0]["health"], "the daemon to tell")
            assert daemon.err.count("cannot be looked at: there is no bucket") == 1
            assert "Traceback" not in daemon.err
            server.make_bucket(root.partition("://")[2])
            storage.write(f"{root}/flows/a.toml", PHASE.format(name="again").encode())
            daemon.says("can be looked at again")
            daemon.says("a.toml was changed", times=2)
            assert daemon.end() == 0
        server.drop_bucket(root.partition("://")[2])
        with running("run", f"{root}/flows/", cwd=tmp_path, env=env) as daemon:  # runs what was good last
            daemon.says("there is no bucket")
            assert daemon.end() == 0


def test_a_bucket_out_of_reach_is_told_without_the_keys(tmp_path):
    env = {
        "AWS_ENDPOINT_URL": "http://127.0.0.1:9",
        "AWS_ACCESS_KEY_ID": "a",
        "AWS_SECRET_ACCESS_KEY": "hush-hush",
    }
    for command in ("run", "validate"):
        ended = flowlord(command, "s3://bucket/flows/", cwd=tmp_path, env=env)
        assert ended.code == 3
        assert "error: s3://bucket/flows/: http://127.0.0.1:9 cannot be reached" in ended.err
        assert "hush-hush" not in ended.out + ended.err
        strange = flowlord(command, "hdfs://name/flows", cwd=tmp_path)
        assert strange.code == 2
        assert "hdfs:// is no storage that is known here" in strange.err
    for where, code in (("s3://bucket/flows/", 3), ("nowhere", 2)):
        ended = flowlord(
            "files", "--test", "/in/x.csv", cwd=tmp_path, env={**env, "FLOWLORD_WORKFLOWS": where}
        )
        assert (ended.code, "Traceback" in ended.err) == (code, False)
        assert ended.err.startswith(f"error: {where}: ")
