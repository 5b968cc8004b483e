"""Foreign text as it can be shown anywhere: with nothing in it that a terminal or a page could act on."""

from __future__ import annotations

import re
from typing import Final

# What a terminal may act on, or what hides or reorders other characters: controls (C0, DEL, C1), bidirectional and
# other format characters, line separators, tags, half surrogate pairs.
UNSAFE: Final = (
    "\\x00-\\x1f\\x7f-\\x9f\\xad\\u061c\\u180e\\u200b-\\u200f\\u2028-\\u202e\\u2060-\\u206f\\ufeff\\ufff9-\\ufffb"
    "\\ud800-\\udfff\\U000e0000-\\U000e007f"
)
_DANGER: Final = f"[{UNSAFE}]"
_SHORT: Final = {"\n": "\\n", "\r": "\\r", "\t": "\\t", "\\": "\\\\"}


def printable(text: str) -> str:
    """Return `text` on one line for a terminal, with everything that it could act on written out: `\\x1b`, `\\n`."""
    return text if text.isascii() and text.isprintable() else re.sub(_DANGER, written, text)


def written(found: re.Match[str]) -> str:
    """Return a character written out, as an escape that Python and JSON readers know."""
    character = found[0]
    if character in _SHORT:
        return _SHORT[character]
    code = ord(character)
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"
