"""The storm: starts workers and taskmasters on one SQLite bus, kills them at random, restarts each at once.

Kills and work keep step: roots are submitted as kills go on, and kills wait while the work lags behind, so that
every kill finds work and all of the work sees kills. One process, no threads; it waits for SIGCHLD with a limit.
"""

from __future__ import annotations

import json
import os
import random
import signal
import sys
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

from fault import kill_flow as flow
from fault.kill_check import Log, Verdict, judge
from fault.kill_victims import Ended, Victim, start

TESTS = Path(__file__).resolve().parents[1]
TRAPS = (
    "router.claimed", "router.decided", "router.landed", "bus.commit.written", "bus.commit.after",
    "bus.claim.written", "bus.claim.after", "bus.promote.written", "bus.reclaim.after",
)  # fmt: skip
TRAPS_OF_WORKERS = (
    "worker.ran", "worker.completed", "bus.commit.written", "bus.commit.after", "bus.claim.written", "bus.claim.after",
)  # fmt: skip
PACE_S = 0.07


@dataclass(frozen=True, slots=True)
class Size:
    """How large a run is. Shares are in [0, 1]; `pace_s` is the mean time between two kills."""

    kills: int = 1000
    tasks: int = 15_000
    seed: int = 0
    plant: str = ""
    journal: str = ""
    workers: int = 4
    taskmasters: int = 2
    concurrency: int = 4
    cold: float = 0.1
    trapped: float = 0.15
    pace_s: float = PACE_S
    lease_s: float = 1.0
    chunk: int = 50
    limit_s: float = 900.0


class Stuck(Exception):
    """The run did not get anywhere: neither a pass nor a proof of a bug."""


@dataclass(slots=True)
class Figures:
    """What happened, as the driver saw it."""

    kills: Counter[str] = field(default_factory=Counter)
    cold: int = 0
    trapped: int = 0
    in_flight: int = 0
    restarts: int = 0
    resent: int = 0
    storm_s: float = 0.0
    drain_s: float = 0.0
    spoilt: list[str] = field(default_factory=list)
    left: dict[str, int] = field(default_factory=dict)
    actions: Counter[str] = field(default_factory=Counter)
    lapsed: int = 0
    decided: Counter[int] = field(default_factory=Counter)
    faults: list[str] = field(default_factory=list)

    @property
    def random_kills(self) -> int:
        """Kills that the driver sent."""
        return self.kills.total() - self.trapped


