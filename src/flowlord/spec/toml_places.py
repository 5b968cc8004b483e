"""Where keys and values stand in a TOML text that tomli has read without complaint."""

from __future__ import annotations

import re
from functools import partial
from typing import Final

import tomli

from flowlord.spec.document import Inside, Node, Unopened

_BLANK: Final = re.compile(r"[ \t]*+")
_GAP: Final = re.compile(r"(?:[ \t\r\n]++|#[^\n]*+)*+")
_GAPS: Final = frozenset(" \t\r\n#")
_KEY: Final = re.compile(r"[ \t]*+([A-Za-z0-9_-]++)[ \t]*+=[ \t]*+")
_TEXT: Final = re.compile(r'"(?!"")[^"\\\n]*+"')
_PAIR: Final = re.compile(r'[ \t]*+([A-Za-z0-9_-]++)[ \t]*+=[ \t]*+("(?!"")[^"\\\n]*+")[ \t]*+,?+')
_LINE: Final = re.compile(
    r"""[ \t]*+([A-Za-z0-9_-]++)[ \t]*+=[ \t]*+("(?!"")[^"\\\n]*+"|[^\s"'\[\]{}#]++)[ \t]*+(?:\n|\Z)"""
)
_HEADER: Final = re.compile(r"((\[{1,2}+)([A-Za-z0-9_-]++(?:\.[A-Za-z0-9_-]++)*+)\]{1,2}+)\n*+")
_FLAT: Final = r"""(?:[^\[\]{}"'#]++|"(?!"")(?:[^"\\\n]++|\\.)*+"|'(?!'')[^'\n]*+')"""
_INNER: Final = rf"[\[{{]{_FLAT}*+[\]}}]"
_MIDDLE: Final = rf"[\[{{](?:{_FLAT}|{_INNER})*+[\]}}]"
# A list or table with others in it, two deep at most, without comments and long strings.
_CLOSED: Final = re.compile(rf"[\[{{](?:{_FLAT}|{_MIDDLE})*+[\]}}]")
_BARE: Final = re.compile(r"[A-Za-z0-9_-]++")
_STRING: Final = re.compile(
    r'"""(?:[^"\\]++|\\.|"{1,2}(?!"))*+"{3,5}'
    r"|'''(?:[^']++|'{1,2}(?!'))*+'{3,5}"
    r'|"(?:[^"\\\n]++|\\.)*+"'
    r"|'[^'\n]*+'",
    re.DOTALL,
)
# Numbers, dates and words; a date may have one blank before its time.
_OTHER: Final = re.compile(r"[^\s,\]}#]++(?: [0-9][^\s,\]}#]*+)?")
_ESCAPE: Final = re.compile(
    r"\\(?:x[0-9A-Fa-f]{2}|u[0-9A-Fa-f]{4}|U[0-9A-Fa-f]{8}|[ \t]*\n[ \t\n]*+|.)", re.DOTALL
)


def scan(text: str, start: int = 0, end: int | None = None) -> Node:
    """Return the places of all keys and values of a valid text with `\\n` as line ends.

    Args:
        start, end: of the part that is looked at, both where a statement begins.
    """
    return _Scan(text, start).run(len(text) if end is None else end)


def spell(text: str, node: Node) -> list[int]:
    """Return the offset of each character of the string at `node`, and of the end behind the last one."""
    start, end = node.start, node.end
    quote = text[start : start + 1]
    if quote not in ("'", '"'):
        return [start, end]
    if text.startswith(quote * 3, start) and end - start >= 6:
        start, end = start + 3, end - 3
        if text.startswith("\n", start):
            start += 1
    else:
        start, end = start + 1, end - 1
    if quote == "'":
        return list(range(start, end + 1))
    spelt: list[int] = []
    for escape in _ESCAPE.finditer(text, start, end):
        spelt.extend(range(start, escape.start()))
        start = escape.end()
        if "\n" not in escape[0]:
            spelt.append(escape.start())
    spelt.extend(range(start, end + 1))
    return spelt


def _parts(text: str, start: int) -> Inside:
    return _Scan(text, start).parts(0, 0).inside


