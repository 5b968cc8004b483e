"""Patterns of file rules: Go's `filepath.Match`, and `**` which crosses slashes."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

from flowlord.rules.errors import TooLong, Unreadable, quote

LONGEST_PATTERN: Final = 4096
_WELL_FORMED: Final = re.compile(
    r"(?:[^\[\\]++|\\.|\[\^?+(?:(?:[^\]\\-]|\\.)(?:-(?:[^\]\\-]|\\.))?+)++\])*+", re.DOTALL
)


@dataclass(frozen=True, slots=True)
class _Class:
    """`[a-z_]` or `[^a-z_]`: the ranges and whether they are meant or excluded."""

    ranges: tuple[tuple[str, str], ...]
    negated: bool

    def has(self, character: str) -> bool:
        for low, high in self.ranges:
            if low <= character <= high:
                return not self.negated
        return self.negated


@dataclass(frozen=True, slots=True)
class Glob:
    """A compiled pattern; a whole path matches it or does not, case-sensitive.

    `*` and `?` do not cross `/`, `**` does; `[a-z]` and `[^a-z]` are classes, which may match `/`; `\\` escapes;
    braces and `!` are ordinary text.

    Source:
        docs/reference.md, "File events".
    """

    # Bit i of a mask belongs to the i-th character that the pattern asks for; a match walks along the path with the
    # set of places reached, so no path, however made, takes longer than its length.
    pattern: str
    _head: str  # ordinary text in front of everything else
    _length: int
    _letters: dict[str, int]
    _any: int  # `?`
    _classes: tuple[tuple[int, _Class], ...]
    _stars: int  # places where `*` may stay
    _deep: int  # places where `**` may stay
    _last: int  # places behind the last `/` that the pattern asks for, and before it where that is of a whole `**/`
    _starts: tuple[int, ...]  # where in the pattern the text for each place begins

    @classmethod
    def check(cls, pattern: str) -> None:
        """Raise what `compile` does, and else do nothing: for most patterns that is told at a glance."""
        if len(pattern) <= LONGEST_PATTERN and "[" not in pattern and "\\" not in pattern:  # as most are
            return
        if len(pattern) > LONGEST_PATTERN or _WELL_FORMED.fullmatch(pattern) is None:
            cls.compile(pattern)

    @classmethod
    def compile(cls, pattern: str) -> Glob:
        """Return the compiled `pattern`.

        Raises:
            Unreadable: a class that is empty or not closed, or a `\\` with nothing behind it.
            TooLong: more than 4096 characters.
        """
        if len(pattern) > LONGEST_PATTERN:
            raise TooLong(f"the pattern {quote(pattern)} has more than {LONGEST_PATTERN} characters")
        letters: dict[str, int] = {}
        classes: list[tuple[int, _Class]] = []
        anything = stars = deep = folders = 0
        head: list[str] = []
        starts: list[int] = []
        begun = 0  # where the text for the present place begins: a star stands in front of it
        at, bit = 0, 1
        while at < len(pattern):
            character = pattern[at]
            if character == "*":
                if pattern.startswith("**", at):
                    deep |= bit
                    at += 1
                stars |= bit
                at += 1
                continue
            if character == "?":
                anything |= bit
                at += 1
            elif character == "[":
                found, at = _read_class(pattern, at)
                classes.append((bit, found))
            else:
                if character == "\\":
                    at += 1
                    if at == len(pattern):
                        raise Unreadable(
                            f'the pattern {quote(pattern)} ends in "\\", which escapes nothing', offset=at - 1
                        )
                    character = pattern[at]
                letters[character] = letters.get(character, 0) | bit
                if bit == 1 << len(head) and not stars:
                    head.append(character)
                at += 1
            starts.append(begun)
            begun = at
            if pattern[at - 1] == "/":
                folders = bit
            bit <<= 1
        last = ~((folders << 1) - 1) if folders else -1
        if folders and _is_any_folder(pattern, starts[folders.bit_length() - 1]):
            last |= folders  # many expect `**/` to stand for no folder too: what they put there is to be told
        return cls(
            pattern,
            "".join(head),
            bit.bit_length() - 1,
            letters,
            anything,
            tuple(classes),
            stars,
            deep,
            last,
            (*starts, begun),
        )

    def matches(self, path: str) -> bool:
        """Tell whether the whole of `path` fits the pattern."""
        return bool(self._reached(path) >> self._length & 1)

    def leads_into(self, folder: str) -> bool:
        """Tell whether something below `folder`, which ends in `/` or is empty, may fit the pattern."""
        return self._head.startswith(folder) or bool(self._reached(folder))

    def holds(self, folder: str) -> bool:
        """Tell whether files directly in `folder` may fit the pattern, or would if its last `**/` were nothing."""
        if self._head.startswith(folder):
            return bool(1 << len(folder) & self._last)
        return bool(self._reached(folder) & self._last)

    def reach(self, path: str) -> tuple[int, str]:
        """Return how much of `path` fits at most, in characters, and what the pattern wants from there on.

        Both for the way through the pattern that comes nearest to its end. For a path that fits this is the whole.
        """
        reached, best, at = 1, 0, 0
        asked: dict[str, int] = {}
        for n, character in enumerate(path, 1):
            reached = self._next(reached, character, asked)
            if not reached:
                break
            place = reached.bit_length() - 1
            if place >= best:
                best, at = place, n
        wants = self.pattern[self._starts[best] :]
        return at, wants.lstrip("*") or wants  # a star has taken what it could

    def _reached(self, path: str) -> int:
        """Return the places that the whole of `path` leads to; none when it fits no beginning of the pattern."""
        if not path.startswith(self._head):
            return 0
        asked: dict[str, int] = {}
        reached = 1 << len(self._head)
        for character in path[len(self._head) :]:
            reached = self._next(reached, character, asked)
            if not reached:
                return 0
        return reached

    def _next(self, reached: int, character: str, asked: dict[str, int]) -> int:
        fits = asked.get(character)
        if fits is None:
            fits = asked[character] = self._places_for(character)
        stays = self._deep if character == "/" else self._deep | self._stars
        return ((reached & fits) << 1) | (reached & stays)

    def _places_for(self, character: str) -> int:
        places = self._letters.get(character, 0)
        if character != "/":
            places |= self._any
        for bit, each in self._classes:
            if each.has(character):
                places |= bit
        return places


def _is_any_folder(pattern: str, at: int) -> bool:
    """Tell whether `**/` stands at `at` as a part of the path of its own."""
    return pattern.startswith("**/", at) and (at == 0 or pattern[at - 1] == "/")


def _read_class(pattern: str, start: int) -> tuple[_Class, int]:
    """Read the class that opens at `start`; return it and the place behind its `]`."""
    at = start + 1
    negated = pattern.startswith("^", at)
    if negated:
        at += 1
    ranges: list[tuple[str, str]] = []
    while not (ranges and pattern.startswith("]", at)):
        low, at = _read_member(pattern, at, start)
        high = low
        if pattern.startswith("-", at):
            high, at = _read_member(pattern, at + 1, start)
        ranges.append((low, high))
    return _Class(tuple(ranges), negated), at + 1


def _read_member(pattern: str, at: int, start: int) -> tuple[str, int]:
    """Read one character of the class that opens at `start`; return it and the place behind it."""
    character = pattern[at : at + 1]
    if character in ("-", "]"):
        raise Unreadable(
            f'the pattern {quote(pattern)} has "{character}" where a class wants a character: write "\\{character}"',
            offset=at,
        )
    if character == "\\":
        at += 1
        character = pattern[at : at + 1]
    if not character:
        raise Unreadable(
            f'the pattern {quote(pattern)} opens a class and never closes it: write "]", or "\\[" for a plain "["',
            offset=start,
        )
    return character, at + 1


def share(one: str, other: str) -> bool:
    """Tell whether some path may match both patterns; classes are taken for any character that one of them has.

    Walks along `one` with the set of places in `other` that are reached: bit j is the j-th thing that it asks for.

    Raises:
        Unreadable: as `Glob.compile`.
    """
    places = _places(other)
    through, deep = places.stars, places.deep
    meets: dict[str | _Class, int] = {}
    reached = 1
    for a in _asked(one):
        if a in _STARS:  # it stands for nothing, or for what the other one asks for
            reached = _flood(reached, through | (places.ordinary if a == "**" else places.level))
            continue
        reached = _flood(reached, through)
        if a not in meets:
            meets[a] = places.meeting(a)
        stays = through if a != "\\/" else deep
        reached = (reached & stays) | (reached & meets[a]) << 1
        if not reached:
            return False
    return bool(_flood(reached, through) >> places.length)


@dataclass(frozen=True, slots=True)
class _Places:
    """What a pattern asks for, the other way about: where it asks for each thing, as a mask."""

    length: int
    asked: dict[str | _Class, int]  # without stars
    classes: tuple[tuple[_Class, int], ...]
    stars: int
    deep: int
    ordinary: int  # all but the stars
    level: int  # and but the slashes

    def meeting(self, one: str | _Class) -> int:
        """Return the places that may ask for the same character as `one`, which is no star."""
        if not isinstance(one, str) or one == "?":
            return sum(bits for each, bits in self.asked.items() if _meet(one, each))
        places = self.asked.get(one, 0)
        if one != "\\/":
            places |= self.asked.get("?", 0)
        for each, bits in self.classes:
            if each.has(one[1]):
                places |= bits
        return places

    def taking(self, one: str | _Class) -> int:
        """Return the places that surely take each character that `one`, which is no star, may be."""
        if isinstance(one, _Class):
            return self.asked.get(one, 0) | (0 if one.has("/") else self.asked.get("?", 0))
        return self.asked.get(one, 0) if one == "?" else self.meeting(one)


@lru_cache(maxsize=256)
def _places(pattern: str) -> _Places:
    places: dict[str | _Class, int] = {}
    asked = _asked(pattern)
    for j, each in enumerate(asked):
        places[each] = places.get(each, 0) | 1 << j
    deep = places.pop("**", 0)
    stars = places.pop("*", 0) | deep
    ordinary = (1 << len(asked)) - 1 & ~stars
    classes = tuple((each, bits) for each, bits in places.items() if isinstance(each, _Class))
    return _Places(len(asked), places, classes, stars, deep, ordinary, ordinary & ~places.get("\\/", 0))


def covers(one: str, other: str) -> bool:
    """Tell whether surely every path that `other` matches is matched by `one`, too; in doubt it is not.

    Walks along `other` with the places in `one` that are reached whatever its stars and classes stand for.

    Raises:
        Unreadable: as `Glob.compile`.
    """
    places = _places(one)
    stars, deep = places.stars, places.deep
    reached = _flood(1, stars)
    for a in _asked(other):
        if a in _STARS:
            reached &= stars if a == "*" else deep
        else:
            may_cross = a.has("/") if isinstance(a, _Class) else a == "\\/"
            reached = (reached & (deep if may_cross else stars)) | (reached & places.taking(a)) << 1
        reached = _flood(reached, stars)
        if not reached:
            return False
    return bool(reached >> places.length)


def empty_class(pattern: str) -> tuple[int, int]:
    """Return where the first class stands that no character is in, such as `[z-a]`; (0, 0) when there is none."""
    at = 0
    while at < len(pattern):
        start = at
        if pattern[at] == "[":
            found, at = _read_class(pattern, at)
            if not found.negated and all(low > high for low, high in found.ranges):
                return start, at
        else:
            at += 2 if pattern[at] == "\\" else 1
    return 0, 0


def _flood(reached: int, through: int) -> int:
    """Add to each bit the ones above it, as far as those below them are all in `through`."""
    return reached | (through ^ (through + (reached & through)))


_STARS: Final = ("*", "**")


@lru_cache(maxsize=256)
def _asked(pattern: str) -> tuple[str | _Class, ...]:
    """Return what a pattern asks for, place by place: `*`, `**`, `?`, classes, and `\\x` for an ordinary x."""
    Glob.check(pattern)
    found: list[str | _Class] = []
    at = 0
    while at < len(pattern):
        if pattern.startswith("**", at):
            found.append("**")
            at += 2
        elif pattern[at] in "*?":
            found.append(pattern[at])
            at += 1
        elif pattern[at] == "[":
            each, at = _read_class(pattern, at)
            found.append(each)
        else:
            at += pattern[at] == "\\"
            found.append(f"\\{pattern[at]}")
            at += 1
    return tuple(found)


def _meet(one: str | _Class, other: str | _Class) -> bool:
    """Tell whether one character may be what both ask for; neither is a star."""
    for a, b in ((one, other), (other, one)):
        if isinstance(a, str) and a.startswith("\\"):
            if isinstance(b, _Class):
                return b.has(a[1])
            return a != "\\/" if b == "?" else a == b
    if isinstance(one, _Class) and isinstance(other, _Class):
        return any(
            one.has(c) and other.has(c) for each in (one, other) for pair in each.ranges for c in pair
        ) or (one.negated and other.negated)
    return True
