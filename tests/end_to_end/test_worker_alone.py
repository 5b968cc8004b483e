"""Workers that die of a task, and workers for some jobs of a type: real processes, started again when they died."""

import threading
from contextlib import contextmanager

import pytest

from flowlord.bus.open import open_bus
from support.processes import FLOWLORD, Running, running, tasks, until, write
from support.workers import message

FLOW = """
[[phase]]
task = "other"
rule = "cron=@yearly"
"""
SCRIPT = 'case "$FLOWLORD_TASK_INFO" in poison*) kill -9 $PPID;; *) sleep $FLOWLORD_TASK_INFO;; esac'


@pytest.fixture
def home(tmp_path):
    return write(tmp_path, {"workflows/a.toml": FLOW})


@pytest.fixture
def bus(home):
    opened = open_bus(f"sqlite:///{home}/.flowlord/bus.db", by="test")
    yield opened
    opened.close()


@contextmanager
def daemon(home):
    with running("run", "workflows", "--lease", "1500ms", cwd=home) as process:
        process.says("a.toml was loaded")
        yield process


@contextmanager
def supervised(home, count, *arguments):
    """Worker processes, each started again when it has died."""
    command = [
        *FLOWLORD,
        "worker",
        "--lease",
        "1500ms",
        "--bus",
        f"sqlite:///{home}/.flowlord/bus.db",
        *arguments,
    ]
    over, died = threading.Event(), []

    def supervise():
        while not over.is_set():
            worker = Running(command, home, {})
            while not worker.is_gone and not over.wait(0.02):
                pass
            if worker.is_gone:
                died.append(worker.process.returncode)
            else:
                worker.end()

    threads = [threading.Thread(target=supervise) for _ in range(count)]
    for thread in threads:
        thread.start()
    try:
        yield died
    finally:
        over.set()
        for thread in threads:
            thread.join()


def ended(home, count):
    """What each task came to, once all have."""

    def all_ended():
        found = {each["info"]: each for each in tasks(home) if each["type"] == "job"}
        return found if len(found) == count and all(each["ended"] for each in found.values()) else None

    return until(all_ended, limit_s=100, every_s=0.3)


@pytest.mark.parametrize("workers", [1, 2])
def test_only_the_task_that_kills_its_workers_is_dead(home, bus, workers):
    good = ["1.5", "1.51", "1.52"]
    bus.publish([message("job", info) for info in (good[0], "poison", *good[1:])])
    script = ("--worker", f"job=sh -c '{SCRIPT}'", "--concurrency", "4")
    with daemon(home), supervised(home, workers, *script) as died:
        found = ended(home, 4)
    results = {info: (each["result"], each["msg"]) for info, each in found.items()}
    assert {info: result for info, (result, _) in results.items()} == {
        "poison": "error",
        **dict.fromkeys(good, "complete"),
    }
    assert "3 workers died with this task" in results["poison"][1]
    assert died == [-9] * 3


def test_two_workers_of_different_jobs_share_a_type(home, bus):
    jobs = {f"{n}": "ab"[n % 2] for n in range(6)}
    bus.publish([message("job", info, job=job) for info, job in jobs.items()])
    with (
        daemon(home),
        supervised(home, 1, "--worker", "job:a=true"),
        supervised(home, 1, "--worker", "job:b=true"),
    ):
        found = ended(home, 6)
    assert {each["result"] for each in found.values()} == {"complete"}
