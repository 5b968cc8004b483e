"""Lines out of chunks of bytes: unpacked, decoded, each with the place where it ends."""

from __future__ import annotations

import zlib
from collections.abc import Iterable, Iterator
from typing import Final

from flowlord.storage.port import Unavailable

LONGEST_LINE: Final = 1 << 20
_PART: Final = (
    1 << 18
)  # how much of a packed file is unpacked at a time: a small file may hold a very large one
_GZIP: Final = 31  # zlib's word for "with the header of gzip"


def unpacked(chunks: Iterable[bytes], path: str) -> Iterator[bytes]:
    """Yield what a gzip file holds, all its members, in parts of bounded size.

    Raises:
        Unavailable: it is damaged or ends too early.
    """
    member = zlib.decompressobj(_GZIP)
    is_begun = False
    try:
        for chunk in chunks:
            while chunk:
                if member.eof:
                    if not chunk.strip(b"\0"):  # padding, as tape-minded programs write it
                        break
                    member = zlib.decompressobj(_GZIP)
                is_begun = True
                part = member.decompress(chunk, _PART)
                if part:
                    yield part
                chunk = member.unused_data if member.eof else member.unconsumed_tail
        while not member.eof and is_begun and (part := member.decompress(b"", _PART)):
            yield part
    except zlib.error as error:
        raise Unavailable(f"{path} cannot be read: {error}") from error
    if is_begun and not member.eof:
        raise Unavailable(f"{path} cannot be read: the packed file ends in its middle")


def lines(chunks: Iterable[bytes], path: str, offset: int = 0, limit: int = 0) -> Iterator[tuple[str, int]]:
    """Yield each line with its end, and the byte offset behind it in the text.

    Args:
        chunks: of the text from `offset` on, unpacked.
        limit: bytes that a whole file may hold; 0 is no limit.
    Raises:
        Unavailable: not UTF-8, beyond the limit, or a line of more than a mebibyte.
    """
    rest = b""
    for chunk in chunks:
        parts = (rest + chunk).split(b"\n") if b"\n" in chunk else [rest + chunk]
        rest = parts.pop()
        for part in parts:
            offset += len(part) + 1
            if limit and offset > limit:
                raise _too_much(path, limit)
            try:
                line = (part + b"\n").decode()
            except UnicodeDecodeError as error:
                raise _no_text(error, path, offset) from error
            yield line, offset
        if limit and offset + len(rest) > limit:
            raise _too_much(path, limit)
        if len(rest) > LONGEST_LINE:
            raise Unavailable(f"{path} has a line of more than {LONGEST_LINE >> 20} MiB at byte {offset:,}")
    if rest:
        offset += len(rest)
        try:
            line = rest.decode()
        except UnicodeDecodeError as error:
            raise _no_text(error, path, offset) from error
        yield line, offset


def skipped(chunks: Iterable[bytes], offset: int, path: str) -> Iterator[bytes]:
    """Yield the same bytes without the first `offset` ones; raises Unavailable when there are fewer."""
    left = offset
    for chunk in chunks:
        if left >= len(chunk):
            left -= len(chunk)
            continue
        yield chunk[left:] if left else chunk
        left = 0
    if left:
        raise Unavailable(f"{path} is shorter than where reading was to go on: byte {offset:,}")


def _too_much(path: str, limit: int) -> Unavailable:
    return Unavailable(f"{path} holds more than {limit >> 20} MiB")


def _no_text(error: UnicodeDecodeError, path: str, end: int) -> Unavailable:
    """Return what tells where a line that ends at `end` is no text."""
    at = end - len(error.object) + error.start
    return Unavailable(f"{path} cannot be read: byte {at:,} is not UTF-8")
