"""Named places at which a test may kill this process, to show that it matters nowhere. Does nothing in production.

The trap itself lives outside (`flowlord.bus.trap`, armed by FLOWLORD_CRASHPOINT): this room touches no process.
"""

from __future__ import annotations

from collections.abc import Callable


class _Armed:
    """The one trap of this process: module state, because a crash spares no part of a process."""

    trap: Callable[[str], None] | None = None


def crashpoint(name: str) -> None:
    """Say that this place was reached; names read `room.verb.moment`."""
    if _Armed.trap is not None:
        _Armed.trap(name)


def arm(trap: Callable[[str], None] | None) -> None:
    """Call `trap` with the name of every place reached from now on; None disarms."""
    _Armed.trap = trap
