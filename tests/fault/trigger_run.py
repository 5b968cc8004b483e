"""The storm over triggers: schedules, files, groups, batches and backloads go on while all who make them are killed.

Like the storm of `kill_run`, and with its crowd: one process, no threads, which has no bus open while victims run.
"""

from __future__ import annotations

import os
import random
import signal
import time
from collections import Counter
from contextlib import closing
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any

from fault import trigger_flow as flow
from fault.kill_crowd import UNREACHABLE, Crowd
from fault.kill_ground import Ground
from fault.kill_said import take_note
from fault.kill_size import Figures, Size, Stuck
from fault.kill_tail import Tail
from fault.kill_victims import Ended, Victim
from fault.trigger_check import Log, Told, Verdict, judge
from flowlord.bus.open import open_bus
from flowlord.model.plan import FactKind

TRAPS = (
    "scheduler.decided", "files.decided", "files.landed", "batches.made", "batches.landed", "bus.commit.after",
    "router.landed",
)  # fmt: skip
"""Where taskmasters kill themselves: between what triggers decide and what lands."""
TRAPPED_S = 6.0
STILL_S = 3.0
"""Kills wait so long for the next sign of work, so that they hit work also on a machine that has much else to do."""
RESENT = 3
"""Commands that are killed and given again, at most."""
QUIET_S = 60.0
"""Without any line for so long, what is missing never comes; a machine that has much else to do may take a while."""


