"""Which files stand still: a machine of looks and times, without files and without a clock.

A file is looked at when it is first heard of and again when its time has come. It has settled when both looks were
equal and nothing was heard of it in between.
"""

from __future__ import annotations

import heapq
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

SETTLE_NS: Final = 2_000_000_000
"""How long a file stands still before it counts as complete, unless the rule says otherwise."""
UNCLOSED_NS: Final = 60_000_000_000
"""How long one must stand still that somebody opened for writing and, as far as we heard, never closed."""


@dataclass(slots=True)
class _Pending:
    look: object
    since_ns: int
    waits: tuple[int, ...]  # what is still to be stood, the shortest first
    is_open: bool
    turn: int


class Settling:
    """Files that were heard of and are not complete yet; all times are monotonic nanoseconds.

    A look is any value that changes when the file does, such as size and time. The waits of a file are how long it
    must stand still for each of those who want it.
    """

    def __init__(self) -> None:
        self._pending: dict[str, _Pending] = {}
        self._due: list[tuple[int, int, str]] = []
        self._turn = 0

    def __len__(self) -> int:
        return len(self._pending)

    def __contains__(self, path: str) -> bool:
        return path in self._pending

    def see(
        self,
        path: str,
        look: object,
        now_ns: int,
        waits: Sequence[int],
        *,
        opened: bool = False,
        closed: bool = False,
    ) -> None:
        """Take in that a file was seen; one that is as it was goes on standing.

        Args:
            opened: it was just made, so that somebody is likely to be writing.
            closed: it was closed after writing, or moved to its place as a whole.
        """
        known = self._pending.get(path)
        is_open = opened or (known is not None and known.is_open and not closed)
        if known is not None and known.look == look and known.is_open == is_open:
            return
        self._schedule(path, look, now_ns, tuple(sorted(set(waits))), is_open=is_open)

    def paths(self) -> list[str]:
        """Return the files that are not complete yet."""
        return list(self._pending)

    def forget(self, path: str) -> None:
        """Stop waiting for a file."""
        self._pending.pop(path, None)

    def due(self, now_ns: int, limit: int = 1_000_000) -> list[str]:
        """Return up to `limit` files that must be looked at again now; each must be given to `looked`."""
        found: list[str] = []
        while self._due and self._due[0][0] <= now_ns and len(found) < limit:
            _, turn, path = heapq.heappop(self._due)
            known = self._pending.get(path)
            if known is not None and known.turn == turn:
                found.append(path)
        return found

    def looked(self, path: str, look: object | None, now_ns: int) -> int | None:
        """Take in what a file that was due looks like, None when it is gone.

        Returns:
            The longest of its waits that it stood, all shorter ones included; None when it changed or is gone.
        """
        known = self._pending.get(path)
        if known is None or look is None:
            self._pending.pop(path, None)
            return None
        if look != known.look:
            self._schedule(path, look, now_ns, known.waits, is_open=known.is_open)
            return None
        stood_ns = now_ns - known.since_ns
        stood = [wait for wait in known.waits if wait <= stood_ns]
        left = known.waits[len(stood) :]
        if left:
            self._later(path, known, left)
        else:
            del self._pending[path]
        return stood[-1] if stood else None

    def next_ns(self) -> int | None:
        """Return when the next file is due."""
        return self._due[0][0] if self._due else None

    def _schedule(
        self, path: str, look: object, now_ns: int, waits: tuple[int, ...], *, is_open: bool
    ) -> None:
        known = _Pending(look, now_ns, waits, is_open, 0)
        self._pending[path] = known
        self._later(path, known, waits)

    def _later(self, path: str, known: _Pending, waits: tuple[int, ...]) -> None:
        known.waits = waits
        known.turn = self._turn = self._turn + 1
        wait = max(waits[0], UNCLOSED_NS) if known.is_open else waits[0]
        heapq.heappush(self._due, (known.since_ns + wait, known.turn, path))
