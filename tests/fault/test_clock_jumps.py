"""A real daemon whose wall clock is set forward and back (T-10): nothing twice, nothing lost without a word."""

from __future__ import annotations

import os
import shutil
import struct
import subprocess
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path

import pytest

from support.processes import ROOT, Running, flowlord, running, tasks, until, write
from support.redis_programs import lacking

FLOW = """
[[phase]]
task = "tick"
rule = "cron=* * * * * *&catchup=all&catchup_window=1m"
template = "{ts}"
"""
SECOND = timedelta(seconds=1)


class SkewedClock:
    """The wall clock of the processes that run with `variables`."""

    def __init__(self, folder: Path) -> None:
        compiler = shutil.which("gcc") or shutil.which("cc")
        if compiler is None:
            lacking("no C compiler: apt-get install gcc libc6-dev")
        library = folder / "skew.so"
        source = ROOT / "tests" / "support" / "skew.c"
        subprocess.run([compiler, "-shared", "-fPIC", "-O1", "-o", library, source], check=True, timeout=60)
        self._file = folder / "skew"
        self._file.write_bytes(struct.pack("q", 0))
        self.ahead = 0
        self.variables = {"LD_PRELOAD": str(library), "SKEW_FILE": str(self._file)}

    def jump(self, seconds: int) -> None:
        """Set the clock, between one moment and the next."""
        self.ahead += seconds
        with self._file.open("r+b", buffering=0) as file:
            os.pwrite(file.fileno(), struct.pack("q", self.ahead), 0)


def instants(home: Path) -> list[datetime]:
    """The planned instants of all starts, in order."""
    found = tasks(home, "--topic", "tick")
    return sorted(datetime.strptime(row["info"], "%Y%m%dT%H%M%S").replace(tzinfo=UTC) for row in found)


def goes_on(daemon: Running) -> None:
    """Wait until more starts are told."""
    daemon.says("tick.sent", daemon.err.count("tick.sent") + 2)


@pytest.mark.fault
def test_a_daemon_survives_a_wall_clock_that_is_set_forward_and_back(tmp_path: Path) -> None:
    clock = SkewedClock(tmp_path)
    write(tmp_path, {"workflows/a.toml": FLOW})
    slow = "slow=sh -c 'while ! test -e finish; do sleep 0.1; done'"
    flags = ("--worker", slow, "--lease", "3s")
    with running("run", "workflows", *flags, cwd=tmp_path, env=clock.variables) as daemon:
        daemon.says("tick.sent", 2)
        assert flowlord("send", "slow", "1", cwd=tmp_path, env=clock.variables).code == 0

        clock.jump(40)  # within the window: made up for
        daemon.says("the wall clock was set forward by 40.")
        goes_on(daemon)

        clock.jump(-90)  # what lies at or before the mark never starts again
        daemon.says("the wall clock was set back by 90.")
        daemon.says("ahead of this clock: no start until then")
        quiet = daemon.err.count("tick.sent")
        clock.jump(90)
        daemon.says("the wall clock was set forward by 90.")
        goes_on(daemon)
        assert daemon.err.count("tick.sent") >= quiet

        clock.jump(3_600)  # beyond the window: recorded, and the last minute made up for
        daemon.says("it lies before the catch-up window")
        goes_on(daemon)

        (tmp_path / "finish").write_text("")
        until(
            lambda: [row["state"] for row in tasks(tmp_path, "--topic", "slow")] == ["complete"],
            "the slow task",
            every_s=0.3,
        )
        assert daemon.end() == 0
    found = instants(tmp_path)
    assert len(found) == len(set(found)), "nothing starts twice"
    holes = [(a, b) for a, b in pairwise(found) if b - a != SECOND]
    assert len(holes) == 1, "only the hour that was jumped over is missing"
    [(last, first)] = holes
    assert timedelta(minutes=58) < first - last <= timedelta(hours=1)
    assert daemon.err.count("it lies before the catch-up window") == 1, "which was told"
    [slow_task] = tasks(tmp_path, "--topic", "slow")
    assert slow_task["attempt"] == 1
    assert "offered again" not in daemon.err, "its lease goes by no wall clock"
