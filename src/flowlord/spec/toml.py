"""TOML to a document: `toml_plain` reads the plain ones, tomli all others; what is too much is refused before.

The places are found by `toml_places`, and only when somebody asks.
"""

from __future__ import annotations

import re
from operator import attrgetter
from typing import Final

import tomli

from flowlord.spec.document import TABLES, Document, Item, Node
from flowlord.spec.source import Refused, Source
from flowlord.spec.toml_limits import STRINGS, headers_of, limit, limit_depth, limit_parts
from flowlord.spec.toml_places import scan, spell
from flowlord.spec.toml_plain import read_plain

_LONG_NUMBER: Final = re.compile(r"[0-9][0-9_]{4000,}")


def read(source: Source) -> Document:
    """Return what the text says.

    Raises:
        Refused: no TOML, or more than flowlord takes.
    """
    limit(source)
    plain = read_plain(source.text, source.lines)
    try:
        data = tomli.loads(source.text) if plain is None else plain.data
    except tomli.TOMLDecodeError as error:
        from flowlord.spec.toml_syntax import told

        raise Refused(told(source, error)) from error
    except RecursionError:
        limit_depth(source)
        raise  # deep down ourselves, with a file that is not
    except (ValueError, OverflowError) as error:
        found = _LONG_NUMBER.search(source.text)
        start, end = found.span() if found else (0, 0)
        raise Refused(source.problem("FL005", start, end, "a number is too long")) from error
    document = Document(source, data, lambda: scan(source.text), lambda node, _: spell(source.text, node))
    limit_parts(source, data)
    document.items = _items(document, plain.headers if plain else None)
    return document


def _items(document: Document, headers: dict[str, list[int]] | None) -> list[Item]:
    """Return the phases of all spellings of the table in the order of the file; `headers` are known of a plain one."""
    source, data = document.source, document.data
    lists: dict[str, list[object]] = {
        key: value for key, value in data.items() if key.lower() in TABLES and isinstance(value, list)
    }
    if headers is None:
        headers = headers_of(source, lists)
    if any(len(headers[key]) != len(values) for key, values in lists.items()):
        return _items_by_place(document, lists)  # inline tables, quoted headers
    document.part = _Parts(source, headers)
    lines = source.lines
    items = [
        Item((key, number), value, line, lines[line - 1].index("[") + 1)
        for key, values in lists.items()
        for number, (value, line) in enumerate(zip(values, headers[key], strict=True))
    ]
    if len(lists) > 1:
        items.sort(key=attrgetter("line"))
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
