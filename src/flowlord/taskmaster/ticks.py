"""What the starts of one phase become: the commits of what a look at the clock found, and what is told of them."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime

import msgspec

from flowlord.decide.context import Context
from flowlord.decide.expand import utc_text
from flowlord.decide.schedule import Due
from flowlord.decide.tick import on_missed, on_tick, stamped
from flowlord.model.plan import Commit, FactKind, Mark, Plan
from flowlord.model.workflow import Phase
from flowlord.rules.timetable import Timetable
from flowlord.taskmaster.surroundings import Surroundings

log = logging.getLogger("flowlord.scheduler")


@dataclass(order=True, slots=True)
class Entry:
    """A scheduled phase; ordered by when to look at it next.

    `seen` is its mark as we know it; `ready` a start that was made ahead of its time.
    """

    next: datetime
    phase: Phase = field(compare=False)
    table: Timetable = field(compare=False)
    revision: str = field(compare=False)
    mark: str = field(compare=False)
    seen: str | None = field(compare=False, default=None)
    ready: tuple[datetime, Plan] | None = field(compare=False, default=None)
    waits: bool = field(compare=False, default=False)
    refused: bool = field(compare=False, default=False)

    @property
    def watermark(self) -> datetime | None:
        """The mark as a time; raises ValueError when somebody wrote something else into it."""
        return None if self.seen is None else datetime.fromisoformat(self.seen)


def commits_of(around: Surroundings, entry: Entry, due: Due) -> Iterator[Commit]:
    """Yield the commits of what is due, in order; each rests on the mark that the one before it leaves."""
    seen = entry.seen
    facts = tuple(
        fact for missed in due.missed for fact in on_missed(entry.phase, missed, entry.revision).facts
    )
    for instant in due.ticks:
        plan = _start(around, entry, instant)
        if facts:
            plan, facts = msgspec.structs.replace(plan, facts=plan.facts + facts), ()
        new = utc_text(instant)
        yield Commit(plan, marks=(Mark(entry.mark, seen, new),))
        seen = new
    new = utc_text(due.watermark)
    if facts or seen is None or (new != seen and datetime.fromisoformat(seen) < due.watermark):
        yield Commit(Plan(facts=facts), marks=(Mark(entry.mark, seen, new),))


def prepare(around: Surroundings, entry: Entry) -> None:
    """Make the next start of a phase that needs to read nothing for it."""
    if entry.watermark is None or entry.phase.rule.is_batch:
        return
    instant = entry.table.next(entry.watermark)
    if instant is not None:
        entry.ready = instant, on_tick(entry.phase, instant, Context(host=around.host), entry.revision)


def tell(around: Surroundings, entry: Entry, commit: Commit) -> None:
    """Say what landed, in the log."""
    made = commit.plan.messages
    if made:
        around.counters.published += len(made)
        if log.isEnabledFor(logging.INFO):
            log.info(
                "%s %s", entry.phase.base_name, made[0].task.info if len(made) == 1 else f"batch of {len(made)}",
                extra={"action": "tick.sent", "task": made[0].task.id, "slot": made[0].cause},
            )  # fmt: skip
    # What was missed is also an alert: one line for both.
    for text, fact in {fact.text: fact for fact in commit.plan.facts}.items():
        level = logging.WARNING if fact.kind is FactKind.SKIPPED else logging.ERROR
        log.log(level, "%s", text, extra={"action": f"tick.{fact.kind}", "slot": fact.cause})


def _start(around: Surroundings, entry: Entry, instant: datetime) -> Plan:
    ready, entry.ready = entry.ready, None
    if ready is not None and ready[0] == instant:
        now = around.stamps.now()
        plan = stamped(ready[1], now)
    else:
        rule = entry.phase.rule
        ctx = around.context([rule.meta_file] if rule.meta_file else [])
        now = ctx.now
        plan = on_tick(entry.phase, instant, ctx, entry.revision)
    around.stamps.used(now, plan.stamps)
    return plan
