"""Real daemons whose history is backed up, lost, and there again."""

import shutil
import signal
import threading
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from support.object_servers import bucket_on, shared_gcs, shared_s3
from support.processes import flowlord, running, until, write

FLOW = '[[phase]]\ntask = "slow"\nrule = "cron=@yearly"\n'


@contextmanager
def a_place(kind: str, home):
    if kind == "local":
        yield str(home / "backups"), {}
        return
    server = shared_s3() if kind == "s3" else shared_gcs()
    with bucket_on(server) as root:
        yield f"{root}/flowlord/tasks.db", server.variables


@pytest.mark.parametrize("kind", ["local", "s3", "gs"])
def test_a_history_that_was_lost_with_everything_comes_back_at_the_start(kind, tmp_path):
    home = write(tmp_path, {"workflows/a.toml": FLOW})
    with a_place(kind, home) as (place, variables):
        env = {**variables, "FLOWLORD_BACKUP_PATH": place}
        with running("run", "workflows", "--worker", "slow=true", cwd=home, env=env) as daemon:
            sent = flowlord("send", "slow", "--wait", "-o", "json", cwd=home)
            assert sent.code == 0, sent.err
            assert daemon.end() == 0, daemon.err
            assert "is backed up to" in daemon.err
        shutil.rmtree(home / ".flowlord")  # the bus too: nothing but the backup knows of the task
        with running("run", "workflows", cwd=home, env=env) as daemon:
            daemon.says("is restored from the backup")
            asked = ("tasks", "--topic", "slow", "--state", "complete", "-o", "json")
            [found] = until(lambda: flowlord(*asked, cwd=home).data, "the task in history")
            assert found["result"] == "complete"
            assert daemon.end() == 0, daemon.err


class Bad(BaseHTTPRequestHandler):
    """A bucket that answers nothing but faults, or nothing at all."""

    asked: threading.Event
    is_mute = False

    def do_GET(self):
        self.asked.set()
        if self.is_mute:
            self.rfile.read(1)  # until the other side gives up
        self.send_error(500)

    def log_message(self, *args):
        pass


@contextmanager
def bad_bucket(*, is_mute: bool):
    kind = type("Bad", (Bad,), {"asked": threading.Event(), "is_mute": is_mute})
    with ThreadingHTTPServer(("127.0.0.1", 0), kind) as server:
        threading.Thread(target=server.serve_forever).start()
        try:
            yield f"http://127.0.0.1:{server.server_port}", kind.asked
        finally:
            server.shutdown()


@pytest.mark.parametrize(
    ("is_mute", "words"),
    [(False, "answered 500"), pytest.param(True, "did not answer in time", marks=pytest.mark.full)],
)
def test_a_bucket_that_answers_nothing_but_500_or_hangs_at_the_start_keeps_no_task_waiting(
    is_mute, words, tmp_path
):
    home = write(tmp_path, {"workflows/a.toml": FLOW})
    with bad_bucket(is_mute=is_mute) as (endpoint, asked):
        env = {
            "AWS_ENDPOINT_URL": endpoint, "AWS_REGION": "r", "AWS_ACCESS_KEY_ID": "k", "AWS_SECRET_ACCESS_KEY": "s",
            "FLOWLORD_BACKUP_PATH": "s3://bucket/history",
        }  # fmt: skip
        with running("run", "workflows", "--worker", "slow=true", cwd=home, env=env) as daemon:
            assert asked.wait(60.0), "the bucket is asked for backups of the history that is missing"
            assert flowlord("send", "slow", "--wait", cwd=home).code == 0
            daemon.says("the history is missing, and backups cannot be listed: s3://bucket/history/: ")
            assert daemon.end() == 0, daemon.err
        assert words in daemon.err
        assert "Traceback" not in daemon.err
        assert "the history is not complete" in daemon.err, "told, and the next start goes on where it stood"
        assert not (home / ".flowlord/tasks.db").exists(), "one begun anew would lack what the backups have"


def test_a_place_that_refuses_makes_health_yellow_and_an_alert_and_tasks_go_on(tmp_path):
    home = write(tmp_path, {"workflows/a.toml": FLOW, "backups": "a file, where a folder should be"})
    env = {"FLOWLORD_BACKUP_PATH": str(home / "backups")}
    with running("run", "workflows", "--worker", "slow=true", cwd=home, env=env) as daemon:
        assert flowlord("send", "slow", "--wait", cwd=home).code == 0
        assert daemon.end() == 0, daemon.err
        assert "the history is not backed up" in daemon.err
    with running("run", "workflows", cwd=home, env=env) as daemon:

        def health() -> str:
            return " ".join(each["health"] for each in flowlord("workers", "-o", "json", cwd=home).data)

        until(lambda: "backup" in health(), "health that tells of the backup")
        assert "yellow" in health()
        assert daemon.end(signal.SIGINT) in (0, 130), daemon.err
