"""Lands complete files: at once, or, for phases whose meta-file takes time to be read, as soon as it is."""

from __future__ import annotations

from collections.abc import Container, Sequence
from typing import Final, Protocol

from flowlord.decide.files import Match
from flowlord.model.errors import BusError
from flowlord.taskmaster.filedesk import FileDesk, Ready
from flowlord.taskmaster.knownfiles import KnownFiles
from flowlord.taskmaster.readings import Found
from flowlord.taskmaster.shelf import Shelf
from flowlord.taskmaster.surroundings import Surroundings

PORTION: Final = 500
"""Files that are decided and landed at once."""
MOST_ASIDE: Final = 10_000
"""Files that wait for meta-files at once; what comes beyond is looked at again after a while."""
AGAIN_NS: Final = 5_000_000_000

Complete = tuple[str, Ready, bool]
"""A file that is complete, the phases that it starts, and whether these are all of its phases."""


class Looker(Protocol):
    """Who knows which files are still to be looked at."""

    def is_settling(self, path: str) -> bool: ...
    def look_again(self, path: str, ready: Ready, wait_ns: int) -> None: ...


class FileStarts:
    """Starts what one loop found complete; used by its thread.

    Args:
        once: nobody is held up: meta-files are read for as long as that takes.
    """

    def __init__(
        self, around: Surroundings, desk: FileDesk, known: KnownFiles, looker: Looker, *, once: bool
    ) -> None:
        self._around = around
        self._desk = desk
        self._known = known
        self._looker = looker
        self._once = once
        self._shelf: Shelf[Complete] = Shelf(around)  # by path and meta-file
        self._aside: dict[str, str] = {}  # path -> version of what lies there

    def __len__(self) -> int:
        return len(self._shelf)

    def __contains__(self, path: str) -> bool:
        return path in self._aside

    def has(self, path: str, version: str) -> bool:
        """Tell whether a file waits in this version."""
        return self._aside.get(path) == version

    def clear(self) -> None:
        """Let go what waits, by rules that may have changed: the next listing finds it again."""
        self._shelf.clear()
        self._aside.clear()

    def start(self, found: Sequence[Complete]) -> None:
        """Land files, but for phases whose meta-file is still to be read."""
        patterns = self._desk.patterns(match for _, ready, _ in found for match in ready.matches)
        sources = self._desk.read(patterns) if self._once else self._shelf.at_once(patterns)
        at_once: list[Complete] = []
        for path, ready, whole in found:
            aside: dict[str, list[Match]] = {}
            for match in ready.matches:
                pattern = match.rules.phase.rule.meta_file
                if pattern and pattern not in sources:
                    aside.setdefault(pattern, []).append(match)
            now = [match for match in ready.matches if match.rules.phase.rule.meta_file not in aside]
            if now or not ready.matches:
                at_once.append((path, Ready(ready.event, now), whole and not aside))
            for pattern, matches in aside.items():
                self._put_aside((path, Ready(ready.event, matches), whole), pattern)
        self._land(at_once, sources)

    def take_read(self) -> int:
        """Land what waited for meta-files that are read now; returns how many files."""
        taken = self._shelf.take()
        if not taken:
            return 0
        left = {path for path, _, _ in self._shelf.items}
        for (path, _, _), _ in taken:
            if path not in left:
                self._aside.pop(path, None)
        for at in range(0, len(taken), PORTION):
            try:
                self._land_read(taken[at : at + PORTION], left)
            except BusError:
                for (path, ready, _), _ in taken[at + PORTION :]:
                    self._looker.look_again(path, ready, 0)
                raise
        return len(taken)

    def _land_read(self, taken: Sequence[tuple[Complete, Found]], left: Container[str]) -> None:
        found: list[Complete] = []
        sources: dict[str, object] = {}
        for (path, ready, whole), rows in taken:
            found.append((path, ready, whole and path not in left and not self._looker.is_settling(path)))
            sources |= rows
        self._land(found, sources)

    def _put_aside(self, each: Complete, pattern: str) -> None:
        path, ready, _ = each
        if len(self._shelf) >= MOST_ASIDE:
            self._looker.look_again(path, ready, AGAIN_NS)
            return
        self._aside[path] = ready.event.version
        self._shelf.hold((path, pattern), each, [pattern])

    def _land(self, found: Sequence[Complete], sources: dict[str, object] | Found) -> None:
        if not found:
            return
        try:
            landed = self._desk.land([ready for _, ready, _ in found], sources)
        except BusError:
            for path, ready, _ in found:  # what landed is known then; the rest need not stand still again
                self._looker.look_again(path, ready, 0)
            raise
        now_ns = self._around.clock.monotonic_ns()
        for path, ready, whole in found:
            if whole and ready.event.path in landed.paths:
                self._known.note(path, ready.event.version, now_ns, is_old=ready.event.path in landed.before)
