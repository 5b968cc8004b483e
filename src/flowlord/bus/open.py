"""Opening a bus by its address."""

from __future__ import annotations

import os

from flowlord.bus.port import Bus
from flowlord.bus.trap import arm_from
from flowlord.model.clock import Clock
from flowlord.model.errors import FlowlordError

FORMS = "sqlite:///relative/path.db, sqlite:////absolute/path.db, memory:"


def open_bus(address: str, *, by: str, clock: Clock | None = None) -> Bus:
    """Open the bus at `address`; what is not there yet is made.

    Args:
        address: one of FORMS.
        by: who writes, as told in every journal entry.
        clock: the system's, unless a test drives it.

    Raises:
        FlowlordError: no such form of address.
        BusUnavailable, BusUnusable: as its adapter says.
    """
    arm_from(os.environ)
    if address == "memory:":
        from flowlord.bus.memory import MemoryBus

        return MemoryBus(clock, by=by)
    if address.startswith("sqlite:///") and len(address) > len("sqlite:///"):
        from flowlord.bus.sqlite import SqliteBus

        return SqliteBus(address.removeprefix("sqlite:///"), by=by, clock=clock)
    if address.partition(":")[0] in {"redis", "rediss", "unix", "valkey", "valkeys"}:
        raise FlowlordError(
            f"{address!r}: a Redis bus comes with a later release", hint=f"until then: {FORMS}"
        )
    raise FlowlordError(f"{address!r} is no address of a bus", hint=f"write one of {FORMS}")
