"""What follows when a process is not heard of any more."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from flowlord.decide.alert import alert_of
from flowlord.model.plan import Fact, FactKind, Plan
from flowlord.rules.durations import short_duration

TASKMASTER = "taskmaster"
TOLD = 10
"""Tasks that are named at most."""


@dataclass(frozen=True, slots=True)
class Silent:
    """A process whose heartbeat stood still for `for_ns`; `kind` is worker or taskmaster, `running` what it last ran.

    `beat` is when it was last heard of (aware, UTC), `hosts` whether a taskmaster runs, or ran, in that process.
    """

    consumer: str
    kind: str
    host: str
    pid: int
    beat: datetime
    for_ns: int
    running: Sequence[str] = ()
    hosts: bool = False


def on_vanished(found: Silent) -> Plan:
    """Return the record that a process vanished, with the tasks that it took along, and an alert."""
    text = (
        f"the {found.kind} {found.consumer} (process {found.pid} on {found.host}) vanished: nothing was heard of it "
        f"for {short_duration(found.for_ns)}, since {found.beat:%Y-%m-%dT%H:%M:%SZ}"
    )
    if found.running:
        shown = ", ".join(found.running[:TOLD])
        more = f" and {len(found.running) - TOLD} more" if len(found.running) > TOLD else ""
        text += f"; it held {shown}{more}, offered again when their leases lapse"
    # One process may beat twice, as a taskmaster and as the worker that it hosts: to people it is one.
    name, kind = f"{found.host}:{found.pid}", TASKMASTER if found.hosts else found.kind
    fact = Fact(FactKind.VANISHED, key=name, topic=kind, cause=f"process:{found.consumer}", text=text)
    return Plan(facts=(fact, alert_of(fact)))


def outcome_of(found: Silent) -> str:
    """Return under what it is remembered that this silence was told: once, whoever notices it."""
    return f"vanished:{found.consumer}:{found.beat.isoformat()}"
