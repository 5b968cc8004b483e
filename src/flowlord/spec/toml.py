"""TOML to a document: tomli reads the values; what is too much for it is refused before it starts.

The places are found by `toml_places`, and only when somebody asks.
"""

from __future__ import annotations

import re
from itertools import repeat
from typing import Any, Final, NoReturn

import tomli

from flowlord.spec.document import Document, Item, Node, Table
from flowlord.spec.source import (
    MAX_DEPTH,
    MAX_KEYS,
    MAX_LINE,
    MAX_PHASES,
    TOO_LONG,
    Refused,
    Source,
    most_nodes,
)
from flowlord.spec.toml_places import scan, spell

MAX_HEADERS: Final = 4 * MAX_PHASES
MAX_DOTS: Final = 16  # in one key; tomli takes seconds for a thousand
FLAT: Final = "a phase is flat: its fields are texts, its rule a text or a table"
TABLES: Final = ("phase", "phases")  # in any case

# Strings and comments, closed or not: what is left of a text without them are keys, numbers and brackets. Never goes
# back (possessive), so it takes a time that grows with the length of the text only.
STRINGS: Final = re.compile(
    r'"(?:""(?:[^"\\]++|\\.|"{1,2}(?!"))*+(?:"{3,5}|\\?\Z)|(?:[^"\\\n]++|\\[^\n])*+(?:"|\\?(?=\n|\Z)))'
    r"|'(?:''(?:[^']++|'{1,2}(?!'))*+(?:'{3,5}|\Z)|[^'\n]*+'?)"
    r"|#[^\n]*+",
    re.DOTALL,
)
_HEADER: Final = re.compile(r"([ \t]*)\[\[[ \t]*([A-Za-z]+)[ \t]*\]\]")
_KEY: Final = re.compile(r"[^=\n,{}\[\]]++")  # or a value; no number has many dots
_NESTED: Final = frozenset((dict, list))
_BRACKET: Final = re.compile(r"[\[{\]}]")
_LONG_NUMBER: Final = re.compile(r"[0-9][0-9_]{4000,}")


def read(source: Source) -> Document:
    """Return what the text says.

    Raises:
        Refused: no TOML, or more than flowlord takes.
    """
    _limit(source)
    try:
        data = tomli.loads(source.text)
    except tomli.TOMLDecodeError as error:
        from flowlord.spec.toml_syntax import told

        raise Refused(told(source, error)) from error
    except RecursionError:
        _limit_depth(source)
        raise  # deep down ourselves, with a file that is not
    except (ValueError, OverflowError) as error:
        found = _LONG_NUMBER.search(source.text)
        start, end = found.span() if found else (0, 0)
        raise Refused(source.problem("FL005", start, end, "a number is too long")) from error
    document = Document(source, data, lambda: scan(source.text), lambda node, _: spell(source.text, node))
    _limit_parts(source, data)
    document.items = _items(document)
    return document


def _limit_parts(source: Source, data: Table) -> None:
    """Refuse too many phases, and lists and tables that are too long or lie in each other too deep."""
    total = sum(
        len(value) for key, value in data.items() if key.lower() in TABLES and isinstance(value, list)
    )
    if total > MAX_PHASES:
        text = f"the file has {total:,} phases, more than {MAX_PHASES:,}"
        raise Refused(source.problem("FL003", 0, 0, text))
    level: list[Any] = list(data.values())  # of what lies in no table the checks tell it
    nodes, most = 0, most_nodes(source.text)
    for _ in range(MAX_DEPTH):
        nodes += len(level)
        if nodes > most:
            _refuse_values(source, most)
        level = [each for each in level if type(each) in _NESTED]
        if not level:
            return
        if (longest := max(map(len, level))) > MAX_KEYS:
            for each in level:
                if isinstance(each, dict) and len(each) > MAX_KEYS:
                    text = f"a table with more than {MAX_KEYS:,} keys"
                    raise Refused(source.problem("FL003", 0, 0, text, TOO_LONG))
            if longest > MAX_PHASES:
                text = f"a list with more than {MAX_PHASES:,} values"
                raise Refused(source.problem("FL003", 0, 0, text, TOO_LONG))
        level = [each for part in level for each in (part.values() if type(part) is dict else part)]
    _limit_depth(source)


def _refuse_values(source: Source, most: int) -> NoReturn:
    text = f"the file has more than {most:,} values"
    raise Refused(source.problem("FL003", 0, 0, text, TOO_LONG))


