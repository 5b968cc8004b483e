"""Problems as people and machines read them: text with marks, concise, JSON, GitHub's commands, counts."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from unicodedata import east_asian_width

from flowlord.cli import printer
from flowlord.cli.texts import json_text, printable
from flowlord.model.problem import Problem, Severity
from flowlord.spec.codes import CODES
from flowlord.spec.source import MAX_BYTES

OUTPUTS = ("text", "concise", "json", "jsonl", "sarif", "github", "gitlab", "junit")
COUNTED = ("text", "concise", "json", "jsonl")  # of them, those that --statistics has
WIDEST = 160  # characters of a line of source that are shown
_HIDDEN = "FL080"  # what it marks is never shown

_COLORS = {Severity.ERROR: "31", Severity.WARNING: "33", Severity.NOTE: "36"}
_GITHUB = {Severity.ERROR: "error", Severity.WARNING: "warning", Severity.NOTE: "notice"}


def show(
    problems: Sequence[Problem], output: str, look: printer.Look, texts: Mapping[str, bytes] | None = None
) -> None:
    """Print problems in one of OUTPUTS; `texts` are the files that cannot be read again."""
    match output:
        case "json":
            printer.document([record(problem) for problem in problems])
        case "jsonl":
            printer.lines(json_text(record(problem)) for problem in problems)
        case "sarif":
            from flowlord.cli.sarif import log

            printer.document(log(problems))
        case "gitlab":
            from flowlord.cli.reports import code_quality

            printer.document(code_quality(problems))
        case "junit":
            from flowlord.cli.reports import junit

            printer.lines(junit(problems))
        case "github":
            printer.lines(map(_command, problems))
        case "concise":
            printer.lines(_line(problem, look.colored()) for problem in problems)
        case _:
            source = _Lines(texts or {}) if printer.on_terminal() else None
            printer.lines(line for problem in problems for line in _block(problem, look.colored(), source))


def count(problems: Sequence[Problem], output: str) -> None:
    """Print how often each code was found, the most frequent first."""
    found = [
        {
            "count": number,
            "code": code,
            "severity": str(CODES[code].severity),
            "fixable": CODES[code].fix or None,
            "title": CODES[code].title,
        }
        for code, number in sorted(
            Counter(problem.code for problem in problems).items(), key=lambda each: (-each[1], each[0])
        )
    ]
    match output:
        case "json":
            printer.document(found)
        case "jsonl":
            printer.lines(map(json_text, found))
        case _:
            printer.lines(
                f"{each['count']:>7,}  {each['code']}  {each['severity']:<8} {each['title']}"
                for each in found
            )


def record(problem: Problem) -> dict[str, object]:
    """Return a problem as a JSON object; its keys are stable."""
    return {
        "code": problem.code,
        "severity": str(problem.severity),
        "message": problem.text,
        "file": problem.path,
        "line": problem.line,
        "column": problem.column,
        "end_column": problem.end,
        "hint": problem.hint,
        "fixable": fixable(problem) or None,
        "docs": f"flowlord rule {problem.code}",
    }


def fixable(problem: Problem) -> str:
    """Return `safe`, `unsafe` or nothing."""
    return "" if problem.fix is None else "safe" if problem.fix.safe else "unsafe"


def _command(problem: Problem) -> str:
    """Return the line by which a step of GitHub Actions annotates a file."""
    place = {
        "file": problem.path.removeprefix("./")
    }  # its annotations know files from the top of the repository
    if problem.line:
        place |= {"line": str(problem.line), "col": str(problem.column)}
        if problem.end > problem.column:
            place |= {"endLine": str(problem.line), "endColumn": str(problem.end)}
    place["title"] = f"{problem.code} {CODES[problem.code].title}"
    properties = ",".join(f"{key}={_escaped(value, property_=True)}" for key, value in place.items())
    text = problem.text + (f"\nhint: {problem.hint}" if problem.hint else "")
    return f"::{_GITHUB[problem.severity]} {properties}::{_escaped(text)}"


def _escaped(text: str, *, property_: bool = False) -> str:
    text = text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")
    return printable(text.replace(":", "%3A").replace(",", "%2C") if property_ else text)


def _line(problem: Problem, colored: bool) -> str:
    place, code, severity = printable(problem.place), problem.code, str(problem.severity)
    mark = {"": "", "safe": " [fixable]", "unsafe": " [fixable, unsafe]"}[fixable(problem)]
    if colored:
        place = f"\x1b[1m{place}\x1b[0m"
        severity = f"\x1b[{_COLORS[problem.severity]}m{severity}\x1b[0m"
    return f"{place}: {code} {severity}: {printable(problem.text)}{mark}"


def _block(problem: Problem, colored: bool, source: _Lines | None) -> Iterable[str]:
    yield _line(problem, colored)
    text = source.line(problem) if source and problem.line else ""
    if text:
        gutter = " " * len(str(problem.line))
        shown, marks = marked(text, problem.column, problem.end, hide=problem.code == _HIDDEN)
        yield f"{gutter} |"
        yield f"{problem.line} | {shown}"
        yield f"{gutter} | " + (f"\x1b[{_COLORS[problem.severity]}m{marks}\x1b[0m" if colored else marks)
    if problem.hint:
        yield f"    hint: {printable(problem.hint)}"


class _Lines:
    """Lines of the files that problems are in; keeps the file that was looked at last."""

    def __init__(self, texts: Mapping[str, bytes]) -> None:
        self.texts = texts
        self.path = ""
        self.lines: list[bytes] = []

    def line(self, problem: Problem) -> str:
        if problem.path != self.path:
            self.path = problem.path
            self.lines = self._read(problem.path).removeprefix(b"\xef\xbb\xbf").split(b"\n")
        if problem.line > len(self.lines):
            return ""
        return self.lines[problem.line - 1].decode("utf-8", "replace").rstrip("\r")

    def _read(self, path: str) -> bytes:
        if path in self.texts:
            return self.texts[path]
        try:
            with open(path, "rb", opener=lambda name, flags: os.open(name, flags | os.O_NONBLOCK)) as file:
                return file.read(MAX_BYTES)
        except OSError:  # gone since it was checked
            return b""


def marked(text: str, column: int, end: int, *, hide: bool = False) -> tuple[str, str]:
    """Return a line as it can be shown, and the marks below the characters from `column` to `end`."""
    first = max(column - 1, 0)
    last = max(min(end - 1, len(text)), first + 1)
    if hide:
        text = text[:first] + "*" * (min(last, len(text)) - first) + text[last:]
    start = max(0, first - WIDEST // 2) if len(text) > WIDEST else 0
    part = text[start : start + WIDEST]
    shown = "".join(_shown(character) for character in part)
    before = "".join(_shown(character) for character in text[start:first])
    below = "".join(_shown(character) for character in text[first : min(last, start + WIDEST)]) or " "
    return shown, " " * _width(before) + "^" * max(_width(below), 1)


def _shown(character: str) -> str:
    return " " if character == "\t" else printable(character)


def _width(text: str) -> int:
    return sum(2 if east_asian_width(character) in "WF" else 1 for character in text)
