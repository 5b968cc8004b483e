"""Meta strings: the `k=v&k=v` text of a task's meta. Every reader gets back what was put in."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache
from typing import Final

# Written escaped: what separates, what old readers stumble over, and controls (C0, DEL, C1).
_SEPARATORS: Final = "&%+;#"
_CONTROLS: Final = "".join(map(chr, (*range(0x20), *range(0x7F, 0xA0))))
# For `str.translate`: many times faster than a substitution when a hostile value is nothing but such characters.
_VALUE: Final = {ord(c): "".join(f"%{octet:02X}" for octet in c.encode()) for c in _SEPARATORS + _CONTROLS}
_KEY: Final = _VALUE | {ord("="): "%3D"}
_UNSAFE: Final = re.compile("[" + re.escape("=" + _SEPARATORS + _CONTROLS) + "]")
_ESCAPES: Final = re.compile(r"(?:%[0-9A-Fa-f]{2})+")
_SHORT: Final = 12  # four escapes
_LONE_BYTE: Final = re.compile("[\udc80-\udcff]")


def parse_meta(text: str) -> dict[str, list[str]]:
    """Return the values of each key, in the order of the text.

    `+` is a space, the first `=` of a pair splits, a pair without `=` has an empty value, empty pairs are skipped;
    `;` and `#` are text. A bad `%` escape, or one that is not UTF-8, stays as it is written. Never raises.

    Source:
        docs/reference.md, "Meta strings" and "Rule strings".
    """
    values: dict[str, list[str]] = {}
    if not text:
        return values
    plain = "%" not in text and "+" not in text
    for pair in text.split("&"):
        if not pair:
            continue
        key, _, value = pair.partition("=")
        if not plain:
            key, value = unescape(key), unescape(value)
        if key in values:
            values[key].append(value)
        else:
            values[key] = [value]
    return values


def parse_first(text: str) -> dict[str, str]:
    """Return the first value of each key, as `parse_meta` reads them."""
    values: dict[str, str] = {}
    if "%" in text or "+" in text:
        return {key: found[0] for key, found in parse_meta(text).items()}
    for pair in text.split("&"):
        if pair:
            key, _, value = pair.partition("=")
            if key not in values:
                values[key] = value
    return values


def format_meta(pairs: Iterable[tuple[str, str]]) -> str:
    """Return the meta string of `pairs` in the given order; `parse_meta` gives them back.

    Only `& % + ; #` and controls are escaped (and `=` in keys), so paths and dates stay readable.
    """
    pairs = list(pairs)
    if not _UNSAFE.search("".join([key + value for key, value in pairs])):  # as nearly all: told at one look
        return "&".join([f"{key}={value}" for key, value in pairs])
    return "&".join([f"{_escape(key, _KEY)}={_escape(value, _VALUE)}" for key, value in pairs])


def format_sorted(values: Mapping[str, str | Sequence[str]]) -> str:
    """Return the meta string of `values` with sorted keys; several values of a key keep their order."""
    pairs: list[tuple[str, str]] = []
    for key in sorted(values):
        value = values[key]
        if isinstance(value, str):
            pairs.append((key, value))
        else:
            pairs.extend((key, each) for each in value)
    return format_meta(pairs)


def escape_key(text: str) -> str:
    """Return a key as meta strings hold it."""
    return _escape(text, _KEY)


def escape_value(text: str) -> str:
    """Return a value as meta strings hold it."""
    return text.translate(_VALUE) if _UNSAFE.search(text) else text


def unescape(text: str) -> str:
    """Return `text` with `+` as space and `%xx` decoded as UTF-8; what cannot be decoded stays as written."""
    return unescape_path(text.replace("+", " "))


def unescape_path(text: str) -> str:
    """Return `text` with `%xx` decoded as UTF-8 and `+` left alone; what cannot be decoded stays as written."""
    return _ESCAPES.sub(_decoded, text) if "%" in text else text


def _decoded(found: re.Match[str]) -> str:
    written = found[0]
    return _known(written) if len(written) <= _SHORT else _read(written)


def _read(written: str) -> str:
    octets = bytes.fromhex(written.replace("%", ""))
    try:
        return octets.decode()
    except UnicodeDecodeError:
        pass
    # Rare: bytes that are no UTF-8 stay as they are written, the good ones between them are decoded.
    parts: list[str] = []
    at = 0
    for character in octets.decode("utf-8", "surrogateescape"):
        if _LONE_BYTE.match(character):
            parts.append(written[3 * at : 3 * at + 3])
            at += 1
        else:
            parts.append(character)
            at += len(character.encode())
    return "".join(parts)


_known: Final = lru_cache(maxsize=1024)(_read)  # short ones come over and over


def _escape(text: str, table: dict[int, str]) -> str:
    return text.translate(table) if _UNSAFE.search(text) else text