class _Scan:
    """A walk through the text; `at` is where it stands."""

    def __init__(self, text: str, at: int) -> None:
        self.text = text
        self.at = at

    def run(self, end: int) -> Node:
        text = self.text
        root = Node(0, 0, 0, 0, {})
        table = root
        while True:
            if self.at < end and text[self.at] in _GAPS:
                self.skip(_GAP)
            if self.at >= end:
                return root
            if line := _LINE.match(text, self.at):  # as nearly all are
                assert isinstance(table.inside, dict)
                table.inside[line[1]] = Node(*line.span(2), *line.span(1))
                self.at = line.end()
                continue
            if text[self.at] != "[":
                self.pair(table)
                continue
            start = self.at
            if header := _HEADER.match(text, start):  # of bare words without blanks, as most are
                self.at = header.end()
                stop, many, at, parts = header.end(1), header[2] == "[[", header.start(3), []
                for name in header[3].split("."):
                    parts.append((name, at, at := at + len(name)))
                    at += 1
            else:
                many = text.startswith("[[", start)
                self.at += 2 if many else 1
                parts = self.key()
                self.at += 2 if many else 1
                stop = self.at
            table = _opened(root, parts, start, stop, many)

    def skip(self, gap: re.Pattern[str]) -> None:
        found = gap.match(self.text, self.at)
        assert found is not None
        self.at = found.end()

    def take(self, *patterns: re.Pattern[str]) -> str:
        for pattern in patterns:
            if found := pattern.match(self.text, self.at):
                self.at = found.end()
                return found[0]
        raise AssertionError(f"no TOML at {self.at}")  # tomli has read it

    def key(self) -> list[tuple[str, int, int]]:
        """Read a key with its dots; return each part with its place."""
        parts: list[tuple[str, int, int]] = []
        while True:
            self.skip(_BLANK)
            start = self.at
            name = self.take(_BARE, _STRING)
            end = self.at
            if name[0] in "\"'":
                name = name[1:-1] if "\\" not in name else tomli.loads(f"k={name}")["k"]
            parts.append((name, start, end))
            self.skip(_BLANK)
            if not self.text.startswith(".", self.at):
                return parts
            self.at += 1

    def pair(self, table: Node) -> None:
        if plain := _KEY.match(self.text, self.at):  # one bare word, as nearly all keys are
            name, (start, end) = plain[1], plain.span(1)
            self.at = plain.end()
        else:
            *above, (name, start, end) = self.key()
            for part in above:
                table = _child(table, part, {})
            self.at += 1  # =
            self.skip(_BLANK)
        assert isinstance(table.inside, dict)
        table.inside[name] = self.value(start, end)

    def value(self, key: int, key_end: int) -> Node:
        """Step over a value; return it with the place of its key."""
        start = self.at
        if plain := _TEXT.match(self.text, start):
            self.at = plain.end()
            return Node(start, self.at, key, key_end)
        if self.text[start] not in "[{":
            self.take(_STRING, _OTHER)
            return Node(start, self.at, key, key_end)
        if closed := _CLOSED.match(self.text, start):
            self.at = closed.end()
            return Unopened(start, self.at, key, key_end, partial(_parts, self.text, start))
        return self.parts(key, key_end)

    def parts(self, key: int, key_end: int) -> Node:
        """Step over a list or table in brackets; return it with its parts."""
        start = self.at
        is_list = self.text[start] == "["
        self.at += 1
        if is_list:
            entries: list[Node] = []
            while not self.closed("]"):
                entries.append(self.value(self.at, self.at))
            return Node(start, self.at, key, key_end, entries)
        inside: dict[str, Node] = {}
        while (plain := _PAIR.match(self.text, self.at)) and plain[1] not in inside:  # as most are
            inside[plain[1]] = Node(*plain.span(2), *plain.span(1))
            self.at = plain.end()
        table = Node(start, start, key, key_end, inside)
        while not self.closed("}"):
            self.pair(table)
        table.end = self.at
        return table

    def closed(self, bracket: str) -> bool:
        """Step over blanks and a comma; tell whether the list or table ends here, and step over that too."""
        text = self.text
        if text[self.at] in _GAPS:
            self.skip(_GAP)
        if text[self.at] == ",":
            self.at += 1
            if text[self.at] in _GAPS:
                self.skip(_GAP)
        if text[self.at] != bracket:
            return False
        self.at += 1
        return True


def _opened(root: Node, parts: list[tuple[str, int, int]], start: int, end: int, many: bool) -> Node:
    """Return the table that a header from `start` to `end` opens."""
    table = root
    last = parts.pop()
    for part in parts:
        inside = table.inside
        assert isinstance(inside, dict)
        table = inside.get(part[0]) or _child(table, part, {})
        if isinstance(table.inside, list):
            table = table.inside[-1]  # a header adds to the latest
    if not many:
        node = _child(table, last, {})
        node.start, node.end = start, end
        return node
    entries = _child(table, last, [])
    if not isinstance(entries.inside, list):  # what it adds to stands before the part that is looked at
        entries.inside = []
    node = Node(start, end, last[1], last[2], {})
    entries.inside.append(node)
    return node


def _child(table: Node, part: tuple[str, int, int], inside: dict[str, Node] | list[Node]) -> Node:
    """Return the part of a table by its key, made when it is not there yet."""
    name, start, end = part
    assert isinstance(table.inside, dict)
    node = table.inside.get(name)
    if node is None:
        node = table.inside[name] = Node(start, end, start, end, inside)
    return node
