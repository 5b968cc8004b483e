"""One thing that was looked at, and how it stands: what `flowlord doctor` prints a line for."""

from __future__ import annotations

from enum import StrEnum

import msgspec


class Level(StrEnum):
    """How it stands; REFUSE is a fault with which a bus is not opened."""

    OK = "ok"
    WARN = "warn"
    FAULT = "fault"
    REFUSE = "refuse"

    @property
    def is_bad(self) -> bool:
        """Whether something must be done."""
        return self in (Level.FAULT, Level.REFUSE)


class Finding(msgspec.Struct, frozen=True):
    """What is so and what it would cost.

    `name` is stable; `fix` holds lines that can be typed or put into a configuration as they are, and may be empty.
    """

    name: str
    level: Level
    text: str
    fix: str = ""
