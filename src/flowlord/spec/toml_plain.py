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

_CONTROL: Final = re.compile(r"[\x00-\x08\x0b-\x1f\x7f]")  # but a tab
_SMALL: Final = {f" {number}": number for number in range(100)}
_HEADER: Final = re.compile(r"[ \t]*+(\[\[[ \t]*+([A-Za-z0-9_-]++)[ \t]*+\]\])")


@dataclass(frozen=True, slots=True)
class Plain:
    """What a plain text says; `headers` has the name of each table and its line, from 1, in their order."""

    data: Table
    headers: list[tuple[str, int]]


def read_plain(text: str, lines: Sequence[str]) -> Plain | None:
    """Return what a plain text of these lines says; None for tomllib to read it, or to say what is wrong."""
    data: Table = {}
    table = data
    headers: list[tuple[str, int]] = []
    keys: dict[str, str] = {}  # what stood in front of an =, with its blanks, and the key in it
    names: dict[str, str] = {}  # lines that are headers, and the names in them
    odd = _CONTROL.search(text) is not None
    for number, line in enumerate(lines, 1):
        before, _, after = line.partition("=")
        key, header = keys.get(before), None
        value: str | int | None = None
        if key is None:
            header = names.get(line)
        elif (
            after[:2] == ' "' and after[-1] == '"' and after.count('"') == 2 and "\\" not in after and not odd
        ):
            value = after[2:-1]
        else:
            value = _SMALL.get(after)
        if value is None and header is None and line:  # so it is looked at letter by letter
            found = _LINE.match(line)
            if found is None:
                return None
            key, header = found[1], found[5]
            if key is not None:
                keys[before] = key
                value = _value(found)
                if value is None:
                    return None
            elif header is not None:
                names[line] = header
        if value is not None and key is not None:
            if key in table:
                return None
            table[key] = value
        elif header is not None:
            entries = data.setdefault(header, [])
            if not isinstance(entries, list):
                return None
            table = {}
            entries.append(table)
            headers.append((header, number))
    return Plain(data, headers)


def _value(found: re.Match[str]) -> str | int | None:
    """Return the value of a line that is one; None when its escapes are none."""
    if found[4] is not None:
        return int(found[4])
    if found[2] is None or "\\" not in found[2]:
        return found[3] if found[2] is None else found[2]
    try:
        return str(tomllib.loads(f'text = "{found[2]}"')["text"])
    except tomllib.TOMLDecodeError:
        return None


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
        start = ends[number]
        key, key_end = start + 2, start + 2 + len(name)
        end = key_end + 2
        if not text.startswith(f"[[{name}]]", start):  # there are blanks in it
            found = _HEADER.match(text, start)
            assert found is not None  # it was read as one
            (start, end), (key, key_end) = found.span(1), found.span(2)
        entries = tables.get(name)
        if entries is None:
            entries = tables[name] = Node(key, key_end, key, key_end, [])
        assert isinstance(entries.inside, list)
        entries.inside.append(_Table(start, end, key, key_end, text, (end, ends[number + 1])))
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
