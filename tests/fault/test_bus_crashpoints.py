"""A process is killed before, inside and after each step of the SQLite bus: the file holds all of it or nothing."""

import json
import os
import re
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest

import flowlord
from flowlord.bus.sqlite import SqliteBus
from flowlord.model.plan import Mark, Plan
from support import bus_crash
from support.quick import quick_folder

TESTS = Path(__file__).parents[1]
SOURCE = Path(flowlord.__file__).parents[1]
pytestmark = pytest.mark.fault


@pytest.fixture(scope="module")
def wreckage():
    """The folder of what the killed processes left, and how each ended."""
    with quick_folder() as folder:
        done = subprocess.run(
            [sys.executable, "-m", "support.bus_crash", str(folder)],
            env=os.environ | {"PYTHONPATH": f"{SOURCE}{os.pathsep}{TESTS}"},
            capture_output=True, text=True, timeout=100, check=False,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        lines = [line.split() for line in done.stdout.splitlines()]
        yield folder, {(verb, moment): int(status) for verb, moment, status in lines}


@pytest.fixture
def left(wreckage, tmp_path):
    """A copy of what one killed process left, its hot journal included."""

    def copy(verb, moment):
        return shutil.copytree(wreckage[0] / f"{verb}.{moment}", tmp_path / f"{verb}.{moment}")

    return copy


VERBS = [*bus_crash.VERBS]


def test_every_step_of_the_bus_has_its_crash_points_and_each_is_reached(wreckage):
    text = "".join(file.read_text() for file in (SOURCE / "flowlord" / "bus").glob("sqlite*.py"))
    verbs = set(re.findall(r"""(?:_writing|\.writing|_drop|_by_chunks)\("(\w+)\"""", text))
    assert verbs == {*VERBS, "open"}
    _, ended = wreckage
    killed = {
        place
        for place, status in ended.items()
        if os.WIFSIGNALED(status) and os.WTERMSIG(status) == signal.SIGKILL
    }
    assert killed == {(verb, moment) for verb in verbs for moment in bus_crash.MOMENTS}
    assert [place for place, status in ended.items() if place[1] == "none" and status != 0] == []


@pytest.mark.parametrize("moment", ["before", "written"])
@pytest.mark.parametrize("verb", VERBS)
def test_a_kill_before_the_step_landed_leaves_nothing_of_it(left, verb, moment):
    folder = left(verb, moment)
    assert bus_crash.rows(folder / "bus.db") == json.loads((folder / "before.json").read_text())


@pytest.mark.parametrize("verb", VERBS)
def test_a_kill_after_the_step_landed_leaves_all_of_it(left, verb):
    whole = left(verb, "none")
    found = bus_crash.rows(left(verb, "after") / "bus.db")
    assert found == bus_crash.rows(whole / "bus.db")
    assert found != json.loads((whole / "before.json").read_text())


@pytest.mark.parametrize("moment", ["before", "written", "after"])
def test_a_file_whose_maker_was_killed_is_made_by_the_next(left, moment):
    bus = SqliteBus(left("open", moment) / "bus.db", boot_id="here")
    bus.commit(Plan(), marks=[Mark("m", None, "1")])
    assert bus.marks(["m"]) == {"m": "1"}
    bus.close()


@pytest.mark.parametrize("verb", VERBS)
@pytest.mark.parametrize("moment", ["before", "written", "after"])
def test_whatever_was_killed_the_bus_goes_on(left, verb, moment):
    bus = SqliteBus(left(verb, moment) / "bus.db", boot_id="another one")
    bus.release(bus.reclaim("reaper", 100))
    while bus.advance():
        pass
    for topic in bus.topics():
        while found := bus.claim([topic.topic], "heir", 100):
            bus.commit(Plan(), acknowledge=found)
    assert [(t.waiting, t.running) for t in bus.topics() if t.waiting or t.running] == []
    bus.close()
