"""Tables for people: aligned by what a terminal shows, cut with `…` where they are wider than it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import msgspec

from flowlord.cli.texts import printable

GAP = "  "
NARROW = 8  # a column that gives way keeps this much, if it does not say how much itself
RED, GREEN, YELLOW, BLUE, DIM = "31", "32", "33", "34", "2"
_BOLD = "1"


class Column(msgspec.Struct, frozen=True):
    """A column of a table.

    `text` makes the cell out of a record and of whether it must be plain ASCII, `paint` its colour (an SGR code, or
    nothing). `right` aligns numbers; `gives` lets the column be cut when the table is too wide, to `least` cells only
    while another column can still give: the one that tells rows apart has a large one.
    """

    title: str
    text: Callable[[Mapping[str, object], bool], str] | None = None
    paint: Callable[[Mapping[str, object]], str] | None = None
    right: bool = False
    gives: bool = False
    least: int = NARROW

    def cell(self, record: Mapping[str, object], *, plain: bool) -> str:
        """Return what to show, safe for a terminal."""
        if self.text is not None:
            return printable(self.text(record, plain))
        value = record.get(self.title)
        return "" if value is None else printable(str(value))


class Layout:
    """Widths of the columns; they only grow, so that rows that come later stay below the first ones."""

    def __init__(self, columns: Sequence[Column]) -> None:
        self._columns = columns
        self._widths = [0] * len(columns)

    def expect(self, records: Sequence[Mapping[str, object]], *, plain: bool) -> None:
        """Leave room for records that come later."""
        for at, column in enumerate(self._columns):
            wide = (cells_wide(column.cell(record, plain=plain)) for record in records)
            self._widths[at] = max(self._widths[at], *wide, 0)

    def lines(
        self, records: Sequence[Mapping[str, object]], *, width: int, color: bool, plain: bool, header: bool
    ) -> list[str]:
        """Return the lines of some rows; `width` 0 cuts nothing."""
        columns = self._columns
        titles = [column.title.upper() for column in columns]
        cells = [[column.cell(record, plain=plain) for column in columns] for record in records]
        for at, seen in enumerate(self._widths):
            shown = [cells_of_one[at] for cells_of_one in cells] + [titles[at]]
            self._widths[at] = max(seen, *map(cells_wide, shown))
        widths = self._fitted(width) if width else self._widths
        end = "..." if plain else "…"
        drawn = [self._line(titles, widths, [_BOLD if color else ""] * len(columns), end)] if header else []
        for record, row in zip(records, cells, strict=True):
            paints = [column.paint(record) if color and column.paint else "" for column in columns]
            drawn.append(self._line(row, widths, paints, end))
        return drawn

    def _fitted(self, width: int) -> list[int]:
        """Take from the widest column that gives way until the table fits or nothing gives any more."""
        widths = list(self._widths)
        over = sum(widths) + len(GAP) * (len(widths) - 1) - width
        for keeps in ([column.least for column in self._columns], [NARROW] * len(widths)):
            giving = [at for at, column in enumerate(self._columns) if column.gives]
            while over > 0 and (giving := [at for at in giving if widths[at] > keeps[at]]):
                widths[max(giving, key=lambda at: widths[at])] -= 1
                over -= 1
        return widths

    def _line(self, row: Sequence[str], widths: Sequence[int], paints: Sequence[str], end: str) -> str:
        parts = []
        last = len(row) - 1
        for at, (text, wide, paint) in enumerate(zip(row, widths, paints, strict=True)):
            shown = cut(text, wide, end)
            room = " " * (wide - cells_wide(shown))
            if paint and shown:
                shown = f"\x1b[{paint}m{shown}\x1b[0m"
            parts.append(room + shown if self._columns[at].right else shown + (room if at < last else ""))
        return GAP.join(parts).rstrip()


def cells_wide(text: str) -> int:
    """Return how many cells of a terminal a text fills."""
    if text.isascii():
        return len(text)
    from unicodedata import combining, east_asian_width

    return sum(0 if combining(c) else 2 if east_asian_width(c) in "WF" else 1 for c in text)


def cut(text: str, wide: int, end: str = "…") -> str:
    """Return `text` in at most `wide` cells, ending in `end` when something was left out."""
    if cells_wide(text) <= wide:
        return text
    room = wide - len(end)
    if room <= 0:
        return end[: max(wide, 0)]
    text = text[:room]  # a character fills no less than one cell, or none
    while cells_wide(text) > room:
        text = text[:-1]
    return text + end
