"""Several processes on one SQLite bus: races, forks, a disk that is full, and how soon news is heard."""

import os
import subprocess
import sys
import threading
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

import flowlord
from flowlord.bus.sqlite import SqliteBus
from flowlord.model.errors import BusUnavailable
from flowlord.model.message import Message
from flowlord.model.plan import Committed, Plan
from flowlord.model.task import Task
from support.bus_race import ROUND
from support.quick import quick_folder

TESTS = Path(__file__).parents[1]
ENVIRONMENT = {"PYTHONPATH": f"{Path(flowlord.__file__).parents[1]}{os.pathsep}{TESTS}"}
pytestmark = pytest.mark.fault


def message(key="k", topic="extract", info="x"):
    return Message(topic, Task(type=topic, info=info), key)


def start(module, *arguments):
    return subprocess.Popen(
        [sys.executable, "-m", f"support.{module}", *map(str, arguments)],
        env=os.environ | ENVIRONMENT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
    )  # fmt: skip


@pytest.fixture
def folder():
    with quick_folder() as found:
        yield found


def test_two_processes_that_race_over_two_thousand_ticks_dispatch_two_thousand(folder):
    ticks, size = 2_000, 5
    racers = [start("bus_race", folder / "bus.db", name, ticks, size) for name in ("one", "two")]
    for _ in range(ticks // ROUND):
        for racer in racers:
            assert racer.stdout.readline() == "ready\n"
        for racer in racers:
            racer.stdin.write("go\n")
            racer.stdin.flush()
        racers.reverse()  # a busy machine may run one to the end before the other has begun: then it is each one's turn
    results = [[int(number) for number in racer.communicate(timeout=100)[0].split()] for racer in racers]
    with closing(SqliteBus(folder / "bus.db")) as bus:
        found = bus.claim(["extract"], "checker", ticks * 2)
        told = [fact for entry in bus.journal(0, ticks) for fact in entry.facts]
    assert sorted(int(d.task().info) for d in found) == list(range(ticks))
    assert len({d.key for d in found}) == len(told) == ticks
    assert [won for won, _ in results] == [sum(d.cause == name for d in found) for name in ("one", "two")]
    # Each tick was tried by both, and each found some that the other one had: they were at it together.
    assert all(refused > 0 for _, refused in results), f"no race: {results}"


def test_many_who_make_the_same_file_at_once_share_it(folder):
    found, ready = [], threading.Barrier(6)

    def make(n):
        ready.wait()
        with closing(SqliteBus(folder / "bus.db", by=str(n))) as bus:
            bus.publish([message(str(n))])
            found.append(bus.generation())

    threads = [threading.Thread(target=make, args=(n,)) for n in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert len(found) == 6
    assert len(set(found)) == 1
    with closing(SqliteBus(folder / "bus.db")) as bus:
        assert len(bus.claim(["extract"], "a", 9)) == 6


def test_a_forked_child_may_not_use_the_bus_and_does_not_harm_it_when_it_ends(folder):
    forker = start("bus_fork", folder / "bus.db")
    output, _ = forker.communicate(timeout=60)
    lines = output.splitlines()
    assert lines[:4] == ["BusUnusable open one in each process"] * 4
    assert lines[4:] == ["child ended with 0", "[('half', '1'), ('whole', '2')] ['first', 'second']", "ok"]
    assert forker.returncode == 0


@contextmanager
def small_disk(folder, size):
    """A file system of `size` bytes; only root may mount one."""
    done = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(folder)], capture_output=True, check=False
    )
    if done.returncode != 0:
        if os.environ.get("CI"):
            pytest.fail(f"CI must be able to mount: {done.stderr!r}")
        pytest.skip("only root may mount a small disk")
    try:
        yield
    finally:
        subprocess.run(["umount", "-l", str(folder)], check=True)


@pytest.mark.parametrize("mode", ["persist", "wal"])
def test_a_full_disk_loses_nothing_and_with_room_again_work_goes_on(tmp_path, mode):
    (tmp_path / "disk").mkdir()
    with small_disk(tmp_path / "disk", 2 << 20):
        ballast = tmp_path / "disk" / "ballast"
        ballast.write_bytes(bytes(1 << 20))
        with closing(SqliteBus(tmp_path / "disk" / "bus.db", journal_mode=mode)) as bus:
            landed, error = 0, None
            while error is None and landed < 100_000:
                try:
                    bus.publish([message(f"k{landed + n}") for n in range(50)])
                    landed += 50
                except BusUnavailable as told:
                    error = told
            assert "is full" in str(error)
            assert 50 <= landed < 100_000
            ballast.unlink()
            waiting = [state.waiting for state in bus.topics() if state.topic == "extract"]
            assert waiting == [landed]
            held = bus.claim(["extract"], "a", 10)
            assert bus.commit(Plan(publish=(message("next", "load"),)), acknowledge=held) == Committed()
            with bus._connection.reading() as db:
                assert db.execute("PRAGMA integrity_check").fetchone() == ("ok",)


def test_a_killed_waiter_leaves_a_socket_that_the_next_ring_takes_away(folder):
    code = (
        "import os, sys; from flowlord.bus.sqlite import SqliteBus; b = SqliteBus(sys.argv[1])\n"
        "with b._bell.ear(): print('ready', flush=True); os.kill(os.getpid(), 9)"
    )
    dead = subprocess.run(
        [sys.executable, "-c", code, str(folder / "bus.db")],
        env=os.environ | ENVIRONMENT,
        capture_output=True,
        check=False,
    )
    assert dead.stdout == b"ready\n"
    assert len(os.listdir(folder / "bus.db.bells")) == 1
    with closing(SqliteBus(folder / "bus.db")) as bus:
        bus.publish([message()])
        assert os.listdir(folder / "bus.db.bells") == []
