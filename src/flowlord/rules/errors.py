"""What is raised when a text of a rule cannot be read.

ValueError
└── Unreadable    a text that means nothing to us, with the place where that shows
    └── TooLong   a text that would mean something, but more of it than we take
"""

from __future__ import annotations

QUOTED = 60  # characters of a found text that an error repeats


class Unreadable(ValueError):
    """A text could not be read; the message says what was found and what would do."""

    def __init__(self, text: str, *, offset: int = 0, end: int = -1) -> None:
        """`offset` and `end` count characters from 0, within the text that was given to be read.

        Args:
            end: behind the last character that is wrong; -1 when nobody said where that is.
        """
        super().__init__(text)
        self.text = text
        self.offset = offset
        self.end = end

    def moved(self, by: int) -> Unreadable:
        """Return the same complaint for a text in which the one that was read starts at `by`."""
        return type(self)(self.text, offset=self.offset + by, end=self.end + by if self.end >= 0 else -1)


class TooLong(Unreadable):
    """A text is, or would become, longer than we take."""


def quote(text: str) -> str:
    """Return `text` in double quotes, on one line, cut when long, so that an error can show it."""
    shown = text if len(text) <= QUOTED else text[: QUOTED - 1] + "…"
    shown = shown.replace("\\", "\\\\").replace('"', '\\"')
    if not shown.isprintable():
        shown = "".join(c if c.isprintable() else ascii(c)[1:-1] for c in shown)
    return f'"{shown}"'
