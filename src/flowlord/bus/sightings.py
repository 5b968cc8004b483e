"""How long a lease was seen unchanged: the only thing by which a lease is judged to be over.

The server's clock, its idle times and the age of an entry say nothing about whether a holder lives: they jump, and they
run on while the server is away. So a reclaimer counts on its own clock, and only while it could have seen a change.
"""

from __future__ import annotations

import msgspec

MOST = 100_000


class _Seen(msgspec.Struct):
    since_ns: int
    real_ns: int
    passed: int


class Sightings:
    """First sightings of values that change when their holder lives."""

    def __init__(self) -> None:
        self._seen: dict[str, _Seen] = {}
        self._pass = 0

    def note(self, value: str, now_ns: int, real_ns: int) -> None:
        """Remember a value that this process wrote itself, so that its time runs from there."""
        if len(self._seen) >= MOST:  # a process that never reclaims: whoever does sees for itself
            self._seen.clear()
        self._seen[value] = _Seen(now_ns, real_ns, self._pass)

    def look(self, value: str, now_ns: int, real_ns: int, *, steady_since_ns: int) -> int:
        """Return since when (`now_ns` of that look) a value stood still, as far as could be seen.

        Args:
            value: as found now.
            now_ns: elapsed time that counts.
            real_ns: elapsed real time, on which `steady_since_ns` lies.
            steady_since_ns: since when the bus answered without a break; what was seen before starts anew.
        """
        seen = self._seen.get(value)
        if seen is None or seen.real_ns < steady_since_ns:
            self._seen[value] = seen = _Seen(now_ns, real_ns, self._pass)
        seen.passed = self._pass
        return seen.since_ns

    def begin(self) -> None:
        """Begin to look at everything that there is."""
        self._pass += 1

    def end(self) -> None:
        """Forget what was not there when everything was looked at; what was noted meanwhile stays."""
        self._seen = {value: seen for value, seen in self._seen.copy().items() if seen.passed >= self._pass}
