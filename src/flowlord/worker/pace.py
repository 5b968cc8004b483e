"""How many tasks a slot is given at once: one, and more only while the bus would be the brake."""

from __future__ import annotations

from flowlord.bus.port import CHUNK

FAST_NS = 2_000_000
"""A task that takes longer, and longer than the bus does for one step, is claimed for a free slot only: what waits here
could run elsewhere."""
SPAN_NS = 100_000_000
"""What a slot is given takes no longer than this, by what was seen last, or than four steps of a slow bus."""
LONGEST_SPAN_NS = 500_000_000


class Pace:
    """Grows fourfold while tasks are short, and falls back to one when they are not.

    `batch` is what a slot has at most, `low` what it still has when more is claimed: enough for the time that takes.
    """

    def __init__(self) -> None:
        self.batch = 1
        self.low = 0
        self._bus_ns = 0

    def note(self, count: int, took_ns: int) -> None:
        """Learn from the tasks that a slot did one after the other."""
        each = max(took_ns // max(count, 1), 1)
        if each > max(FAST_NS, min(self._bus_ns, SPAN_NS // 2)):
            self.stumble()
            return
        span_ns = min(max(SPAN_NS, 4 * self._bus_ns), LONGEST_SPAN_NS)
        self.batch = max(1, min(4 * self.batch, span_ns // each, CHUNK))
        self.low = max(self.batch // 4, min(2 * self._bus_ns // each, 3 * self.batch // 4))

    def note_bus(self, took_ns: int) -> None:
        """Learn from a step that the bus took."""
        self._bus_ns = (3 * self._bus_ns + took_ns) // 4

    def stumble(self) -> None:
        """One task among short ones is not: start again at one."""
        self.batch, self.low = 1, 0
