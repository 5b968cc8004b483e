"""Real daemons, a worker and a Redis whose wall clocks are set forward and back (T-10).

Each has a clock of its own, so they are also wrong by different times. Nothing starts twice, nothing is lost without
a word, every jump is said, and no lease is lost.
"""

from __future__ import annotations

import os
import random
import re
import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, closing
from datetime import UTC, datetime, timedelta
from itertools import accumulate, pairwise
from pathlib import Path

import pytest

from flowlord.bus.open import open_bus
from flowlord.bus.port import Bus
from flowlord.model.message import Message
from flowlord.model.task import Task
from support.processes import FLOWLORD, ROOT, Running, started, until, write
from support.redis_servers import Server
from support.skew import SkewedClock, built

FLOW = """
[[phase]]
task = "tick"
rule = "cron=* * * * * *&catchup=all&catchup_window=10s"
template = "{ts}"

[[phase]]
task = "flaky"
dependsOn = "tick"
retry = 1
rule = "retry_delay=200ms"
template = "{meta:at}"
"""
SECOND = timedelta(seconds=1)
YEAR_S = 365 * 24 * 3600
SLOW = 3
"""Tasks that are at work from the beginning to the end."""
GATE, FULL = 40, 500
SEED = int(os.environ.get("FLOWLORD_TEST_SEED", "20260101"))
LIMIT_S = 60.0
SET = re.compile(r"the wall clock was set (forward|back) by ([\d.]+) s")
LEFT_OUT = re.compile(r"tick did not start at (\S+?)(?: to (\S+) \([^)]*\))?: ")


class Ground:
    """Two daemons, a worker, and the bus's server if it has one, each with a clock of its own."""

    def __init__(self, kind: str, home: Path, stack: ExitStack, bug: str = "") -> None:
        self.home = home
        program = [sys.executable, "-m", "fault.jump_plants", bug] if bug else [*FLOWLORD]
        tasks = {"JUMP_LOG": str(home / "executions.log"), "PYTHONPATH": str(ROOT / "tests")}
        self.log = home / "executions.log"
        self.log.touch()
        library = built(home)
        self.clocks = {name: SkewedClock(home, f"skew-{name}", library) for name in ("one", "two", "worker")}
        self.address = f"sqlite:///{home / 'bus.db'}"
        if kind == "redis":
            self.clocks["server"] = SkewedClock(home, "skew-server", library)
            server = self.clocks["server"].rules(Server("redis", {"appendonly": "no"}, folder=home / "redis"))
            self.address = stack.enter_context(server).url
        write(home, {"workflows/a.toml": FLOW})
        common = ("--bus", self.address, "--lease", "3s", "--accept-loss", "--namespace", "jumps")
        if kind == "sqlite":
            common = common[:4]

        def start(name: str, *words: str) -> Running:
            env = self.clocks[name].variables | tasks
            return stack.enter_context(started([*program, *words, *common], cwd=home, env=env))

        self.daemons = {
            "one": start("one", "run", "workflows", "--cache", "tasks.db"),
            "two": start("two", "run", "workflows", "--no-cache"),
        }
        self.worker = start("worker", "worker", "--app", "fault.jump_tasks", "--concurrency", str(SLOW + 3))

    def ran(self, type_: str) -> list[list[str]]:
        """The lines of one type: info, try, delivery."""
        lines = (line.split("\t") for line in self.log.read_text().splitlines())
        return [fields for kind, *fields in lines if kind == type_]

    def tried_again(self) -> list[str]:
        """The infos of the children that ran a second time."""
        return [info for info, tries, _ in self.ran("flaky") if tries == "1"]

    def goes_on(self) -> None:
        """Wait until more starts are run."""
        before = len(self.ran("tick"))
        until(lambda: len(self.ran("tick")) > before + 1, "more starts", LIMIT_S)


def said(daemon: Running) -> list[float]:
    """The jumps that a daemon told of, in order; a slow machine may make a jump of a second by itself."""
    found = ((-1 if way == "back" else 1) * float(s) for way, s in SET.findall(daemon.err))
    return [each for each in found if abs(each) > 2.5]


