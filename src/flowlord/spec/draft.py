"""A phase file on its way from one format to another: phases in their order, with the comments beside them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field


@dataclass(slots=True)
class Entry:
    """One key with its value. `above` are the comments over it, `beside` the one behind it, without their `#`.

    A rule that is a table has its options in `inside`, and no `value`.
    """

    key: str
    value: object = None
    above: list[str] = field(default_factory=list)
    beside: str = ""
    inside: list[Entry] | None = None

    def plain(self) -> object:
        """Return the value without comments."""
        return self.value if self.inside is None else {each.key: each.plain() for each in self.inside}


@dataclass(slots=True)
class DraftPhase:
    """One phase; its comments stand over it."""

    entries: list[Entry] = field(default_factory=list)
    above: list[str] = field(default_factory=list)


@dataclass(slots=True)
class Draft:
    """A whole file: `head` stands over everything, `tail` under it; `others` are keys beside the phases."""

    phases: list[DraftPhase] = field(default_factory=list)
    others: list[Entry] = field(default_factory=list)
    head: list[str] = field(default_factory=list)
    tail: list[str] = field(default_factory=list)

    def comments(self) -> Iterator[str]:
        """Yield every comment."""
        yield from self.head
        entries = list(self.others)
        for phase in self.phases:
            yield from phase.above
            entries += phase.entries
        while entries:
            entry = entries.pop()
            yield from entry.above
            if entry.beside:
                yield entry.beside
            entries += entry.inside or ()
        yield from self.tail
