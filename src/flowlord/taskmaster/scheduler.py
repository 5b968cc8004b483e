"""Starts phases when the calendar says so, each planned instant once among all daemons."""

from __future__ import annotations

import heapq
import logging
import threading
from dataclasses import dataclass, field
from datetime import UTC, datetime

from flowlord.decide.expand import utc_text
from flowlord.decide.schedule import Due, look
from flowlord.decide.tick import on_missed, on_tick
from flowlord.model.crashpoint import crashpoint
from flowlord.model.errors import Refused
from flowlord.model.plan import Commit, Committed, Mark, Plan
from flowlord.model.workflow import Phase, Workflows
from flowlord.rules.cron import Cron
from flowlord.taskmaster.surroundings import Surroundings

log = logging.getLogger("flowlord.scheduler")

LONGEST_WAIT_S = 1.0
"""The wall clock may jump while we wait on the monotonic one, so we look again this often."""


@dataclass(order=True, slots=True)
class _Entry:
    """A scheduled phase; ordered by when to look at it next."""

    next: datetime
    phase: Phase = field(compare=False)
    cron: Cron = field(compare=False)
    revision: str = field(compare=False)
    seen: str | None = field(compare=False, default=None)

    @property
    def mark(self) -> str:
        return f"tick:{self.phase.identity}"

    @property
    def watermark(self) -> datetime | None:
        return None if self.seen is None else datetime.fromisoformat(self.seen)


class Scheduler:
    """One step waits until a phase is due or a second has passed, and decides everything that is due."""

    def __init__(self, around: Surroundings, wake: threading.Event) -> None:
        self._around = around
        self._wake = wake
        self._built_from: Workflows | None = None
        self._heap: list[_Entry] = []

    def step(self) -> None:
        """Decide what is due, then wait."""
        self.decide_due()
        self._wake.wait(self._wait_s())
        self._wake.clear()

    def decide_due(self) -> int:
        """Decide what is due now; returns how many plans landed."""
        flows = self._around.workflows
        if flows is not self._built_from:
            self._build(flows)
        now = self._around.now()
        due: list[_Entry] = []
        while self._heap and self._heap[0].next <= now:
            due.append(heapq.heappop(self._heap))
        landed = 0
        try:
            while due:
                landed += self._decide(due[-1], now)
                heapq.heappush(self._heap, due.pop())
        finally:
            for entry in due:  # the bus went away in the middle: look again at the next step
                heapq.heappush(self._heap, entry)
        return landed

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
            cron = Cron.parse(phase.rule.cron, phase.rule.tz or self._around.zone)
            entry = _Entry(now, phase, cron, revision)
            entry.seen = found.get(entry.mark)
            heap.append(entry)
        heapq.heapify(heap)
        self._heap = heap
        self._built_from = flows

    def _decide(self, entry: _Entry, now: datetime) -> int:
        due = look(entry.phase, entry.cron, entry.watermark, now)
        commits = self._commits(entry, due)
        if not commits:
            entry.next = due.next or datetime.max.replace(tzinfo=UTC)
            return 0
        crashpoint("scheduler.decided")
        landed = 0
        for commit, answer in zip(commits, self._around.bus.commit_many(commits), strict=True):
            if isinstance(answer, Committed):
                landed += 1
                entry.seen = commit.marks[0].new
                self._tell(entry, commit)
            elif isinstance(answer, Refused):
                # Another daemon was faster: go on from where it is.
                entry.seen = answer.found
                entry.next = now
                log.debug("%s was decided elsewhere", entry.phase.identity, extra={"action": "tick.taken"})
                return landed
        entry.next = due.next or datetime.max.replace(tzinfo=UTC)
        return landed

    def _commits(self, entry: _Entry, due: Due) -> list[Commit]:
        commits: list[Commit] = []
        seen = entry.seen
        facts = tuple(
            fact for missed in due.missed for fact in on_missed(entry.phase, missed, entry.revision).facts
        )
        for instant in due.ticks:
            rule = entry.phase.rule
            ctx = self._around.context([rule.meta_file] if rule.meta_file else [])
            plan = on_tick(entry.phase, instant, ctx, entry.revision)
            self._around.stamps.used(ctx.now, len(plan.messages))
            if facts:
                plan = Plan(
                    plan.publish, plan.later, plan.dead, plan.frozen, plan.quarantine, plan.facts + facts
                )
                facts = ()
            commits.append(Commit(plan, marks=(Mark(entry.mark, seen, utc_text(instant)),)))
            seen = utc_text(instant)
        if facts or seen is None or datetime.fromisoformat(seen) < due.watermark:
            new = utc_text(due.watermark)
            if facts or new != seen:
                commits.append(Commit(Plan(facts=facts), marks=(Mark(entry.mark, seen, new),)))
        return commits

    def _tell(self, entry: _Entry, commit: Commit) -> None:
        made = commit.plan.messages
        if made:
            self._around.counters.published += len(made)
            log.info(
                "%s %s", entry.phase.base_name, made[0].task.info if len(made) == 1 else f"batch of {len(made)}",
                extra={"action": "tick.sent", "task": made[0].task.id, "slot": made[0].cause},
            )  # fmt: skip
        for fact in commit.plan.facts:
            log.warning("%s", fact.text, extra={"action": f"tick.{fact.kind}", "slot": fact.cause})

    def _wait_s(self) -> float:
        if not self._heap:
            return LONGEST_WAIT_S
        return max(0.0, min(LONGEST_WAIT_S, (self._heap[0].next - self._around.now()).total_seconds()))
