"""What time it is, for commands that need no bus."""

from __future__ import annotations

from datetime import UTC, datetime


def now() -> datetime:
    """Return the time of this machine, aware, UTC."""
    return datetime.now(UTC)
