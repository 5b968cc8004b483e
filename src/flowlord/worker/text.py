r"""Texts that come out of tasks: made fit for one line, and the tail of an endless output.

Whoever writes to stderr writes whatever bytes it likes; a message ends up in logs, terminals and chats (SEC-29).
"""

from __future__ import annotations

import re
from collections import deque

MESSAGE_BYTES = 1024
OUTPUT_BYTES = 8192
PREFIX = b"flowlord:"
LINE_BYTES = 8192
"""A longer line on stdout is no word for us."""

# Controls (C0, DEL, C1), separators that end a line somewhere, and what turns the direction of a text.
_CONTROL = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069\ufeff]")


def one_line(text: str, limit: int = MESSAGE_BYTES) -> str:
    r"""Return `text` on one line of at most `limit` bytes, control characters as `\n`, `\x1b`, `\u202e`."""
    octets = _CONTROL.sub(_escaped, text[: limit + 1].strip()).encode("utf-8", "replace")
    if len(octets) <= limit and len(text) <= limit:
        return octets.decode()
    return octets[: limit - 3].decode("utf-8", "ignore") + "…"


def _escaped(found: re.Match[str]) -> str:
    return found[0].encode("unicode_escape").decode("ascii")


class Tail:
    """The end of a stream of bytes; holds twice its limit at most, however much is fed."""

    __slots__ = ("_kept", "_limit", "size")

    def __init__(self, limit: int = OUTPUT_BYTES) -> None:
        self.size = 0
        self._limit = limit
        self._kept = bytearray()

    def feed(self, data: bytes) -> None:
        """Take the next bytes."""
        self.size += len(data)
        self._kept += data[-self._limit :]
        if len(self._kept) > 2 * self._limit:
            del self._kept[: -self._limit]

    def last(self, limit: int) -> str:
        """Return the last `limit` bytes as text, with a first line that says so when something is left out."""
        if self.size <= limit:
            return self._kept.decode("utf-8", "replace")
        cut = f"… {self.size} bytes, these are the last\n"
        kept = self._kept[-max(limit - len(cut) - 2, 0) :]
        return cut + kept.decode("utf-8", "ignore")

    def last_line(self) -> str:
        """Return the last line that is not blank, fit for a message."""
        if not self.size:
            return ""
        for line in reversed(re.split(rb"[\r\n]", bytes(self._kept[-self._limit :]))):
            if line.strip():
                return one_line(line.decode("utf-8", "replace"))
        return ""


def together(out: Tail, err: Tail) -> str:
    """Return what is kept of both streams, 8 KiB at most; each may use what the other leaves."""
    if not out.size or not err.size:
        only = out if out.size else err
        return ending(only.last(OUTPUT_BYTES)) if only.size else ""
    room = OUTPUT_BYTES - len("--- stdout\n\n--- stderr\n")
    for_err = min(err.size, max(room // 2, room - out.size))
    first = out.last(room - for_err).removesuffix("\n")
    return ending(f"--- stdout\n{first}\n--- stderr\n{err.last(for_err)}")


def ending(text: str, limit: int = OUTPUT_BYTES) -> str:
    """Return the end of `text`, at most `limit` bytes of it."""
    octets = text.encode("utf-8", "replace")
    return text if len(octets) <= limit else octets[-limit:].decode("utf-8", "ignore")


class Words:
    """The lines on stdout that are meant for us: those that start with `flowlord:`. Bounded, whatever is written."""

    __slots__ = ("_carry", "_skipping", "lines")

    def __init__(self) -> None:
        self.lines: deque[bytes] = deque(maxlen=1000)
        self._carry = b""
        self._skipping = False  # within a line that is too long, or is none of ours

    def feed(self, data: bytes) -> None:
        """Take the next bytes."""
        if self._skipping:
            _, found, data = data.partition(b"\n")
            if not found:
                return
            self._skipping = False
        text = self._carry + data
        whole, _, self._carry = text.rpartition(b"\n")
        if PREFIX in whole:
            ours = (line for line in whole.split(b"\n") if line.startswith(PREFIX))
            self.lines.extend(line for line in ours if len(line) <= LINE_BYTES)
        if len(self._carry) > LINE_BYTES or not PREFIX.startswith(self._carry[: len(PREFIX)]):
            self._carry, self._skipping = b"", True

    def end(self) -> list[str]:
        """Return the lines without the prefix; the last one needs no line end."""
        if self._carry:
            self.feed(b"\n")
        return [line[len(PREFIX) :].decode("utf-8", "replace").rstrip("\r") for line in self.lines]
