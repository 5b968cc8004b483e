"""One more loop over files for each network mount that is watched, so that one that hangs holds up no other folder."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from typing import Final

from flowlord.model.plan import Fact, FactKind, Plan
from flowlord.model.problem import Severity
from flowlord.model.workflow import Workflows
from flowlord.rules.places import as_text, place_of
from flowlord.taskmaster.files import FileLoop, Watching
from flowlord.taskmaster.mounts import Mounts, Share
from flowlord.taskmaster.surroundings import Surroundings

log = logging.getLogger("flowlord.files")

SILENT_NS: Final = 60_000_000_000
"""How long nothing may be heard from a mount, not even the next file of a long listing, before it is told."""
LOOP: Final = "mount "
"""How the names of these loops begin. A loop that hangs with its mount is told, and no reason to start anew."""


class MountLoops:
    """Has a loop for each mount that some pattern looks into, and tells when one does not come back.

    Args:
        start: runs a step for ever in a thread of its own, under a name.
        steps: when each of these completed its last step (`Clock.monotonic_ns`).
    """

    def __init__(
        self,
        around: Surroundings,
        watching: Watching,
        mounts: Mounts,
        start: Callable[[str, Callable[[], object]], None],
        steps: Mapping[str, int],
    ) -> None:
        self._around = around
        self._watching = watching
        self._mounts = mounts
        self._start = start
        self._steps = steps
        self._built_from: Workflows | None = None
        self._roots: frozenset[str] = frozenset()
        self._shares: dict[str, str] = {}  # the mount of each root when it was last asked
        self._loops: dict[str, FileLoop] = {}
        self._heard: dict[
            str, tuple[tuple[int, int], int]
        ] = {}  # what changes while it answers, and when it did

    def step(self) -> None:
        """Start loops that are missing, and look at those that are there."""
        self._mounts.refresh()
        flows = self._around.workflows
        if flows is not self._built_from:
            self._roots, self._built_from = _roots_of(flows), flows
        # Each time, since a link may be changed of which nobody tells: a root that its loop lets go must have another.
        shares = {root: self._mounts.of(root) for root in self._roots}
        if any(self._shares.get(root, point) != point for root, point in shares.items()):
            self._mounts.turn += 1
        for point in sorted(set(shares.values()) - {""} - self._loops.keys()):
            loop = FileLoop(self._around, self._watching, share=Share(self._mounts, point))
            self._start(LOOP + point, loop.step)
            self._loops[point] = loop
            log.info("%s is watched by a loop of its own", as_text(point), extra={"action": "files.mount"})
        self._shares = shares
        for point in self._loops:
            self._look(point)

    def _look(self, point: str) -> None:
        """Tell once when a mount does not come back, and once when it does."""
        subject = f"network mount {as_text(point)}"
        health, clock = self._around.health, self._around.clock
        sign = self._steps[LOOP + point], self._loops[point].taken
        if point not in self._heard or self._heard[point][0] != sign:
            self._heard[point] = sign, clock.monotonic_ns()
        if clock.monotonic_ns() - self._heard[point][1] < SILENT_NS:
            if health.mended(subject):
                log.warning("%s answers again", subject, extra={"action": "files.mended"})
            return
        text = f"files are not seen: {subject} has not answered for {SILENT_NS // 1_000_000_000} s; other folders go on"
        if not health.is_wrong(subject):
            self._around.bus.commit(Plan(facts=(Fact(FactKind.ALERT, cause=subject, text=text),)))
            health.fault(subject, text, Severity.WARNING)
            log.error("%s", text, extra={"action": "files.fault"})


def _roots_of(flows: Workflows) -> frozenset[str]:
    """Return the folders of this machine from which patterns start."""
    patterns = {
        pattern for flow in flows.by_name.values() for phase in flow.phases for pattern in phase.rule.files
    }
    places = {place_of(pattern) for pattern in patterns}
    return frozenset(place.root for place in places if not place.scheme)
