"""A notice as plain text: in a terminal, in mail, and as the fallback of richer forms."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Final

from flowlord.alert.port import Line, Notice, NoticeKind, Severity
from flowlord.model.inert import printable

MOST_LINES: Final = 20
"""Incidents that one message names; a longer list is not read."""
SIGNS: Final = {Severity.ERROR: "\N{LARGE RED CIRCLE}", Severity.WARNING: "\N{LARGE YELLOW CIRCLE}",
                Severity.INFO: "\N{LARGE GREEN CIRCLE}"}  # fmt: skip
ROOM: Final = 20_000
_TEXT: Final = 3_000
_UNIT = 20
_NAME, _ERROR, _DATES, _COMMAND = 120, 400, 300, 300


def titled(notice: Notice, prefix: str = "", title: str = "") -> str:
    """Return the title with what the configuration puts before it."""
    before = f"[{prefix}] " if prefix else ""
    return f"{before}{f'{title}: ' if title else ''}{notice.title}"


def words(notice: Notice) -> str:
    """Return the text that says more than the lines do; that of a digest repeats them."""
    tells_more = not notice.lines or notice.kind in (NoticeKind.ALERT, NoticeKind.TROUBLE, NoticeKind.TEST)
    return cut(notice.text.strip("\n"), _TEXT) if tells_more else ""


def shown(notice: Notice) -> tuple[tuple[Line, ...], int]:
    """Return the lines that a message has room for, and how many incidents are left out."""
    return notice.lines[:MOST_LINES], notice.more + max(len(notice.lines) - MOST_LINES, 0)


def text_of(notice: Notice, room: int = ROOM) -> str:
    """Return what stands below the title, a row for each thing, in about `room` characters.

    Nothing in it can act on a terminal. Incidents for which there is no room are counted.
    """
    found = [printable(row.expandtabs(4)) for row in cut(words(notice), room // 2).split("\n") if row.strip()]
    lines, more = shown(notice)
    left = room - sum(map(len, found))
    for number, line in enumerate(lines):
        rows = _rows(line, notice.at_us)
        left -= sum(map(len, rows))
        if left < 0:
            more += len(lines) - number
            break
        found += rows
    if more:
        found.append(and_more(more))
    command = f"$ {printable(cut(notice.command, _COMMAND))}" if notice.command else ""
    stands_above = any(row.strip() == command for row in found)
    last = (
        "" if stands_above else command,
        notice.link,
    )
    return "\n".join([*found, *(printable(each) for each in last if each)])


def columns_of(notice: Notice, room: int = ROOM) -> str:
    """Return what stands below the title of a notice of several incidents, for letters of one width.

    Counts and dates as columns, then the reasons, then what to type: what existing receivers know, and shorter than
    `text_of`, which tells the same of a single one.
    """
    lines, more = shown(notice)
    if len(lines) < 2 or words(notice):
        return text_of(notice, room)
    table = [printable(row) for row in cut(notice.text, room // 2).split("\n")]
    reasons: list[str] = []
    left = room // 2
    for line in lines:
        reason = printable(_reason(cut(line.name, _NAME), cut(line.error, _ERROR)))
        left -= len(reason)
        if line.error and left >= 0:
            reasons.append(reason)
    last = (
        and_more(more) if more else "",
        f"$ {cut(notice.command, _COMMAND)}" if notice.command else "",
        notice.link,
    )
    return "\n".join([*table, "", *reasons, *(printable(each) for each in last if each)])


def _reason(name: str, error: str) -> str:
    return error if error.startswith((f"{name} ", f"{name}:")) else f"{name}: {error}"


def _rows(line: Line, at_us: int) -> list[str]:
    name = printable(cut(line.name, _NAME))
    rows = ["  ".join(filter(None, (name, counted(line), printable(cut(line.dates, _DATES)))))]
    if line.error:
        rows.append(f"    {printable(cut(line.error, _ERROR))}")
    if about := details(line, at_us):
        rows.append(f"    {printable(about)}")
    if line.command:
        rows.append(f"    $ {printable(cut(line.command, _COMMAND))}")
    return rows


def and_more(more: int) -> str:
    """Say how many incidents are left out."""
    return f"and {more:,} more {'incident' if more == 1 else 'incidents'}"


def counted(line: Line) -> str:
    """Return how many tasks a line is about, or how many times something happened."""
    if not line.count:
        return ""
    unit = cut(printable(line.unit), _UNIT) or "task"
    return f"{line.count:,} {unit}{'' if line.count == 1 else 's'}"


def details(line: Line, at_us: int) -> str:
    """Return where it happens, since when, and how many in all."""
    parts = [cut(line.workflow, _NAME)]
    if line.since_us and line.since_us < at_us:
        parts.append(f"since {clock(line.since_us, at_us)}")
    if line.total > line.count:
        parts.append(f"{line.total:,} in all")
    return ", ".join(filter(None, parts))


def clock(time_us: int, at_us: int) -> str:
    """Return an instant in UTC; its date is left out on the day of `at_us`."""
    try:
        time = datetime.fromtimestamp(time_us / 1e6, UTC)
        same = time.date() == datetime.fromtimestamp(at_us / 1e6, UTC).date()
    except (ValueError, OverflowError, OSError):
        return "?"
    return f"{time:%H:%MZ}" if same else f"{time:%Y-%m-%d %H:%MZ}"


def cut(text: str, most: int) -> str:
    """Return a text in at most so many characters; what is left out is told by `…`."""
    return text if len(text) <= most else f"{text[: most - 1]}…"
