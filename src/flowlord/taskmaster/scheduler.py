"""Starts phases when the calendar says so, each planned instant once among all daemons."""

from __future__ import annotations

import heapq
import logging
import threading
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta

from flowlord.decide.schedule import look
from flowlord.decide.tick import failed, group_of
from flowlord.model.crashpoint import crashpoint
from flowlord.model.errors import BusError, LeaseLost, Refused
from flowlord.model.plan import Commit, Committed, Mark, Plan
from flowlord.model.problem import Severity
from flowlord.model.workflow import Workflows
from flowlord.rules.timetable import Timetable
from flowlord.taskmaster.readings import Readings
from flowlord.taskmaster.surroundings import Surroundings
from flowlord.taskmaster.ticks import Entry, commits_of, prepare, take_ready, tell
from flowlord.taskmaster.timejump import JUMP_S, JumpWatch

log = logging.getLogger("flowlord.scheduler")

LONGEST_WAIT_S = 1.0
"""The wall clock may jump while we wait on the monotonic one, so we look again this often."""
LAND_AT = 1_000
"""Messages, or commits, that land at once at most, but for a single start that makes more."""
PAUSE = timedelta(minutes=1)
"""How long a phase that cannot be decided is left alone."""
AHEAD = timedelta(minutes=1)
"""A mark that lies this far ahead of our clock is no chance: one of the clocks was wrong."""
PREPARED = timedelta(seconds=10)
"""Starts that are due within this time are made ready while there is nothing else to do."""
PREPARING = timedelta(milliseconds=200)
"""So long at a time: then it is seen whether something else is to be done."""
READ_AGAIN = timedelta(milliseconds=250)
"""When to look again at a start whose meta-file is being read."""
HURRY = timedelta(milliseconds=20)
"""So long before a start nothing is made ready any more."""
_NEVER = datetime.max.replace(tzinfo=UTC)
_Pair = tuple[Entry, Commit]


