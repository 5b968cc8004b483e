"""`flowlord backload --stop-at-failures`: how many failures are too many."""

from __future__ import annotations

from typing import Final, NamedTuple

from flowlord.cli.flag_values import WrongUse

SAMPLE: Final = 10
"""So many tasks must have ended before a share of them means anything."""


class Limit(NamedTuple):
    """So many failed tasks, or such a share (in percent) of those that have ended; the other one is 0."""

    number: int = 0
    percent: float = 0.0

    def is_passed(self, failed: int, ended: int) -> bool:
        """Whether it is time to stop; `failed` are among `ended`."""
        if self.number:
            return failed >= self.number
        return ended >= SAMPLE and failed * 100 > self.percent * ended

    def __str__(self) -> str:
        """As it was asked for."""
        return f"{self.number}" if self.number else f"{self.percent:g}%"


def limit_of(text: str) -> Limit:
    """Read `10%` or `5`.

    Raises:
        WrongUse: it is neither.
    """
    number = text.removesuffix("%").strip()
    try:
        if text.endswith("%") and number.isascii() and 0 <= float(number) < 100:
            return Limit(percent=float(number))
        if number == text and number.isascii() and number.isdigit() and 0 < int(number) < 1_000_000_000:
            return Limit(number=int(number))
    except ValueError:
        pass
    raise WrongUse(f"--stop-at-failures {text[:40]!r} is none", "write a number, 5, or a share, 10%")
