"""Sizes of files as people write them."""

from __future__ import annotations

import re
from typing import Final

from flowlord.rules.errors import Unreadable, quote

_FORM: Final = re.compile(r"(\d{1,15})\s*([kmgt]?)(i?)b?", re.ASCII | re.IGNORECASE)
_POWERS: Final = {"": 0, "k": 1, "m": 2, "g": 3, "t": 4}


def parse_size(text: str) -> int:
    """Return the bytes that `512`, `10k`, `10kB` (10,000) or `10KiB` (10,240) name.

    Raises:
        Unreadable: anything else.
    """
    found = _FORM.fullmatch(text.strip())
    if found is None or (found[3] and not found[2]):
        raise Unreadable(f"{quote(text)} is no size: write 512, 10kB or 10KiB")
    power = _POWERS[found[2].lower()]
    unit: int = (1024 if found[3] else 1000) ** power
    return int(found[1]) * unit
