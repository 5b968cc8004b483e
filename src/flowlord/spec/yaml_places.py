"""Where the characters of a YAML text stand that its writer folded, quoted or indented."""

from __future__ import annotations

import re
from typing import Final

from flowlord.spec.document import Node

_ESCAPE: Final = re.compile(
    r"\\(?:x[0-9A-Fa-f]{2}|u[0-9A-Fa-f]{4}|U[0-9A-Fa-f]{8}|[ \t]*\n[ \t]*|.)", re.DOTALL
)
_BREAK: Final = re.compile(r"[ \t]*\n[ \t\n]*")
_PROPERTIES: Final = re.compile(r"(?:[&!]\S*[ \t\n]+)*")  # an anchor and a tag; no plain value begins so


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
