"""What the starts of one phase become: the commits of what a look at the clock found, and what is told of them."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

import msgspec

from flowlord.bus.landing import rendered
from flowlord.decide.context import Context, Source
from flowlord.decide.expand import utc_text
from flowlord.decide.schedule import ON_TIME, Due
from flowlord.decide.tick import on_missed, on_tick, stamped
from flowlord.model.message import Message
from flowlord.model.plan import Commit, FactKind, Mark, Plan, Rendered
from flowlord.model.workflow import Phase
from flowlord.rules.stamps import stamp
from flowlord.rules.timetable import Timetable
from flowlord.taskmaster.surroundings import Surroundings

log = logging.getLogger("flowlord.scheduler")

Sources = Mapping[str, Source | str]

_TICK = timedelta(microseconds=1)
_CREATED = b'"created":"'
_NO_STAMP = _CREATED + stamp(Context().now).encode() + b'"'
"""What stands in the bytes of a task that was made without a time."""


@dataclass(frozen=True, slots=True)
class Ready:
    """A start that only has to be stamped and to land, if it does so on time: what is due then is known.

    `seen` is the mark on which it rests; it starts from `due` to `last`, else a look must tell; `then` is when the
    phase is to be looked at again.
    `payload` is its bytes without the stamp: what comes before and behind it; `common` as `Rendered` has it.
    """

    seen: str
    due: datetime
    last: datetime
    then: datetime | None
    message: Message
    marks: tuple[Mark, ...]
    payload: tuple[bytes, bytes]
    common: bytes


@dataclass(slots=True)
class Entry:
    """A scheduled phase; ordered by when to look at it next.

    `seen` is its mark as we know it; `ready` a start that was made ahead of its time, `tried` the mark for which that
    was tried last.
    """

    next: datetime
    phase: Phase
    table: Timetable
    revision: str
    mark: str
    seen: str | None = None
    ready: Ready | None = None
    tried: str | None = None
    waits: bool = False
    refused: bool = False

    def __lt__(self, other: Entry) -> bool:
        return self.next < other.next

    @property
    def watermark(self) -> datetime | None:
        """The mark as a time; raises ValueError when somebody wrote something else into it."""
        if self.seen is None:
            return None
        found = datetime.fromisoformat(self.seen)
        if found.tzinfo is None:
            raise ValueError(f"the mark holds {self.seen!r}, a time without a zone")
        return found


def commits_of(
    around: Surroundings, entry: Entry, due: Due, sources: Sources | None = None
) -> Iterator[Commit]:
    """Yield the commits of what is due, in order; each rests on the mark that the one before it leaves.

    `sources` is what the meta-file holds; without, it is read for each start.
    """
    seen = entry.seen
    facts = tuple(
        fact for missed in due.missed for fact in on_missed(entry.phase, missed, entry.revision).facts
    )
    for instant in due.ticks:
        plan = _start(around, entry, instant, sources)
        if facts:
            plan, facts = msgspec.structs.replace(plan, facts=plan.facts + facts), ()
        new = utc_text(instant)
        yield Commit(plan, marks=(Mark(entry.mark, seen, new),))
        seen = new
    new = utc_text(due.watermark)
    if facts or seen is None or (new != seen and datetime.fromisoformat(seen) < due.watermark):
        yield Commit(Plan(facts=facts), marks=(Mark(entry.mark, seen, new),))


def prepare(around: Surroundings, entry: Entry) -> None:
    """Make the next start of a phase that needs to read nothing for it and waits for nothing but the clock."""
    entry.tried, entry.ready = entry.seen, None
    rule, watermark = entry.phase.rule, entry.watermark
    if entry.seen is None or watermark is None or rule.is_batch or rule.overlap != "allow":
        return
    instant = entry.table.next(watermark)
    if instant is None:
        return
    plan = on_tick(entry.phase, instant, Context(host=around.host), entry.revision)
    then = entry.table.next(instant)
    delay = entry.table.delay
    due = instant + delay
    then = then and then + delay
    if len(plan.publish) != 1 or plan.size != 1 or plan.facts:
        return
    [message] = plan.publish
    found = rendered(message)
    entry.ready = Ready(
        entry.seen,
        due,
        due + ON_TIME if then is None else min(due + ON_TIME, then - _TICK),
        then,
        message,
        (Mark(entry.mark, entry.seen, utc_text(instant)),),
        _without_stamp(found.payload),
        found.common,
    )


def take_ready(around: Surroundings, entry: Entry, now: datetime) -> tuple[Commit, datetime | None] | None:
    """Return the start that was made ahead, stamped now, and when to look again; None when a look must tell."""
    ready, entry.ready = entry.ready, None
    if ready is None or ready.seen != entry.seen or (around.paused and around.paused.pauses):
        return None
    if not ready.due <= now <= ready.last:
        return None
    created = stamp(around.stamps.now())
    made = created.encode()
    payload, behind = ready.payload
    plan = Plan((stamped(ready.message, created),))
    text = Rendered(payload + made + behind, ready.common)
    return Commit(plan, (), ready.marks, (), text), ready.then


def _without_stamp(text: bytes) -> tuple[bytes, bytes]:
    before, _, behind = text.partition(_NO_STAMP)  # a quote inside of a text is escaped
    return before + _CREATED, b'"' + behind


def tell(around: Surroundings, entry: Entry, commit: Commit) -> None:
    """Say what landed, in the log."""
    plan = commit.plan
    if plan.size:
        around.counters.published += plan.size
        if log.isEnabledFor(logging.INFO):
            made = plan.messages
            log.info(
                "%s %s", entry.phase.base_name, made[0].task.info if len(made) == 1 else f"batch of {len(made)}",
                extra={"action": "tick.sent", "task": made[0].task.id, "slot": made[0].cause},
            )  # fmt: skip
    if not plan.facts:
        return
    # What was missed is also an alert: one line for both.
    for text, fact in {fact.text: fact for fact in plan.facts}.items():
        level = logging.WARNING if fact.kind is FactKind.SKIPPED else logging.ERROR
        log.log(level, "%s", text, extra={"action": f"tick.{fact.kind}", "slot": fact.cause})


def _start(around: Surroundings, entry: Entry, instant: datetime, sources: Sources | None) -> Plan:
    rule = entry.phase.rule
    if sources is None:
        ctx = around.context([rule.meta_file] if rule.meta_file else [])
    else:
        ctx = msgspec.structs.replace(around.context(), sources=sources)
    return around.decide(ctx, lambda ctx: on_tick(entry.phase, instant, ctx, entry.revision))
