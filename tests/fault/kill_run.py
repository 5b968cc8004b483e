"""The storm: workers and taskmasters on one bus, killed at random and restarted at once, and the bus's server too.

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
from collections.abc import Collection, Iterator, Sequence
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

from fault import kill_flow as flow
from fault.kill_check import Log, Verdict, judge
from fault.kill_crowd import Crowd
from fault.kill_ground import Ground
from fault.kill_history import ask, disagreements
from fault.kill_said import take_note
from fault.kill_size import Figures, Size, Stuck
from fault.kill_tail import Tail
from fault.kill_victims import Ended, Victim, start
from flowlord.bus.open import open_bus
from flowlord.model.plan import Fact

STARTS_S = 40.0
"""How long those that settle may take to start, on a machine that has much else to do, while work lies there."""
TOO_MANY = 20
"""Sends that may end badly before the run is given up."""


class Storm:
    """One run in the folder `where`."""

    def __init__(self, size: Size, where: Path, ground: Ground) -> None:
        self.size, self.where, self.ground = size, where, ground
        self.chance = random.Random(size.seed)
        self.figures = Figures()
        self.log = Log()
        self.roots = flow.roots_for(size.tasks)
        self.expected = sum(1 for n in range(self.roots) for _ in flow.slots_of(n))
        self.submitted = 0
        self._crowd = Crowd(size, where, ground, self.chance, self.figures)
        self._sending: Victim | None = None
        self._send_dies_at = 0.0
        self._tail = Tail(where)
        self._stop_at = 0.0
        self._paused = ""

    def run(self) -> Verdict:
        """Do all of it; returns what the judge says."""
        self._set_up()
        began = time.monotonic()
        self._stop_at = began + self.size.limit_s
        for kind, count in (("taskmaster", self.size.taskmasters), ("worker", self.size.workers)):
            for place in range(count):
                self._crowd.seat(kind, place)
        self._rage()
        self.figures.storm_s = time.monotonic() - began
        self._drain()
        self.figures.drain_s = time.monotonic() - began - self.figures.storm_s
        self._crowd.dismiss(self._wait)
        until = datetime.now(UTC)
        take_note(self.where / "logs", self.figures)
        whole = Log()
        whole.take(self._tail.path.read_text("utf-8"))
        self.log = whole
        self.figures.in_flight = sum(
            1
            for each in self._crowd.killed
            if whole.open.get(each.serial, 0) > 0 or each.serial in whole.bereft
        )
        roots = range(self.submitted)
        history = ask(self._asked, roots, until, self._facts())
        verdict = judge(whole, roots, (each for each in history.held_up() if "" < self._paused <= each))
        verdict.history = disagreements(whole, roots, history)
        self.figures.rows, self.figures.traced = len(history.tasks), len(history.traces)
        return verdict

    # --- the storm

    def _rage(self) -> None:
        size, figures, crowd = self.size, self.figures, self._crowd
        next_kill = last_kill = time.monotonic()
        while figures.random_kills < size.kills:
            self._wait(0.02)
            now = self._look()
            self._feed()
            if self._sending and self._send_dies_at and now >= self._send_dies_at:
                crowd.kill(self._sending)
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
        due = self.size.server_every * (self.figures.kills["server"] + 1)
        if self.ground.has_server and self.figures.random_kills + 1 >= due:
            self._crowd.kill_server()
            return
        victim = self._crowd.pick("worker" if self.chance.random() < 0.6 else "taskmaster", now)
        if victim:
            self._crowd.kill(victim)

    def _look(self) -> float:
        """Take note of everything that happened; returns the time."""
        for ended in self._crowd.reap():
            if ended.victim.kind == "send":
                self._sent(ended)
        now = time.monotonic()
        self._crowd.resume(now)
        self.log.take(self._tail.more())
        return now

    # --- what is submitted

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
        argv += ["--from-file", str(rows), "--bus", self.ground.address]
        self._sending = self._crowd.spawn("send", 0, argv)
        if self._crowd.is_raging and self.chance.random() < 0.3:
            self._send_dies_at = time.monotonic() + self.chance.uniform(0.0, 0.15)

    def _sent(self, ended: Ended) -> None:
        self._sending, self._send_dies_at = None, 0.0
        spoilt = self.figures.spoilt
        if ended.has_left:
            self.submitted = min(self.submitted + self.size.chunk, self.roots)
        elif ended.by_kill or self._crowd.found_no_bus(ended):
            self.figures.resent += 1
        else:
            spoilt.append(f"send {ended.victim.serial} ended with {ended.words}")
            if len(spoilt) > TOO_MANY:
                raise Stuck(f"sends fail: {spoilt[-1]}")

    # --- the end

    def _drain(self) -> None:
        """Leave everybody alone until all work is done, or nothing moved for longer than leases and retries take."""
        self._crowd.settle()
        lines, quiet = self.log.lines, 4 * self.size.lease_s + STARTS_S
        topics = flow.TOPICS
        moved, looked = time.monotonic(), 0.0
        while True:
            self._wait(0.05)
            now = self._look()
            self._feed(all_of_it=True)
            told = self.log.lines + (self.log.ticked if flow.TICK in topics else 0)
            if told != lines or self._sending or self.submitted < self.roots:
                moved, lines = now, told
            # Nothing moves: all is done, or what is missing is on the bus no more.
            if now - moved > (0.3 if self.log.ended >= self.expected else 1.5) and now - looked > 0.3:
                looked = now
                if self._is_empty(topics):
                    if flow.TICK in topics:
                        return
                    self._paused = f"{datetime.now(UTC):{flow.STAMP}}"
                    self._asked(["pause", flow.CLOCK])  # the clock never comes to an end by itself
                    topics = (*topics, flow.TICK)
                    moved = now
            if now - moved > quiet:
                self.figures.left = self._topics(topics)
                return
            if now > self._stop_at + 30:
                raise Stuck("the work never ended")

    def _is_empty(self, topics: Collection[str]) -> bool:
        self.figures.left = self._topics(topics)
        return not any(self.figures.left.values())

    def _topics(self, topics: Collection[str]) -> dict[str, int]:
        """Ask the shipped command what is left on the bus: waiting, running and later of each topic."""
        return {
            row["topic"]: row["waiting"] + row["running"] + row["later"]
            for row in json.loads(self._asked(["topics", "-o", "json"]))
            if row["topic"] in topics
        }

    def _asked(self, argv: Sequence[str]) -> str:
        """Run a shipped command that looks or acts; returns what it printed."""
        output, words = self.where / "asked.out", self.where / "asked.err"
        output.unlink(missing_ok=True)
        environment = {
            "FLOWLORD_BUS": self.ground.address,
            "FLOWLORD_CACHE": "tasks.db",
            "FLOWLORD_WORKFLOWS": "flow",
        }
        pid = start(argv, cold=False, where=self.where, output=output, environment=environment, words=words)
        _, status = os.waitpid(pid, 0)
        if status:
            raise Stuck(f"flowlord {argv[0]} ended with {status}: {words.read_text('utf-8')[-500:]}")
        return output.read_text("utf-8")

    def _facts(self) -> Iterator[Fact]:
        """Yield what the journal holds, read off the bus by the driver itself."""
        with closing(open_bus(self.ground.address, by="driver")) as bus:
            after = 0
            while entries := bus.journal(after, 1_000):
                after = entries[-1].seq
                yield from (fact for entry in entries for fact in entry.facts)

    # --- small things

    def _set_up(self) -> None:
        (self.where / "flow").mkdir(parents=True)
        (self.where / "logs").mkdir()
        (self.where / "flow" / flow.FILE).write_text(flow.TEXT, "utf-8")
        (self.where / "flow" / flow.CLOCK).write_text(flow.CLOCK_TEXT, "utf-8")
        # Children that end or stop wake sigtimedwait; blocked here, opened again in each child.
        signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGCHLD])

    def _wait(self, seconds: float) -> None:
        signal.sigtimedwait([signal.SIGCHLD], seconds)


def say(text: str) -> None:
    """Tell progress to people."""
    print(text, file=sys.stderr, flush=True)
