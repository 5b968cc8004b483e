"""Files that are known: in which version, and that their marks on the bus live as long as they are seen."""

from __future__ import annotations

from collections.abc import Callable, Container
from typing import Final

from flowlord.decide.file import KEEP_S, file_mark
from flowlord.model.plan import Commit, Mark
from flowlord.rules.places import as_text
from flowlord.taskmaster.filedesk import FileDesk
from flowlord.taskmaster.surroundings import Surroundings

REFRESH_NS: Final = KEEP_S * 1_000_000_000 // 4
CHUNK: Final = 500


class KnownFiles:
    """Remembers what one desk landed; used by its thread. Times are monotonic nanoseconds."""

    def __init__(self, around: Surroundings, desk: FileDesk) -> None:
        self._around = around
        self._desk = desk
        self._known: dict[str, tuple[str, int]] = {}  # path -> version, and when its marks were set
        self._stale: list[str] = []

    def has(self, path: str, version: str, now_ns: int) -> bool:
        """Tell whether a file is known in this version; its marks are set again in a while if that is due."""
        known = self._known.get(path)
        if known is None or known[0] != version:
            return False
        if now_ns - known[1] > REFRESH_NS:
            self._stale.append(path)
        return True

    def note(self, path: str, version: str, now_ns: int, *, is_old: bool = False) -> None:
        """Take in that a version is known. `is_old`: its marks, which another process set, may be old."""
        self._known[path] = (version, now_ns - (REFRESH_NS + 1 if is_old else 0))

    def clear(self) -> None:
        """Know nothing any more: all is asked of the bus anew."""
        self._known.clear()

    def forget(self, root: str, seen: Container[str], is_there: Callable[[str], bool]) -> None:
        """Forget what a listing of `root` did not see."""
        for path in [path for path in self._known if path not in seen and path.startswith(root)]:
            if not is_there(path):  # another root may begin alike
                del self._known[path]

    def refresh(self) -> None:
        """Set marks again whose files are still seen, a few hundred at a time."""
        stale, self._stale = self._stale, []
        for at in range(0, len(stale), CHUNK):
            some = stale[at : at + CHUNK]
            keys = [key for path in some for key in self._keys(as_text(path))]
            found = self._desk.known(keys)
            commits = [Commit(marks=(Mark(key, value, value, KEEP_S),)) for key, value in found.items()]
            if commits:
                self._around.bus.commit_many(commits)
            now_ns = self._around.clock.monotonic_ns()
            for path in some:
                if path in self._known:
                    self.note(path, self._known[path][0], now_ns)

    def _keys(self, path: str) -> list[str]:
        matches = self._desk.phases.matching(path)
        return [file_mark(match.rules.phase.identity, path) for match in matches] or [file_mark("", path)]
