"""Stamps: instants as tasks carry them, RFC 3339 in UTC with microseconds and `Z`."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Final

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND: Final = timedelta(microseconds=1)


def stamp(time: datetime) -> str:
    """Return an aware time as `2026-01-31T23:59:59.000000Z`."""
    return stamp_of_micros(micros_of(time))


def micros_of(time: datetime) -> int:
    """Return the whole microseconds from 1970 to an aware time."""
    return (time - _EPOCH) // _MICROSECOND


def stamp_of_micros(micros: int) -> str:
    """Return the stamp of that many microseconds since 1970."""
    # `isoformat` costs more than all else about a short task: stamps of one second share what comes before the point.
    seconds, micros = divmod(micros, 1_000_000)
    return f"{_second(seconds)}{str(micros + 1_000_000)[1:]}Z"  # a third of what `:06d` takes


@lru_cache(maxsize=64)
def _second(seconds: int) -> str:
    return f"{(_EPOCH + timedelta(seconds=seconds)).isoformat()[:19]}."