def _limit(source: Source) -> None:
    """Refuse what would cost tomli more time than it is worth."""
    most = most_nodes(source.text)
    if source.text.count(",") > most and STRINGS.sub("", source.text).count(",") > most:
        _refuse_values(source, most)  # a comma stands behind a value
    lines = source.lines
    if (longest := max(map(len, lines))) > MAX_LINE:
        at = source.offset([len(line) for line in lines].index(longest) + 1, 1)
        text = f"a line has {longest:,} characters, more than {MAX_LINE:,}"
        raise Refused(source.problem("FL003", at, at, text))
    if len(lines) > MAX_HEADERS and sum(line.startswith("[") for line in lines) > MAX_HEADERS:
        raise Refused(source.problem("FL003", 0, 0, f"the file has more than {MAX_HEADERS:,} tables"))
    if max(map(str.count, lines, repeat("."))) <= MAX_DOTS:
        return
    for found in _KEY.finditer(STRINGS.sub(_blank, source.text)):
        if found[0].count(".") > MAX_DOTS:
            text = f"a key with more than {MAX_DOTS} dots"
            raise Refused(source.problem("FL004", found.start(), found.end(), text))


def _blank(found: re.Match[str]) -> str:
    """Overwrite a string or a comment, so that what stands in it is no dot and what follows keeps its place."""
    return "\n".join("_" * len(line) for line in found[0].split("\n"))


def _limit_depth(source: Source) -> None:
    """Refuse lists and tables that lie too deep in each other; headers close what they open."""
    depth = 0
    for found in _BRACKET.finditer(STRINGS.sub(_blank, source.text)):
        depth = depth + 1 if found[0] in "[{" else depth - 1
        if depth > MAX_DEPTH:
            text = f"lists and tables more than {MAX_DEPTH} deep"
            raise Refused(source.problem("FL004", found.start(), found.end(), text, FLAT))


def _items(document: Document) -> list[Item]:
    """Return the phases of all spellings of the table in the order of the file."""
    source, data = document.source, document.data
    lists: dict[str, list[object]] = {
        key: value for key, value in data.items() if key.lower() in TABLES and isinstance(value, list)
    }
    lines = source.lines
    if '"""' in source.text or "'''" in source.text:  # a line of a long string may look like a header
        lines = STRINGS.sub(_blank, source.text).split("\n")
    items: list[Item] = []
    headers: dict[str, list[int]] = {key: [] for key in lists}
    seen: dict[
        str, tuple[str, int]
    ] = {}  # a header as written, its name and its column; nearly all are alike
    for line, text in enumerate(lines, 1):
        if "[[" not in text:
            continue
        header = seen.get(text)
        if header is None:
            found = _HEADER.match(text)
            if found is None or found[2] not in lists:
                continue
            header = seen[text] = found[2], len(found[1]) + 1
        key, column = header
        above = headers[key]
        if len(above) < len(lists[key]):
            items.append(Item((key, len(above)), lists[key][len(above)], line, column))
        above.append(line)
    if any(
        len(headers[key]) != len(values) for key, values in lists.items()
    ):  # inline tables, quoted headers
        return _items_by_place(document, lists)
    document.part = _Parts(source, headers)
    return items


class _Parts:
    """Finds the places in one phase: in its own lines, from its header to the next one of that name."""

    def __init__(self, source: Source, headers: dict[str, list[int]]) -> None:
        self.source, self.headers = source, headers
        self.known: dict[tuple[str, int], Node] = {}

    def __call__(self, key: str, number: int) -> Node | None:
        known = self.known.get((key, number))
        if known is None and number < len(lines := self.headers.get(key, ())):
            starts = self.source.starts
            end = starts[lines[number + 1] - 1] if number + 1 < len(lines) else len(self.source.text)
            root = scan(self.source.text, starts[lines[number] - 1], end)
            assert isinstance(root.inside, dict)
            entries = root.inside[key].inside
            assert isinstance(entries, list)
            known = self.known[key, number] = entries[0]
        return known


def _items_by_place(document: Document, lists: dict[str, list[object]]) -> list[Item]:
    tables = document.root.inside
    assert isinstance(tables, dict)
    found: list[tuple[int, tuple[str, int], object]] = []
    for key, values in lists.items():
        entries = tables[key].inside
        assert isinstance(entries, list)
        found += [
            (entry.start, (key, number), value)
            for number, (value, entry) in enumerate(zip(values, entries, strict=True))
        ]
    found.sort(key=lambda each: each[0])
    return [Item(path, value, *document.source.place(start)) for start, path, value in found]


def comments_of(text: str) -> list[int]:
    """Return where the comments of a valid text begin."""
    return [found.start() for found in STRINGS.finditer(text) if found[0].startswith("#")]
