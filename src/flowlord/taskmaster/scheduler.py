"""Starts phases when the calendar says so, each planned instant once among all daemons."""

from __future__ import annotations

import heapq
import logging
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

import msgspec

from flowlord.decide.expand import utc_text
from flowlord.decide.schedule import Due, look
from flowlord.decide.tick import failed, on_missed, on_tick
from flowlord.model.crashpoint import crashpoint
from flowlord.model.errors import BusError, Refused
from flowlord.model.plan import Commit, Mark, Plan
from flowlord.model.problem import Severity
from flowlord.model.workflow import Phase, Workflows
from flowlord.rules.cron import Cron
from flowlord.taskmaster.surroundings import Surroundings

log = logging.getLogger("flowlord.scheduler")

LONGEST_WAIT_S = 1.0
"""The wall clock may jump while we wait on the monotonic one, so we look again this often."""
LAND_AT = 2_000
"""Messages that land at once at most, but for a single start that makes more."""
PAUSE = timedelta(minutes=1)
"""How long a phase that cannot be decided is left alone."""
AHEAD = timedelta(minutes=1)
"""A mark that lies this far ahead of our clock is no chance: one of the clocks was wrong."""


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
        """Decide what is due now; returns how many plans landed. A phase that cannot be decided hinders no other."""
        flows = self._around.workflows
        if flows is not self._built_from:
            self._build(flows)
        now = self._around.now()
        due: list[_Entry] = []
        while self._heap and self._heap[0].next <= now:
            due.append(heapq.heappop(self._heap))
        landed = 0
        try:
            for entry in due:
                try:
                    landed += self._decide(entry, now)
                    self._mended(entry)
                except BusError:
                    raise
                except Exception as error:  # noqa: BLE001 - told, and looked at again in a while
                    entry.next = now + PAUSE
                    self._fault(
                        entry, f"{entry.phase.identity} cannot be scheduled: {error}", Severity.ERROR, error
                    )
        finally:
            for entry in due:  # also when the bus went away in the middle: then they are still due
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
        if entry.watermark is not None and entry.watermark - now > AHEAD:
            text = f"{entry.phase.identity} was decided up to {entry.seen}, ahead of this clock: no start until then"
            self._fault(entry, text, Severity.WARNING)
        due = look(entry.phase, entry.cron, entry.watermark, now)
        landed = 0
        for commits in self._steps(entry, due):
            crashpoint("scheduler.decided")
            for commit, answer in zip(commits, self._around.bus.commit_many(commits), strict=True):
                if isinstance(answer, Refused):
                    # Another daemon was faster: go on from where it is.
                    entry.seen, entry.next = self._found(entry, answer), now
                    log.debug(
                        "%s was decided elsewhere", entry.phase.identity, extra={"action": "tick.taken"}
                    )
                    return landed
                landed += 1
                entry.seen = commit.marks[0].new
                self._tell(entry, commit)
        entry.next = due.next or datetime.max.replace(tzinfo=UTC)
        return landed

    def _found(self, entry: _Entry, refused: Refused) -> str | None:
        """Return where the phase stands. A bus that was emptied is told what we knew: else instants would be missed."""
        if refused.found is not None or entry.seen is None:
            return refused.found
        try:
            self._around.bus.commit(Plan(), marks=[Mark(entry.mark, None, entry.seen)])
        except Refused as quicker:
            return quicker.found
        return entry.seen

    def _steps(self, entry: _Entry, due: Due) -> Iterator[list[Commit]]:
        """Yield the commits of what is due, in order, as many at a time as may land at once."""
        gathered: list[Commit] = []
        messages = 0
        for commit in self._commits(entry, due):
            gathered.append(commit)
            messages += len(commit.plan.messages)
            if messages >= LAND_AT:
                yield gathered
                gathered, messages = [], 0
        if gathered:
            yield gathered

    def _commits(self, entry: _Entry, due: Due) -> Iterator[Commit]:
        seen = entry.seen
        rule = entry.phase.rule
        facts = tuple(
            fact for missed in due.missed for fact in on_missed(entry.phase, missed, entry.revision).facts
        )
        for instant in due.ticks:
            ctx = self._around.context([rule.meta_file] if rule.meta_file else [])
            plan = on_tick(entry.phase, instant, ctx, entry.revision)
            self._around.stamps.used(ctx.now, plan.stamps)
            plan, facts = msgspec.structs.replace(plan, facts=plan.facts + facts), ()
            new = utc_text(instant)
            yield Commit(plan, marks=(Mark(entry.mark, seen, new),))
            seen = new
        new = utc_text(due.watermark)
        if facts or seen is None or (new != seen and datetime.fromisoformat(seen) < due.watermark):
            yield Commit(Plan(facts=facts), marks=(Mark(entry.mark, seen, new),))

    def _fault(self, entry: _Entry, text: str, severity: Severity, error: Exception | None = None) -> None:
        """Tell that a phase does not start, once; the alert lands before it counts as told."""
        subject = entry.mark
        if self._around.health.faults().get(subject) == text:
            return
        self._around.bus.commit(Plan(facts=(failed(entry.phase, subject, text, entry.revision),)))
        self._around.health.fault(subject, text, severity)
        log.error("%s", text, extra={"action": "tick.failed"}, exc_info=error)

    def _mended(self, entry: _Entry) -> None:
        if entry.watermark is None or entry.watermark - self._around.now() <= AHEAD:
            self._around.health.mended(entry.mark)

    def _tell(self, entry: _Entry, commit: Commit) -> None:
        made = commit.plan.messages
        if made:
            self._around.counters.published += len(made)
            log.info(
                "%s %s", entry.phase.base_name, made[0].task.info if len(made) == 1 else f"batch of {len(made)}",
                extra={"action": "tick.sent", "task": made[0].task.id, "slot": made[0].cause},
            )  # fmt: skip
        texts = {
            fact.text: fact for fact in commit.plan.facts
        }  # what was missed is also an alert: one line for both
        for text, fact in texts.items():
            log.error("%s", text, extra={"action": f"tick.{fact.kind}", "slot": fact.cause})

    def _wait_s(self) -> float:
        if not self._heap:
            return LONGEST_WAIT_S
        return max(0.0, min(LONGEST_WAIT_S, (self._heap[0].next - self._around.now()).total_seconds()))
