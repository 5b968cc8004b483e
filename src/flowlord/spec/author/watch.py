"""Patterns of files: those that match nothing, those that leave everything out, those that two phases share."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from functools import cached_property
from typing import Final

import msgspec

from flowlord.model.problem import Problem
from flowlord.model.workflow import Rule
from flowlord.rules.errors import Unreadable
from flowlord.rules.globs import covers, empty_class, share
from flowlord.rules.places import place_of
from flowlord.spec.author.advice import Advice
from flowlord.spec.codes import problem
from flowlord.spec.document import MOST_FINDINGS, named

_SCHEME: Final = re.compile(r"[a-z][a-z0-9+.-]*://")
_DOUBLED: Final = re.compile(r"//+")
_DOTS: Final = re.compile(r"(?:^|(?<=/))(\.\.?)(?=/|$)")
_BRACES: Final = re.compile(r"(?<!\\)\{[^{}/]*,[^{}/]*\}")
_WILD: Final = re.compile(r"[*?\[\\]")
REMOTE: Final = (
    "s3",
    "s3a",
    "gs",
    "gcs",
    "mc",
    "mcs",
)  # what `storage` reaches; it may not be asked from here
_PAGES: Final = ("http://", "https://", "ftp://", "sftp://")
_NEARLY_REMOTE: Final = re.compile(rf"(?i)(?:{'|'.join(REMOTE)})(?::/*|//+)")
_UNFILLED: Final = re.compile(r"^~[\w.-]*(?=/)|\$(?:[A-Za-z_]\w*|\{\w+\})")
_TOKEN: Final = re.compile(
    r"(?i)(?<![\\$])\{(?:yyyy|yy|mm|dd|hh|min|ts|slug|(?:hour|day|month)_slug|meta:\w+)\}", re.ASCII
)
_COMMA: Final = re.compile(r",(?=\s*(?:/|\*\.|[a-z][a-z0-9]*://))")
_SUSPECT: Final = re.compile(
    r"[:$~{,]|//|(?:^|/)\.\.?(?:/|\Z)|/\Z"
)  # some of this is in all that is told of one pattern
_MOST_LEFT_OUT: Final = 200  # patterns of `ignore` in one file that are compared with those of `files`
_QUOTES: Final = ("'", '"')
_PLAIN: Final = re.compile(r"[\w./*?:@-]+", re.ASCII)  # characters that nobody has to escape
_RANGE: Final = re.compile(r"(?=(.)-(.))", re.DOTALL)
_LONE_RANGE: Final = re.compile(r"\[([0-9A-Za-z])-([0-9A-Za-z])\]")
MOST_COMPARED: Final = 20_000  # pairs of patterns of one tree
_MOST_PLACES: Final = 10_000  # pairs of characters, and more the more patterns there are


class Watched(msgspec.Struct, frozen=True, dict=True):
    """The nth pattern of a phase; `number` counts the phases of the file at `path`, `at` is a problem where it stands.

    Finding a place costs as much as everything else about a pattern, so of many it is found when it is asked for, by
    those two numbers; until then it keeps the whole file in memory.
    """

    pattern: str
    phase: str
    path: str
    number: int
    nth: int
    at: Problem | Callable[[int, int], Problem]

    @cached_property
    def place(self) -> Problem:
        """A problem without words where the pattern stands."""
        return self.at if isinstance(self.at, Problem) else self.at(self.number, self.nth)


def check(advice: Advice) -> list[tuple[str, int, int]]:
    """Tell what is odd about the patterns of a file; return each with its phase and its number in the rule."""
    found: list[tuple[str, int, int]] = []
    left_out = _LeftOut()
    for number, _, rule in advice.ruled:
        for nth, pattern in enumerate(rule.files):
            found.append((pattern, number, nth))
            _pattern(advice, number, nth, pattern)
        if rule.files and rule.ignore:
            if all(left_out(each, rule.ignore) for each in rule.files):
                text = "every file that 'files' matches is left out again by 'ignore'"
                advice.at_option("FL074", number, "ignore", text, "make one of them narrower")
            _ignored(advice, number, rule)
    return found


def _ignored(advice: Advice, number: int, rule: Rule) -> None:
    """Tell the patterns of paths under which no file of the phase can be known."""
    for nth, each in enumerate(rule.ignore):
        _edges(advice, number, "ignore", nth, each)
        _ordinary(advice, number, "ignore", nth, each)
        if "/" not in each or not (spelling := _spelling(each)):
            continue
        spellings = {_spelling(pattern) for pattern in rule.files}
        if not spellings & {spelling, ""}:
            text = f"{named(each)} is {spelling}, and 'files' is {' or '.join(sorted(spellings))}: it matches nothing"
            hint = "spell it as 'files' is spelled, or begin it with **/"
            advice.at_option("FL072", number, "ignore", text, hint, nth=nth)


def _spelling(pattern: str) -> str:
    """Return how a pattern begins: in a bucket, absolute or relative; empty when it may be any of them."""
    if scheme := _SCHEME.match(pattern):
        return f"in {scheme[0].lower()}"
    if _WILD.match(pattern):
        return ""
    return (
        "absolute"
        if pattern.startswith("/")
        else "relative with ./"
        if pattern.startswith("./")
        else "relative"
    )


def _edges(advice: Advice, number: int, option: str, nth: int, pattern: str) -> None:
    """Tell what belongs to a pattern by mistake: quotes and blanks around it, and a class that is upside down."""
    first, last = pattern[:1], pattern[-1:]
    if first in _QUOTES and first == last and len(pattern) > 2:
        bare = pattern[1:-1]
        text = f"the quotes belong to the pattern {named(pattern)}: no path without them matches"
        hint = "take them out: what stands behind '=' is the pattern"
        better = bare if _PLAIN.fullmatch(bare) else None
        advice.at_option(
            "FL072", number, option, text, hint, nth=nth, start=0, end=len(pattern), better=better
        )
    elif first.isspace() or last.isspace():
        bare = pattern.strip()
        begin = pattern.index(bare)
        for start, end in ((0, begin), (begin + len(bare), len(pattern))):
            if start < end:
                text = f"the blank belongs to the pattern {named(pattern)}: no path without it matches"
                hint = "take it out, or write ? for a blank that names do have"
                better = "" if bare else None
                advice.at_option(
                    "FL072", number, option, text, hint, nth=nth, start=start, end=end, better=better
                )
    if "[" in pattern and any(low > high for low, high in _RANGE.findall(pattern)):
        start, end = empty_class(pattern)
        if start < end:
            written = pattern[start:end]
            lone = _LONE_RANGE.fullmatch(written)
            better = f"[{lone[2]}-{lone[1]}]" if lone else None
            text = f"no character is in {named(written)}: the pattern matches nothing"
            hint = (
                f"did you mean {better!r}?" if better else "the first character of a range is the lower one"
            )
            advice.at_option(
                "FL072", number, option, text, hint, nth=nth, start=start, end=end, better=better
            )


def _pattern(advice: Advice, number: int, nth: int, pattern: str) -> None:
    _edges(advice, number, "files", nth, pattern)
    if _SUSPECT.search(pattern) is None:  # as in nearly all
        return
    scheme = _SCHEME.match(pattern)
    begin = len(
        place_of(pattern).root
    )  # what stands before is no search: a path begins with it as it is spelled
    if scheme:
        begin = scheme.end()
    if told := _address(pattern, scheme):
        text, hint, end, better = told
        advice.at_option("FL072", number, "files", text, hint, nth=nth, start=0, end=end, better=better)
    elif not scheme and "//" in pattern and (doubled := _DOUBLED.search(pattern, begin)):
        start, end = doubled.span()
        text = "no path that is found holds //: the pattern matches nothing"
        hint = "write one slash; ** stands for any folders in between"
        advice.at_option("FL072", number, "files", text, hint, nth=nth, start=start, end=end, better="/")
    elif dots := _DOTS.search(pattern, begin):
        if advice.wants("FL072"):
            start, end = dots.span(1)
            text = f"no path that is found holds {named(dots[1])}: the pattern matches nothing"
            hint = "write the whole path"
            advice.at_option("FL072", number, "files", text, hint, nth=nth, start=start, end=end)
    elif pattern.endswith("/"):
        text = "a pattern that ends in / matches no file"
        advice.at_option("FL072", number, "files", text, "write /* or /** behind the folder", nth=nth)
    _ordinary(advice, number, "files", nth, pattern)


def _address(pattern: str, scheme: re.Match[str] | None) -> tuple[str, str, int, str | None] | None:
    """Return what is wrong with how a pattern begins: words, a hint, its end and what should stand there."""
    begin = scheme[0] if scheme else ""
    if not scheme and (near := _NEARLY_REMOTE.match(pattern)):
        better = near[0].rstrip(":/").lower() + "://"
        text = f"{named(near[0])} names no bucket: this is a path of this machine"
        return text, f"did you mean {better!r}?", near.end(), better
    if not scheme and ("$" in pattern or "~" in pattern) and (unfilled := _UNFILLED.search(pattern)):
        text = f"{named(unfilled[0])} is not filled in: the pattern matches nothing"
        return text, "write the whole path", unfilled.end(), None
    if begin in _PAGES:
        text = f"nobody watches {named(begin)}"
        return (
            text,
            "files are watched in folders of this machine, and in buckets by s3:// and gs://",
            len(begin),
            None,
        )
    if begin.removesuffix("://") in REMOTE and "/" not in pattern[len(begin) :]:
        bucket = pattern[len(begin) :]
        text = f"{named(pattern)} names {'a bucket and no file in it' if bucket else 'no bucket'}: it matches nothing"
        return text, f"write {begin}{bucket or 'BUCKET'}/**", len(pattern), None
    return None


def _ordinary(advice: Advice, number: int, option: str, nth: int, pattern: str) -> None:
    """Tell what stands in a pattern for itself and looks as if it stood for something else."""
    if "{" not in pattern and "," not in pattern:  # as most are
        return
    if braces := _BRACES.search(pattern):
        what, hint = "braces are no alternatives here", f"give {option}= once for each"
    elif braces := _TOKEN.search(pattern):
        what, hint = (
            "no token is filled in here",
            "write * for it: the time of a file is read out of its path",
        )
    elif braces := _COMMA.search(pattern):
        what, hint = "commas are no alternatives here", f"give {option}= once for each"
    else:
        return
    start, end = braces.span()
    text = f"{named(braces[0])} is ordinary text: {what}"
    advice.at_option("FL075", number, option, text, hint, nth=nth, start=start, end=end)


class _LeftOut:
    """Tells whether surely all files of a pattern are left out by `ignore`, as long as that is no great work."""

    def __init__(self) -> None:
        self.left = _MOST_LEFT_OUT

    def __call__(self, pattern: str, ignore: Iterable[str]) -> bool:
        """Tell it of one pattern; of what has a slash in it paths are left out, else names."""
        name = pattern.rpartition("/")[2]
        if "]" in name or (_WILD.search(name) and ("[" in pattern or "\\" in pattern)):
            # A class may hold a slash, so nobody knows where the name begins.
            return any(each in ("*", "**") or (each == pattern and "/" in each) for each in ignore)
        if "**" in name:  # the name begins anywhere in it
            name = f"*{name.rpartition('**')[2]}"
        for each in ignore:
            if each in ("*", "**"):
                return True
            whole = pattern if "/" in each else name
            if each == whole:
                return True
            if not _WILD.search(each) or not _ends(whole)[1].endswith(_ends(each)[1]):
                continue
            self.left -= 1
            try:
                if self.left > 0 and covers(each, whole):
                    return True
            except Unreadable:
                continue
        return False


def shared(watched: Iterable[Watched]) -> list[Problem]:
    """Return a note for each pattern that takes files which a pattern before it takes too.

    Patterns are compared with those whose beginning fits, as long as that is no great work.
    """
    known = [(*_ends(each.pattern), each) for each in watched]
    known.sort(key=lambda found: (found[0], found[2].path, found[2].number))
    told: list[Problem] = []
    counts: dict[str, int] = {}
    paths = {each.path for _, _, each in known}
    full: set[str] = set()  # those of files of which no more is told
    answers: dict[tuple[str, str], bool] = {}  # many phases have the same patterns
    compared = 0
    places = _MOST_PLACES + sum(len(each.pattern) for _, _, each in known) // 4
    # Those whose ordinary beginning the next one begins with: of each the beginning is one of the next in this list.
    open_: list[tuple[str, str, Watched]] = []
    for head, tail, each in known:
        while open_ and not head.startswith(open_[-1][0]):
            open_.pop()
        for _, other_tail, other in open_:
            compared += 1
            if compared > MOST_COMPARED or places < 0:
                return told
            # What stands behind the last star of both may already show that they have no path in common.
            if not (tail.endswith(other_tail) or other_tail.endswith(tail)):
                continue
            if other.path == each.path and (other.phase == each.phase or each.path in full):
                continue
            places -= len(each.pattern) * len(other.pattern)
            both = each.pattern, other.pattern
            if both not in answers:
                answers[both] = _share(*both)
            if not answers[both]:
                continue
            later, earlier = (
                (each, other) if (each.path, each.number) >= (other.path, other.number) else (other, each)
            )
            counts[later.path] = counts.get(later.path, 0) + 1
            if counts[later.path] > MOST_FINDINGS:  # as of everything else in one file
                full.add(later.path)
                if full == paths:
                    return told
                break
            text = f"a file may match this and {named(earlier.pattern)}, too: both phases start"
            hint = f"that is {named(earlier.phase)} ({earlier.path}:{earlier.place.line})"
            at = later.place
            told.append(problem("FL073", at.path, at.line, at.column, text=text, hint=hint, end=at.end))
            break
        open_.append((head, tail, each))
    return told


def _ends(pattern: str) -> tuple[str, str]:
    """Return the ordinary text that a pattern begins with, and that which it ends with."""
    found = _WILD.search(pattern)
    if found is None and "]" not in pattern:
        return pattern, pattern
    last = max(map(pattern.rfind, "*?[]\\"))
    return pattern[: found.start()] if found else pattern, pattern[last + 1 :]


def _share(one: str, other: str) -> bool:
    try:
        return share(one, other)
    except Unreadable:
        return False
