"""Crash points do nothing, unless a test asks one to kill."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

import flowlord
from flowlord.bus.trap import Trap, arm_from
from flowlord.model.crashpoint import arm, crashpoint
from flowlord.model.errors import FlowlordError

SOURCE = str(Path(flowlord.__file__).parents[1])


def test_a_crash_point_does_nothing():
    arm_from({})
    crashpoint("anything")


def test_a_trap_hears_of_every_place():
    seen = []
    arm(seen.append)
    try:
        crashpoint("a.b")
        crashpoint("c.d")
    finally:
        arm(None)
    crashpoint("e.f")
    assert seen == ["a.b", "c.d"]


def test_a_trap_counts_only_its_own_place(monkeypatch):
    kills = []
    monkeypatch.setattr(os, "kill", lambda pid, number: kills.append((pid, number)))
    trap = Trap("a.b", 3)
    for name in ("a.b", "x", "a.b", "x", "a.bc"):
        trap(name)
    assert kills == []
    trap("a.b")
    assert kills == [(os.getpid(), signal.SIGKILL)]


@pytest.mark.parametrize("wrong", ["a.b:x", "a.b:-1"])
def test_a_trap_that_cannot_be_read_is_told(wrong):
    with pytest.raises(FlowlordError, match="no count"):
        arm_from({"FLOWLORD_CRASHPOINT": wrong})


def test_the_environment_kills_the_process_at_the_nth_passage():
    code = (
        "from flowlord.bus.open import open_bus; from flowlord.model.crashpoint import crashpoint\n"
        "open_bus('memory:', by='me')\n"
        "for n in range(5): print(n, flush=True); crashpoint('here')"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], env=os.environ | {"FLOWLORD_CRASHPOINT": "here:3", "PYTHONPATH": SOURCE},
        capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert (done.returncode, done.stdout.split()) == (-signal.SIGKILL, ["0", "1", "2"])
