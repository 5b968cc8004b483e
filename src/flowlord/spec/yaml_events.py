"""YAML to a document by libyaml's events: nothing is made that was not counted first.

Plain words stay text (`no`, `1:30:00`, dates); only integers, `true`, `false` and `null` mean something else.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import partial
from typing import Any, Final, NoReturn

import yaml

from flowlord.spec.document import FLAT, TABLES, Document, Item, Node, Table, kind_of, named
from flowlord.spec.source import (
    MAX_DEPTH,
    MAX_KEYS,
    MAX_NODES,
    MAX_PHASES,
    TOO_LONG,
    Refused,
    Source,
    most_nodes,
)
from flowlord.spec.yaml_places import Spot, end_of, leaves_of, part_of, place_of, span_of, spell
from flowlord.spec.yaml_plain import DIGITS, INTEGER, WORDS

LOADER: Final[Any] = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
MAX_ALIASES: Final = 100
LEAST_REPEATED: Final = 256 * 1024
"""Characters that any file may have behind its aliases, and one more for each four of its text: each is checked where
it is repeated."""
_CORE: Final = "tag:yaml.org,2002:"
_UNTAGGED: Final = "take it out: a value is text, a number, true or false, a list or a table"
_BREAKS: Final = re.compile("[\r\x85\u2028\u2029]")


def read_events(source: Source) -> Document:
    """Return what the text says.

    Raises:
        Refused: no YAML, a part of it that flowlord does not take, or more than it takes.
    """
    compose = _Compose(source)
    try:
        data, spot = compose.run()
    except yaml.YAMLError as error:
        from flowlord.spec.yaml_syntax import told

        raise Refused(told(source, error)) from error
    except RecursionError as error:
        raise Refused(source.problem("FL004", 0, 0, "the file is nested too deeply")) from error
    document = Document(
        source,
        data,
        lambda: place_of(spot) if spot else Node(0, 0, 0, 0, {}),
        lambda node, text: spell(source.text, node, text),
        is_yaml=True,
    )
    if spot:
        spots: dict[str, Spot] = spot[3]
        document.items = _items(source, data, spots)
        document.part = partial(part_of, spots)
        document.leaves = partial(leaves_of, spot)
    return document


class _Compose:
    """One walk through the events; counts what it meets."""

    def __init__(self, source: Source) -> None:
        self.source = source
        # yaml.parse asks twice for each event; of a large file that is a third of the time.
        self.next: Callable[[], Any] = LOADER(source.text).get_event
        self.most = most_nodes(source.text)
        self.left = self.most  # values that may still be written
        self.repeated = 0  # values behind aliases
        self.most_letters = LEAST_REPEATED + len(source.text) // 4
        self.letters = 0  # of the text that stands behind aliases, as if it were written out
        self.aliases = 0
        # Value, spot, number of values and of letters; None while the value is still open.
        self.anchors: dict[str, tuple[object, Spot, int, int] | None] = {}

    def run(self) -> tuple[Table, Spot | None]:
        """Return what the text says, and the spot of it all; none when it says nothing."""
        self.next()  # start of the stream
        event = self.next()
        if isinstance(event, yaml.StreamEndEvent):
            return {}, None
        first = self.next()
        data, spot = self.value(first, 0, None)
        self.next()  # end of the document
        event = self.next()
        if not isinstance(event, yaml.StreamEndEvent):
            self.refuse("FL007", event, "a second document in one file", "one file is one workflow: split it")
        if data is None:
            return {}, None
        if not isinstance(data, dict):
            self.refuse("FL010", first, f"the file is {kind_of(data)}, not a table", "begin with 'phases:'")
        return data, spot

    def value(self, event: Any, depth: int, name: Any) -> tuple[object, Spot]:
        """Read the value that `event` begins, behind the key `name` in a table; return it with its spot."""
        before, letters = self.left - self.repeated, self.letters
        self.left -= 1
        if self.left < 0:
            self.too_many(event)
        if isinstance(event, yaml.AliasEvent):
            return self.alias(event, name)
        if event.anchor is not None:
            self.anchors[event.anchor] = None
        data: object
        spot: Spot
        if isinstance(event, yaml.ScalarEvent):
            data, spot = self.scalar(event), (name, event)
        elif depth >= MAX_DEPTH:
            self.refuse("FL004", event, f"lists and tables more than {MAX_DEPTH} deep", FLAT)
        elif isinstance(event, yaml.SequenceStartEvent):
            data, spot = self.sequence(event, depth, name)
        else:
            data, spot = self.mapping(event, depth, name)
        if event.anchor is not None:
            letters = self.letters - letters + end_of(spot) - span_of(event)[0]
            self.anchors[event.anchor] = data, spot, before - self.left + self.repeated, letters
        return data, spot

    def too_many(self, event: Any) -> NoReturn:
        self.refuse("FL003", event, f"the file has more than {self.most:,} values", TOO_LONG)

    def alias(self, event: Any, name: Any) -> tuple[object, Spot]:
        self.aliases += 1
        if self.aliases > MAX_ALIASES:
            self.refuse("FL007", event, f"the file has more than {MAX_ALIASES} aliases")
        if event.anchor not in self.anchors:
            hint = "text that begins with * stands in quotes"
            self.refuse("FL006", event, f"no anchor {named(event.anchor)} stands above", hint)
        known = self.anchors[event.anchor]
        if known is None:
            self.refuse("FL007", event, f"the anchor {named(event.anchor)} holds itself")
        data, spot, nodes, letters = known
        self.repeated += nodes
        self.letters += letters
        if self.repeated > MAX_NODES:
            self.refuse("FL003", event, f"the file has more than {MAX_NODES:,} values")
        if self.letters > self.most_letters:
            text = f"more than {self.most_letters:,} characters stand behind aliases"
            self.refuse("FL003", event, text, "keep long texts elsewhere, or split the file")
        return data, (name, *spot[1:])

    def sequence(self, opening: Any, depth: int, name: Any) -> tuple[list[object], Spot]:
        if opening.tag is not None:
            self.tagged(opening, "seq")
        data: list[object] = []
        spots: list[Spot] = []
        following, text, table = self.next, yaml.ScalarEvent, yaml.MappingStartEvent
        end_of_list = yaml.SequenceEndEvent
        while (kind := type(event := following())) is not end_of_list:
            if len(data) == MAX_PHASES:
                self.refuse("FL003", event, f"a list with more than {MAX_PHASES:,} values", TOO_LONG)
            if event.anchor is None and (kind is text or (kind is table and depth < MAX_DEPTH - 1)):
                self.left -= 1  # as nearly all are
                if self.left < 0:
                    self.too_many(event)
                if kind is table:
                    value, spot = self.mapping(event, depth + 1, None)
                    data.append(value)
                    spots.append(spot)
                    continue
                word: object = event.value
                if event.tag or word in WORDS or (not event.style and event.value[0] in DIGITS):
                    word = self.scalar(event)
                data.append(word)
                spots.append((None, event))
                continue
            other, spot = self.value(event, depth + 1, None)
            data.append(other)
            spots.append(spot)
        return data, (name, opening, event, spots)

    def mapping(self, opening: Any, depth: int, name: Any) -> tuple[Table, Spot]:
        if opening.tag is not None:
            self.tagged(opening, "map")
        data: Table = {}
        spots: dict[str, Spot] = {}
        following, text, end_of_table = self.next, yaml.ScalarEvent, yaml.MappingEndEvent
        while (kind := type(first := following())) is not end_of_table:
            if kind is text and first.tag is None and first.anchor is None and first.value != "<<":
                self.left -= 1
                key = first.value
            else:
                key = self.key(first)
            if len(data) == MAX_KEYS and depth:  # of what lies in no table the checks tell it
                self.refuse("FL003", first, f"a table with more than {MAX_KEYS:,} keys", TOO_LONG)
            if key in data:
                line = self.source.place(span_of(spots[key][0])[0])[0]
                self.refuse(
                    "FL008", first, f"the key {named(key)} is repeated", f"line {line} has it already"
                )
            event = following()
            if type(event) is text and event.anchor is None:
                self.left -= 1
                if self.left < 0:
                    self.too_many(event)
                word: object = event.value
                if event.tag or word in WORDS or (not event.style and event.value[0] in DIGITS):
                    word = self.scalar(event)
                data[key] = word
                spots[key] = first, event
                continue
            data[key], spots[key] = self.value(event, depth + 1, first)
        return data, (name, opening, first, spots)

    def key(self, event: Any) -> str:
        if not isinstance(event, yaml.ScalarEvent):
            self.refuse("FL007", event, "a key must be a word")
        if not event.tag and event.anchor is None and event.value != "<<":
            self.left -= 1
            return str(event.value)
        if event.value == "<<" and not event.style:
            self.refuse(
                "FL007",
                event,
                "merge keys (<<) are not taken",
                "write the fields out, or use an alias for each value",
            )
        self.value(event, MAX_DEPTH, None)  # counted, and its tag and anchor seen
        return str(event.value)

    def scalar(self, event: Any) -> object:
        text: str = event.value
        if not event.tag and text not in WORDS and (event.style or text[:1] not in DIGITS):
            return text
        tag = (event.tag or "").removeprefix(_CORE)
        # Empty style is what libyaml reports for plain text, None what the parser in Python does.
        plain = not event.style and not event.tag
        if (plain or tag in ("bool", "null")) and text in WORDS:
            return WORDS[text]
        if (plain or tag == "int") and INTEGER.fullmatch(text):
            return int(text)
        if tag not in ("", "!", "str"):
            self.refuse("FL007", event, f"the tag {_tag(event)} is not taken for {named(text)}", _UNTAGGED)
        return text

    def tagged(self, event: Any, wanted: str) -> None:
        if event.tag not in (None, "!", _CORE + wanted):
            self.refuse("FL007", event, f"the tag {_tag(event)} is not taken", _UNTAGGED)

    def refuse(self, code: str, event: Any, text: str, hint: str = "") -> NoReturn:
        start, end = span_of(event)
        raise Refused(self.source.problem(code, start, max(end, start + 1), text, hint))


def _tag(event: Any) -> str:
    """Return a tag as people write it."""
    return named(event.tag.replace(_CORE, "!!", 1))


def _items(source: Source, data: Table, spots: dict[str, Spot]) -> list[Item]:
    """Return the phases of all spellings of the table."""
    place = source.place
    counts_alike = not _BREAKS.search(source.text)  # libyaml ends lines at all of these
    items: list[Item] = []
    for key, values in data.items():
        if key.lower() in TABLES and isinstance(values, list):
            if len(items) + len(values) > MAX_PHASES:
                at = span_of(spots[key][0])[0]
                raise Refused(
                    source.problem("FL003", at, at, f"the file has more than {MAX_PHASES:,} phases")
                )
            for number, (value, spot) in enumerate(zip(values, spots[key][3], strict=True)):
                mark = spot[1].start_mark
                line, column = (mark.line + 1, mark.column + 1) if counts_alike else place(mark.index)
                items.append(Item((key, number), value, line, column))
    return items
