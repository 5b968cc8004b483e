"""`flowlord validate`: every problem in workflow files, where it is and how to mend it."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from unicodedata import east_asian_width

from flowlord.cli import printer
from flowlord.cli.exits import ANSWER_IS_BAD, DONE, WRONG_USE
from flowlord.cli.texts import json_text, printable, some
from flowlord.model.problem import Problem, Severity
from flowlord.spec.load import load
from flowlord.spec.parse import parse_file
from flowlord.spec.source import MAX_BYTES

OUTPUTS = ("text", "concise", "json", "jsonl")
STDIN = "stdin.toml"
WIDEST = 160  # characters of a line of source that are shown
SHOWN_IGNORED = 3

_COLORS = {Severity.ERROR: "31", Severity.WARNING: "33", Severity.NOTE: "36"}


@dataclass(slots=True)
class _Found:
    """What was looked at and what was found there."""

    problems: list[Problem] = field(default_factory=list)
    files: int = 0
    phases: int = 0
    ignored: list[str] = field(default_factory=list)
    texts: dict[str, bytes] = field(default_factory=dict)  # of files that cannot be read again

    def count(self, severity: Severity) -> int:
        return sum(problem.severity is severity for problem in self.problems)


def run(
    paths: Sequence[str],
    output: str = "text",
    *,
    strict: bool = False,
    exit_zero: bool = False,
    select: Sequence[str] = (),
    ignore: Sequence[str] = (),
    color: str = "auto",
    quiet: bool = False,
    stdin_name: str = STDIN,
) -> int:
    """Tell every problem in the files and folders at `paths` (`-` is stdin); returns the exit code.

    Args:
        output: one of OUTPUTS; empty is text.
        strict: warnings fail too.
        exit_zero: problems do not fail.
        select, ignore: beginnings of codes, which are told at all and count.
        stdin_name: its ending tells the format of stdin; as it is here, stdin is TOML, or YAML when it is no TOML.
    """
    output = output or "text"
    if output not in OUTPUTS:
        printer.error(f"-o {output!r} is no form of output", hint=f"write one of {', '.join(OUTPUTS)}")
        return WRONG_USE
    look = printer.Look(color=color)  # refuses an unknown word
    found = _Found()
    for path in paths or ("workflows",):
        if path == "-":
            _read_stdin(found, stdin_name)
        elif not _read(found, path):
            return WRONG_USE
    found.problems = [problem for problem in found.problems if _wanted(problem.code, select, ignore)]
    _print(found, output, look)
    if not quiet:
        _sum_up(found, paths)
    failed = found.count(Severity.ERROR) or (strict and found.count(Severity.WARNING)) or not found.files
    return ANSWER_IS_BAD if failed and not exit_zero else DONE


def _read(found: _Found, path: str) -> bool:
    """Read a file or folder; False when it cannot be read at all, which was told then."""
    try:
        loaded = load(path)
    except OSError as error:
        reason = "there is no such file or folder" if isinstance(error, FileNotFoundError) else error.strerror
        printer.error(
            f"{path}: {reason}", hint="name a workflow file or a folder of them: flowlord validate workflows/"
        )
        return False
    found.problems += loaded.problems
    found.files += len(loaded.files)
    found.phases += loaded.phases
    found.ignored += loaded.ignored
    return True


def _read_stdin(found: _Found, name: str) -> None:
    data = sys.stdin.buffer.read(MAX_BYTES + 1)
    parsed = parse_file(data, name or STDIN, "<stdin>")
    if name in ("", STDIN) and any(problem.code == "FL005" for problem in parsed.problems):
        yaml = parse_file(data, "stdin.yaml", "<stdin>")
        parsed = yaml if yaml.phases else parsed
    found.texts["<stdin>"] = data
    found.problems += parsed.problems
    found.files += 1
    found.phases += parsed.phases


def _wanted(code: str, select: Sequence[str], ignore: Sequence[str]) -> bool:
    return (not select or code.startswith(tuple(select))) and not code.startswith(tuple(ignore))


def _print(found: _Found, output: str, look: printer.Look) -> None:
    match output:
        case "json":
            printer.document([_record(problem) for problem in found.problems])
        case "jsonl":
            printer.lines(json_text(_record(problem)) for problem in found.problems)
        case "concise":
            printer.lines(_line(problem, look.colored()) for problem in found.problems)
        case _:
            source = _Lines(found.texts) if printer.on_terminal() else None
            printer.lines(
                line for problem in found.problems for line in _block(problem, look.colored(), source)
            )


def _record(problem: Problem) -> dict[str, object]:
    return {
        "code": problem.code,
        "severity": str(problem.severity),
        "message": problem.text,
        "file": problem.path,
        "line": problem.line,
        "column": problem.column,
        "end_column": problem.end,
        "hint": problem.hint,
    }


def _line(problem: Problem, colored: bool) -> str:
    place, code, severity = printable(problem.place), problem.code, str(problem.severity)
    if colored:
        place = f"\x1b[1m{place}\x1b[0m"
        severity = f"\x1b[{_COLORS[problem.severity]}m{severity}\x1b[0m"
    return f"{place}: {code} {severity}: {printable(problem.text)}"


def _block(problem: Problem, colored: bool, source: _Lines | None) -> Iterable[str]:
    yield _line(problem, colored)
    text = source.line(problem) if source and problem.line else ""
    if text:
        gutter = " " * len(str(problem.line))
        shown, marks = _marked(text, problem.column, problem.end)
        yield f"{gutter} |"
        yield f"{problem.line} | {shown}"
        yield f"{gutter} | " + (f"\x1b[{_COLORS[problem.severity]}m{marks}\x1b[0m" if colored else marks)
    if problem.hint:
        yield f"    hint: {printable(problem.hint)}"


class _Lines:
    """Lines of the files that problems are in; keeps the file that was looked at last."""

    def __init__(self, texts: dict[str, bytes]) -> None:
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


def _marked(text: str, column: int, end: int) -> tuple[str, str]:
    """Return a line as it can be shown, and the marks below the characters from `column` to `end`."""
    first = max(column - 1, 0)
    last = max(min(end - 1, len(text)), first + 1)
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


def _sum_up(found: _Found, paths: Sequence[str]) -> None:
    if found.ignored:
        names = ", ".join(found.ignored[:SHOWN_IGNORED]) + (
            ", …" if len(found.ignored) > SHOWN_IGNORED else ""
        )
        printer.say(f"{some(len(found.ignored), 'file')} ignored, no workflows: {names}")
    if not found.files:
        printer.say(f"no workflow files (.toml, .yaml, .yml) in {', '.join(paths)}")
        return
    counts: list[tuple[int, Callable[[int], str]]] = [
        (found.count(Severity.ERROR), lambda n: some(n, "error")),
        (found.count(Severity.WARNING), lambda n: some(n, "warning")),
        (found.count(Severity.NOTE), lambda n: some(n, "note")),
    ]
    told = ", ".join(words(number) for number, words in counts if number) or "ok"
    printer.say(f"{some(found.files, 'file')}, {some(found.phases, 'phase')}: {told}")
