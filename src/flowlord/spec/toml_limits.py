"""What of TOML is too much to be read, and too much to be kept; strings and comments are told from the rest."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sized
from itertools import chain, repeat
from typing import Any, Final, NoReturn

from flowlord.spec.document import FLAT, TABLES, Table
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
from flowlord.spec.toml_places import scan

MAX_HEADERS: Final = 4 * MAX_PHASES
MAX_DOTS: Final = 16  # in one key; tomli takes seconds for a thousand

# Strings and comments, closed or not: what is left of a text without them are keys, numbers and brackets. Never goes
# back (possessive), so it takes a time that grows with the length of the text only.
STRINGS: Final = re.compile(
    r'"(?:""(?:[^"\\]++|\\.|"{1,2}(?!"))*+(?:"{3,5}|\\?\Z)|(?:[^"\\\n]++|\\[^\n])*+(?:"|\\?(?=\n|\Z)))'
    r"|'(?:''(?:[^']++|'{1,2}(?!'))*+(?:'{3,5}|\Z)|[^'\n]*+'?)"
    r"|#[^\n]*+",
    re.DOTALL,
)
_HEADER: Final = re.compile(r"[ \t]*\[\[[ \t]*([A-Za-z]+)[ \t]*\]\]")
_KEY: Final = re.compile(r"[^=\n,{}\[\]]++")  # or a value; no number has many dots
_NESTED: Final = frozenset((dict, list))
_BRACKET: Final = re.compile(r"[\[{\]}]")


def limit(source: Source) -> None:
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


def limit_parts(source: Source, data: Table) -> None:
    """Refuse too many phases, and lists and tables that are too long or lie in each other too deep."""
    phases = {key: value for key, value in data.items() if key.lower() in TABLES and isinstance(value, list)}
    if (total := sum(map(len, phases.values()))) > MAX_PHASES:
        lines = sorted(chain.from_iterable(headers_of(source, phases).values()))
        at = source.starts[lines[MAX_PHASES] - 1] if len(lines) > MAX_PHASES else 0
        text = f"the file has {total:,} phases, more than {MAX_PHASES:,}"
        raise Refused(source.problem("FL003", at, at, text))
    level: list[Any] = list(data.values())  # of what lies in no table the checks tell it
    nodes, most = 0, most_nodes(source.text)
    for _ in range(MAX_DEPTH):
        nodes += len(level)
        if nodes > most:
            _refuse_values(source, most)
        level = [each for each in level if type(each) in _NESTED]
        if not level:
            return
        if max(map(len, level)) > MAX_KEYS:
            _limit_lengths(source, level)
        level = [each for part in level for each in (part.values() if type(part) is dict else part)]
    limit_depth(source)


def _limit_lengths(source: Source, level: list[Any]) -> None:
    """Refuse a list or table of one level when it is too long, where it stands."""
    if not any(map(_is_too_long, level)):
        return
    root = scan(source.text).inside
    assert isinstance(root, dict)
    nodes = list(root.values())
    for node in nodes:  # which grows
        inside = node.inside
        if inside is None:
            continue
        if _is_too_long(inside):
            is_table = isinstance(inside, dict)
            many = (
                f"table with more than {MAX_KEYS:,} keys"
                if is_table
                else f"list with more than {MAX_PHASES:,} values"
            )
            raise Refused(source.problem("FL003", node.key, node.key_end, f"a {many}", TOO_LONG))
        nodes += inside.values() if isinstance(inside, dict) else inside


def _is_too_long(value: Sized) -> bool:
    return len(value) > (MAX_KEYS if isinstance(value, dict) else MAX_PHASES)


def _refuse_values(source: Source, most: int) -> NoReturn:
    text = f"the file has more than {most:,} values"
    raise Refused(source.problem("FL003", 0, 0, text, TOO_LONG))


def limit_depth(source: Source) -> None:
    """Refuse lists and tables that lie too deep in each other; headers close what they open."""
    depth = 0
    for found in _BRACKET.finditer(STRINGS.sub(_blank, source.text)):
        depth = depth + 1 if found[0] in "[{" else depth - 1
        if depth > MAX_DEPTH:
            text = f"lists and tables more than {MAX_DEPTH} deep"
            raise Refused(source.problem("FL004", found.start(), found.end(), text, FLAT))


def headers_of(source: Source, lists: Iterable[str]) -> dict[str, list[int]]:
    """Return the lines, from 1, that look like a header of each list."""
    lines = source.lines
    if '"""' in source.text or "'''" in source.text:  # a line of a long string may look like one
        lines = STRINGS.sub(_blank, source.text).split("\n")
    headers: dict[str, list[int]] = {key: [] for key in lists}
    seen: dict[str, str] = {}  # as written, and its name: nearly all are alike
    for line, text in enumerate(lines, 1):
        if "[[" not in text:
            continue
        key = seen.get(text)
        if key is None:
            found = _HEADER.match(text)
            if found is None or found[1] not in headers:
                continue
            key = seen[text] = found[1]
        headers[key].append(line)
    return headers
