"""Which known word was meant: edit distance, near misses and the nearest name for a hint."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

_LONGEST: Final = 64  # characters of words that are compared at all
_SHORTEST: Final = 4  # letters of known words; nothing is a near miss of a shorter one
_LONG: Final = 7  # from here on two letters may be wrong


def distance(one: str, other: str) -> int:
    """Return how many letters must be changed, added, taken out or swapped with their neighbour."""
    before: list[int] = []
    row = list(range(len(other) + 1))
    for i, a in enumerate(one, 1):
        older, before, row = before, row, [i]
        for j, b in enumerate(other, 1):
            best = min(before[j] + 1, row[j - 1] + 1, before[j - 1] + (a != b))
            if older and j > 1 and a == other[j - 2] and b == one[i - 2]:
                best = min(best, older[j - 2] + 1)
            row.append(best)
    return row[-1]


def near_miss(word: str, known: Iterable[str]) -> str:
    """Return the known word that `word` must have been meant for, or nothing.

    One wrong letter, or a swap of neighbours, from known words of 4 and more letters; two from those of 7 and more.
    Source: docs/reference.md, "Phase files".
    """
    if len(word) > _LONGEST:
        return ""
    found = ""
    least = 3
    letters = set(word)
    for each in known:
        most = 0 if len(each) < _SHORTEST else 1 if len(each) < _LONG else 2
        if most and abs(len(word) - len(each)) <= most and _may_be(letters, each, most):
            far = distance(word, each)
            if far < least and far <= most:
                found, least = each, far
    return found


def nearest(word: str, known: Iterable[str]) -> str:
    """Return the known word that is most like `word`, for a hint; nothing when none is like it."""
    if len(word) > _LONGEST:
        return ""
    found = ""
    least = max(1, len(word) // 3) + 1
    low = word.lower()
    letters = set(low)
    for each in known:
        if abs(len(word) - len(each)) < least and _may_be(letters, each.lower(), least - 1):
            far = distance(low, each.lower())
            if far < least:
                found, least = each, far
    return found


def _may_be(letters: set[str], other: str, most: int) -> bool:
    """Tell whether a word of these letters may be so near: each letter that only one of them has is one step."""
    known = set(other)
    return len(letters - known) <= most and len(known - letters) <= most


def is_sure(word: str, meant: str, known: Iterable[str]) -> bool:
    """Tell whether no other known word is as near to `word` as the one that was found."""
    least = distance(word, meant)
    letters = set(word)
    return all(
        each == meant or not _may_be(letters, each, least) or distance(word, each) > least for each in known
    )