class Jumps:
    """Draws which clocks are set by how much; `front` is the latest time that any daemon has believed in."""

    def __init__(self, ground: Ground, seed: int) -> None:
        self.ground = ground
        self.front = 0
        self.made: dict[str, list[int]] = {name: [] for name in ground.clocks}
        self._chance = random.Random(seed)

    def draw(self) -> int:
        """A length of 3 s to a year, short ones as likely as long ones."""
        return round(3 * (YEAR_S / 3) ** self._chance.random())

    def set(self, name: str, by: int) -> None:
        """Set one clock."""
        self.ground.clocks[name].jump(by)
        self.made[name].append(by)
        if name in self.ground.daemons:
            self.front = max(self.front, self.ground.clocks[name].ahead)

    def round(self, number: int) -> None:
        """Set some clocks at one moment; in every other round one daemon comes to be ahead of all that was."""
        names = self._chance.sample([*self.made], self._chance.randint(2, len(self.made)))
        leader = ("one", "two")[number // 2 % 2] if number % 2 else ""
        for name in {*names, leader} - {""}:
            by = self.draw() * self._chance.choice((-1, 1))
            if name == leader:
                by = self.front - self.ground.clocks[name].ahead + self.draw()
            self.set(name, by)
        self.heard()
        if leader:
            self.ground.goes_on()

    def clear_up(self) -> None:
        """Set each clock to an hour behind all that it showed so far; the daemons agree again."""
        for name, clock in self.ground.clocks.items():
            shown = self.front if name in self.ground.daemons else max(0, *accumulate(self.made[name]))
            self.made[name].append(shown + 3_600 - clock.ahead)
            clock.jump(self.made[name][-1])

    def heard(self) -> None:
        """Wait until each daemon has told of each jump of its clock."""
        for name, daemon in self.ground.daemons.items():
            until(lambda: len(said(daemon)) >= len(self.made[name]), f"a jump told by {name}", LIMIT_S)  # noqa: B023

    @property
    def count(self) -> int:
        return sum(map(len, self.made.values()))


def state_of(bus: Bus, topic: str) -> int:
    """How many messages of a topic are not done with."""
    return sum(each.waiting + each.running + each.later for each in bus.topics() if each.topic == topic)


def spans(daemons: Iterator[Running]) -> list[tuple[datetime, datetime]]:
    """The starts that were told to be left out: the first and the last of each span."""
    return [
        (datetime.fromisoformat(first), datetime.fromisoformat(last or first))
        for daemon in daemons
        for first, last in LEFT_OUT.findall(daemon.err)
    ]


def judge(ground: Ground) -> int:
    """Each second from the first start to the last was started once or told to be left out; returns how many spans."""
    runs = Counter(info for info, _, _ in ground.ran("tick"))
    assert {info: n for info, n in runs.items() if n > 1} == {}, "nothing starts twice"
    started = [datetime.strptime(info, "%Y%m%dT%H%M%S").replace(tzinfo=UTC) for info in runs]
    left_out = spans(iter(ground.daemons.values()))
    assert len(left_out) == len(set(left_out)), "each is told once"
    whole = sorted([(each, each) for each in started] + left_out)
    wrong = [(a, b) for (_, a), (b, _) in pairwise(whole) if b - a != SECOND]
    assert not wrong, f"missing without a word, or told of and started: {wrong}"
    return len(left_out)


def storm(kind: str, jumps: int, home: Path, bug: str = "") -> None:
    """Set clocks until there were so many jumps, and judge what came of it."""
    with ExitStack() as stack:
        ground = Ground(kind, home, stack, bug)
        until(lambda: len(ground.ran("tick")) > 2, "the first starts", LIMIT_S)
        more = {"namespace": "jumps", "accept_loss": True} if kind == "redis" else {}
        bus = stack.enter_context(closing(open_bus(ground.address, by="test", **more)))  # type: ignore[arg-type]
        bus.publish([Message("slow", Task(type="slow", info=str(n)), f"slow-{n}") for n in range(SLOW)])
        until(lambda: len(ground.ran("slow")) >= SLOW, "the slow tasks", LIMIT_S)
        until(lambda: len(bus.presences()) == len(ground.daemons) + 1, "signs of life of all", LIMIT_S)
        skies = Jumps(ground, SEED)
        number = 0
        while skies.count < jumps - len(skies.made):
            skies.round(number)
            number += 1
        skies.clear_up()
        skies.heard()
        ground.goes_on()
        (home / "finish").touch()
        # Whatever waited for its second try while clocks were wrong has had it.
        parents = {info for info, _, _ in ground.ran("tick")}
        until(lambda: len(ground.tried_again()) >= len(parents), "the second tries", LIMIT_S)
        until(lambda: not state_of(bus, "slow"), "the end of the slow tasks", LIMIT_S)
        for daemon in ground.daemons.values():
            assert daemon.end() == 0
        assert ground.worker.end() == 0
    assert skies.count >= jumps
    told = judge(ground)
    assert told >= number // 4, "jumps beyond the window were told"
    for name, daemon in ground.daemons.items():
        assert [round(each) for each in said(daemon)] == pytest.approx(skies.made[name], abs=2)
        assert "offered again" not in daemon.err, "no lease goes by a wall clock"
        assert "vanished" not in daemon.err, "nor does it look as if anybody was gone"
        assert "Traceback" not in daemon.err
    twice = {each: n for each, n in Counter(map(tuple, ground.ran("flaky"))).items() if n > 1}
    assert not twice, "nor does a second try come twice"
    assert sorted(ground.ran("slow")) == [[str(n), "0", "1"] for n in range(SLOW)], "leases were kept"


@pytest.mark.fault
@pytest.mark.timeout(900)
@pytest.mark.parametrize("jumps", [GATE, pytest.param(FULL, marks=pytest.mark.full)])
@pytest.mark.parametrize("kind", [pytest.param("sqlite", marks=pytest.mark.full), "redis"])
def test_clocks_that_are_set_start_nothing_twice_and_lose_nothing_without_a_word(
    kind: str, jumps: int, tmp_path: Path
) -> None:
    storm(kind, jumps, tmp_path)


@pytest.mark.fault
@pytest.mark.full
@pytest.mark.timeout(300)
@pytest.mark.parametrize(
    ("bug", "shows_as"),
    [
        ("starts-again", "nothing starts twice"),
        ("misses-silently", "missing without a word"),
        ("wall-leases", "no lease goes by a wall clock|leases were kept"),
    ],
)
def test_a_bug_that_clocks_bring_out_is_found(bug: str, shows_as: str, tmp_path: Path) -> None:
    with pytest.raises(AssertionError, match=shows_as):
        storm("sqlite", 20, tmp_path, bug)
