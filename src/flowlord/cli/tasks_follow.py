"""`flowlord tasks -f`: what is there, then each change as it comes."""

from __future__ import annotations

from itertools import islice
from typing import TYPE_CHECKING

from flowlord.cache.attempt import OPEN, Attempt
from flowlord.cache.queries import PAGE, Filter, History
from flowlord.cli import printer
from flowlord.cli.attempts import FIELDS, columns, record
from flowlord.cli.exits import DONE, UNREACHABLE
from flowlord.cli.printer import Look, Sheet
from flowlord.cli.selection import selected
from flowlord.cli.sources import Sources
from flowlord.cli.times import to_us
from flowlord.model.clock import Clock
from flowlord.model.errors import FlowlordError

if TYPE_CHECKING:
    from flowlord.bus.port import Bus

RECENT = 10
WAIT_S = 1.0
HELD = 100_000  # open attempts that a follower remembers


def follow(sources: Sources, wanted: Filter, look: Look, limit: int | None, clock: Clock) -> int:
    """Print the newest, then each change as it comes, until Ctrl-C."""
    if look.resolved() == "json":
        raise FlowlordError(
            "a JSON document that is followed never ends", hint="-o jsonl prints one object a line"
        )
    bus = sources.bus()
    if bus is None:
        printer.error("there is no bus to follow yet", hint="flowlord run makes it")
        return UNREACHABLE
    seq = bus.journal_bounds()[1]
    now_us = to_us(clock.now())
    limit = RECENT if limit is None else limit
    sheet = Sheet(FIELDS, columns(now_us), name="key", look=look)
    before = list(islice(selected(sources, wanted, now_us, min(limit, PAGE) or PAGE), limit or None))
    sheet.add(record(attempt, now_us) for attempt in reversed(before))
    _changes(sheet, sources.history(fresh=True), bus, seq, wanted, clock)
    return DONE


def _changes(sheet: Sheet, history: History, bus: Bus, seq: int, wanted: Filter, clock: Clock) -> None:
    from flowlord.cache.ledger import Ledger, keys_of

    kept: dict[str, Attempt] = {}
    while True:
        entries = bus.journal(seq, PAGE, wait_s=WAIT_S)
        if not entries:
            continue
        seq = entries[-1].seq
        keys = keys_of(entries, first_heard=True)
        ledger = Ledger([*history.by_keys(keys - kept.keys()).values(), *kept.values()])
        ledger.apply(entries)
        now_us = to_us(clock.now())
        changed = ledger.changed.values()
        sheet.add(record(attempt, now_us) for attempt in changed if wanted.accepts(attempt, now_us))
        kept = {key: each for key, each in ledger.attempts.items() if each.state in OPEN}
        if len(kept) > HELD:
            kept = {}
