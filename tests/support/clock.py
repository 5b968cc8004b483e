"""A clock that moves only when a test says so."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta


class VirtualClock:
    """Wall, monotonic and boot time that go together, but for jumps of the wall clock."""

    def __init__(self, start: datetime = datetime(2026, 1, 1, tzinfo=UTC)) -> None:
        self._wall = start
        self._elapsed_ns = 1_000_000_000

    def now(self) -> datetime:
        """Wall time."""
        return self._wall

    def monotonic_ns(self) -> int:
        """Elapsed time."""
        return self._elapsed_ns

    def boottime_ns(self) -> int:
        """Elapsed time, one for all."""
        return self._elapsed_ns

    def advance(self, seconds: float) -> None:
        """Let time pass."""
        self._wall += timedelta(seconds=seconds)
        self._elapsed_ns += int(seconds * 1e9)

    def jump(self, seconds: float) -> None:
        """Set the wall clock by that much without time passing."""
        self._wall += timedelta(seconds=seconds)
