"""`flowlord workers`: who is alive, and with what."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from flowlord.bus.clock import SystemClock
from flowlord.cli import printer
from flowlord.cli.exits import DONE
from flowlord.cli.fleet import differences, held_by, in_flight
from flowlord.cli.printer import Look
from flowlord.cli.sources import opened
from flowlord.cli.table import GREEN, RED, Column
from flowlord.cli.times import coarse, iso, relative, to_us
from flowlord.model.clock import Clock

if TYPE_CHECKING:
    from flowlord.bus.port import Presence
    from flowlord.config import BusSettings

FIELDS = (
    "consumer", "kind", "state", "host", "pid", "topics", "slots", "in_flight", "running", "beat", "started", "version",
    "revision", "health",
)  # fmt: skip
Record = Mapping[str, object]


def run(where: BusSettings, *, look: Look | None = None, clock: Clock | None = None) -> int:
    """Print every process that beat within the last day, the living first; returns the exit code."""
    clock = clock or SystemClock()
    now_us = to_us(clock.now())

    def body() -> int:
        with opened(where, None, clock) as sources:
            bus = sources.bus()
            found = sorted(
                bus.presences() if bus is not None else [], key=lambda each: (not each.alive, each.consumer)
            )
            held = held_by(bus) if bus is not None else {}
            records = [_record(each, held.get(each.consumer, 0)) for each in found]
            printer.rows(records, FIELDS, columns=_columns(now_us), look=look or Look())
            for finding in differences(found, bus):
                printer.say(f"note: {finding.text}")
            if not any(each.alive for each in found) and printer.on_terminal():
                printer.say("neither a worker nor a taskmaster is alive: flowlord run, flowlord worker")
            return DONE

    return printer.quietly(body)


def _record(found: Presence, held: int) -> Record:
    return {
        "consumer": found.consumer,
        "kind": found.kind,
        "state": "alive" if found.alive else "lost",
        "host": found.host,
        "pid": found.pid,
        "topics": list(found.topics),
        "slots": found.slots,
        "in_flight": in_flight(found, held),
        "running": list(found.running),
        "beat": iso(found.beat_us) or None,
        "beat_us": found.beat_us,
        "started": iso(found.started_us) or None,
        "started_us": found.started_us,
        "version": found.version,
        "revision": found.revision,
        "health": found.health,
    }


def _columns(now_us: int) -> list[Column]:
    def number(each: Record, name: str) -> int:
        value = each[name]
        return value if isinstance(value, int) else 0

    def alive(each: Record) -> bool:
        return each["state"] == "alive"

    def up(each: Record, _: bool) -> str:
        since = number(each, "started_us")
        return coarse(max(0, now_us - since)) if since else "-"

    def topics(each: Record, _: bool) -> str:
        names = each["topics"]
        return ",".join(map(str, names)) if isinstance(names, list) else ""

    return [
        Column("worker", lambda each, _: str(each["consumer"])),
        Column("state", paint=lambda each: GREEN if each["state"] == "alive" else RED),
        Column("kind"),
        Column("host"),
        Column("pid", right=True),
        Column("topics", topics, gives=True),
        Column(
            "in flight",
            lambda each, _: (
                f"{each['in_flight']}/{each['slots']}"
                if each["slots"] and (alive(each) or each["in_flight"])
                else "-"
            ),
            right=True,
        ),
        Column("last beat", lambda each, _: relative(number(each, "beat_us"), now_us)),
        Column("up", up, right=True),
        Column("version"),
        Column("revision", lambda each, _: str(each["revision"]) or "-"),
        Column("health", lambda each, _: str(each["health"]) if alive(each) else "-", gives=True),
    ]
