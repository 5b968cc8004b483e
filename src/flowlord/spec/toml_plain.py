"""Plain TOML, as most phase files are: headers in double brackets, and keys with texts of one line or small integers.

It takes a third of the time that tomli takes. What is read here, tomli reads just the same; it reads everything else.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final, NamedTuple

from flowlord.spec.document import Table

# One line: nothing, or KEY = VALUE, or [[KEY]]; a comment may follow.
_LINE: Final = re.compile(
    r"""[ \t]*+(?:([A-Za-z0-9_-]++)[ \t]*+=[ \t]*+(?:"([^"\\]*+)"|'([^']*+)'|(0|[1-9][0-9]{0,8}+))"""
    r"|\[\[[ \t]*+([A-Za-z0-9_-]++)[ \t]*+\]\])?+[ \t]*+(?:\#.*+)?",
)
_CONTROL: Final = re.compile(r"[\x00-\x08\x0b-\x1f\x7f]")  # but a tab and the end of a line
_SMALL: Final = {f" {number}": number for number in range(100)}


class Plain(NamedTuple):
    """What a plain text says; `headers` has the lines, from 1, on which the tables of each list begin."""

    data: Table
    headers: dict[str, list[int]]


def read_plain(text: str, lines: Sequence[str]) -> Plain | None:
    """Return what a text of these lines says; None when it is not plain, or no TOML at all."""
    if _CONTROL.search(text):
        return None
    table: Table = {}
    plain = Plain(table, {})
    keys: dict[str, str] = {}  # what stood in front of an =, with its blanks, and the key in it
    names: dict[str, str] = {}  # lines that are headers, and the names in them
    for number, line in enumerate(lines, 1):
        if not line:
            continue
        before, _, after = line.partition("=")
        value: str | int | None = None
        if key := keys.get(before):  # as in nearly all
            if after[:2] == ' "' and after[-1] == '"' and after.count('"') == 2 and "\\" not in after:
                value = after[2:-1]
            else:
                value = _SMALL.get(after)
        name = None if key else names.get(line)
        if value is None and name is None:
            found = _LINE.fullmatch(line)
            if found is None:
                return None
            key, basic, literal, digits, name = found.groups()
            if key:
                keys[before] = key
                value = int(digits) if digits else basic if basic is not None else literal
            elif name:
                names[line] = name
            else:
                continue
        if name:
            entries = plain.data.setdefault(name, [])
            if not isinstance(entries, list):
                return None
            table = {}
            entries.append(table)
            plain.headers.setdefault(name, []).append(number)
        elif key in table:
            return None
        else:
            assert key
            table[key] = value
    return plain
