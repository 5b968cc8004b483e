"""Which of some patterns a path comes nearest to, and where it differs: for those who wonder why nothing started."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final
from unicodedata import normalize

from flowlord.rules.globs import Glob

_FOLDER: Final = 8
"""Characters that count as much as being a folder too deep or not deep enough."""
_LOOKED_AT: Final = 16
_SHOWN: Final = 40
_NAMED: Final = re.compile(r"nearest: (.+?), (?:fails at|which wants|which ends before) ", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Near:
    """A pattern that a path nearly fits.

    `offset` counts the characters of the path that fit, `wants` is what the pattern has from there on; empty when it
    ends where the path goes on.
    """

    pattern: str
    offset: int
    wants: str


def nearest_glob(path: str, globs: Iterable[Glob]) -> Near | None:
    """Return the pattern of which least is left over, on both sides, where `path` ceases to fit.

    The first of several that are equally near; None when there is no pattern.
    """
    best: Near | None = None
    least = 0
    for glob in globs:
        offset, wants = glob.reach(path)
        rest = path[offset:]
        left = len(rest) + len(wants) + _FOLDER * (rest.count("/") + wants.count("/"))
        if best is None or left < least:
            best, least = Near(glob.pattern, offset, wants), left
    return best


def told(path: str, near: Near) -> str:
    """Return in words where a path differs from the pattern: `nearest: /in/*.csv, fails at '.gz'`."""
    rest = path[near.offset :]
    if alike := _alike(rest, near.wants):
        return f"nearest: {near.pattern}, {alike}"
    if not rest:
        more = ": '**/' is one folder or more" if _is_folder_wanted(near) else ""
        return f"nearest: {near.pattern}, which wants {near.wants!r} more{more}"
    if not near.wants:
        return f"nearest: {near.pattern}, which ends before {rest!r}"
    return f"nearest: {near.pattern}, fails at {rest!r} where it wants {near.wants!r}"


def _is_folder_wanted(near: Near) -> bool:
    """Tell whether a path ended within a `**/` that is a part of its own."""
    before = near.pattern.removesuffix(near.wants)
    return near.wants.startswith("/") and (before == "**" or before.endswith("/**"))


def pattern_in(words: str) -> str:
    """Return the pattern that the words of `told` name; empty when they are none of its."""
    named = _NAMED.match(words)
    return named[1] if named else ""


def is_near(path: str, pattern: str) -> bool:
    """Tell whether a path that does not fit a pattern lies in a folder that does, so that only its name differs."""
    try:
        offset, wants = Glob.compile(pattern).reach(path)
    except ValueError:
        return False
    return "/" not in path[offset:] and "/" not in wants


def _alike(rest: str, wants: str) -> str:
    """Tell when two texts that look the same, or nearly so, begin to differ all the same; else nothing.

    Apple's file systems and those who copy from them write `é` as two characters, keyboards as one.
    """
    if not rest or not wants:
        return ""
    written, asked = normalize("NFC", rest[:_LOOKED_AT]), normalize("NFC", wants[:_LOOKED_AT])
    if written[0] == asked[0] and rest[0] != wants[0]:
        named = f"{rest[:2]!a} where it wants {wants[:2]!a}"
        return f"fails at {rest[:_SHOWN]!r}, which looks alike but is other characters: {named}"
    plain = re.split(r"[*?\[]", asked, maxsplit=1)[0].casefold()
    if plain and written.casefold().startswith(plain):
        return f"fails at {rest!r} where it wants {wants!r}: case matters"
    return ""