def at_places(kills: int) -> int:
    """How many victims must have died at a named place, of so many random kills."""
    return max(1, kills // 15)


def offered_again(kills: int) -> int:
    """How many tasks must have been taken over from the dead, of so many random kills."""
    return max(1, kills // 25)


class Triggers(Crowd):
    """The crowd, with tasks of this test."""

    app = "fault.trigger_tasks"
    died_at: Counter[str]
    """Named places at which victims killed themselves."""

    def seat(self, kind: str, place: int) -> None:
        """Start a worker or a taskmaster; who is to come to a named place gets the time for it on any machine."""
        super().seat(kind, place)
        victim = list(self.alive.values())[-1]
        if victim.trap:
            victim.spared_until = victim.since + TRAPPED_S

    def spawn(self, kind: str, place: int, argv: list[str], *, trap: str = "", **more: Any) -> Victim:
        """Start any command; triggers come by their named places seldom, so the first or second time counts."""
        name, _, times = trap.partition(":")
        return super().spawn(kind, place, argv, trap=name and f"{name}:{1 + int(times) // 4}", **more)

    def found_no_bus(self, ended: Ended) -> bool:
        """Whether a victim ended because the server was away; how long a start takes is not looked at here."""
        fits = ended.status == UNREACHABLE << 8 and self.ground.has_server
        return (fits and self.server_died > ended.victim.since - 1.0) or super().found_no_bus(ended)

    def _note(self, ended: Ended) -> None:
        victim = ended.victim
        if ended.by_kill and victim.trap and not victim.killed:
            self.died_at[victim.trap.partition(":")[0]] += 1
        if victim.kind == "send" and ended.by_kill:
            self.figures.resent += 1
        super()._note(ended)


class Storm:
    """One run in the folder `where`; `rows` is how many lines the meta-file has."""

    def __init__(
        self, size: Size, where: Path, ground: Ground, rows: int, traps: tuple[str, ...] = TRAPS
    ) -> None:
        self.size, self.where, self.ground = size, where, ground
        self.chance = random.Random(size.seed)
        self.figures = Figures()
        self.log = Log()
        self.asked = flow.Asked(str(where / "in"), datetime.now(UTC))
        self.died_at: Counter[str] = Counter()
        self._rows = rows
        self._crowd = Triggers(size, where, ground, self.chance, self.figures)
        self._crowd.died_at = self.died_at
        ground.traps["taskmaster"] = traps
        self._sending: tuple[str, Victim] | None = None
        self._to_send = ["paced", "serial"]
        self._tail = Tail(where)
        self._stop_at = 0.0

    def run(self) -> Verdict:
        """Do all of it; returns what the judge says."""
        self._set_up()
        began = time.monotonic()
        self._stop_at = began + self.size.limit_s + 300
        self._crowd.is_raging = (
            False  # the first looks are taken in peace: what lay there before starts nothing
        )
        self._crowd.seat("taskmaster", 0)
        self._until_watched()
        self._crowd.is_raging = True
        for kind, count in (("taskmaster", self.size.taskmasters - 1), ("worker", self.size.workers)):
            for place in range(count):
                self._crowd.seat(kind, place + (kind == "taskmaster"))
        self._rage()
        self.figures.storm_s = time.monotonic() - began
        self._drain()
        self.figures.drain_s = time.monotonic() - began - self.figures.storm_s
        self._crowd.dismiss(self._wait)
        take_note(self.where / "logs", self.figures)
        self.figures.in_flight = sum(self.log.open.get(each.serial, 0) > 0 for each in self._crowd.killed)
        verdict = judge(self.log, self.asked, self._journal())
        verdict.waited = self._waited()
        return verdict

    # --- the storm

    def _rage(self) -> None:
        next_kill = killed = time.monotonic()
        lines = 0
        while not self._is_enough():
            self._wait(0.02)
            now = self._look()
            self._feed(min(1.0, self._kills / self.size.kills))
            moves = self.log.lines > lines or now - killed > STILL_S
            if now >= next_kill and moves:
                lines, killed = self.log.lines, now
                due = self.size.server_every * (self.figures.kills["server"] + 1)
                if self.ground.has_server and self._kills + 1 >= due:
                    self._crowd.kill_server()
                else:
                    victim = self._crowd.pick("worker" if self.chance.random() < 0.4 else "taskmaster", now)
                    if victim:
                        self._crowd.kill(victim)
                next_kill = max(next_kill + self.chance.expovariate(1 / self.size.pace_s), now - 0.2)
            if now > self._stop_at:
                raise Stuck(f"{self.figures.random_kills} kills in {self.size.limit_s:.0f} s")

    @property
    def _kills(self) -> int:
        """Kills that the driver sent to those who start things or do them."""
        return self.figures.random_kills - self.figures.kills["send"]

    def _is_enough(self) -> bool:
        """Whether there were as many kills, of each kind and with an effect, as a run must have to prove anything."""
        kills, died = self.size.kills, self.figures.kills
        return (
            min(self._kills, self.asked.files) >= kills
            and died["taskmaster"] >= kills // 3
            and self.died_at.total() >= at_places(kills)
            and self.log.redelivered >= offered_again(kills)
        )

    def _look(self) -> float:
        for ended in self._crowd.reap():
            if self._sending and ended.victim is self._sending[1]:
                self._sent(ended)
        now = time.monotonic()
        self._crowd.resume(now)
        self.log.take(self._tail.more())
        return now

    # --- what triggers something

    def _feed(self, share: float) -> None:
        """Let as many files come, and backloads be asked for, as are due when `share` of all kills have happened."""
        asked, kills = self.asked, self.size.kills
        while asked.files < min(kills, share * kills + 1):
            self._put(f"plain/{asked.files}.csv")
            # The files of a group come one by one, with kills between them.
            self._put(f"groups/{asked.files // flow.COUNT}/{asked.files % flow.COUNT}.csv")
            asked.files += 1
            asked.groups = asked.files // flow.COUNT
            if asked.files % 8 == 0:
                for n in range(flow.files_of(asked.days)):
                    self._put(f"still/{flow.day_of(asked.days).replace('-', '/')}/{n}.csv")
                asked.days += 1
        if not asked.rows and share > 0.2:
            self._put("go/now.csv")
            asked.rows = self._rows
        if self._to_send and self._sending is None and share > 0.1:
            kind = self._to_send[0]
            argv = [*flow.command(kind), "--bus", self.ground.address]
            victim = self._crowd.spawn("send", 0, argv)
            self._sending = kind, victim
            setattr(asked, f"has_{kind}", True)
            if self._crowd.is_raging and self.figures.resent < RESENT and self.chance.random() < 0.5:
                self._wait(self.chance.uniform(0.05, 0.3))
                self._crowd.kill(victim)

    def _put(self, name: str) -> None:
        path = self.where / "in" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        part = path.with_name(f".{path.name}.part")
        part.write_text("x")
        part.rename(path)

    def _sent(self, ended: Ended) -> None:
        """One backload was asked for; the same again until it says so."""
        assert self._sending is not None
        kind = self._sending[0]
        self._sending = None
        if ended.has_left or ended.status == 1 << 8:  # 1: the same was sent before
            self._to_send.remove(kind)
        elif not ended.by_kill and not self._crowd.found_no_bus(ended):
            self.figures.spoilt.append(f"backload {kind} ended with {ended.words}")
            self._to_send.remove(kind)

    # --- the end

    def _drain(self) -> None:
        """Let the schedules come to their end, and wait until all is done or nothing moves any more."""
        self._crowd.settle()
        while self._to_send or self._sending:
            self._wait(0.05)
            self._look()
            self._feed(1.0)
        self.asked.end = datetime.now(UTC).replace(microsecond=0) + timedelta(seconds=4)
        self._write_flow()
        lines, moved = -1, time.monotonic()
        while True:
            self._wait(0.05)
            now = self._look()
            if self.log.lines != lines:
                lines, moved = self.log.lines, now
            is_over = datetime.now(UTC) > self.asked.end + timedelta(seconds=2)
            if is_over and not self.log.missing(self.asked) and now - moved > 1.5:
                return
            if now - moved > QUIET_S:
                return
            if now > self._stop_at:
                raise Stuck("the work never ended")

    def _journal(self) -> Told:
        """Read what the bus itself tells of everything that was ever published."""
        told = Told()
        with closing(open_bus(self.ground.address, by="driver")) as bus:
            after = 0
            while entries := bus.journal(after, 1_000):
                after = entries[-1].seq
                for entry in entries:
                    for fact in entry.facts:
                        if fact.kind is FactKind.PUBLISHED:
                            told.published[fact.key] += 1
                            told.paced_us += [entry.at_us] * (fact.topic == "paced")
                        elif fact.kind is FactKind.SKIPPED and fact.phase.endswith(":skip"):
                            told.left_out |= _span(fact.cause, fact.due)
        return told

    def _waited(self) -> int:
        """How many starts began more than a second after the one before them in their line."""
        found = 0
        for n in range(flow.LINES):
            line = sorted((p.info, s.begun_ns) for p, s in self.log.seen.items() if p.phase == f"line:{n}")
            gaps = [later - earlier for (_, earlier), (_, later) in pairwise(line)]
            found += sum(gap > (flow.EVERY_S + 0.5) * 1e9 for gap in gaps)
        return found

    # --- small things

    def _set_up(self) -> None:
        for name in ("flow", "logs", "in/plain", "in/groups", "in/still", "in/go"):
            (self.where / name).mkdir(parents=True)
        (self.where / "rows.csv").write_text("n\n" + "".join(f"{n}\n" for n in range(self._rows)), "utf-8")
        self._write_flow()
        # Children that end or stop wake sigtimedwait; blocked here, opened again in each child.
        signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGCHLD])

    def _write_flow(self) -> None:
        path = self.where / "flow" / flow.FILE
        part = self.where / "flow.part"
        part.write_text(flow.text_of(self.asked.folder, self.asked.end), "utf-8")
        part.rename(path)

    def _until_watched(self) -> None:
        """Wait until every pattern and every schedule was looked at once: from then on all that comes must start."""
        limit = time.monotonic() + 60
        told = self.where / "watched"
        while time.monotonic() < limit:
            pid = os.fork()
            if not pid:
                try:
                    with closing(open_bus(self.ground.address, by="driver")) as bus:
                        ticks = bus.marks_like("tick:")
                        if len(bus.marks_like("watch:")) == flow.PATTERNS and len(ticks) == flow.LINES + 1:
                            told.write_text(max(ticks.values()), "utf-8")
                finally:
                    os._exit(0)
            os.waitpid(pid, 0)
            if told.exists():
                self.asked.begin = max(self.asked.begin, datetime.fromisoformat(told.read_text("utf-8")))
                return
            self._wait(0.2)
            self._look()
        raise Stuck("the folders were never looked at")

    def _wait(self, seconds: float) -> None:
        signal.sigtimedwait([signal.SIGCHLD], seconds)


def _span(cause: str, last_us: int) -> set[str]:
    """Return the instants from the slot of the first to the last."""
    at = datetime.fromisoformat(cause.rpartition(":skip:")[2])
    last = datetime.fromtimestamp(last_us / 1e6, UTC)
    found = set()
    while at <= last:
        found.add(f"{at:{flow.STAMP}}")
        at += timedelta(seconds=flow.EVERY_S)
    return found
