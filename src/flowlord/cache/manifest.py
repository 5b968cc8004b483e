"""What lies beside a backup: which history it is, of when, and what each of its parts must be."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import Final, Self

import msgspec

from flowlord.cache.schema import CacheUnusable

FILE: Final = "manifest.json"
FORMAT: Final = 1
MOST_BYTES: Final = 4 << 20
"""A manifest is small; a larger file is none."""
_PART: Final = re.compile(r"\d{5,9}\.gz")
_NAME: Final = re.compile(r"\d{8}T\d{6}Z-[0-9a-f]{8}")
_STAMP: Final = "%Y%m%dT%H%M%SZ"


class Part(msgspec.Struct, frozen=True):
    """A piece of the file, packed by gzip; `sha256` is of the packed bytes.

    All parts one behind the other are one gzip file too: `cat 0*.gz | gunzip > tasks.db` restores by hand.
    """

    name: str
    size: int
    packed: int
    sha256: str


class Manifest(msgspec.Struct, frozen=True):
    """One backup; it counts from the moment on when this lies beside its parts.

    `made_us` is when the snapshot was taken, microseconds since 1970 UTC; `seq` and `generation` say how far it follows
    the journal of which bus. `sha256` is of the whole file.
    """

    made_us: int
    by: str
    version: str
    tables: int
    size: int
    sha256: str
    rows: dict[str, int]
    seq: int
    generation: str
    parts: tuple[Part, ...]
    format: int = FORMAT

    @property
    def packed(self) -> int:
        """Bytes of all parts as they lie there."""
        return sum(part.packed for part in self.parts)

    def encode(self) -> bytes:
        """Return the text of the file."""
        return msgspec.json.format(msgspec.json.encode(self), indent=1)

    @classmethod
    def decode(cls, data: bytes) -> Self:
        """Return what a file says; raises Damaged."""
        try:
            form = msgspec.json.decode(data, type=_Form).format
            if form > FORMAT:
                raise Damaged(f"its manifest has format {form}, and this flowlord knows {FORMAT}")
            found = msgspec.json.decode(data, type=cls)
        except msgspec.MsgspecError as error:
            raise Damaged(f"its manifest cannot be read: {error}") from error
        if sum(part.size for part in found.parts) != found.size or min(found.sizes) < 0:
            raise Damaged("its manifest contradicts itself")
        if not all(_PART.fullmatch(part.name) for part in found.parts):
            raise Damaged("its manifest names files that lie elsewhere")
        return found

    @property
    def sizes(self) -> tuple[int, ...]:
        """Every number of bytes in it."""
        return (self.size, *(size for part in self.parts for size in (part.size, part.packed)))


class _Form(msgspec.Struct, frozen=True):
    format: int


class Damaged(CacheUnusable):
    """A backup that cannot be used; the text says why, without naming it."""


def name_of(made: datetime, token: str) -> str:
    """Return the name of a backup of that moment; names in order are backups in order."""
    return f"{made.astimezone(UTC):{_STAMP}}-{token}"


def is_name(text: str) -> bool:
    """Return whether a folder may be one of ours."""
    try:
        return _NAME.fullmatch(text) is not None and made_at(text) is not None
    except ValueError:  # a thirteenth month
        return False


def made_at(name: str) -> datetime:
    """Return the moment that a name tells."""
    return datetime.strptime(name.partition("-")[0], _STAMP).replace(tzinfo=UTC)
