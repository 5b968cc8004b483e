"""Plain TOML, as nearly all phase files are: headers, and keys with one-line texts or integers.

Three times as fast as tomllib, which reads everything else; what is read here, tomllib reads just the same.
"""

from __future__ import annotations

import re
from typing import Final

from flowlord.spec.document import Table

# One line: nothing, or KEY = VALUE, or [[KEY]]; a comment may follow. A tab is the only control character.
_LINE: Final = re.compile(
    r"^[ \t]*+(?:([A-Za-z0-9_-]++)[ \t]*+=[ \t]*+"
    r'(?:"([^"\\\x00-\x08\x0a-\x1f\x7f]*+)"|\'([^\'\x00-\x08\x0a-\x1f\x7f]*+)\'|(0|[1-9][0-9]{0,8}+))'
    r"|\[\[[ \t]*+([A-Za-z0-9_-]++)[ \t]*+\]\])?+"
    r"[ \t]*+(#[^\x00-\x08\x0a-\x1f\x7f]*+)?$",
    re.MULTILINE,
)


def read_plain(text: str, lines: int) -> Table | None:
    """Return what a plain text of so many lines says; None for tomllib to read it, or to say what is wrong."""
    found = _LINE.findall(text)
    if len(found) != lines:
        return None
    data: Table = {}
    table = data
    for key, basic, literal, number, header, _ in found:
        if key:
            if key in table:
                return None
            table[key] = basic or literal or (int(number) if number else "")
        elif header:
            entries = data.setdefault(header, [])
            if not isinstance(entries, list):
                return None
            table = {}
            entries.append(table)
    return data
