"""One escaping function for each place where text of a task may end up: terminal, tabs, CSV, JSON."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from types import NoneType

from flowlord.model.inert import UNSAFE, printable, written

__all__ = [
    "LONGEST_NAME",
    "csv_cell",
    "csv_line",
    "few",
    "json_text",
    "printable",
    "some",
    "tsv_cell",
    "tsv_line",
]

LONGEST_NAME = 100
"""Characters of a name that an error repeats."""
NAMED = 8
"""Names that a hint tells."""
_DANGER = f"[{UNSAFE}]"
_DANGER_IN_TABS = f"[\\\\{UNSAFE}]"
_FORMULA = ("=", "+", "-", "@", "\t", "\r", "\uff1d", "\uff0b", "\uff0d", "\uff20")
_QUOTED = '[",\\n\\r]|^ | $'


def tsv_cell(value: object) -> str:
    """Return a value for a line of tabs; backslashes are doubled, so that unescaping gives the value back."""
    if not isinstance(value, str):
        return _plain(value)
    if (
        value.isascii() and value.isprintable() and "\\" not in value
    ):  # most of them, and there may be millions
        return value
    return re.sub(_DANGER_IN_TABS, written, value)


def tsv_line(values: Iterable[object]) -> str:
    """Return values as a line of tabs, each as `tsv_cell` writes it; harmless ones are looked at together."""
    values = tuple(values)
    cells = [
        value if value.__class__ is str else _PLAIN.get(value.__class__, tsv_cell)(value) for value in values
    ]
    whole = "".join(cells)
    if not (whole.isascii() and whole.isprintable() and "\\" not in whole):
        cells = [tsv_cell(value) for value in values]
    return "\t".join(cells)


def csv_line(values: Iterable[object]) -> str:
    """Return values as a line of CSV, each as `csv_cell` writes it."""
    return ",".join(map(csv_cell, values))


def csv_cell(value: object) -> str:
    """Return a value for a line of CSV; a text that a spreadsheet would calculate begins with an apostrophe."""
    if not isinstance(value, str):
        text = _plain(value)
    else:
        text = printable(value)
        if value.startswith(_FORMULA):
            text = f"'{text}"
    return '"' + text.replace('"', '""') + '"' if re.search(_QUOTED, text) else text


def json_text(value: object) -> str:
    """Return one line of JSON; what a terminal might act on is escaped inside its strings, which keeps the values."""
    import json  # here, since most answers hold none

    text = json.dumps(value, ensure_ascii=False, separators=(", ", ": "))
    return text if text.isascii() and text.isprintable() else re.sub(_DANGER, _in_json, text)


def _plain(value: object) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int | float):
        return str(value)
    if isinstance(value, list | tuple):
        return re.sub(_DANGER_IN_TABS, written, ",".join(map(str, value))) if value else ""
    return json_text(value)


_PLAIN: Mapping[type, Callable[[object], str]] = {
    bool: lambda value: "true" if value else "false",
    int: str,
    NoneType: lambda _: "",
    list: _plain,
    tuple: _plain,
}
"""What `_plain` does for the usual types, found without asking one after another."""


def _in_json(found: re.Match[str]) -> str:
    import json

    return json.dumps(found[0])[1:-1]


def few(names: Sequence[str], otherwise: str = "none") -> str:
    """Return the first NAMED names, and how many more there are."""
    more = f" and {len(names) - NAMED:,} more" if len(names) > NAMED else ""
    return ", ".join(names[:NAMED]) + more if names else otherwise


def some(number: int, noun: str) -> str:
    """Return a count with its noun: `1 file`, `1,204 phases`."""
    return f"{number:,} {noun}" if number == 1 else f"{number:,} {noun}s"
