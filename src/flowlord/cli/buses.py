"""The bus that the settings name: opened for commands that put something on it, and named for those that compare."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from flowlord.bus.port import Bus
    from flowlord.config import BusSettings


def bus_at(where: BusSettings, *, by: str) -> Bus:
    """Open it; `by` is who writes. Raises as `open_bus` does."""
    from flowlord.bus.open import open_bus

    return open_bus(where.address, by=by, namespace=where.namespace, accept_loss=where.accept_loss)


def name_of(where: BusSettings) -> str:
    """Return a name of it without user, password and times: equal names are one bus, and one bus may have several.

    It is made by hand: what reads addresses of Redis takes longer to load than a question of the history lasts.
    """
    scheme, marked, path = where.address.partition("sqlite:///")
    if marked and not scheme:
        return f"{marked}{os.path.abspath(path)}"
    address, _, options = where.address.partition("?")
    scheme, marked, rest = address.partition("://")
    place = rest.rpartition("@")[2] if marked else ""
    db = "&".join(each for each in options.split("&") if each.startswith("db="))
    return f"{scheme}{marked}{place}{'?' * bool(db)}{db} {where.namespace}"
