"""`flowlord topics tail`: the newest messages of a topic, then each that comes."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from flowlord.bus.clock import SystemClock
from flowlord.bus.port import DONE as RESULTS
from flowlord.bus.port import QUARANTINE
from flowlord.cli import printer
from flowlord.cli.exits import DONE, UNREACHABLE
from flowlord.cli.printer import Look, Sheet
from flowlord.cli.sources import opened
from flowlord.cli.table import Column
from flowlord.cli.times import iso
from flowlord.cli.topics import ALWAYS, no_such_topic, payload_text
from flowlord.model.clock import Clock
from flowlord.model.errors import FlowlordError
from flowlord.model.plan import FactKind
from flowlord.model.task import encode

if TYPE_CHECKING:
    from flowlord.bus.port import Bus, JournalEntry, Peeked
    from flowlord.config import BusSettings
    from flowlord.model.plan import Fact

FIELDS = ("at", "topic", "key", "phase", "cause", "text", "payload")
WAIT_S = 1.0
PAGE = 500
_KIND = {RESULTS: FactKind.DONE, QUARANTINE: FactKind.QUARANTINED}


def tail(
    where: BusSettings,
    topic: str,
    *,
    number: int,
    follow: bool,
    look: Look | None = None,
    clock: Clock | None = None,
) -> int:
    """Print the newest messages of a topic, the last one last; with `follow` go on with what comes, until Ctrl-C."""
    clock, look = clock or SystemClock(), look or Look()
    if follow and look.resolved() == "json":
        raise FlowlordError(
            "a JSON document that is followed never ends", hint="-o jsonl prints one object a line"
        )

    def body() -> int:
        with opened(where, None, clock) as sources:
            bus = sources.bus()
            sheet = Sheet(FIELDS, _columns(), name="key", look=look)
            if bus is None:
                sheet.close()
                return UNREACHABLE if follow else DONE
            known = [state.topic for state in bus.topics()]
            if topic not in {*known, *ALWAYS} and not follow:
                return no_such_topic(topic, known)
            seq = bus.journal_bounds()[1]
            lying = [each for each in bus.peek(topic, number + PAGE, newest=True) if each.state == "waiting"]
            sheet.add(_of_message(each) for each in reversed(lying[:number]))
            if follow:
                _follow(sheet, bus, topic, seq)
            sheet.close()
            return DONE

    return printer.quietly(body)


def _follow(sheet: Sheet, bus: Bus, topic: str, seq: int) -> None:
    while True:
        entries = bus.journal(seq, PAGE, wait_s=WAIT_S)
        if entries:
            seq = entries[-1].seq
            sheet.add(row for entry in entries for row in _of_entry(entry, topic))


def _of_entry(entry: JournalEntry, topic: str) -> Iterator[dict[str, object]]:
    kind = _KIND.get(topic)
    for fact in entry.facts:
        if fact.kind is kind or (kind is None and _came(fact, topic)):
            yield {
                "at": iso(entry.at_us),
                "topic": topic,
                "key": fact.key,
                "phase": fact.phase,
                "cause": fact.cause,
                "text": fact.text,
                "payload": encode(fact.task).decode() if fact.task else "",
            }


def _came(fact: Fact, topic: str) -> bool:
    return fact.kind in (FactKind.PUBLISHED, FactKind.MOVED) and fact.topic == topic


def _of_message(found: Peeked) -> dict[str, object]:
    return {
        "at": iso(found.at_us),
        "topic": found.topic,
        "key": found.key,
        "phase": found.phase,
        "cause": found.cause,
        "text": "",
        "payload": payload_text(found.payload),
    }


def _columns() -> list[Column]:
    return [
        Column("at"),
        Column("key", lambda each, _: str(each["key"])[:8]),
        Column("text"),
        Column("payload", gives=True),
    ]
