"""Where keys and values stand in a TOML text that tomllib has read without complaint."""

from __future__ import annotations

import re
import tomllib
from typing import Final

from flowlord.spec.document import Node

_BLANK: Final = re.compile(r"[ \t]*+")
_GAP: Final = re.compile(r"(?:[ \t\r\n]++|#[^\n]*+)*+")
_GAPS: Final = frozenset(" \t\r\n#")
_KEY: Final = re.compile(r"[ \t]*+([A-Za-z0-9_-]++)[ \t]*+=[ \t]*+")
_TEXT: Final = re.compile(r'"(?!"")[^"\\\n]*+"')
_PAIR: Final = re.compile(r'[ \t]*+([A-Za-z0-9_-]++)[ \t]*+=[ \t]*+("(?!"")[^"\\\n]*+")[ \t]*+,?+')
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
_ESCAPE: Final = re.compile(r"\\(?:u[0-9A-Fa-f]{4}|U[0-9A-Fa-f]{8}|[ \t]*\n[ \t\n]*+|.)", re.DOTALL)


def scan(text: str) -> Node:
    """Return the places of all keys and values of a valid text with `\\n` as line ends."""
    return _Scan(text).run()


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


class _Scan:
    """A walk through the text; `at` is where it stands."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.at = 0

    def run(self) -> Node:
        text = self.text
        root = Node(0, 0, 0, 0, {})
        table = root
        while True:
            self.skip(_GAP)
            if self.at >= len(text):
                return root
            if text[self.at] != "[":
                self.pair(table)
                continue
            start = self.at
            many = text.startswith("[[", start)
            self.at += 2 if many else 1
            *above, last = self.key()
            self.at += 2 if many else 1
            table = self.open(root, above, last, start, many)

    def open(
        self,
        root: Node,
        above: list[tuple[str, int, int]],
        last: tuple[str, int, int],
        start: int,
        many: bool,
    ) -> Node:
        """Return the table that a header at `start` opens."""
        table = root
        for part in above:
            table = _latest(_child(table, part, {}))
        if not many:
            node = _child(table, last, {})
            node.start, node.end = start, self.at
            return node
        entries = _child(table, last, [])
        assert isinstance(entries.inside, list)
        node = Node(start, self.at, last[1], last[2], {})
        entries.inside.append(node)
        return node

    def skip(self, gap: re.Pattern[str]) -> None:
        found = gap.match(self.text, self.at)
        assert found is not None
        self.at = found.end()

    def take(self, *patterns: re.Pattern[str]) -> str:
        for pattern in patterns:
            if found := pattern.match(self.text, self.at):
                self.at = found.end()
                return found[0]
        raise AssertionError(f"no TOML at {self.at}")  # tomllib has read it

    def key(self) -> list[tuple[str, int, int]]:
        """Read a key with its dots; return each part with its place."""
        parts: list[tuple[str, int, int]] = []
        while True:
            self.skip(_BLANK)
            start = self.at
            name = self.take(_BARE, _STRING)
            end = self.at
            if name[0] in "\"'":
                name = name[1:-1] if "\\" not in name else tomllib.loads(f"k={name}")["k"]
            parts.append((name, start, end))
            self.skip(_BLANK)
            if not self.text.startswith(".", self.at):
                return parts
            self.at += 1

    def pair(self, table: Node) -> None:
        if plain := _KEY.match(self.text, self.at):  # one bare word, as nearly all keys are
            self.at = plain.end()
            self.value(_child(table, (plain[1], *plain.span(1)), None))
            return
        *above, last = self.key()
        for part in above:
            table = _child(table, part, {})
        self.at += 1  # =
        self.skip(_BLANK)
        node = _child(table, last, None)
        self.value(node)

    def value(self, node: Node) -> None:
        node.start = self.at
        if plain := _TEXT.match(self.text, self.at):
            node.end = self.at = plain.end()
            return
        opening = self.text[self.at]
        if opening == "[":
            self.at += 1
            node.inside = entries = []
            while not self.closed("]"):
                entry = Node(self.at, self.at, self.at, self.at)
                self.value(entry)
                entries.append(entry)
        elif opening == "{":
            self.at += 1
            node.inside = inside = {}
            while (plain := _PAIR.match(self.text, self.at)) and plain[1] not in inside:  # as most are
                inside[plain[1]] = Node(*plain.span(2), *plain.span(1))
                self.at = plain.end()
            while not self.closed("}"):
                self.pair(node)
        else:
            self.take(_STRING, _OTHER)
        node.end = self.at

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


def _child(table: Node, part: tuple[str, int, int], inside: dict[str, Node] | list[Node] | None) -> Node:
    """Return the part of a table by its key, made when it is not there yet."""
    name, start, end = part
    assert isinstance(table.inside, dict)
    node = table.inside.get(name)
    if node is None:
        node = table.inside[name] = Node(start, end, start, end, inside)
    return node


def _latest(node: Node) -> Node:
    """Return the table that a header below `node` adds to."""
    return node.inside[-1] if isinstance(node.inside, list) else node
