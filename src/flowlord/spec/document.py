"""What both formats become: plain values, and on demand the place of every one of them."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Final, TypeAlias

import msgspec

from flowlord.model.problem import Edit, Fix, Problem, Severity
from flowlord.spec.codes import CODES, SAFE
from flowlord.spec.source import Source

TABLES: Final = ("phase", "phases")  # the list of phases, in any case
FLAT: Final = "a phase is flat: its fields are texts, its rule a text or a table"
MOST_FINDINGS: Final = 300  # of each severity in one file
_LONGEST_NAME: Final = 60
_FIELD: Final = re.compile(
    r"\b(task|dependsOn|rule|retry|template) = "
)  # in hints, which are written as for TOML

_PROPERTIES: Final = re.compile(r"(?:[&!]\S*[ \t\n]+)++(?!#)")  # an anchor and a tag in YAML
_BLOCK: Final = re.compile(r"[|>][^\n]*\n[ \t\n]*")

Path: TypeAlias = tuple[str | int, ...]
Table: TypeAlias = dict[str, object]
Inside: TypeAlias = "dict[str, Node] | list[Node] | None"


@dataclass(slots=True)
class Node:
    """Where a value stands; all are offsets into the text.

    `start` and `end` of a table made by a header are those of the header. `key` is where its key stands, equal to
    `key_end` when it has none. `inside` has the parts of a table by key, those of a list by number.
    """

    start: int
    end: int
    key: int
    key_end: int
    inside: Inside = None


class Unopened(Node):
    """A list or table, the places of whose parts are found when somebody asks."""

    __slots__ = ("_find", "_found")

    def __init__(self, start: int, end: int, key: int, key_end: int, find: Callable[[], Inside]) -> None:
        self._find = find
        self._found: Inside = None
        self.start, self.end, self.key, self.key_end = start, end, key, key_end

    @property
    def inside(self) -> Inside:
        if self._found is None:
            self._found = self._find()
        return self._found

    @inside.setter
    def inside(self, value: Inside) -> None:
        self._found = value


class Finding(msgspec.Struct, frozen=True):
    """One thing wrong, before anybody asked where that is in the text.

    `start` and `end` count characters within the decoded text of the value at `path`; -1 is the whole of it.
    `better` is what should stand there instead, None when nobody knows; `raw` when it takes the quotes along.
    """

    code: str
    path: Path
    text: str
    hint: str = ""
    on_key: bool = False
    start: int = -1
    end: int = -1
    better: str | None = None
    raw: bool = False


class Findings:
    """What was found in one file; of each severity no more is kept than anybody would read."""

    def __init__(self) -> None:
        self.kept: list[Finding] = []
        self.counts = dict.fromkeys(Severity, 0)
        self.full: dict[str, Severity] = {}  # codes of which another one is counted only
        self.is_enough = False
        """Nobody needs to look on: the file cannot be used, and further errors would be counted only."""

    def is_full(self, code: str) -> bool:
        """Tell whether another one of that kind would be counted only."""
        return code in self.full

    def wants(self, code: str) -> bool:
        """Tell whether a finding of that kind is to be put into words; one that is not is counted."""
        if code not in self.full:
            return True
        severity = self.full[code]
        self.counts[severity] += 1
        self.is_enough |= severity is Severity.ERROR
        return False

    def add(self, found: Finding) -> None:
        severity = CODES[found.code].severity
        self.counts[severity] += 1
        if found.code in self.full:
            self.is_enough |= severity is Severity.ERROR
            return
        self.is_enough |= found.code == "FL003"
        self.kept.append(found)
        if self.counts[severity] == MOST_FINDINGS:
            self.full |= {code: severity for code, each in CODES.items() if each.severity is severity}

    @property
    def lost(self) -> int:
        """How many were counted and not kept."""
        return sum(self.counts.values()) - len(self.kept)

    @property
    def broken(self) -> bool:
        """Whether any was an error."""
        return self.counts[Severity.ERROR] > 0


class Item(msgspec.Struct, frozen=True):
    """A phase as it stands in the file."""

    path: Path
    value: object
    line: int
    column: int


class Fields(msgspec.Struct, frozen=True):
    """A phase with its fields under their own names; `keys` has how each was written."""

    path: Path
    keys: dict[str, str]
    values: Table

    def where(self, field: str) -> Path:
        """Return the path of a field; of the phase when it is not there."""
        return (*self.path, self.keys[field]) if field in self.keys else self.path


@dataclass
class Document:
    """A read file: `data` holds what it says, `scan` finds out where.

    `spell` maps each character of the text at a node, and its end, to its offset in the source. `part` finds the node
    of one entry of a list at the top without a look at the others, when it can; `leaves` does what `spans` does without
    `scan`, when it can.
    """

    source: Source
    data: Table
    scan: Callable[[], Node]
    spell: Callable[[Node, str], list[int]]
    items: list[Item] = field(default_factory=list)
    is_yaml: bool = False
    part: Callable[[str, int], Node | None] | None = None
    leaves: Callable[[], list[tuple[int, int, int]]] | None = None
    _spelt: dict[tuple[int, int], Sequence[int]] = field(default_factory=dict)

    @cached_property
    def root(self) -> Node:
        """The places of all values."""
        return self.scan()

    def node(self, path: Path) -> Node:
        """Return where the value at `path` stands; the nearest above it when there is none."""
        node, path = self._begin(path)
        for part in path:
            inside = node.inside
            if isinstance(inside, dict):
                if part not in inside:
                    break
                node = inside[part]
            else:
                if inside is None or not isinstance(part, int) or part >= len(inside):
                    break
                node = inside[part]
        return node

    def _begin(self, path: Path) -> tuple[Node, Path]:
        """Return a node on the way to `path`, as near as it can be had, and what is left of the way."""
        if not path and not self.is_yaml:  # where a file of TOML begins
            return Node(0, 0, 0, 0), ()
        if self.part and len(path) > 1 and "root" not in self.__dict__:
            key, number = path[0], path[1]
            if isinstance(key, str) and isinstance(number, int) and (node := self.part(key, number)):
                return node, path[2:]
        return self.root, path

    def spans(self) -> list[tuple[int, int, int]]:
        """Return where each value that is no list or table begins with its key, begins and ends."""
        if self.leaves:
            return self.leaves()
        found: list[tuple[int, int, int]] = []
        nodes = [self.root]
        while nodes:
            node = nodes.pop()
            if node.inside is None:
                found.append((min(node.key, node.start), node.start, node.end))
            else:
                nodes += node.inside.values() if isinstance(node.inside, dict) else node.inside
        return found

    def value(self, path: Path) -> object:
        """Return the value at `path`; None when there is none."""
        value: object = self.data
        for part in path:
            if isinstance(value, dict):
                value = value.get(part)
            elif isinstance(value, list) and isinstance(part, int) and part < len(value):
                value = value[part]
            else:
                return None
        return value

    def spelt(self, node: Node, text: str) -> Sequence[int]:
        """Return where the characters of a text stand; kept, for findings come together, and aliases share a text."""
        known = self._spelt.get((node.start, node.end))
        if known is None:
            quotes = node.end - node.start - len(text) >> 1
            if 0 <= quotes <= 1 and self.source.text[node.start + quotes : node.end - quotes] == text:
                start = node.start + quotes  # as it stands there, within its quotes if it has any
                known = range(start, start + len(text) + 1)
            else:
                known = self.spell(node, text)
            self._spelt[node.start, node.end] = known
        return known

    def problem(self, found: Finding) -> Problem:
        """Return the finding with its place."""
        node = self.node(found.path)
        start, end = (
            (node.key, node.key_end) if found.on_key and node.key < node.key_end else (node.start, node.end)
        )
        whole = start, end
        if found.start >= 0 and not found.on_key and isinstance(text := self.value(found.path), str):
            spelt = self.spelt(node, text)
            last = len(spelt) - 1
            start = spelt[min(found.start, last)]
            end = spelt[min(max(found.end, found.start), last)]
            if end <= start:
                end = start + 1
            whole = start, end
        elif self.is_yaml and start == node.start and node.inside is None:
            start = _begin_of(self.source.text, start, end)
        fix = None if found.better is None else self._fix(found, node, *whole)  # a header goes with its block
        hint = found.hint
        if self.is_yaml and " = " in hint:
            hint = _FIELD.sub(r"\1: ", hint)
        return self.source.problem(found.code, start, end, found.text, hint, fix)

    def _fix(self, found: Finding, node: Node, start: int, end: int) -> Fix:
        """Return the least edit that makes what stands from `start` to `end` into what should."""
        source, better = self.source.text, found.better or ""
        value = self.value(found.path)
        if found.on_key and source[start : start + 1] in ("'", '"'):
            start, end = start + 1, end - 1
        elif not found.on_key and not found.raw and isinstance(value, str):
            spelt = self.spelt(node, value)
            first, last = (found.start, found.end) if found.start >= 0 else (0, len(spelt))
            start, end = spelt[min(first, len(spelt) - 1)], spelt[min(last, len(spelt) - 1)]
        same, most = 0, min(end - start, len(better))
        while same < most and source[start + same] == better[same]:
            same += 1
        start, better, most = start + same, better[same:], most - same
        same = 0
        while same < most and source[end - 1 - same] == better[-1 - same]:
            same += 1
        end, better = end - same, better[: len(better) - same]
        return Fix((Edit(start, end, better),), CODES[found.code].fix == SAFE)


def _begin_of(text: str, start: int, end: int) -> int:
    """Return where a value of YAML itself begins: behind its anchor and its tag, a block at its first line of text."""
    if text[start : start + 1] not in ("&", "!", "|", ">"):
        return start
    for part in (_PROPERTIES, _BLOCK):
        found = part.match(text, start, end)
        start = found.end() if found and found.end() < end else start
    return start


def named(word: str) -> str:
    """Return a word in quotes, on one line, cut when long."""
    return repr(word if len(word) <= _LONGEST_NAME else f"{word[: _LONGEST_NAME - 1]}…")


def kind_of(value: object) -> str:
    """Return what a value is, with its article, for people."""
    match value:
        case None:
            return "nothing"
        case bool():
            return "true or false"
        case str():
            return "text"
        case int():
            return "an integer"
        case float():
            return "a decimal number"
        case list():
            return "a list"
        case dict():
            return "a table"
        case _:
            return "a date or time"
