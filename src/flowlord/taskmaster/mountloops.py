"""One more loop over files for each network mount that is watched, so that one that hangs holds up no other folder."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from itertools import count
from typing import Final

from flowlord.bus.sqlite_place import Mount
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


@dataclass(slots=True)
class _Loop:
    """One of these loops: `sign` changes while its mount answers, and did so last at `heard_ns`."""

    name: str
    files: FileLoop
    sign: tuple[int, int] | None = None
    heard_ns: int = 0


class MountLoops:
    """Has a loop for each mount that some pattern looks into, and tells when one does not come back.

    Args:
        start: runs a step for ever in a thread of its own, under a name.
        end: lets the loop of a name end when its step comes back, and calls what is given then.
        steps: when each of these completed its last step (`Clock.monotonic_ns`).
    """

    def __init__(
        self,
        around: Surroundings,
        watching: Watching,
        mounts: Mounts,
        start: Callable[[str, Callable[[], object]], None],
        end: Callable[[str, Callable[[], None]], None],
        steps: Mapping[str, int],
    ) -> None:
        self._around = around
        self._watching = watching
        self._mounts = mounts
        self._start = start
        self._end = end
        self._steps = steps
        self._numbers = count(1)
        self._built_from: Workflows | None = None
        self._roots: frozenset[str] = frozenset()
        self._shares: dict[str, Mount | None] = {}  # the mount of each root when it was last asked
        self._loops: dict[Mount, _Loop] = {}

    def step(self) -> None:
        """Start loops that are missing, and look at those that are there."""
        self._mounts.refresh()
        for mount in [each for each in self._loops if not self._mounts.has(each)]:
            self._leave(mount)
        flows = self._around.workflows
        if flows is not self._built_from:
            self._roots, self._built_from = _roots_of(flows), flows
        # Each time, since a link may be changed of which nobody tells: a root that its loop lets go must have another.
        shares = {root: self._mounts.of(root) for root in self._roots}
        if any(self._shares.get(root, mount) != mount for root, mount in shares.items()):
            self._mounts.turn += 1
        for mount in sorted({each for each in shares.values() if each is not None} - self._loops.keys()):
            files = FileLoop(self._around, self._watching, share=Share(self._mounts, mount))
            text = as_text(mount.point)
            # Numbered, since the loop of what was mounted there before may still hang.
            loop = self._loops[mount] = _Loop(f"{LOOP}{text} #{next(self._numbers)}", files)
            self._start(loop.name, files.step)
            log.info("%s is watched by a loop of its own", text, extra={"action": "files.mount"})
        self._shares = shares
        for mount, loop in self._loops.items():
            self._look(_subject(mount), loop)

    def _leave(self, mount: Mount) -> None:
        """Let the loop of a mount end that is no more; one that hangs there may do so, nobody waits for it."""
        loop = self._loops.pop(mount)
        self._end(loop.name, loop.files.close)
        text = as_text(mount.point)
        log.info("what was mounted at %s is no longer watched", text, extra={"action": "files.unmounted"})
        if self._around.health.mended(_subject(mount)):
            log.warning(
                "%s did not answer and is there no more", _subject(mount), extra={"action": "files.mended"}
            )

    def _look(self, subject: str, loop: _Loop) -> None:
        """Tell once when a mount does not come back, and once when it does."""
        health, clock = self._around.health, self._around.clock
        sign = self._steps[loop.name], loop.files.taken
        if loop.sign != sign:
            loop.sign, loop.heard_ns = sign, clock.monotonic_ns()
        if clock.monotonic_ns() - loop.heard_ns < SILENT_NS:
            if health.mended(subject):
                log.warning("%s answers again", subject, extra={"action": "files.mended"})
            return
        text = f"files are not seen: {subject} has not answered for {SILENT_NS // 1_000_000_000} s; other folders go on"
        if not health.is_wrong(subject):
            self._around.bus.commit(Plan(facts=(Fact(FactKind.ALERT, cause=subject, text=text),)))
            health.fault(subject, text, Severity.WARNING)
            log.error("%s", text, extra={"action": "files.fault"})


def _subject(mount: Mount) -> str:
    return f"network mount {as_text(mount.point)}"


def _roots_of(flows: Workflows) -> frozenset[str]:
    """Return the folders of this machine from which patterns start."""
    patterns = {
        pattern for flow in flows.by_name.values() for phase in flow.phases for pattern in phase.rule.files
    }
    places = {place_of(pattern) for pattern in patterns}
    return frozenset(place.root for place in places if not place.scheme)
