"""One escaping function for each place where text of a task may end up: terminal, tabs, CSV, JSON."""

from __future__ import annotations

import json
import re

# What a terminal may act on, or what hides or reorders other characters: controls (C0, DEL, C1), bidirectional and
# other format characters, line separators, tags, half surrogate pairs.
_UNSAFE = (
    "\\x00-\\x1f\\x7f-\\x9f\\xad\\u061c\\u180e\\u200b-\\u200f\\u2028-\\u202e\\u2060-\\u206f\\ufeff\\ufff9-\\ufffb"
    "\\ud800-\\udfff\\U000e0000-\\U000e007f"
)
_DANGER = re.compile(f"[{_UNSAFE}]")
_DANGER_IN_TABS = re.compile(f"[\\\\{_UNSAFE}]")
_SHORT = {"\n": "\\n", "\r": "\\r", "\t": "\\t", "\\": "\\\\"}
_FORMULA = ("=", "+", "-", "@", "\t", "\r", "\uff1d", "\uff0b", "\uff0d", "\uff20")
_QUOTED = re.compile('[",\\n\\r]|^ | $')


def printable(text: str) -> str:
    """Return `text` on one line for a terminal, with everything that it could act on written out: `\\x1b`, `\\n`."""
    return text if text.isascii() and text.isprintable() else _DANGER.sub(_written, text)


def tsv_cell(value: object) -> str:
    """Return a value for a line of tabs; backslashes are doubled, so that unescaping gives the value back."""
    if not isinstance(value, str):
        return _plain(value)
    if (
        value.isascii() and value.isprintable() and "\\" not in value
    ):  # most of them, and there may be millions
        return value
    return _DANGER_IN_TABS.sub(_written, value)


def csv_cell(value: object) -> str:
    """Return a value for a line of CSV; a text that a spreadsheet would calculate begins with an apostrophe."""
    if not isinstance(value, str):
        text = _plain(value)
    else:
        text = printable(value)
        if value.startswith(_FORMULA):
            text = f"'{text}"
    return '"' + text.replace('"', '""') + '"' if _QUOTED.search(text) else text


def json_text(value: object) -> str:
    """Return one line of JSON; what a terminal might act on is escaped inside its strings, which keeps the values."""
    text = json.dumps(value, ensure_ascii=False, separators=(", ", ": "))
    return text if text.isascii() and text.isprintable() else _DANGER.sub(_in_json, text)


def _plain(value: object) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int | float):
        return str(value)
    if isinstance(value, list | tuple):
        return _DANGER_IN_TABS.sub(_written, ",".join(map(str, value)))
    return json_text(value)


def _written(found: re.Match[str]) -> str:
    character = found[0]
    if character in _SHORT:
        return _SHORT[character]
    code = ord(character)
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"


def _in_json(found: re.Match[str]) -> str:
    return json.dumps(found[0])[1:-1]


def some(number: int, noun: str) -> str:
    """Return a count with its noun: `1 file`, `1,204 phases`."""
    return f"{number:,} {noun}" if number == 1 else f"{number:,} {noun}s"
