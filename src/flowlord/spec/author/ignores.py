"""Ignore comments: `# flowlord: ignore FL042` on a line, above it, or for a whole file at its top."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

from msgspec.structs import replace

from flowlord.model.problem import Edit, Fix, Problem, Severity
from flowlord.spec.codes import CODES
from flowlord.spec.document import Document, Node, named
from flowlord.spec.near import nearest
from flowlord.spec.source import Source
from flowlord.spec.toml import comments_of

MARK: Final = "flowlord:"
_COMMENT: Final = re.compile(r"#[ \t]*flowlord:[ \t]*(ignore-file|ignore|[a-z-]*)[ \t]*([^\n]*)")
_CODE: Final = re.compile(r"[^\s,]+")
_OPEN: Final = re.compile(r"(?:^|\s)#[ \t]*flowlord:", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Ignore:
    """One code of one comment: `first` to `last` are the lines that it is about, all of them when `last` is 0."""

    code: str
    first: int
    last: int
    unused: Problem  # what to say when it ignores nothing


@dataclass(frozen=True, slots=True)
class Ignores:
    """The ignore comments of the file at `path`, and what is wrong with them already."""

    path: str = ""
    all: tuple[Ignore, ...] = ()
    problems: tuple[Problem, ...] = ()


NONE: Final = Ignores()


@dataclass(slots=True)
class _Reading:
    source: Source
    extents: list[tuple[int, int]]
    found: list[Ignore] = field(default_factory=list)
    problems: list[Problem] = field(default_factory=list)


def read_ignores(document: Document, *, yaml: bool) -> Ignores:
    """Return the ignore comments of a file."""
    source = document.source
    if MARK not in source.text:
        return NONE
    reading = _Reading(source, sorted(_extents(source, document.root)))
    starts = _in_yaml(document) if yaml else comments_of(source.text)
    for start in starts:
        comment = _COMMENT.match(source.text, start)
        if comment is not None:
            _read(reading, comment)
    return Ignores(source.path, tuple(reading.found), tuple(reading.problems))


def settle(problems: Sequence[Problem], ignores: Ignores, *, looked_at_files: bool = True) -> list[Problem]:
    """Return the problems of one file that nobody ignores, and those of its ignore comments, sorted by place."""
    if not ignores.all and not ignores.problems:
        return list(problems)
    used: set[int] = set()
    left: list[Problem] = []
    for each in problems:
        hit = [n for n, ignore in enumerate(ignores.all) if _is_about(ignore, each)]
        used.update(hit)
        if not hit:
            left.append(each)
    for n, ignore in enumerate(ignores.all):
        if n not in used and (looked_at_files or ignore.code not in NEED_FILES):
            left.append(ignore.unused)
    left += ignores.problems
    return sorted(left, key=lambda each: (each.line, each.column, each.code))


NEED_FILES: Final = frozenset(("FL066", "FL067", "FL068"))


def _is_about(ignore: Ignore, problem: Problem) -> bool:
    return (
        ignore.code == problem.code
        and problem.severity is not Severity.ERROR
        and (ignore.last == 0 or ignore.first <= problem.line <= ignore.last)
    )


def _read(reading: _Reading, comment: re.Match[str]) -> None:
    source = reading.source
    start, word = comment.start(), comment[1]
    codes = list(_CODE.finditer(source.text, comment.start(2), comment.end(2)))
    line, column = source.place(start)
    if word not in ("ignore", "ignore-file") or not codes:
        text = "an ignore comment names what to ignore"
        hint = "write # flowlord: ignore FL042 (flowlord rule lists the codes)"
        reading.problems.append(source.problem("FL091", start, comment.end(), text, hint))
        return
    alone = not source.lines[line - 1][: column - 1].strip()
    first, last = line, line
    if word == "ignore-file":
        if not alone or any(_is_content(each) for each in source.lines[: line - 1]):
            text = "ignore-file belongs above everything else in the file"
            reading.problems.append(source.problem("FL091", start, comment.end(), text, "move it to the top"))
            return
        first = last = 0
    elif alone:
        first = last = _next_content(source, line)
    else:
        first, last = _extent(reading.extents, line)
    if alone and last:
        first, last = _extent(reading.extents, first)
    for number, each in enumerate(codes):
        _code(
            reading, comment, each, (first, last), _removed(source.text, comment, codes, number, alone=alone)
        )


def _code(
    reading: _Reading, comment: re.Match[str], found: re.Match[str], lines: tuple[int, int], edit: Edit
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
        where = "in this file" if comment[1] == "ignore-file" else f"in line {lines[0]}"
        told = reading.source.problem(
            "FL090", start, end, f"there is no {code} {where} to ignore", "take it out"
        )
        reading.found.append(Ignore(code, *lines, replace(told, fix=Fix((edit,), safe=True))))


def _removed(
    text: str, comment: re.Match[str], codes: list[re.Match[str]], number: int, *, alone: bool
) -> Edit:
    """Return the edit that takes out one code: with its separator, or with the comment when it is the only one."""
    if len(codes) == 1:
        start, end = comment.span()
        begin = text.rfind("\n", 0, start) + 1
        if alone and end < len(text):
            return Edit(begin, end + 1, "")
        while start > begin and text[start - 1] in " \t":
            start -= 1
        return Edit(start, end, "")
    if number:
        return Edit(codes[number - 1].end(), codes[number].end(), "")
    return Edit(codes[0].start(), codes[1].start(), "")


def _next_content(source: Source, line: int) -> int:
    for number in range(line, len(source.lines)):
        if _is_content(source.lines[number]):
            return number + 1
    return line


def _is_content(line: str) -> bool:
    return bool(line.strip()) and not line.lstrip().startswith("#")


def _extent(extents: list[tuple[int, int]], line: int) -> tuple[int, int]:
    """Return the lines of the value that lies on a line; the line itself for most."""
    for first, last in extents:
        if first <= line <= last:
            return first, last
    return line, line


def _extents(source: Source, node: Node) -> list[tuple[int, int]]:
    """The lines of all texts that have more than one, from their key on."""
    if isinstance(node.inside, dict):
        return [each for part in node.inside.values() for each in _extents(source, part)]
    if isinstance(node.inside, list):
        return [each for part in node.inside for each in _extents(source, part)]
    text = source.text
    end = node.end
    while end > node.start and text[end - 1] in " \t\n":  # the span of a block in YAML holds blank lines
        end -= 1
    if text.find("\n", min(node.key, node.start), end) < 0:
        return []
    return [(source.place(min(node.key, node.start))[0], source.place(end)[0])]


def _in_yaml(document: Document) -> list[int]:
    """Return where comments with the mark begin: wherever no text reaches."""
    spans: list[tuple[int, int]] = []

    def gather(node: Node) -> None:
        parts = node.inside.values() if isinstance(node.inside, dict) else node.inside or ()
        if node.inside is None:
            spans.append((node.start, node.end))
        else:
            for part in parts:
                gather(part)

    gather(document.root)
    text = document.source.text
    found = [each.end() - len(each[0].lstrip()) for each in _OPEN.finditer(text)]
    return [at for at in found if not any(start <= at < end for start, end in spans)]
