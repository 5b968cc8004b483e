"""The bus that the settings name, for commands that put something on it."""

from __future__ import annotations

from flowlord.bus.open import open_bus
from flowlord.bus.port import Bus
from flowlord.config import BusSettings


def bus_at(where: BusSettings, *, by: str) -> Bus:
    """Open it; `by` is who writes. Raises as `open_bus` does."""
    return open_bus(where.address, by=by, namespace=where.namespace, accept_loss=where.accept_loss)
