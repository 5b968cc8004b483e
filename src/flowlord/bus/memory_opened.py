"""What the memory bus knows of open tasks, by the group that they hold open."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from flowlord.bus.holds import Hold
from flowlord.bus.lifetimes import OPEN_US, SWEEP_CHUNK, SWEEP_STEPS
from flowlord.bus.port import OpenTask
from flowlord.model.message import SAME


class Opened:
    """Members with their group, dispatch key and time."""

    def __init__(self) -> None:
        self._members: dict[bytes, tuple[str, OpenTask]] = {}

    def shut(self, members: Iterable[bytes]) -> dict[bytes, str]:
        """Let members go; return the groups of those that were open."""
        return {each: self._members.pop(each)[0] for each in members if each in self._members}

    def hold(self, holds: Iterable[Hold], now_us: int, freed: Sequence[str | None] = ()) -> None:
        """Add members; `freed` are the groups that the outcomes of their commit held."""
        for member, group, key in holds:
            held = next(filter(None, freed), "") if group == SAME else group
            if held:
                self._members[member] = (held, OpenTask(key, now_us))

    def counts(self, groups: Iterable[str]) -> dict[str, int]:
        """See `Bus.open_counts`."""
        found = dict.fromkeys(groups, 0)
        for group, _ in self._members.values():
            if group in found:
                found[group] += 1
        return found

    def tasks(self, group: str) -> list[OpenTask]:
        """Return what holds a group open, the oldest first."""
        found = [task for held, task in self._members.values() if held == group]
        return sorted(found, key=lambda task: (task.since_us, task.key))

    def sweep(self, now_us: int) -> int:
        """Drop members that are too old; return how many."""
        old = [each for each, (_, task) in self._members.items() if task.since_us < now_us - OPEN_US]
        return len(self.shut(old[: SWEEP_CHUNK * SWEEP_STEPS]))
