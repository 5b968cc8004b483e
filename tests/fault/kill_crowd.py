"""The victims that are alive: started, killed, stopped and continued, and each dead one's seat taken at once.

One process, no threads; who waits for them waits for SIGCHLD.
"""

from __future__ import annotations

import os
import random
import signal
import time
from collections.abc import Callable
from pathlib import Path

from fault.kill_ground import STOPS, Ground
from fault.kill_size import Figures, Size
from fault.kill_victims import Ended, Victim, start

TESTS = Path(__file__).resolve().parents[1]
UNREACHABLE = 3
TRAPPED_WITHIN_S = 1.5
"""How long a victim that is to die or stop at a named place is left alone, so that it comes there."""
REPORTS_S = 0.6
"""How long a victim that stood still is left alone afterwards, so that it can tell what it has."""


class Crowd:
    """All processes of one run. `is_raging` is on while kills go on: then victims are trapped, cold or stopped."""

    app = "fault.kill_tasks"
    """The module of the workers' tasks."""

    def __init__(
        self, size: Size, where: Path, ground: Ground, chance: random.Random, figures: Figures
    ) -> None:
        self.size, self.where, self.ground = size, where, ground
        self.chance, self.figures = chance, figures
        self.is_raging = True
        self.alive: dict[int, Victim] = {}
        self.killed: list[Victim] = []
        self.server_died = self.stood_still = 0.0
        self._serial = 0

    # --- starts

    def seat(self, kind: str, place: int) -> None:
        """Start a worker or a taskmaster."""
        size, chance = self.size, self.chance
        common = ["--bus", self.ground.address, "--lease", f"{size.lease_s:g}s", "--grace", "5s"]
        common += ["--log-format", "json"]
        if kind == "worker":
            argv = ["worker", "--app", self.app, "--concurrency", str(size.concurrency), *common]
        else:
            argv = ["run", "flow", "--cache", "tasks.db", *common]
        spared = kind == "taskmaster" and self._spare()
        cold = self.is_raging and not spared and chance.random() < size.cold
        trap = stop = ""
        if self.is_raging and not cold and not spared:
            fate = chance.random()
            if fate < size.trapped:
                trap = f"{chance.choice(self.ground.traps[kind])}:{chance.randint(1, 6)}"
            elif fate < size.trapped + size.stopped[kind]:
                stop = f"{chance.choice(STOPS[kind])}:{chance.randint(1, 3)}"
        victim = self.spawn(kind, place, argv, cold=cold, trap=trap, stop=stop)
        if spared or trap or stop:
            victim.spared_until = victim.since + (size.spared_s if spared else TRAPPED_WITHIN_S)

    def spawn(
        self, kind: str, place: int, argv: list[str], *, cold: bool = False, trap: str = "", stop: str = ""
    ) -> Victim:
        """Start any command of flowlord."""
        self._serial += 1
        environment = {
            "KILL_LOG": str(self.where / "executions.log"),
            "KILL_WHO": str(self._serial),
            "KILL_STOP": stop,
            "PYTHONPATH": os.pathsep.join(filter(None, (str(TESTS), os.environ.get("PYTHONPATH")))),
            "FLOWLORD_MAX_DELIVERIES": "1000",
            "FLOWLORD_CRASHPOINT": trap,
        }
        output = self._log_of(self._serial, kind, place)
        pid = start(argv, cold=cold, where=self.where, output=output, environment=environment)
        victim = Victim(self._serial, kind, place, pid, cold, time.monotonic(), trap or stop)
        self.alive[pid] = victim
        return victim

    def _spare(self) -> bool:
        """Whether the next taskmaster is to be left alone for a while: one at a time is."""
        if not self.size.spared_s or not self.is_raging:
            return False
        now = time.monotonic()
        return not any(v.spared_until > now for v in self.alive.values() if v.kind == "taskmaster")

    # --- what is done to them

    def pick(self, kind: str, now: float) -> Victim | None:
        """Choose one that can have begun to work: killing one that imports proves nothing."""
        found = [
            each
            for each in self.alive.values()
            if each.kind == kind and not each.killed and not each.resume_at and now >= each.spared_until
            and now - each.since > (1.5 if each.cold else 0.05)
        ]  # fmt: skip
        return self.chance.choice(found) if found else None

    def kill(self, victim: Victim) -> None:
        """Send signal 9, once."""
        if not victim.killed:
            victim.killed = True
            os.kill(victim.pid, signal.SIGKILL)

    def kill_server(self) -> None:
        """Kill what the bus runs on; it is back when this returns."""
        self.server_died = time.monotonic()
        self.figures.server_kills[self.ground.kill()] += 1
        self.figures.kills["server"] += 1

    def resume(self, now: float) -> None:
        """Continue those that stood still for longer than their leases."""
        for victim in self.alive.values():
            if victim.resume_at and now >= victim.resume_at:
                os.kill(victim.pid, signal.SIGCONT)
                victim.resume_at, victim.spared_until = 0.0, now + REPORTS_S
                self.stood_still = now
                self.figures.stopped[victim.kind] += 1

    # --- their ends

    def reap(self) -> list[Ended]:
        """Return who ended since the last look; who stopped is to be continued some leases later."""
        ended = []
        for pid, victim in [*self.alive.items()]:
            found, status = os.waitpid(pid, os.WNOHANG | os.WUNTRACED)
            if not found:
                continue
            if os.WIFSTOPPED(status):
                victim.resume_at = time.monotonic() + self.chance.uniform(*self.size.still_s)
                continue
            del self.alive[pid]
            ended.append(Ended(victim, status))
        for each in ended:
            self._note(each)
        return ended

    def _note(self, ended: Ended) -> None:
        figures, victim = self.figures, ended.victim
        if ended.by_kill:
            figures.kills[victim.kind] += 1
            figures.cold += victim.cold
            figures.trapped += not victim.killed
            self.killed.append(victim)
            if not victim.killed and not victim.trap:
                figures.spoilt.append(f"{victim.kind} {victim.serial} was killed by nobody of ours")
        elif victim.kind == "send":
            return
        elif self.found_no_bus(ended):
            figures.unborn += 1
        elif self.is_raging:
            figures.spoilt.append(f"{victim.kind} {victim.serial} left by itself with {ended.words}")
        if victim.kind != "send" and (self.is_raging or not ended.has_left):
            figures.restarts += 1
            self.seat(victim.kind, victim.place)

    def found_no_bus(self, ended: Ended) -> bool:
        """Whether a victim ended because the bus was away while it started, or while it sent.

        The server had been killed, or somebody who stands still has a lock on the file.
        """
        victim = ended.victim
        if ended.status != UNREACHABLE << 8:
            return False
        if not self.ground.has_server:
            return victim.since < self.stood_still
        return victim.since < self.server_died + 0.2 and (
            victim.kind == "send" or not self._has_begun(victim)
        )

    def _has_begun(self, victim: Victim) -> bool:
        """Whether a victim has said all that it says before it works: how long that takes is up to the machine.

        A taskmaster asks the bus about itself while it speaks, and ends when it is away.
        """
        said = self._log_of(victim.serial, victim.kind, victim.place).read_text("utf-8", "replace")
        return any(line.startswith("  alerts  ") or '"action": "start"' in line for line in said.splitlines())

    def _log_of(self, serial: int, kind: str, place: int) -> Path:
        return self.where / "logs" / f"{serial:06}-{kind}-{place}.log"

    def settle(self) -> None:
        """Let nothing more happen to anybody: who still has a trap before him is replaced by one who has none."""
        self.is_raging = False
        for victim in self.alive.values():
            if victim.trap and not victim.resume_at:
                self.kill(victim)

    def dismiss(self, wait: Callable[[float], None]) -> None:
        """Ask everybody to leave; each must do so by itself, with exit code 0."""
        for pid, victim in self.alive.items():
            os.kill(pid, signal.SIGTERM)
            if victim.resume_at:
                os.kill(pid, signal.SIGCONT)
        limit = time.monotonic() + 20
        while self.alive and time.monotonic() < limit:
            wait(0.1)
            for pid, victim in [*self.alive.items()]:
                found, status = os.waitpid(pid, os.WNOHANG | os.WUNTRACED)
                if found and os.WIFSTOPPED(status):
                    os.kill(pid, signal.SIGCONT)
                elif found:
                    del self.alive[pid]
                    told = f"{victim.kind} {victim.serial} ended with {Ended(victim, status).words} after SIGTERM"
                    unready = status == signal.SIGTERM and not self._has_begun(victim)
                    self.figures.spoilt += [told] * (status != 0 and not unready)
        for pid, victim in self.alive.items():
            self.figures.spoilt.append(f"{victim.kind} {victim.serial} did not leave within 20 s of SIGTERM")
            os.kill(pid, signal.SIGKILL)
            os.waitpid(pid, 0)
        self.alive.clear()
