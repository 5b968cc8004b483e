"""Runs in a process of its own, one of several daemons on one schedule.

Arguments: game, bus, namespace, name, size, and for the game `daemon` a folder to work in and a planted bug or `none`.

Says `ready`, starts at the first line of its input. `bus`: decides `size` ticks of PHASES phases, in order, as quickly
as it can, and tells how many it won and how many another one had. `daemon`: schedules by a clock that runs SPEED times
as fast and goes `size` seconds wrong, changes and reloads its own workflow file all the time, until its input ends;
then it tells how often it reloaded, and every tick that it sent to the bus, won or not, each as `phase instant`. In
`FOLDER.lost` it tells meanwhile how many of them another one had.
"""

from __future__ import annotations

import logging
import sys
import threading
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from itertools import count
from pathlib import Path

from msgspec.structs import replace

from flowlord.bus.clock import SystemClock
from flowlord.bus.open import open_bus
from flowlord.bus.port import Bus
from flowlord.model.errors import LeaseLost, Refused
from flowlord.model.message import Message
from flowlord.model.plan import ANY, Commit, Committed, Mark, Plan
from flowlord.model.task import Task
from flowlord.taskmaster.chance import Chance, Stamps
from flowlord.taskmaster.reload import Reloader
from flowlord.taskmaster.scheduler import Scheduler
from flowlord.taskmaster.surroundings import Surroundings

PHASES = 10
SPEED = 40
AT_ONCE = 100
RELOAD_EVERY = 5
"""Looks at the clock between two changes of the workflow file."""
RELOADS = 2
"""So often a daemon reloads at least: on a busy machine it goes on until it did."""


def file_of(name: str, version: int) -> str:
    """The workflow file of one daemon, as its nth version has it.

    PHASES phases are the same in all of them, but for their templates and their order. `odd` is written otherwise by
    every second daemon, `own:NAME` is in the file of one daemon only, and `guest` comes and goes with every version.
    """
    phases = [(f"tick:{n}", "* * * * * *", f"{name} {version} {{timestamp}}") for n in range(PHASES)]
    phases = phases[version % PHASES :] + phases[: version % PHASES]
    phases.append(("odd", "*/2 * * * * *" if int(name) % 2 else "* * * * * *", "{timestamp}"))
    phases.append((f"own:{name}", "* * * * * *", "{timestamp}"))
    if version % 2:
        phases.append(("guest", "* * * * * *", "{timestamp}"))
    return "".join(
        f'[[phase]]\ntask = "{task}"\nrule = "cron={cron}&catchup=all"\ntemplate = "{template}"\n\n'
        for task, cron, template in phases
    )


