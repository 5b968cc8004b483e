"""YAML to a document: `yaml_plain` reads the plain ones, `yaml_events` all others."""

from __future__ import annotations

from flowlord.spec.document import TABLES, Document, Item, Node
from flowlord.spec.source import Source
from flowlord.spec.yaml_places import spell
from flowlord.spec.yaml_plain import Plain, read_plain


def read(source: Source) -> Document:
    """Return what the text says.

    Plain words stay text (`no`, `1:30:00`, dates); only integers, `true`, `false` and `null` mean something else.

    Raises:
        Refused: no YAML, a part of it that flowlord does not take, or more than it takes.
    """
    plain = read_plain(source)
    if plain is None:
        from flowlord.spec.yaml_events import read_events  # libyaml takes 25 ms to load

        return read_events(source)
    return Document(
        source,
        plain.data,
        lambda: _places(source),
        lambda node, text: spell(source.text, node, text),
        _items(plain),
        is_yaml=True,
        part=plain.part,
        leaves=plain.leaves,
    )


def _places(source: Source) -> Node:
    """Find all places, which few ask for: those in one phase are found without."""
    from flowlord.spec.yaml_events import read_events

    return read_events(source).root


def _items(plain: Plain) -> list[Item]:
    if plain.name.lower() not in TABLES:
        return []
    return [
        Item((plain.name, number), value, line, plain.column + 1)
        for number, (value, line) in enumerate(zip(plain.entries, plain.lines, strict=True))
    ]
