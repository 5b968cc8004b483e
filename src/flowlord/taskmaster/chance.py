"""Chance and stamps: the two things of a decision that must differ from one to the next."""

from __future__ import annotations

import random
import threading
from datetime import UTC, datetime, timedelta

from flowlord.decide.keys import after
from flowlord.model.clock import Clock

_STEP = timedelta(microseconds=10)


class Stamps:
    """Hands out decision times that never repeat in this process and hardly ever in another.

    The last digit of the microseconds belongs to the daemon, so `created` tells tasks of one run apart even when two
    daemons decide in the same instant.
    """

    def __init__(self, clock: Clock, digit: int) -> None:
        self._clock = clock
        # What a last digit needs to become ours; `datetime.replace` takes several times longer.
        self._to_ours = [timedelta(microseconds=digit % 10 - last) for last in range(10)]
        self._last = datetime(1970, 1, 1, tzinfo=UTC)
        self._lock = threading.Lock()

    def now(self) -> datetime:
        """Return a time later than every stamp used before."""
        wall = self._clock.now()
        wall += self._to_ours[wall.microsecond % 10]
        with self._lock:
            found = wall if wall > self._last else self._last + _STEP
            self._last = found
            return found

    def used(self, start: datetime, tasks: int) -> None:
        """Note that a plan decided at `start` took that many stamps."""
        if tasks > 1:
            with self._lock:
                self._last = max(self._last, after(start, tasks))


class Chance:
    """Where jitter comes from."""

    def __init__(self, seed: int | None = None) -> None:
        self._random: random.Random = random.SystemRandom() if seed is None else random.Random(seed)
        # Drawn for each decision and no secret: no reason to ask the system each time.
        self._jitter = random.Random(seed)

    def jitter(self) -> float:
        """Return a number in [0, 1)."""
        return self._jitter.random()

    def digit(self) -> int:
        """Return a digit for `Stamps`."""
        return self._random.randrange(10)

    def token(self) -> str:
        """Return 12 hex digits that name something made just now: a process, a request."""
        return f"{self._random.getrandbits(48):012x}"
