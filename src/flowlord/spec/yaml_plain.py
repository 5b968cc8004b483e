"""Plain YAML, as many phase files are: one list of tables in blocks, and in them words and quoted texts of one line.

It takes a quarter of the time that libyaml's events take. What is read here, `yaml_events` reads just the same, with
the same places; it reads everything else.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

from flowlord.spec.document import Node, Table
from flowlord.spec.source import MAX_KEYS, MAX_PHASES, Source, most_nodes

DIGITS: Final = frozenset("-+0123456789")  # with which an integer begins
WORDS: Final = {
    "true": True, "True": True, "TRUE": True, "false": False, "False": False, "FALSE": False,
    "null": None, "Null": None, "NULL": None, "~": None, "": None,
}  # fmt: skip
INTEGER: Final = re.compile(r"[-+]?[0-9]{1,18}", re.ASCII)

# Mistakes and ends of lines, wherever they stand; tabs are left to those who know them.
_ODD: Final = re.compile("[\0-\t\v-\x1f\x7f-\x9f\u2028\u2029\ufeff\ufffe\uffff]")
_WORD: Final = r"[\w./][^ :#\n]*+(?:(?::(?=[^ \n])|#| ++(?=[^ #\n]))[^ :#\n]*+)*+"
_VALUE: Final = rf""" *+("[^"\\\n]*+"|'[^'\n]*+'|{_WORD})"""
_KEY: Final = r"([A-Za-z_][A-Za-z0-9_-]{0,99}+)"
_END: Final = r"(?: ++#.*+| *+)"
_TOP: Final = re.compile(rf"{_KEY}:{_END}")
_LINE: Final = re.compile(rf"( *+(?:- )?){_KEY}: .*+")
_BEHIND: Final = re.compile(rf"{_VALUE}{_END}")
_PAIR: Final = re.compile(rf"^ *+(?:- )?{_KEY}: {_VALUE}", re.MULTILINE)
_BARE: Final = re.compile(r" *+(?:#.*+)?")


def meaning(word: str) -> object:
    """Return what a word without quotes stands for: an integer, true, false, nothing, or mostly itself."""
    if word in WORDS:
        return WORDS[word]
    return int(word) if word[0] in DIGITS and INTEGER.fullmatch(word) else word


class Plain:
    """A plain text: its one list, `name`, with the tables in it and the lines, from 1, on which they begin."""

    def __init__(self, source: Source, name: str, first: int) -> None:
        self.source = source
        self.name = name
        self.first = first  # line behind that name, from 1
        self.entries: list[Table] = []
        self.lines: list[int] = []
        self.column = -1  # of all keys, from 0

    @property
    def data(self) -> Table:
        """What the text says."""
        return {self.name: self.entries}

    def part(self, name: str, number: int) -> Node | None:
        """Return where a table of the list stands, and all that is inside."""
        if name != self.name or number >= len(self.lines):
            return None
        starts, end = self.source.starts, len(self.source.text)
        begin = starts[self.lines[number] - 1] + self.column
        if number + 1 < len(self.lines):
            end = starts[self.lines[number + 1] - 1] + self.column - 2  # where the next dash stands
        inside = {key: Node(*value, *name) for key, name, value in self._pairs(begin - self.column, end)}
        return Node(begin, end, begin, begin, inside)

    def leaves(self) -> list[tuple[int, int, int]]:
        """Return where each value begins with its key, begins and ends."""
        begin = self.source.starts[self.first - 1]
        return [(name[0], *value) for _, name, value in self._pairs(begin, len(self.source.text))]

    def _pairs(self, start: int, end: int) -> Iterator[tuple[str, tuple[int, int], tuple[int, int]]]:
        for found in _PAIR.finditer(self.source.text, start, end):
            yield found[1], found.span(1), found.span(2)


def read_plain(source: Source) -> Plain | None:
    """Return what a plain text says; None for one that is not, and when it says more than flowlord takes."""
    if _ODD.search(source.text):
        return None
    lines = enumerate(source.lines, 1)
    first = next(((number, line) for number, line in lines if not _BARE.fullmatch(line)), (0, ""))
    top = _TOP.fullmatch(first[1])
    if top is None:
        return None
    plain = Plain(source, top[1], first[0] + 1)
    if not _tables(plain, lines):
        return None
    entries = plain.entries
    nodes = 3 + len(entries) + 2 * sum(map(len, entries))
    if len(entries) > MAX_PHASES or max(map(len, entries)) > MAX_KEYS or nodes > most_nodes(source.text):
        return None
    return plain


def _tables(plain: Plain, lines: Iterator[tuple[int, str]]) -> bool:
    """Read the tables of the list; tell whether all lines were plain."""
    fields: dict[str, str] = {}  # what stood in front of a colon, and the key in it
    heads: dict[str, str] = {}  # the same behind a dash
    table: Table = {}
    for number, line in lines:
        before, _, after = line.partition(": ")
        key = fields.get(before)
        if key is None:
            key = heads.get(before)
            if key is None:
                if _BARE.fullmatch(line):
                    continue
                found = _LINE.fullmatch(line)
                if found is None:
                    return False
                column, key = found.end(1), found[2]
                opens = found[1].endswith("- ")
                if opens and not plain.entries:
                    plain.column = column
                if column != plain.column:
                    return False
                (heads if opens else fields)[before] = key
            if before in heads:
                table = {}
                plain.entries.append(table)
                plain.lines.append(number)
        if key in table:
            return False
        if not after.isalnum():
            behind = _BEHIND.fullmatch(after)
            if behind is None:
                return False
            after = behind[1]
        table[key] = after[1:-1] if after[0] in "\"'" else meaning(after)
    return bool(plain.entries)
