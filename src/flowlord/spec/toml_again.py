"""What a TOML text says twice, or adds to what is closed already: told at the name, with the line of the first."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final, NamedTuple

from flowlord.model.problem import Problem
from flowlord.spec.document import TABLES, named
from flowlord.spec.source import Source
from flowlord.spec.toml_limits import STRINGS

_PART: Final = re.compile(
    r"""[ \t]*+(?:([A-Za-z0-9_-]++)|"((?:[^"\\\n]++|\\.)*+)"|'([^'\n]*+)')(?:[ \t]*+(\.))?+"""
)
_HEADER: Final = re.compile(r"[ \t]*+\[(\[?+)")
_GAP: Final = re.compile(r"(?:[ \t\n]++|#[^\n]*+)*+")
_MARK: Final = re.compile(r"[\[{\]},]")
_EACH: Final = "write [[phase]] for each phase"


class _Entry(NamedTuple):
    """A header or a key: the whole path of its table or value, how much of that its table is, and its place."""

    kind: str  # "[" or "[[" of a header, "=" of a key
    path: tuple[str, ...]
    above: int
    start: int
    end: int


def hidden(text: str) -> str:
    """Return a text without its strings and comments; something stands for them, so that every place is kept."""
    return STRINGS.sub(lambda found: (" " if found[0][0] == "#" else "_") * len(found[0]), text)


def opened(text: str) -> list[int]:
    """Return where the brackets and braces stand that are still open at the end of a hidden text."""
    stack: list[int] = []
    for found in _MARK.finditer(text):
        if found[0] in "[{":
            stack.append(found.start())
        elif found[0] != "," and stack:
            stack.pop()
    return stack


def told_again(source: Source, at: int) -> Problem | None:
    """Return the problem of what was read up to `at` and cannot stand beside something above; None when unknown."""
    hides = hidden(source.text[:at])
    brackets = opened(hides)
    in_braces = bool(brackets) and hides[brackets[-1]] == "{"
    entries = _pairs(source.text, hides, brackets[-1] + 1) if in_braces else _statements(source.text, hides)
    return _conflict(source, entries[:-1], entries[-1]) if entries else None


def _conflict(source: Source, before: list[_Entry], last: _Entry) -> Problem | None:
    """Return the problem of the last entry beside the first one that does not go together with it."""
    same, above, below = _first(before, last)
    name = source.text[last.start : last.end]
    if (first := same or above or below) is None:
        return None
    line = f"line {source.place(first.start)[0]}"
    is_phases = len(last.path) == 1 and last.path[0].lower() in TABLES
    above_that = ": write [[phase]] above that" if is_phases else ""
    code = "FL005"
    if first is above:
        what = named(source.text[first.start : first.end])
        if first.kind == "=":
            text = f"{what} has a value, to which nothing can be added"
            hint = f"{line} has it: write this there, or make a table of it"
        else:
            text, hint = f"{what} is a table with a header of its own", f"write the key below that, in {line}"
    elif last.kind != "=" and first is below and last.kind == "[[":
        text, hint = f"{named(name)} is a table, not a list of them", f"{line} makes it one{above_that}"
    elif {first.kind, last.kind} == {"[", "[["}:
        text = f"{named(name)} is both a table and a list of tables"
        hint = f"{line} has it as the other: {_EACH if is_phases else 'write it as one of them'}"
    else:
        is_table = last.kind != "=" and (first is below or first.kind != "=")
        code = "FL008"
        text = f"the {'table' if is_table else 'key'} {named(name)} is repeated"
        hint = f"{line} has it already" + (f": {_EACH}" if is_phases and last.kind != "=" else "")
    return source.problem(code, last.start, last.end, text, hint)


def _first(before: list[_Entry], last: _Entry) -> tuple[_Entry | None, _Entry | None, _Entry | None]:
    """Return the first entries of the same path, of a closed one above it, and of one below it.

    A further table of a list is empty: what those before it hold does not count.
    """
    path, length = last.path, len(last.path)
    same: _Entry | None = None
    above: _Entry | None = None
    below: _Entry | None = None
    for each in before:
        own = len(each.path)
        if own < length:
            if each.path != path[:own]:
                continue
            if each.kind == "[[":
                same = below = above = None
            if above is None and (each.kind == "=" or own > last.above):
                above = each
        elif each.path[:length] != path:
            continue
        elif own == length:
            same = same or each
            if each.kind == "[[":
                below = None
        else:
            below = below or each
    return same, above, below


def _statements(text: str, hides: str) -> list[_Entry]:
    """Return the headers and keys at the beginnings of lines that lie in no list and no table in braces."""
    entries: list[_Entry] = []
    header: tuple[str, ...] = ()
    depth = start = 0
    for line in hides.split("\n"):
        if not depth and line.strip():
            opening = _HEADER.match(line)
            parts, begin, end = _key(text, start + opening.end() if opening else start)
            if opening and parts:
                header = parts
                entries.append(_Entry("[" + opening[1], parts, len(parts), begin, end))
            elif parts:
                entries.append(_Entry("=", header + parts, len(header), begin, end))
        depth += line.count("[") + line.count("{") - line.count("]") - line.count("}")
        start += len(line) + 1
    return entries


def _pairs(text: str, hides: str, start: int) -> list[_Entry]:
    """Return the keys of a table in braces that begins in front of `start`."""
    return [
        _Entry("=", parts, 0, begin, end)
        for each in _beginnings(hides, start)
        for parts, begin, end in [_key(text, each)]
        if parts
    ]


def _beginnings(hides: str, start: int) -> Iterator[int]:
    yield start
    depth = 0
    for found in _MARK.finditer(hides, start):
        if found[0] == ",":
            if not depth:
                yield found.end()
        else:
            depth += 1 if found[0] in "[{" else -1


def _key(text: str, at: int) -> tuple[tuple[str, ...], int, int]:
    """Return the parts of the key behind `at`, where it begins and ends; no parts when none is there."""
    gap = _GAP.match(text, at)
    at = begin = gap.end() if gap else at
    parts: list[str] = []
    while found := _PART.match(text, at):
        parts.append(found[1] or found[2] or found[3] or "")
        at = found.end()
        if not found[4]:
            break
    return tuple(parts), begin, at