class Storm:
    """One run in the folder `where`."""

    def __init__(self, size: Size, where: Path) -> None:
        self.size, self.where = size, where
        self.chance = random.Random(size.seed)
        self.figures = Figures()
        self.log = Log()
        self.roots = flow.roots_for(size.tasks)
        self.expected = sum(1 for n in range(self.roots) for _ in flow.slots_of(n))
        self.submitted = 0
        self._alive: dict[int, Victim] = {}
        self._serial = 0
        self._sending: Victim | None = None
        self._send_dies_at = 0.0
        self._killed: list[Victim] = []
        self._restarting = True
        self._offset = 0
        self._stop_at = 0.0

    def run(self) -> Verdict:
        """Do all of it; returns what the judge says."""
        self._set_up()
        began = time.monotonic()
        self._stop_at = began + self.size.limit_s
        for kind, count in (("taskmaster", self.size.taskmasters), ("worker", self.size.workers)):
            for place in range(count):
                self._start(kind, place)
        self._rage()
        self.figures.storm_s = time.monotonic() - began
        self._drain()
        self.figures.drain_s = time.monotonic() - began - self.figures.storm_s
        self._end()
        self._read_logs()
        whole = Log()
        whole.take((self.where / "executions.log").read_text("utf-8"))
        self.log = whole
        self.figures.in_flight = sum(
            1 for each in self._killed if whole.open.get(each.serial, 0) > 0 or each.serial in whole.bereft
        )
        return judge(whole, range(self.submitted))

    # --- the storm

    def _rage(self) -> None:
        size, figures = self.size, self.figures
        next_kill = last_kill = time.monotonic()
        while figures.random_kills < size.kills:
            self._wait(0.02)
            self._reap()
            self._read()
            self._feed()
            now = time.monotonic()
            if self._sending and self._send_dies_at and now >= self._send_dies_at:
                self._kill(self._sending)
                self._send_dies_at = 0.0
            if now >= next_kill:
                done = self.log.ended / self.expected
                if figures.random_kills / size.kills <= done + 0.05 or now - last_kill > 1.0:
                    self._kill_one(now)
                    last_kill = now
                next_kill = max(next_kill + self.chance.expovariate(1 / size.pace_s), now - 0.2)
            if now > self._stop_at:
                raise Stuck(
                    f"{figures.random_kills} kills in {size.limit_s:.0f} s, {self.log.ended} tasks done"
                )

    def _kill_one(self, now: float) -> None:
        kind = "worker" if self.chance.random() < 0.6 else "taskmaster"
        # A cold start is left alone until it can have begun to work: killing one that imports proves nothing.
        found = [
            each
            for each in self._alive.values()
            if each.kind == kind and not each.killed and now - each.since > (1.5 if each.cold else 0.05)
        ]
        if found:
            self._kill(self.chance.choice(found))

    def _kill(self, victim: Victim) -> None:
        if not victim.killed:
            victim.killed = True
            os.kill(victim.pid, signal.SIGKILL)

    def _feed(self, *, all_of_it: bool = False) -> None:
        """Submit the next roots; one send at a time, the same again until it has ended well."""
        if self._sending or self.submitted >= self.roots:
            return
        ahead = self.submitted / self.roots - self.figures.random_kills / self.size.kills
        if all_of_it or ahead < 0.1:
            self._send()

    def _send(self) -> None:
        first, last = self.submitted, min(self.submitted + self.size.chunk, self.roots)
        rows = self.where / "rows.jsonl"
        rows.write_text(
            "".join(json.dumps({"info": f"{n}", "meta": {"n": f"{n}"}}) + "\n" for n in range(first, last)),
            "utf-8",
        )
        argv = ["send", "root", "--workflow", flow.FILE, "--workflows", "flow", "--key", f"roots-{first}"]
        argv += ["--from-file", str(rows), "--bus", self._bus]
        self._sending = self._spawn("send", 0, argv, cold=False)
        if self._restarting and self.chance.random() < 0.3:
            self._send_dies_at = time.monotonic() + self.chance.uniform(0.0, 0.15)

    # --- processes

    def _start(self, kind: str, place: int) -> None:
        size = self.size
        common = [
            "--bus",
            self._bus,
            "--lease",
            f"{size.lease_s:g}s",
            "--grace",
            "5s",
            "--log-format",
            "json",
        ]
        if kind == "worker":
            argv = ["worker", "--app", "fault.kill_tasks", "--concurrency", str(size.concurrency), *common]
        else:
            argv = ["run", "flow", "--cache", "tasks.db", *common]
        cold = self._restarting and not size.plant and not size.journal and self.chance.random() < size.cold
        trap = ""
        if self._restarting and not cold and self.chance.random() < size.trapped:
            place_name = self.chance.choice(TRAPS if kind == "taskmaster" else TRAPS_OF_WORKERS)
            trap = f"{place_name}:{self.chance.randint(1, 12)}"
        self._spawn(kind, place, argv, cold=cold, trap=trap)

    def _spawn(self, kind: str, place: int, argv: list[str], *, cold: bool, trap: str = "") -> Victim:
        self._serial += 1
        environment = {
            "KILL_LOG": str(self.where / "executions.log"),
            "KILL_WHO": str(self._serial),
            "PYTHONPATH": str(TESTS),
            "FLOWLORD_MAX_DELIVERIES": "1000",
            "FLOWLORD_CRASHPOINT": trap,
        }
        output = self.where / "logs" / f"{self._serial:05}-{kind}-{place}.log"
        pid = start(argv, cold=cold, where=self.where, output=output, environment=environment)
        victim = Victim(self._serial, kind, place, pid, cold, time.monotonic(), trap)
        self._alive[pid] = victim
        return victim

    def _reap(self) -> list[Ended]:
        """Take note of every process that ended, and start its successor at once."""
        ended: list[Ended] = []
        while True:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                break
            if not pid:
                break
            ended.append(Ended(self._alive.pop(pid), status))
        for each in ended:
            self._note(each)
        return ended

    def _note(self, ended: Ended) -> None:
        figures, victim = self.figures, ended.victim
        if ended.by_kill:
            figures.kills[victim.kind] += 1
            figures.cold += victim.cold
            figures.trapped += not victim.killed
            self._killed.append(victim)
            if not victim.killed and not victim.trap:
                figures.spoilt.append(f"{victim.kind} {victim.serial} was killed by nobody of ours")
        elif victim.kind != "send" and self._restarting:
            figures.spoilt.append(f"{victim.kind} {victim.serial} left by itself with {ended.words}")
        if victim.kind == "send":
            self._sending = None
            self._send_dies_at = 0.0
            if ended.status == 0:
                self.submitted = min(self.submitted + self.size.chunk, self.roots)
            elif ended.by_kill:
                figures.resent += 1
            else:
                figures.spoilt.append(f"send {victim.serial} ended with {ended.words}")
                if len(figures.spoilt) > 20:
                    raise Stuck(f"sends fail: {figures.spoilt[-1]}")
        elif self._restarting or ended.by_kill:
            figures.restarts += 1
            self._start(victim.kind, victim.place)

    # --- the end

    def _drain(self) -> None:
        """Leave everybody alone until all work is done, or nothing moved for longer than leases and retries take."""
        self._restarting = False
        for victim in [each for each in self._alive.values() if each.trap]:
            self._kill(victim)  # no more crashes from now on: its successor has no trap
        moved, lines, quiet = time.monotonic(), self.log.lines, 4 * self.size.lease_s + 4.0
        looked = 0.0
        while True:
            self._wait(0.05)
            self._reap()
            self._read()
            self._feed(all_of_it=True)
            now = time.monotonic()
            if self.log.lines != lines or self._sending or self.submitted < self.roots:
                moved, lines = now, self.log.lines
            # Nothing moves: all is done, or what is missing is on the bus no more.
            if now - moved > (0.3 if self.log.ended >= self.expected else 1.5) and now - looked > 0.3:
                looked = now
                if self._is_empty():
                    return
            if now - moved > quiet:
                self.figures.left = self._topics()
                return
            if now > self._stop_at + 120:
                raise Stuck("the work never ended")

    def _is_empty(self) -> bool:
        self.figures.left = self._topics()
        return not any(self.figures.left.values())

    def _topics(self) -> dict[str, int]:
        """Ask the shipped command what is left on the bus: waiting, running and later of each topic."""
        output = self.where / "topics.json"
        output.unlink(missing_ok=True)
        pid = start(
            ["topics", "-o", "json", "--bus", self._bus],
            cold=False,
            where=self.where,
            output=output,
            environment={},
        )
        _, status = os.waitpid(pid, 0)
        if status:
            raise Stuck(f"flowlord topics ended with {status}: {output.read_text('utf-8')[-500:]}")
        rows = json.loads(output.read_text("utf-8"))
        return {
            row["topic"]: row["waiting"] + row["running"] + row["later"]
            for row in rows
            if row["topic"] in flow.TOPICS
        }

    def _end(self) -> None:
        """Ask everybody to leave; each must do so by itself, with exit code 0."""
        for pid in self._alive:
            os.kill(pid, signal.SIGTERM)
        limit = time.monotonic() + 20
        while self._alive and time.monotonic() < limit:
            self._wait(0.1)
            while self._alive:
                pid, status = os.waitpid(-1, os.WNOHANG)
                if not pid:
                    break
                victim = self._alive.pop(pid)
                if status:
                    self.figures.spoilt.append(
                        f"{victim.kind} {victim.serial} ended with {Ended(victim, status).words} after SIGTERM"
                    )
        for pid, victim in self._alive.items():
            self.figures.spoilt.append(f"{victim.kind} {victim.serial} did not leave within 20 s of SIGTERM")
            os.kill(pid, signal.SIGKILL)
            os.waitpid(pid, 0)
        self._alive.clear()

    def _read_logs(self) -> None:
        """Count what the victims said of themselves: how much was contested, and whether anything went wrong."""
        figures = self.figures
        for path in sorted((self.where / "logs").iterdir()):
            _, kind, place = path.stem.split("-")
            for line in path.read_text("utf-8", "replace").splitlines():
                if line.startswith("Traceback"):
                    figures.faults.append(f"{path.name}: a traceback")
                if not line.startswith("{"):
                    continue
                try:
                    said = json.loads(line)
                except ValueError:
                    continue  # cut off by a kill
                action = said.get("action", "")
                figures.actions[f"{kind}.{action}"] += 1
                if action == "lease.lapsed":
                    figures.lapsed += int(said["message"].split()[0])
                if kind == "taskmaster" and action == "done":
                    figures.decided[int(place)] += 1
                if said.get("error") or said.get("level") == "error":
                    figures.faults.append(f"{path.name}: {action}: {said.get('message', '')[:160]}")

    # --- small things

    def _set_up(self) -> None:
        (self.where / "flow").mkdir(parents=True)
        (self.where / "logs").mkdir()
        (self.where / "flow" / flow.FILE).write_text(flow.TEXT, "utf-8")
        (self.where / "executions.log").touch()
        self._bus = f"sqlite:///{self.where / 'bus.db'}"
        # Children that end wake sigtimedwait; blocked here, opened again in each child.
        signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGCHLD])

    def _wait(self, seconds: float) -> None:
        signal.sigtimedwait([signal.SIGCHLD], seconds)

    def _read(self) -> None:
        with (self.where / "executions.log").open("rb") as file:
            file.seek(self._offset)
            data = file.read()
        self._offset += len(data)
        if data:
            self.log.take(data.decode())


def say(text: str) -> None:
    """Tell progress to people."""
    print(text, file=sys.stderr, flush=True)
