"""Which known word was meant: edit distance, near misses and the nearest name for a hint."""

from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache
from operator import itemgetter
from typing import Final, TypeAlias

_LONGEST: Final = 64  # characters of words that are compared at all
_SHORTEST: Final = 4  # letters of known words; nothing is a near miss of a shorter one
_LONG: Final = 7  # from here on two letters may be wrong
_MOST: Final = 3  # wrong letters of what is still a hint
_MISSED: Final = -1  # in place of a number of wrong letters: what is a near miss depends on the known word
_MOST_TRIES: Final = 100  # known words that one word is compared with letter by letter, the likeliest first

_Word: TypeAlias = tuple[int, int, str, str]
"""A known word: its letters as bits, its place among all, in lower case, and as it is."""


def distance(one: str, other: str, most: int = _LONGEST) -> int:
    """Return how many letters must be changed, added, taken out or swapped with their neighbour.

    What is farther than `most` counts as one more than that: nobody looks at the rest of such words.
    """
    return _distance(_marks(one), len(one), other, most)


def _marks(word: str) -> dict[str, int]:
    """Return for each letter of a word a bit for each place at which it stands."""
    marks: dict[str, int] = {}
    bit = 1
    for letter in word:
        marks[letter] = marks.get(letter, 0) | bit
        bit <<= 1
    return marks


def _distance(marks: dict[str, int], size: int, other: str, most: int) -> int:
    """Return the distance from a word of `size` letters, given by its marks.

    Bits are the rows of one column of the table that everybody draws for this: `plus` and `minus` have those that are
    one more or one less than the row above, so a letter takes some steps whatever the word is.
    Source: H. Hyyrö, "A Bit-Vector Algorithm for Computing Levenshtein and Damerau Edit Distances", 2003.
    """
    left = len(other)
    if abs(size - left) > most:
        return most + 1
    if not size:
        return left
    full, last, found = (1 << size) - 1, 1 << (size - 1), size
    plus, minus, diagonal, before = full, 0, 0, 0
    for letter in other:
        hit = marks.get(letter, 0)
        swap = ((~diagonal & hit) << 1) & before
        diagonal = (((hit & plus) + plus) ^ plus) | hit | minus | swap
        up, down = minus | ~(diagonal | plus), diagonal & plus
        if up & last:
            found += 1
        elif down & last:
            found -= 1
        left -= 1
        if found - left > most:  # each letter that is left makes it one less at best
            return most + 1
        up = up << 1 | 1
        plus, minus = (down << 1 | ~(diagonal | up)) & full, up & diagonal & full
        before = hit
    return found


class Names:
    """Known words, made ready for many questions about which of them was meant.

    Upper and lower case are the same. Words are looked at in the order of how many letters only one of the two has,
    which is never more than their distance, so most are never compared.

    Args:
        known: of words that are as near, the first one is the answer.
        tries: comparisons letter by letter in all questions together; then nothing is found any more.
    """

    def __init__(self, known: Iterable[str], tries: int = 10**9) -> None:
        self.tries = tries
        self._by_length: dict[int, list[_Word]] = {}
        for place, word in enumerate(known):
            if len(word) <= _LONGEST + _MOST:
                low = word.lower()
                self._by_length.setdefault(len(low), []).append((_letters(low), place, low, word))
        # By the length of a word and how far a like one may be, -1 for near misses: nearly always the same few.
        self._reached: dict[tuple[int, int], list[tuple[list[_Word], int]]] = {}

    def near_miss(self, word: str) -> str:
        """Return what `near_miss` does."""
        return self._best(word, _MISSED)

    def nearest(self, word: str, but: str = "") -> str:
        """Return what `nearest` does, but never `but`."""
        most = min(max(1, len(word) // 3), _MOST)
        return self._best(word, most, but)

    def _best(self, word: str, allowed: int, but: str = "") -> str:
        if not 0 < len(word) <= _LONGEST or self.tries <= 0:
            return ""
        word = word.lower()
        size, letters = len(word), _letters(word)
        reached = self._reached.get((size, allowed))
        if reached is None:
            reached = self._reached[size, allowed] = self._within(size, allowed)
        chosen: list[tuple[int, int, str, str, int]] = []
        for known, most in reached:
            twice = 2 * most
            for bits, place, low, each in known:
                apart = letters ^ bits
                alone = apart.bit_count()
                if alone > twice:  # as nearly all are
                    continue
                extra = (apart & letters).bit_count()
                lacking = alone - extra
                if extra <= most >= lacking and each != but:
                    chosen.append((max(extra, lacking), place, low, each, most))
        if not chosen:
            return ""
        if len(chosen) > 1:
            chosen.sort(key=itemgetter(0, 1))
        found, best, first, marks = "", _MOST + 1, 0, _marks(word)
        for least, place, low, each, most in chosen[:_MOST_TRIES]:
            if least > best or self.tries <= 0:
                break
            self.tries -= 1
            far = _distance(marks, size, low, min(best, most))
            if far <= most and (far, place) < (best, first):
                found, best, first = each, far, place
        return found

    def _within(self, size: int, allowed: int) -> list[tuple[list[_Word], int]]:
        """Return the known words whose length lets them be like one of `size` letters, and how far each may be."""
        reached: list[tuple[list[_Word], int]] = []
        for length in range(size - _MOST, size + _MOST + 1):
            most = _most_missed(length) if allowed == _MISSED else allowed
            if length in self._by_length and abs(length - size) <= most:
                reached.append((self._by_length[length], most))
        return reached


def near_miss(word: str, known: Iterable[str]) -> str:
    """Return the known word that `word` must have been meant for, or nothing.

    One wrong letter, or a swap of neighbours, from known words of 4 and more letters; two from those of 7 and more.
    Source: docs/reference.md, "Phase files".
    """
    return _names(tuple(known)).near_miss(word)


def nearest(word: str, known: Iterable[str]) -> str:
    """Return the known word that is most like `word`, for a hint; nothing when none is like it."""
    return _names(tuple(known)).nearest(word)


def is_sure(word: str, meant: str, known: Iterable[str]) -> bool:
    """Tell whether no other known word is as near to `word` as the one that was found."""
    marks, letters = _marks(word), _letters(word)
    size = len(word)
    least = _distance(marks, size, meant, _LONGEST)
    for each in known:
        bits = _letters(each)
        if each == meant or abs(len(each) - size) > least:
            continue
        if max((letters & ~bits).bit_count(), (bits & ~letters).bit_count()) > least:
            continue  # so many letters are only in one of them
        if _distance(marks, size, each, least) <= least:
            return False
    return True


@lru_cache(maxsize=64)  # options, keys, words: always the same few lists
def _names(known: tuple[str, ...]) -> Names:
    return Names(known)


def _most_missed(length: int) -> int:
    """How many letters of a known word of that length may be wrong; -1 when not even none."""
    return -1 if length < _SHORTEST else 1 if length < _LONG else 2


@lru_cache(maxsize=256)
def _letters(word: str) -> int:
    """Return a bit for each letter of a word; rare letters share theirs with others."""
    bits = 0
    for letter in word:
        bits |= 1 << (ord(letter) & 63)
    return bits
