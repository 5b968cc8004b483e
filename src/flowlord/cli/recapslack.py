"""A recap as the text of one message for Slack: a headline and a block of fixed width, in which nothing acts."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Final

from flowlord.cli.texts import printable

MOST: Final = 3_900
"""Characters; Slack cuts longer messages."""
_HEADS: Final = ("TASK", "DONE", "FAILED", "DATES", "MOST OFTEN")
_WIDTHS: Final = (40, 9, 9, 28, 60)
_ENTITIES: Final = {ord("&"): "&amp;", ord("<"): "&lt;", ord(">"): "&gt;"}


def slack(records: Iterable[Mapping[str, object]], days: str, summary: str) -> Iterator[str]:
    """Yield the lines of the message; kinds of tasks that do not fit into it are counted."""
    head = f"*{days}* (UTC): {summary}"
    yield head
    rows = [_cells(row) for row in records]
    if not rows:
        return
    table = [_HEADS, *rows]
    widths = [max(len(row[at]) for row in table) for at in range(len(_HEADS))]
    room = MOST - len(head)
    shown: list[str] = []
    for row in table:
        line = _line(row, widths).translate(_ENTITIES)
        room -= len(line) + 1
        if room < 0:
            break
        shown.append(line)
    yield "```"
    yield from shown
    yield "```"
    if left := len(table) - len(shown):
        yield f"and {left:,} more kinds of tasks"


def _cells(row: Mapping[str, object]) -> tuple[str, ...]:
    values = (row["task"], row["done"] or "", row["failed"] or "", row["dates"], row["reason"])
    texts = (printable(str(value)).replace("`", "'") for value in values)
    return tuple(
        text if len(text) <= width else f"{text[: width - 1]}…"
        for text, width in zip(texts, _WIDTHS, strict=True)
    )


def _line(row: tuple[str, ...], widths: list[int]) -> str:
    """Return a row with texts on the left and numbers on the right of their columns."""
    task, done, failed, dates, reason = (
        text.rjust(width) if 1 <= at <= 2 else text.ljust(width)
        for at, (text, width) in enumerate(zip(row, widths, strict=True))
    )
    return f"{task}  {done}  {failed}  {dates}  {reason}".rstrip()
