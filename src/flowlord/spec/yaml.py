"""YAML to a document, built from libyaml's events: nothing is made that was not counted first.

Plain words stay text (`no`, `1:30:00`, dates); only integers, `true`, `false` and `null` mean something else.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any, Final, NoReturn, TypeAlias

import yaml

from flowlord.spec.document import Document, Item, Node, Table, kind_of, named
from flowlord.spec.source import MAX_DEPTH, MAX_PHASES, Refused, Source
from flowlord.spec.toml import FLAT, TABLES
from flowlord.spec.yaml_places import spell

LOADER: Final[Any] = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
MAX_NODES: Final = 100_000
MAX_ALIASES: Final = 100
MAX_KEYS: Final = 1_000  # of a table within the file
_CORE: Final = "tag:yaml.org,2002:"
_TOO_LONG: Final = "phases may stand in several files; keep elsewhere what is no phase"
_UNTAGGED: Final = "take it out: a value is text, a number, true or false, a list or a table"
_INTEGER: Final = re.compile(r"[-+]?[0-9]{1,18}", re.ASCII)
_DIGITS: Final = frozenset("-+0123456789")
_WORDS: Final = {
    "true": True, "True": True, "TRUE": True, "false": False, "False": False, "FALSE": False,
    "null": None, "Null": None, "NULL": None, "~": None, "": None,
}  # fmt: skip


def read(source: Source) -> Document:
    """Return what the text says.

    Raises:
        Refused: no YAML, a part of it that flowlord does not take, or more than it takes.
    """
    compose = _Compose(source)
    try:
        data, root = compose.run()
    except yaml.YAMLError as error:
        from flowlord.spec.yaml_syntax import told

        raise Refused(told(source, error)) from error
    except RecursionError as error:
        raise Refused(source.problem("FL004", 0, 0, "the file is nested too deeply")) from error
    document = Document(
        source, data, lambda: root, lambda node, text: spell(source.text, node, text), is_yaml=True
    )
    document.items = _items(document)
    return document


_Spot: TypeAlias = Node | tuple[Any, Any]
"""Where a part of a list or table stands: its place, or the events of its key and of its text; few are asked for."""


def _place_of(spot: _Spot) -> Node:
    if isinstance(spot, Node):
        return spot
    name, event = spot
    start, end = _span(event)
    return Node(start, end, *_span(name)) if name else Node(start, end, start, start)


class _Part(Node):
    """A list or table, the places of whose parts are found when somebody asks."""

    __slots__ = ("_found", "spots")

    def __init__(self, start: int, end: int) -> None:
        self._found: dict[str, Node] | list[Node] | None = None
        self.spots: dict[str, _Spot] | list[_Spot] = []
        self.start, self.end, self.key, self.key_end = start, end, start, start

    @property
    def inside(self) -> dict[str, Node] | list[Node] | None:
        if self._found is None:
            if isinstance(self.spots, dict):
                self._found = {key: _place_of(spot) for key, spot in self.spots.items()}
            else:
                self._found = list(map(_place_of, self.spots))
            self.spots = []
        return self._found

    @inside.setter
    def inside(self, value: dict[str, Node] | list[Node] | None) -> None:
        self._found = value


class _Compose:
    """One walk through the events; counts what it meets."""

    def __init__(self, source: Source) -> None:
        self.source = source
        # yaml.parse asks twice for each event; of a large file that is a third of the time.
        self.next: Callable[[], Any] = LOADER(source.text).get_event
        self.nodes = 0
        self.aliases = 0
        # Value, place and number of nodes; None while the value is still open.
        self.anchors: dict[str, tuple[object, Node, int] | None] = {}

    def run(self) -> tuple[Table, Node]:
        self.next()  # start of the stream
        event = self.next()
        empty = Node(0, 0, 0, 0, {})
        if isinstance(event, yaml.StreamEndEvent):
            return {}, empty
        first = self.next()
        data, root = self.value(first, 0)
        self.next()  # end of the document
        event = self.next()
        if not isinstance(event, yaml.StreamEndEvent):
            self.refuse("FL007", event, "a second document in one file", "one file is one workflow: split it")
        if data is None:
            return {}, empty
        if not isinstance(data, dict):
            self.refuse("FL010", first, f"the file is {kind_of(data)}, not a table", "begin with 'phases:'")
        return data, root

    def value(self, event: Any, depth: int) -> tuple[object, Node]:
        """Read the value that `event` begins; return it with its place."""
        before = self.nodes
        self.nodes += 1
        if self.nodes > MAX_NODES:
            self.count(event, 0)
        start, end = _span(event)
        if isinstance(event, yaml.ScalarEvent) and event.anchor is None:  # as nearly all are
            return self.scalar(event), Node(start, end, start, start)
        if isinstance(event, yaml.AliasEvent):
            return self.alias(event)
        part = _Part(start, end)
        node: Node = part
        if event.anchor is not None:
            self.anchors[event.anchor] = None
        data: object
        if isinstance(event, yaml.ScalarEvent):
            node, data = Node(start, end, start, start), self.scalar(event)
        elif depth >= MAX_DEPTH:
            self.refuse("FL004", event, f"lists and tables more than {MAX_DEPTH} deep", FLAT)
        elif isinstance(event, yaml.SequenceStartEvent):
            data = self.sequence(event, part, depth)
        else:
            data = self.mapping(event, part, depth)
        if event.anchor is not None:
            self.anchors[event.anchor] = data, node, self.nodes - before
        return data, node

    def count(self, event: Any, nodes: int) -> None:
        self.nodes += nodes
        if self.nodes > MAX_NODES:
            self.refuse("FL003", event, f"the file has more than {MAX_NODES:,} values")

    def alias(self, event: Any) -> tuple[object, Node]:
        self.aliases += 1
        if self.aliases > MAX_ALIASES:
            self.refuse("FL007", event, f"the file has more than {MAX_ALIASES} aliases")
        if event.anchor not in self.anchors:
            hint = "text that begins with * stands in quotes"
            self.refuse("FL006", event, f"no anchor {named(event.anchor)} stands above", hint)
        known = self.anchors[event.anchor]
        if known is None:
            self.refuse("FL007", event, f"the anchor {named(event.anchor)} holds itself")
        data, node, nodes = known
        self.count(event, nodes)  # as if it were written out
        return data, node

    def sequence(self, opening: Any, node: _Part, depth: int) -> list[object]:
        self.tagged(opening, "seq")
        data: list[object] = []
        word: object
        spots: list[_Spot] = []
        following, end_of_list, text = self.next, yaml.SequenceEndEvent, yaml.ScalarEvent
        left = MAX_NODES - self.nodes
        while not isinstance(event := following(), end_of_list):
            if len(data) == MAX_PHASES:
                self.refuse("FL003", event, f"a list with more than {MAX_PHASES:,} values", _TOO_LONG)
            if isinstance(event, text) and event.anchor is None:  # as nearly all are
                left -= 1
                if left < 0:
                    self.count(event, MAX_NODES)
                word = event.value
                if event.tag or word in _WORDS or (not event.style and word[0] in _DIGITS):
                    word = self.scalar(event)
                data.append(word)
                spots.append((None, event))
                continue
            self.nodes = MAX_NODES - left
            value, place = self.value(event, depth + 1)
            left = MAX_NODES - self.nodes
            data.append(value)
            spots.append(place)
        self.nodes = MAX_NODES - left
        node.end = _span(event)[1]
        node.spots = spots
        return data

    def mapping(self, opening: Any, node: _Part, depth: int) -> Table:
        self.tagged(opening, "map")
        data: Table = {}
        spots: dict[str, _Spot] = {}
        following, end_of_table, text = self.next, yaml.MappingEndEvent, yaml.ScalarEvent
        while not isinstance(event := following(), end_of_table):
            key = self.key(event)
            if len(data) == MAX_KEYS and depth:  # of what lies in no table the checks tell it
                self.refuse("FL003", event, f"a table with more than {MAX_KEYS:,} keys", _TOO_LONG)
            if key in data:
                line = self.source.place(_place_of(spots[key]).key)[0]
                self.refuse(
                    "FL008", event, f"the key {named(key)} is repeated", f"line {line} has it already"
                )
            name, event = event, following()
            if isinstance(event, text) and event.anchor is None:
                self.nodes += 1
                if self.nodes > MAX_NODES:
                    self.count(event, 0)
                data[key] = self.scalar(event)
                spots[key] = name, event
                continue
            data[key], place = self.value(event, depth + 1)
            if event.anchor is None:
                place.key, place.key_end = _span(name)
            else:  # what stands behind an anchor has several keys
                place = Node(place.start, place.end, *_span(name), place.inside)
            spots[key] = place
        node.end = _span(event)[1]
        node.spots = spots
        return data

    def key(self, event: Any) -> str:
        if not isinstance(event, yaml.ScalarEvent):
            self.refuse("FL007", event, "a key must be a word")
        if not event.tag and event.anchor is None and event.value != "<<":
            self.nodes += 1
            if self.nodes > MAX_NODES:
                self.count(event, 0)
            return str(event.value)
        if event.value == "<<" and not event.style:
            self.refuse(
                "FL007",
                event,
                "merge keys (<<) are not taken",
                "write the fields out, or use an alias for each value",
            )
        self.value(event, MAX_DEPTH)  # counted, and its tag and anchor seen
        return str(event.value)

    def scalar(self, event: Any) -> object:
        text: str = event.value
        if not event.tag and text not in _WORDS and (event.style or text[:1] not in _DIGITS):
            return text
        tag = (event.tag or "").removeprefix(_CORE)
        # Empty style is what libyaml reports for plain text, None what the parser in Python does.
        plain = not event.style and not event.tag
        if (plain or tag in ("bool", "null")) and text in _WORDS:
            return _WORDS[text]
        if (plain or tag == "int") and _INTEGER.fullmatch(text):
            return int(text)
        if tag not in ("", "!", "str"):
            self.refuse("FL007", event, f"the tag {_tag(event)} is not taken for {named(text)}", _UNTAGGED)
        return text

    def tagged(self, event: Any, wanted: str) -> None:
        if event.tag not in (None, "!", _CORE + wanted):
            self.refuse("FL007", event, f"the tag {_tag(event)} is not taken", _UNTAGGED)

    def refuse(self, code: str, event: Any, text: str, hint: str = "") -> NoReturn:
        start, end = _span(event)
        raise Refused(self.source.problem(code, start, max(end, start + 1), text, hint))


def _tag(event: Any) -> str:
    """Return a tag as people write it."""
    return named(event.tag.replace(_CORE, "!!", 1))


def _span(event: Any) -> tuple[int, int]:
    return event.start_mark.index, event.end_mark.index


def _items(document: Document) -> list[Item]:
    source = document.source
    items: list[Item] = []
    for key, values in document.data.items():
        if key.lower() in TABLES and isinstance(values, list):
            if len(items) + len(values) > MAX_PHASES:
                at = document.node((key,)).key
                raise Refused(
                    source.problem("FL003", at, at, f"the file has more than {MAX_PHASES:,} phases")
                )
            places = document.node((key,)).inside
            assert isinstance(places, list)
            for number, (value, node) in enumerate(zip(values, places, strict=True)):
                items.append(Item((key, number), value, *source.place(node.start)))
    return items
