"""A file as it was seen at one moment."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Look:
    """What tells one version of a file from the next: its size in bytes, and a text that changes with its content.

    `inode` stays with a file whatever it is called; 0 where there is none.
    """

    size: int
    version: str
    inode: int = field(default=0, compare=False)


@dataclass(frozen=True, slots=True)
class Sighting:
    """A file that is there.

    `path` is spelled as the pattern that looks for it asks for; bytes of a name that are no UTF-8 are lone surrogates,
    as Python reads them. `opened`: it was just made, somebody may be writing; `closed`: it was closed after writing,
    or put there as a whole; neither: it was found in a listing.
    """

    path: str
    look: Look
    opened: bool = False
    closed: bool = False
