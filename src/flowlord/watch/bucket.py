"""Buckets, listed again and again: nobody tells what happens in them, and what can be seen there is complete."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping, Sequence

from flowlord.model.clock import Clock
from flowlord.rules.globs import Glob
from flowlord.storage.open import Storage
from flowlord.storage.port import Unavailable
from flowlord.watch.folders import Folders
from flowlord.watch.local import SHARE, Root
from flowlord.watch.sighting import Look, Sighting


class BucketWatch:
    """Lists all roots; used like `LocalWatch`, whose hints it never has.

    Args:
        patterns: by root, such as `s3://bucket/in/`.
        poll_ns: how long after one listing the next begins.
    """

    def __init__(
        self, patterns: Mapping[str, Sequence[Glob]], storage: Storage, clock: Clock, *, poll_ns: int
    ) -> None:
        self.roots = {root: Root(Folders(root, globs)) for root, globs in patterns.items()}
        self._storage = storage
        self._clock = clock
        self._poll_ns = poll_ns
        self._seen: dict[str, dict[str, Look]] = {root: {} for root in self.roots}
        self._woken = threading.Event()

    def wait(self, seconds: float) -> None:
        """Wait that long."""
        self._woken.wait(max(seconds, 0.0))
        self._woken.clear()

    def hints(self, limit: int) -> Iterator[Sighting]:
        """Yield nothing: a listing is all there is."""
        yield from ()

    def due(self, now_ns: int) -> list[Root]:
        """Return the roots that must be listed now."""
        return [root for root in self.roots.values() if root.next_ns <= now_ns]

    def next_ns(self) -> int | None:
        """Return when a root must be listed next."""
        return min((root.next_ns for root in self.roots.values()), default=None)

    def scan(self, root: Root) -> Iterator[Sighting]:
        """Yield every object below one root that lies where a pattern looks; what breaks off is a fault of the root."""
        began_ns = self._clock.monotonic_ns()
        name = root.folders.root
        found: dict[str, Look] = {}
        fault = ""
        try:
            for each in self._storage.list(name):
                if each.path.endswith("/") or not root.folders.holds(each.path[: each.path.rfind("/") + 1]):
                    continue
                look = found[each.path] = Look(each.size, each.version)
                yield Sighting(each.path, look)
        except Unavailable as error:
            fault = str(error)
        root.fault, root.is_closed = fault, bool(fault)
        if not fault:
            root.was_there = root.is_listed = True
            self._seen[name] = found
        else:
            self._seen[name] |= found
        now_ns = self._clock.monotonic_ns()
        root.next_ns = now_ns + max(self._poll_ns, (now_ns - began_ns) * SHARE)

    def look(self, path: str) -> Look | None:
        """Return what an object looked like in the last listing."""
        return next((seen[path] for seen in self._seen.values() if path in seen), None)

    def is_there(self, path: str) -> bool:
        """Tell whether the last listing had an object."""
        return self.look(path) is not None

    def close(self) -> None:
        """End a `wait` in another thread."""
        self._woken.set()