class Scheduler:
    """One step waits until a phase is due or a second has passed, and decides everything that is due.

    Args:
        readings: reads meta-files while other phases start; without, a start waits for its own.
    """

    def __init__(self, around: Surroundings, wake: threading.Event, readings: Readings | None = None) -> None:
        self._around = around
        self._wake = wake
        self._readings = readings
        self._built_from: Workflows | None = None
        self._heap: list[Entry] = []
        self._untold: list[
            _Pair
        ] = []  # what landed: a line each takes as long as the landing, so they come after it
        self._jumps = JumpWatch(around.clock)

    def step(self) -> None:
        """Decide what is due, make ready what soon is, then wait."""
        self.decide_due()
        more = self._prepare()
        self._wake.wait(0 if more else self._wait_s())
        self._wake.clear()

    @property
    def holds_back(self) -> bool:
        """Whether a start is due that waits for the one before it, or for the end of a pause."""
        return any(entry.waits for entry in self._heap)

    def decide_due(self, *, at_once: bool = False) -> int:
        """Decide what is due now; returns how many plans landed. A phase that cannot be decided hinders no other.

        `at_once` looks at starts that are held back, too, though it is not yet time to look at them again.
        """
        flows = self._around.workflows
        if self._around.paused is None:
            self._around.look_at_pauses()
        if flows is not self._built_from:
            self._build(flows)
        jumped = self._jumps.look()
        now = self._around.now()
        if jumped < -JUMP_S:  # what waits for a time that is far away again shall be told
            for entry in self._heap:
                entry.next = now
        due: list[Entry] = []
        if at_once:
            due = [entry for entry in self._heap if entry.waits]
            self._heap = [entry for entry in self._heap if not entry.waits]
            heapq.heapify(self._heap)
        while self._heap and self._heap[0].next <= now:
            due.append(heapq.heappop(self._heap))
        try:
            return self._decide(due, now) if due else 0
        except BusError:
            for (
                entry
            ) in due:  # nobody knows what landed: all are still due, whatever a look set for the next one
                entry.next = now
            raise
        finally:
            for entry in due:
                heapq.heappush(self._heap, entry)
            told, self._untold = self._untold, []
            for entry, commit in told:
                tell(self._around, entry, commit)

    def _build(self, flows: Workflows) -> None:
        phases = [
            (phase, flow.revision)
            for flow in flows.by_name.values()
            for phase in flow.phases
            if phase.rule.cron and not phase.rule.files
        ]
        found = self._around.bus.marks([f"tick:{phase.identity}" for phase, _ in phases])
        now = self._around.now()
        heap = []
        for phase, revision in phases:
            table = Timetable.of(phase.rule, phase.identity, self._around.zone)
            mark = f"tick:{phase.identity}"
            heap.append(Entry(now, phase, table, revision, mark, found.get(mark)))
            if table.is_over(now):
                log.info(
                    "%s starts no more: until=%s", phase.identity, phase.rule.until,
                    extra={"action": "tick.over"},
                )  # fmt: skip
        heapq.heapify(heap)
        self._heap = heap
        self._built_from = flows

    def _decide(self, due: Sequence[Entry], now: datetime) -> int:
        """Decide phases in the order of their time, landing many of them at once."""
        groups = [group_of(entry.phase) for entry in due if entry.phase.rule.overlap != "allow"]
        # Asked after the mark is known: whoever starts the phase meanwhile moves its mark, which refuses us.
        opened = self._around.bus.open_counts(groups) if groups else {}
        landed = weight = 0
        gathered: list[_Pair] = []
        for entry in due:
            entry.refused = False
            try:
                for commit in self._look(entry, now, opened):
                    gathered.append((entry, commit))
                    weight += max(commit.plan.size, 1)
                    if weight >= LAND_AT:
                        landed += self._land(gathered, now)
                        gathered, weight = [], 0
                        if entry.refused:
                            break
                self._mended(entry)
            except BusError:
                raise
            except Exception as error:  # noqa: BLE001 - told, and looked at again in a while
                self._failed(entry, now, error)
        return landed + self._land(gathered, now)

    def _look(self, entry: Entry, now: datetime, opened: dict[str, int]) -> Iterable[Commit]:
        if (ready := take_ready(self._around, entry, now)) is not None:
            commit, then = ready
            entry.next, entry.waits = then or _NEVER, False
            return (commit,)
        phase = entry.phase
        if entry.watermark is not None and entry.watermark - now > AHEAD:
            text = (
                f"{phase.identity} was decided up to {entry.seen}, ahead of this clock: no start until then"
            )
            self._fault(entry, text, Severity.WARNING)
        paused = self._around.paused
        found = look(
            phase,
            entry.table,
            entry.watermark,
            now,
            open_tasks=opened.get(group_of(phase), 0) if opened else 0,
            pauses=tuple(paused.of_phase(phase)) if paused and paused.pauses else (),
        )
        sources = None
        if found.ticks and phase.rule.meta_file and self._readings is not None:
            sources = self._readings.take(phase.identity, phase.rule.meta_file)
            if sources is None:  # the others start meanwhile
                entry.next, entry.waits = now + READ_AGAIN, True
                return ()
        entry.next, entry.waits = found.next or _NEVER, found.waits
        return commits_of(self._around, entry, found, sources)

    def _land(self, gathered: Sequence[_Pair], now: datetime) -> int:
        if not gathered:
            return 0
        crashpoint("scheduler.decided")
        commits = [commit for _, commit in gathered]
        try:
            answers = self._around.bus.commit_many(commits)
        except BusError:
            raise
        except Exception as error:  # noqa: BLE001 - found out whose it is, and told
            entries = list({id(entry): entry for entry, _ in gathered}.values())
            if len(entries) == 1:
                self._failed(entries[0], now, error)
                return 0
            # One that cannot land must not hinder the others.
            return sum(self._land([pair for pair in gathered if pair[0] is entry], now) for entry in entries)
        return sum(
            self._take(entry, commit, answer, now)
            for (entry, commit), answer in zip(gathered, answers, strict=True)
        )

    def _take(
        self, entry: Entry, commit: Commit, answer: Committed | Refused | LeaseLost, now: datetime
    ) -> bool:
        """Note what became of a commit; returns whether it landed."""
        if isinstance(answer, Refused):
            # Another daemon was faster: go on from where it is.
            entry.refused = True
            entry.seen = self._found(entry, answer)
            entry.next = now
            self._around.counters.contested += 1
            log.debug("%s was decided elsewhere", entry.phase.identity, extra={"action": "tick.taken"})
            return False
        entry.seen = commit.marks[0].new
        self._untold.append((entry, commit))
        return True

    def _found(self, entry: Entry, refused: Refused) -> str | None:
        """Return where the phase stands. A bus that was emptied is told what we knew: else instants would be missed."""
        if refused.found is not None or entry.seen is None:
            return refused.found
        try:
            self._around.bus.commit(Plan(), marks=[Mark(entry.mark, None, entry.seen)])
        except Refused as quicker:
            return quicker.found
        return entry.seen

    def _failed(self, entry: Entry, now: datetime, error: Exception) -> None:
        entry.next = now + PAUSE
        self._fault(entry, f"{entry.phase.identity} cannot be scheduled: {error}", Severity.ERROR, error)

    def _fault(self, entry: Entry, text: str, severity: Severity, error: Exception | None = None) -> None:
        """Tell that a phase does not start, once; the alert lands before it counts as told."""
        subject = entry.mark
        if self._around.health.faults().get(subject) == text:
            return
        self._around.bus.commit(Plan(facts=(failed(entry.phase, subject, text, entry.revision),)))
        self._around.health.fault(subject, text, severity)
        log.error("%s", text, extra={"action": "tick.failed"}, exc_info=error)

    def _mended(self, entry: Entry) -> None:
        health = self._around.health
        if not health.is_wrong(entry.mark):
            return
        if entry.watermark is None or entry.watermark - self._around.now() <= AHEAD:
            health.mended(entry.mark)

    def _prepare(self) -> bool:
        """Make ready what is due soon, as long as nothing is due itself: then it only has to land.

        Returns whether there is more of it.
        """
        if not self._heap:
            return False
        now = self._around.now()
        first, soon = self._heap[0].next - HURRY, now + PREPARED
        if first > soon:
            return False
        end = min(first, now + PREPARING)
        for entry in self._heap:
            if entry.next <= soon and (entry.ready is None and entry.tried != entry.seen):
                if self._around.now() >= end:
                    return end < first
                try:
                    prepare(self._around, entry)
                except Exception:
                    log.debug("%s cannot be made ready", entry.mark, exc_info=True)
        return False

    def _wait_s(self) -> float:
        if not self._heap:
            return LONGEST_WAIT_S
        return max(0.0, min(LONGEST_WAIT_S, (self._heap[0].next - self._around.now()).total_seconds()))
