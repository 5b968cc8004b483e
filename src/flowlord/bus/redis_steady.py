"""Since when the bus has answered without a break: only what was watched in that time can be judged."""

from __future__ import annotations

LONGEST_GAP_NS = 10_000_000_000


class Steadiness:
    """Answers and failures of one connection to the bus, whoever saw them. All times are monotonic nanoseconds."""

    def __init__(self) -> None:
        self._since_ns: int | None = None
        self._last_ns = 0

    def answered(self, now_ns: int) -> None:
        """Note that an answer came."""
        if self._since_ns is None or now_ns - self._last_ns > LONGEST_GAP_NS:
            self._since_ns = now_ns
        self._last_ns = max(now_ns, self._last_ns)

    def failed(self) -> None:
        """Note that no answer came, or came from a server that serves nobody: the next answer begins anew."""
        self._since_ns = None

    def since_ns(self, now_ns: int) -> int:
        """Return since when answers came with gaps of at most LONGEST_GAP_NS; `now_ns` when that is not so now."""
        since_ns = self._since_ns
        if since_ns is None or now_ns - self._last_ns > LONGEST_GAP_NS:
            return now_ns
        return since_ns
