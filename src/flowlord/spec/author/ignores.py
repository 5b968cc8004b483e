"""Ignore comments: `# flowlord: ignore FL042` on a line, above it, or for a whole file at its top."""

from __future__ import annotations

import re
from bisect import bisect_left, bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from itertools import islice
from operator import itemgetter
from typing import Final, TypeAlias

from msgspec.structs import replace

from flowlord.model.problem import Edit, Fix, Problem, Severity
from flowlord.spec.codes import CODES
from flowlord.spec.document import Document, Item, named
from flowlord.spec.near import nearest
from flowlord.spec.source import Source
from flowlord.spec.toml import comments_of

MARK: Final = "flowlord:"
_WHOLE: Final = (0, 0)  # lines of a comment about a whole file
MOST_CODES: Final = 500  # in the comments of one file
_COMMENT: Final = re.compile(r"#[ \t]*flowlord:[ \t]*(ignore-file|ignore|[a-z-]*)[ \t]*([^\n]*)")
_WORD: Final = re.compile(r"[^\s,;:]+")
_LIKE_CODE: Final = re.compile(r"f[a-z]{0,2}[0-9]\w*|[a-z]{2}[0-9]{3}", re.IGNORECASE)
_DASH: Final = re.compile(r"[ ]*-[ \t]*(?:#.*)?")
_TASK: Final = re.compile(r"- task: +[\w/]")  # as in most files of YAML
_HEADER: Final = re.compile(r"(?:[&!]\S*[ \t]+)*[|>]")  # of a block in YAML, behind its anchor and tag
_OPEN: Final = re.compile(r"(?:^|\s)#[ \t]*flowlord:", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Ignore:
    """One code of one comment: `first` to `last` are the lines that it is about, all of them when `last` is 0.

    One at the head of a phase is about the lines of its task, too.
    """

    code: str
    first: int
    last: int
    unused: Problem  # what to say when it ignores nothing
    task: tuple[int, int] | None = None


@dataclass(frozen=True, slots=True)
class Ignores:
    """The ignore comments of the file at `path`, and what is wrong with them already.

    Of those that ignore nothing nobody can tell when not all that is wrong with the file is known.
    """

    path: str = ""
    all: tuple[Ignore, ...] = ()
    problems: tuple[Problem, ...] = ()
    is_known: bool = True


NONE: Final = Ignores()
_Lines: TypeAlias = tuple[str, int, int]


@dataclass
class _Reading:
    document: Document
    source: Source
    extents: list[tuple[int, int]]
    found: list[Ignore] = field(default_factory=list)
    problems: list[Problem] = field(default_factory=list)

    @cached_property
    def contents(self) -> list[int]:
        """The numbers of the lines with more than a comment."""
        return [number for number, line in enumerate(self.source.lines, 1) if _is_content(line)]

    @cached_property
    def heads(self) -> dict[int, Item]:
        """The phases by the lines at which they begin: those of a header, of a dash, or of what stands below a dash."""
        source, found = self.source, {item.line: item for item in reversed(self.document.items)}
        if self.document.is_yaml:
            for item in self.document.items:
                if source.lines[item.line - 1][: item.column - 1].strip():
                    continue
                at = bisect_left(self.contents, item.line)
                if at and _DASH.fullmatch(source.lines[self.contents[at - 1] - 1]):
                    found.setdefault(self.contents[at - 1], item)
        return found

    def task(self, line: int) -> tuple[int, int] | None:
        """Return the lines of the task of the phase that begins at a line; None when none does, or it is that line."""
        item = self.heads.get(line)
        if item is None or not isinstance(item.value, dict) or _TASK.search(self.source.lines[line - 1]):
            return None
        key = next((key for key in item.value if key.lower() == "task"), None)
        if key is None:
            return None
        task = self.source.place(self.document.node((*item.path, key)).start)[0]
        return None if task == line else _extent(self.extents, task)

    @property
    def is_full(self) -> bool:
        return len(self.found) + len(self.problems) > MOST_CODES


def read_ignores(document: Document, *, yaml: bool, is_known: bool = True) -> Ignores:
    """Return the ignore comments of a file; `is_known` says whether all that is wrong with it is known."""
    source = document.source
    if MARK not in source.text:
        return NONE
    spans = document.spans()
    reading = _Reading(document, source, sorted(_extents(source, spans)))
    starts = _in_yaml(source.text, spans) if yaml else comments_of(source.text)
    for start in starts:
        comment = _COMMENT.match(source.text, start)
        if comment is None:
            continue
        _read(reading, comment)
        if reading.is_full:
            break
    return Ignores(source.path, tuple(reading.found), tuple(reading.problems), is_known)


def settle(problems: Sequence[Problem], ignores: Ignores, *, looked_at_files: bool = True) -> list[Problem]:
    """Return the problems of one file that nobody ignores, and those of its ignore comments, sorted by place."""
    if not ignores.all and not ignores.problems:
        return list(problems)
    by_lines: dict[_Lines, list[int]] = {}  # a code and the lines that its comment is about
    heads: dict[_Lines, set[_Lines]] = {}  # by the lines of a task those of the head of its phase
    for number, ignore in enumerate(ignores.all):
        lines = ignore.code, ignore.first, ignore.last
        by_lines.setdefault(lines, []).append(number)
        if ignore.task:
            heads.setdefault((ignore.code, *ignore.task), set()).add(lines)
    ranges: dict[str, list[tuple[int, int]]] = {}  # of each code; two have a line in common at most
    for code, first, last in sorted(by_lines.keys() | heads.keys()):
        ranges.setdefault(code, []).append((first, last))
    used: set[_Lines] = set()
    left: list[Problem] = []
    for each in problems:
        hit = _about(each, ranges.get(each.code, ()))
        for first, last in hit:
            lines = each.code, first, last
            used |= {lines, *heads.get(lines, ())}
        if not hit:
            left.append(each)
    for lines, numbers in by_lines.items():
        if ignores.is_known and lines not in used and (looked_at_files or lines[0] not in NEED_FILES):
            left += [ignores.all[number].unused for number in numbers]
    left += ignores.problems
    return sorted(left, key=lambda each: (each.line, each.column, each.code))


NEED_FILES: Final = frozenset(("FL066", "FL067", "FL068"))


def _about(problem: Problem, ranges: Sequence[tuple[int, int]]) -> list[tuple[int, int]]:
    """Return those of the ranges of a code that a problem lies in: all of the file, and its own line."""
    if not ranges or problem.severity is Severity.ERROR:
        return []
    hit = [_WHOLE] if ranges[0] == _WHOLE else []
    end = bisect_right(ranges, problem.line, key=lambda each: each[0])
    # Two texts have at most one line in common, where one ends and the next begins.
    return hit + [each for each in ranges[max(end - 2, len(hit)) : end] if problem.line <= each[1]]


def _read(reading: _Reading, comment: re.Match[str]) -> None:
    source = reading.source
    start, word = comment.start(), comment[1]
    further = source.text.find("#", comment.start(2), comment.end(2))
    codes = list(islice(_codes(source.text, comment.start(2), _end(comment, further)), MOST_CODES + 1))
    line, column = source.place(start)
    if word not in ("ignore", "ignore-file") or not codes:
        text = "an ignore comment names what to ignore"
        hint = "write # flowlord: ignore FL042 (flowlord rule lists the codes)"
        reading.problems.append(source.problem("FL091", start, comment.end(), text, hint))
        return
    alone = not source.lines[line - 1][: column - 1].strip()
    first, last = line, line
    if word == "ignore-file":
        if not alone or (reading.contents and reading.contents[0] < line):
            text = "ignore-file belongs above everything else in the file"
            reading.problems.append(source.problem("FL091", start, comment.end(), text, "move it to the top"))
            return
        first = last = 0
    elif alone:
        at = bisect_right(reading.contents, line)
        first = last = reading.contents[at] if at < len(reading.contents) else line
    else:
        first, last = _extent(reading.extents, line)
    task = reading.task(first) if last else None
    if alone and last:
        first, last = _extent(reading.extents, first)
    for number, each in enumerate(codes):
        if len(reading.found) + len(reading.problems) >= MOST_CODES:
            text = f"more than {MOST_CODES} codes to ignore: the rest is not read"
            hint = "ignore-file ignores a code in the whole file"
            reading.problems.append(source.problem("FL091", *each.span(), text, hint))
            return
        edit = _removed(source.text, (start, _end(comment, further)), codes, number, alone=alone)
        _code(reading, comment[1], each, (first, last), task, edit)


def _end(comment: re.Match[str], further: int) -> int:
    """Return where a comment ends, or a further one behind its codes begins."""
    return further if further >= 0 else comment.end()


def _codes(text: str, start: int, end: int) -> Iterator[re.Match[str]]:
    """Yield the first word, and those behind it that look like codes: others begin to say why."""
    for number, found in enumerate(_WORD.finditer(text, start, end)):
        if number and not _LIKE_CODE.fullmatch(found[0]):
            return
        yield found


def _code(
    reading: _Reading,
    word: str,
    found: re.Match[str],
    lines: tuple[int, int],
    task: tuple[int, int] | None,
    edit: Edit,
) -> None:
    code, (start, end) = found[0], found.span()
    known = CODES.get(code)
    if known is None:
        like = nearest(code, CODES)
        hint = f"did you mean {like!r}?" if like else "flowlord rule lists them"
        told = reading.source.problem("FL091", start, end, f"there is no code {named(code)}", hint)
        reading.problems.append(told)
    elif known.severity is Severity.ERROR:
        text = f"{code} is an error: a file that has it cannot be used, so it cannot be ignored"
        reading.problems.append(reading.source.problem("FL091", start, end, text, "mend it instead"))
    else:
        where = "in this file" if word == "ignore-file" else f"in line {lines[0]}"
        told = reading.source.problem(
            "FL090", start, end, f"there is no {code} {where} to ignore", "take it out"
        )
        reading.found.append(Ignore(code, *lines, replace(told, fix=Fix((edit,), safe=True)), task))


def _removed(
    text: str, comment: tuple[int, int], codes: list[re.Match[str]], number: int, *, alone: bool
) -> Edit:
    """Return the edit that takes out one code: with its separator, or with the comment when it is the only one."""
    if len(codes) == 1:
        start, end = comment
        begin = text.rfind("\n", 0, start) + 1
        if text.startswith("#", end):  # which stays
            return Edit(start, end, "")
        if alone and end < len(text):
            return Edit(begin, end + 1, "")
        while start > begin and text[start - 1] in " \t":
            start -= 1
        return Edit(start, end, "")
    if number:
        return Edit(codes[number - 1].end(), codes[number].end(), "")
    return Edit(codes[0].start(), codes[1].start(), "")


def _is_content(line: str) -> bool:
    return bool(line.strip()) and not line.lstrip().startswith("#")


def _extent(extents: list[tuple[int, int]], line: int) -> tuple[int, int]:
    """Return the lines of the value that lies on a line; the line itself for most."""
    at = bisect_right(extents, line, key=lambda each: each[0]) - 1
    if at >= 0 and extents[at][0] <= line <= extents[at][1]:
        return extents[at]
    return line, line


def _extents(source: Source, spans: list[tuple[int, int, int]]) -> list[tuple[int, int]]:
    """The lines of all texts that have more than one, from their key on."""
    text, extents = source.text, []
    for first, start, end in spans:
        if text.find("\n", first, end) < 0:  # as in nearly all
            continue
        while end > start and text[end - 1] in " \t\n":  # the span of a block in YAML holds blank lines
            end -= 1
        if text.find("\n", first, end) >= 0:
            extents.append((source.place(first)[0], source.place(end)[0]))
    return extents


def _in_yaml(text: str, spans: list[tuple[int, int, int]]) -> list[int]:
    """Return where comments with the mark begin: wherever no text reaches, and behind the header of a block."""
    found = [each.end() - len(each[0].lstrip()) for each in _OPEN.finditer(text)]
    spans = sorted(spans, key=itemgetter(1, 2))
    starts = [start for _, start, _ in spans]
    inside = [bisect_right(starts, at) - 1 for at in found]
    return [
        at
        for at, span in zip(found, inside, strict=True)
        if span < 0 or at >= spans[span][2] or _is_behind_header(text, spans[span][1], at)
    ]


def _is_behind_header(text: str, start: int, at: int) -> bool:
    """Tell whether a value is a block that begins on the lines below, and `at` stands behind what says so."""
    return text.find("\n", start, at) < 0 and _HEADER.match(text, start, at) is not None
