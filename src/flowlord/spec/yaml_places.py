"""Where values stand in a YAML text, and each of their characters, folded, quoted or indented as they may be."""

from __future__ import annotations

import re
from functools import partial
from typing import Any, Final, TypeAlias

from flowlord.spec.document import Inside, Node, Unopened

_ESCAPE: Final = re.compile(
    r"\\(?:x[0-9A-Fa-f]{2}|u[0-9A-Fa-f]{4}|U[0-9A-Fa-f]{8}|[ \t]*\n[ \t]*|.)", re.DOTALL
)
_BREAK: Final = re.compile(r"[ \t]*\n[ \t\n]*")
_PROPERTIES: Final = re.compile(r"(?:[&!]\S*[ \t\n]+)*")  # an anchor and a tag; no plain value begins so


Spot: TypeAlias = tuple[Any, ...]
"""Where a part of a list or table stands, in events: that of its key, None in a list, and that of its text; of a list
or table those of both its ends, and the spots of what is inside. Few are asked for their place."""


def span_of(event: Any) -> tuple[int, int]:
    """Return where the text of an event begins and ends."""
    return event.start_mark.index, event.end_mark.index


def end_of(spot: Spot) -> int:
    """Return where a value ends: with the last one inside, for events of blocks take in the comments behind them."""
    _, opening, *more = spot
    if not more or span_of(more[0])[0] < span_of(more[0])[1]:  # with a bracket of its own
        return span_of(more[0] if more else opening)[1]
    reached = span_of(opening)[0]
    inside = more[1]
    for each in inside.values() if isinstance(inside, dict) else inside:
        if each[0]:
            reached = max(reached, span_of(each[0])[1])
        if span_of(each[1])[0] >= reached:  # else it is an alias, and stands above
            reached = end_of(each)
    return reached


def leaves_of(spot: Spot) -> list[tuple[int, int, int]]:
    """Return where each text below a spot begins with its key, begins and ends."""
    found: list[tuple[int, int, int]] = []
    spots = [spot]
    while spots:
        name, opening, *more = spots.pop()
        if more:
            inside = more[1]
            spots += inside.values() if isinstance(inside, dict) else inside
        else:
            start = opening.start_mark.index
            first = min(name.start_mark.index, start) if name else start  # an alias stands behind
            found.append((first, start, opening.end_mark.index))
    return found


def part_of(spots: dict[str, Spot], key: str, number: int) -> Node | None:
    """Return where one entry of a list at the top stands."""
    entries = spots[key][3] if key in spots and len(spots[key]) > 2 else None
    return place_of(entries[number]) if isinstance(entries, list) and number < len(entries) else None


def place_of(spot: Spot) -> Node:
    name, opening, *more = spot
    start, end = span_of(opening)
    key, key_end = span_of(name) if name else (start, start)
    if not more:
        return Node(start, end, key, key_end)
    closing, spots = more
    return Unopened(start, span_of(closing)[1], key, key_end, partial(_parts, spots))


def _parts(spots: dict[str, Spot] | list[Spot]) -> Inside:
    if isinstance(spots, dict):
        return {key: place_of(spot) for key, spot in spots.items()}
    return list(map(place_of, spots))


def spell(text: str, node: Node, value: str) -> list[int]:
    """Return the offset of each character of `value`, the text at `node`, and of the end behind the last one."""
    start, end = node.start, node.end
    while end > start and text[end - 1] in " \t\n":
        end -= 1
    properties = _PROPERTIES.match(text, start, end)
    start = properties.end() if properties else start
    opening = text[start : start + 1]
    if opening in ("'", '"'):
        start, end = start + 1, max(end - 1, start + 1)
    elif opening in ("|", ">"):
        start = text.find("\n", start, end) + 1 or end
    if opening == '"':
        return _double(text, start, end, value)
    return _aligned(text, start, end, value, "''" if opening == "'" else "")


def _double(text: str, start: int, end: int, value: str) -> list[int]:
    spelt: list[int] = []
    at = start
    for found in re.finditer(f"{_ESCAPE.pattern}|{_BREAK.pattern}", text[start:end], re.DOTALL):
        spelt.extend(range(at, start + found.start()))
        at = start + found.end()
        written = found[0]
        if "\n" not in written:
            spelt.append(start + found.start())
        elif not written.startswith("\\"):
            spelt.extend([start + found.start()] * max(written.count("\n") - 1, 1))
    spelt.extend(range(at, end + 1))
    return _fitted(spelt, value, end)


def _aligned(text: str, start: int, end: int, value: str, doubled: str) -> list[int]:
    """Walk along both texts: what the reader dropped (indentation, folded lines) is stepped over."""
    spelt: list[int] = []
    at = start
    for character in value:
        while at < end and text[at] != character and text[at] in " \t\n" and character not in " \n":
            at += 1
        spelt.append(min(at, end))
        if doubled and text.startswith(doubled, at):
            at += 2
        elif at < end and (text[at] == character or character in " \n"):
            at += 1
    spelt.append(min(at, end))
    return _fitted(spelt, value, end)


def _fitted(spelt: list[int], value: str, end: int) -> list[int]:
    """Never longer or shorter than the value, whatever happened before."""
    missing = len(value) + 1 - len(spelt)
    return spelt + [end] * missing if missing > 0 else spelt[: len(value) + 1]
