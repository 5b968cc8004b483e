"""What cannot be decided before its meta-files are read lies on a shelf, so that everything else goes on."""

from __future__ import annotations

from collections.abc import Hashable, Iterable
from dataclasses import dataclass, field
from typing import Generic, TypeVar

from flowlord.decide.context import Source
from flowlord.storage.address import is_remote
from flowlord.taskmaster.readings import NOTHING_READ, Found, Reader, Reading
from flowlord.taskmaster.surroundings import Surroundings

Item = TypeVar("Item")


@dataclass(slots=True)
class _Held(Generic[Item]):
    """Something that waits, what was read for it, and what is still to be read."""

    item: Item
    found: dict[str, Source | str]
    missing: set[str]


@dataclass(slots=True)
class _Wanted(Generic[Item]):
    """One meta-file: who gets what is read now, and who came while it was read."""

    now: list[_Held[Item]] = field(default_factory=list)
    next: list[_Held[Item]] = field(default_factory=list)
    reading: Reading | None = None


class Shelf(Generic[Item]):
    """Holds items until meta-files are read for them; used by one thread.

    The reading that an item gets began after it came: whoever made it may just have written the file. Many that want
    the same file share one.
    """

    def __init__(self, around: Surroundings) -> None:
        self._reader = Reader(around)
        self._held: dict[Hashable, _Held[Item]] = {}
        self._wanted: dict[str, _Wanted[Item]] = {}
        self._fresh: dict[str, Source | str] = {}  # what was read since `take`
        self._begun: dict[str, Reading] = {}  # what was begun to be read since then, and takes longer

    def __len__(self) -> int:
        return len(self._held)

    def __contains__(self, key: Hashable) -> bool:
        return key in self._held

    @property
    def items(self) -> list[Item]:
        """All that is held, in the order in which it came."""
        return [held.item for held in self._held.values()]

    @property
    def patterns(self) -> list[str]:
        """The meta-files that are waited for."""
        return list(self._wanted)

    def at_once(self, patterns: Iterable[str]) -> Found:
        """Return what of these lies on this machine and is read in a moment, for all that came before `take`."""
        found: dict[str, Source | str] = {}
        for pattern in patterns:
            known = pattern in self._fresh or pattern in self._wanted
            if not (known or self._reader.hangs or is_remote(pattern)) and self._reader.has_room(pattern):
                reading = self._reader.begin(pattern)
                if (read := self._reader.patiently(reading, pattern)) is None:
                    self._begun[pattern] = reading
                else:
                    self._fresh |= read
            if pattern in self._fresh:
                found[pattern] = self._fresh[pattern]
        return found

    def hold(self, key: Hashable, item: Item, patterns: Iterable[str], found: Found = NOTHING_READ) -> None:
        """Hold an item until these meta-files were read for it, beside `found`; it takes the place of its key."""
        held = _Held(item, dict(found), set(patterns))
        self._held[key] = held
        for pattern in held.missing:
            wanted = self._wanted.get(pattern)
            if wanted is None:
                wanted = self._wanted[pattern] = _Wanted(reading=self._begun.get(pattern))
                wanted.now.append(held)
            else:
                begun = wanted.reading is not None and wanted.reading is not self._begun.get(pattern)
                (wanted.next if begun else wanted.now).append(held)
        self._begin()

    def take(self) -> list[tuple[Item, Found]]:
        """Return the items for which all is read now, in the order in which they came."""
        self._fresh, self._begun = {}, {}
        for pattern, wanted in list(self._wanted.items()):
            if wanted.reading is None or wanted.reading.found is None:
                continue
            for held in wanted.now:
                held.found |= wanted.reading.found
                held.missing.discard(pattern)
            if wanted.next:
                self._wanted[pattern] = _Wanted(wanted.next)
            else:
                del self._wanted[pattern]
        self._begin()
        taken = [self._held.pop(key) for key in [key for key, held in self._held.items() if not held.missing]]
        return [(held.item, held.found) for held in taken]

    def drop(self, key: Hashable) -> None:
        """Let an item go."""
        self._held.pop(key, None)

    def clear(self) -> list[Item]:
        """Let everything go, and return it; what is being read goes on until it is."""
        items, self._held, self._wanted = self.items, {}, {}
        return items

    def _begin(self) -> None:
        """Begin to read what is wanted, as far as there is room for it."""
        for pattern, wanted in self._wanted.items():
            if wanted.reading is None and self._reader.has_room(pattern):
                wanted.reading = self._reader.begin(pattern)
