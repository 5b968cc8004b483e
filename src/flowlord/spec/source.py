"""A text with its places: bytes become text, offsets become lines and columns, what is too much is refused."""

from __future__ import annotations

from bisect import bisect_right
from functools import cached_property
from itertools import accumulate, count
from operator import add
from typing import Final

from flowlord.model.problem import Fix, Problem
from flowlord.spec.codes import CODES, problem, shown

MAX_BYTES: Final = 1 << 20  # of one file
MAX_LINE: Final = 64 * 1024  # characters
MAX_PHASES: Final = 5_000  # in one file
MAX_KEYS: Final = 1_000  # of a table within a file
MAX_NODES: Final = 100_000  # values of a file
MIN_NODES: Final = 5_000  # that any file may have, and one more for each LEAST_LETTERS of its text
LEAST_LETTERS: Final = 8
MAX_DEPTH: Final = 32  # of lists and tables in each other
TOO_LONG: Final = "phases may stand in several files; keep elsewhere what is no phase"
_BOM: Final = b"\xef\xbb\xbf"
_OTHERS: Final = {b"\xff\xfe": "UTF-16", b"\xfe\xff": "UTF-16", b"\x1f\x8b": "packed by gzip"}


def most_nodes(text: str) -> int:
    """Return how many values a file of that text may have, its keys included."""
    return min(MAX_NODES, MIN_NODES + len(text) // LEAST_LETTERS)


class Refused(Exception):
    """A text that cannot be read any further; carries the one problem that says so."""

    def __init__(self, told: Problem) -> None:
        super().__init__(str(told))
        self.problem = told


class Source:
    """Text of a file under the name by which people know it; line ends are `\\n`."""

    def __init__(self, path: str, text: str) -> None:
        self.path = shown(path)
        self.text = text

    @classmethod
    def decode(cls, path: str, data: bytes) -> Source:
        """Return the text of `data`: UTF-8, a BOM in front is dropped, `\\r\\n` becomes `\\n`.

        Raises:
            Refused: too large, not UTF-8, or with a NUL inside.
        """
        if len(data) > MAX_BYTES:
            text = f"the file has {len(data):,} bytes, more than {MAX_BYTES:,}"
            raise Refused(problem("FL003", path, text=text, hint="split it into several files"))
        data = data.removeprefix(_BOM)
        try:
            text = data.decode("utf-8")
        except UnicodeDecodeError as error:
            line, column = _place_of_byte(data, error.start)
            text, hint = f"byte 0x{data[error.start]:02x} is not UTF-8", "save the file as UTF-8"
            for beginning, what in _OTHERS.items():
                if data.startswith(beginning):
                    line, column, text = 1, 1, f"the file is {what}, not UTF-8"
            raise Refused(problem("FL002", path, line, column, text=text, hint=hint)) from error
        source = cls(path, text.replace("\r\n", "\n") if "\r" in text else text)
        nul = source.text.find("\0")
        if nul >= 0:
            text, hint = "a NUL character; this is no text file", ""
            if source.text[:8:2].count("\0") == 4 or source.text[1:8:2].count("\0") == 4:
                text, hint = "the file is UTF-16, not UTF-8", "save the file as UTF-8"
            raise Refused(source.problem("FL002", nul, nul + 1, text, hint))
        return source

    @cached_property
    def lines(self) -> list[str]:
        """The lines without their ends."""
        return self.text.split("\n")

    @cached_property
    def starts(self) -> list[int]:
        """Where each line begins, and where one behind the last would."""
        return list(map(add, accumulate(map(len, self.lines), initial=0), count()))

    def place(self, offset: int) -> tuple[int, int]:
        """Return line and column, both from 1, of the character at `offset`."""
        line = bisect_right(self.starts, min(offset, len(self.text)))
        return line, offset - self.starts[line - 1] + 1

    def offset(self, line: int, column: int) -> int:
        """Return the offset of a place; the end of the text for one beyond it."""
        if line > len(self.lines):
            return len(self.text)
        return min(self.starts[line - 1] + column - 1, len(self.text))

    def problem(
        self, code: str, start: int, end: int, text: str, hint: str = "", fix: Fix | None = None
    ) -> Problem:
        """Return a problem with the characters from `start` to `end`, cut at the end of their first line."""
        start = min(start, len(self.text))
        line, column = self.place(start)
        stop = self.text.find("\n", start)
        end = min(end, stop if stop >= 0 else len(self.text))
        last = column + max(end - start, 0)
        return Problem(self.path, line, column, text, hint, code, CODES[code].severity, last, fix)


def _place_of_byte(data: bytes, at: int) -> tuple[int, int]:
    start = data.rfind(b"\n", 0, at) + 1
    return data.count(b"\n", 0, at) + 1, len(data[start:at].decode("utf-8", "replace")) + 1