class FastClock(SystemClock):
    """Wall time that runs SPEED times as fast from a moment that all processes of this machine agree on.

    `ahead` is by how much this daemon's clock is wrong.
    """

    def __init__(self, ahead_s: float = 0.0) -> None:
        self._ahead = timedelta(seconds=ahead_s)

    def now(self) -> datetime:
        """Aware, UTC."""
        passed = timedelta(microseconds=self.boottime_ns() * SPEED // 1_000)
        return datetime(2026, 1, 1, tzinfo=UTC) + passed + self._ahead


class Watched:
    """A bus that remembers which ticks were sent to it, whatever became of them, and how many another one had."""

    def __init__(self, real: Bus) -> None:
        self._real = real
        self.tried: list[str] = []
        self.lost = 0

    def __getattr__(self, name: str) -> object:
        return getattr(self._real, name)

    def commit_many(self, commits: Sequence[Commit]) -> list[Committed | Refused | LeaseLost]:
        """See the port."""
        answers = self._real.commit_many(self._spoilt(commits))
        for each, answer in zip(commits, answers, strict=True):
            if each.plan.publish and each.marks:
                [mark] = each.marks
                tick = f"{mark.key.partition('.toml:')[2]} {mark.new}"
                self.tried.append(tick)
                self.lost += isinstance(answer, Refused) and tick.startswith("tick:")
        return answers

    def _spoilt(self, commits: Sequence[Commit]) -> Sequence[Commit]:
        return commits


class NoMarks(Watched):
    """Publishes ticks without looking at what others have decided."""

    def _spoilt(self, commits: Sequence[Commit]) -> Sequence[Commit]:
        return [
            replace(each, marks=tuple(replace(mark, seen=ANY) for mark in each.marks)) for each in commits
        ]


class MarkFirst(Watched):
    """Moves the marks, and forgets now and then what they stand for."""

    _turn = count(1)

    def _spoilt(self, commits: Sequence[Commit]) -> Sequence[Commit]:
        return [
            replace(each, plan=Plan(), rendered=None) if next(self._turn) % 50 == 0 else each
            for each in commits
        ]


BUGS: dict[str, Callable[[Bus], Watched]] = {"none": Watched, "no-marks": NoMarks, "mark-first": MarkFirst}


def race(bus: Bus, ticks: int) -> tuple[int, int]:
    """Decide every tick that another one has not decided; returns how many were won and how many were taken."""
    won = taken = 0
    for start in range(0, ticks, AT_ONCE):
        commits = [
            Commit(
                Plan(
                    publish=(
                        Message("tick", Task(type="tick", info=str(tick)), f"tick-{tick}", cause=f"{tick}"),
                    )
                ),
                marks=(
                    Mark(
                        f"tick:{tick % PHASES}",
                        str(tick - PHASES) if tick >= PHASES else None,
                        str(tick),
                    ),
                ),
            )
            for tick in range(start, min(start + AT_ONCE, ticks))
        ]
        landed = sum(isinstance(answer, Committed) for answer in bus.commit_many(commits))
        won, taken = won + landed, taken + len(commits) - landed
    return won, taken


def schedule(bus: Watched, name: str, ahead_s: float, folder: Path) -> int:
    """Be a daemon until the input ends; returns how often it reloaded."""
    clock = FastClock(ahead_s)
    around = Surroundings(bus, clock, Chance(), Stamps(clock, int(name)), name)  # type: ignore[arg-type]
    flow = folder / "all.toml"
    flow.write_text(file_of(name, 0), "utf-8")
    reloader = Reloader(around, str(folder))
    reloader.start()
    scheduler = Scheduler(around, threading.Event())
    stop, step = threading.Event(), threading.Event()

    def listen() -> None:
        sys.stdin.read()
        stop.set()

    threading.Thread(target=listen, daemon=True).start()

    def put(file: Path, text: str) -> None:
        part = folder.with_name(f"{name}.part")
        part.write_text(text, "utf-8")
        part.replace(file)

    reloads = lost = 0
    for look in count(1):
        if stop.is_set() and reloads >= RELOADS:
            return reloads
        if look % RELOAD_EVERY == 0:
            put(flow, file_of(name, reloads + 1))
            reloads += reloader.step()
        scheduler.decide_due()
        if bus.lost != lost:
            lost = bus.lost
            put(folder.with_name(f"{name}.lost"), str(lost))
        step.wait(0.001)
    raise AssertionError


def main(
    game: str, address: str, namespace: str, name: str, size: str, folder: str = "", bug: str = ""
) -> None:
    """Take part."""
    bus = open_bus(address, by=name, namespace=namespace, accept_loss=True)
    logging.disable(logging.CRITICAL)  # to a clock as fast as ours the wall clock jumps all the time
    if game == "daemon":
        Path(folder).mkdir()
    print("ready", flush=True)
    sys.stdin.readline()
    if game == "bus":
        print(*race(bus, int(size)), flush=True)
    else:
        watched = BUGS[bug](bus)
        print(schedule(watched, name, float(size), Path(folder)))
        print("\n".join(watched.tried), flush=True)
    bus.close()


if __name__ == "__main__":
    main(*sys.argv[1:])
