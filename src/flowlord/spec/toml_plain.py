"""Plain TOML, as nearly all phase files are: headers, and keys with one-line texts or integers.

Six times as fast as tomllib, which reads everything else; what is read here, tomllib reads just the same.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Sequence
from dataclasses import dataclass
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

_HEADER: Final = re.compile(r"[ \t]*+(\[\[[ \t]*+([A-Za-z0-9_-]++)[ \t]*+\]\])")


@dataclass(frozen=True, slots=True)
class Plain:
    """What a plain text says; `headers` has the name of each table and its line, from 1, in their order."""

    data: Table
    headers: list[tuple[str, int]]


def read_plain(text: str, lines: int) -> Plain | None:
    """Return what a plain text of so many lines says; None for tomllib to read it, or to say what is wrong."""
    found = _LINE.findall(text)
    if len(found) != lines:
        return None
    data: Table = {}
    table = data
    headers: list[tuple[str, int]] = []
    for line, (key, basic, literal, number, header, _) in enumerate(found, 1):
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
            headers.append((header, line))
    return Plain(data, headers)


def scan_plain(text: str, headers: Sequence[tuple[str, int]], starts: Sequence[int]) -> Node:
    """Return the places in a text that `read_plain` has read; the same ones that `toml_places.scan` finds.

    A table is looked through when somebody asks for what is inside: most never are.

    Args:
        headers: of the text, as `read_plain` tells them.
        starts: where each line begins.
    """
    ends = [starts[line - 1] for _, line in headers] + [len(text)]
    tables = _keys(text, 0, ends[0])
    for number, (name, _) in enumerate(headers):
        found = _HEADER.match(text, ends[number])
        assert found is not None  # it was read as one
        key, key_end = found.span(2)
        entries = tables.get(name)
        if entries is None:
            entries = tables[name] = Node(key, key_end, key, key_end, [])
        assert isinstance(entries.inside, list)
        entries.inside.append(_Table(*found.span(1), key, key_end, text, (found.end(), ends[number + 1])))
    return Node(0, 0, 0, 0, tables)


class _Table(Node):
    """A table made by a header, which knows what part of the text is its own."""

    __slots__ = ("_found", "_part", "_text")

    def __init__(
        self, start: int, end: int, key: int, key_end: int, text: str, part: tuple[int, int]
    ) -> None:
        self._text, self._part = text, part
        self._found: dict[str, Node] | list[Node] | None = None
        self.start, self.end, self.key, self.key_end = start, end, key, key_end

    @property
    def inside(self) -> dict[str, Node] | list[Node] | None:
        if self._found is None:
            self._found = _keys(self._text, *self._part)
        return self._found

    @inside.setter
    def inside(self, value: dict[str, Node] | list[Node] | None) -> None:
        self._found = value


def _keys(text: str, start: int, end: int) -> dict[str, Node]:
    """Return the places of the keys that stand between two offsets, and of their values."""
    keys: dict[str, Node] = {}
    for line in _LINE.finditer(text, start, end):
        if line[1]:
            group = 2 if line.start(2) >= 0 else 3 if line.start(3) >= 0 else 4
            first, last = line.span(group)
            if group < 4:
                first, last = first - 1, last + 1
            keys[line[1]] = Node(first, last, *line.span(1))
    return keys
