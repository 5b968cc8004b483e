"""Chance and stamps: the two things of a decision that must differ from one to the next."""

from __future__ import annotations

import random
import threading
from datetime import UTC, datetime, timedelta

from flowlord.model.clock import Clock

_STEP = timedelta(microseconds=10)


class Stamps:
    """Hands out decision times that never repeat in this process and hardly ever in another; for any threads.

    The last digit of the microseconds belongs to the daemon, so `created` tells tasks of one run apart even when two
    daemons decide in the same instant. A plan of n tasks takes n times, 10 us apart (`decide.keys.created`), and how
    many is known once it is decided: `now` hands out one, `widen` makes it more unless another thread came between.
    """

    def __init__(self, clock: Clock, digit: int) -> None:
        self._clock = clock
        # What a last digit needs to become ours; `datetime.replace` takes several times longer.
        self._to_ours = [timedelta(microseconds=digit % 10 - last) for last in range(10)]
        # What was handed out last: so many times from there on.
        self._start, self._tasks = datetime(1970, 1, 1, tzinfo=UTC), 1
        self._lock = threading.Lock()

    def now(self) -> datetime:
        """Return a time later than all that were handed out before."""
        return self.take(1)

    def take(self, tasks: int) -> datetime:
        """Return the first of so many times, all later than those that were handed out before."""
        wall = self._clock.now()
        wall += self._to_ours[wall.microsecond % 10]
        with self._lock:
            free = self._start + self._tasks * _STEP
            self._start, self._tasks = max(wall, free), max(tasks, 1)
            return self._start

    def widen(self, start: datetime, tasks: int, room: int = 1) -> bool:
        """Say whether a plan decided at `start` may take so many times, and hand them out if so.

        Args:
            start: as `now` or `take` returned it.
            tasks: how many times the plan takes.
            room: how many were handed out from `start` on before.

        Returns:
            False when some of them are another's by now: the plan is to be decided anew, at `take(tasks)`.
        """
        if tasks <= room:
            return True
        with self._lock:
            if self._start != start:
                return False
            self._tasks = tasks
            return True


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
