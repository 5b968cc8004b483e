"""Problems as reports that pages of CI show: JUnit's XML and the code quality of GitLab."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from hashlib import sha256
from itertools import groupby
from typing import TypedDict

from flowlord.cli.texts import printable
from flowlord.model.problem import Problem, Severity
from flowlord.spec.codes import CODES

_NO_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_SPECIAL = {"&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;", "\n": "&#10;"}
_QUALITY = {Severity.ERROR: "critical", Severity.WARNING: "minor", Severity.NOTE: "info"}


class _Lines(TypedDict):
    """Where GitLab puts a mark."""

    begin: int


def junit(problems: Sequence[Problem]) -> Iterator[str]:
    """Yield the lines of a JUnit report: a suite for each file, a case for each problem.

    An error is a failure; a warning or a note is a case that was skipped, with its words.
    """
    failed = sum(map(_fails, problems))
    yield '<?xml version="1.0" encoding="UTF-8"?>'
    yield f'<testsuites name="flowlord validate" tests="{len(problems)}" failures="{failed}" errors="0">'
    for path, found in groupby(problems, key=lambda each: each.path):
        suite = list(found)
        counts = f'tests="{len(suite)}" failures="{sum(map(_fails, suite))}" errors="0"'
        yield f'  <testsuite name="{_xml(_shown(path))}" {counts}>'
        for each in suite:
            place = f'name="{_xml(f"{each.code} {_shown(each.place)}")}" classname="{_xml(CODES[each.code].title)}"'
            yield f'    <testcase {place} file="{_xml(_shown(path))}" line="{each.line}">'
            words = each.text + (f"\nhint: {each.hint}" if each.hint else "")
            if _fails(each):
                yield f'      <failure type="{each.code}" message="{_xml(each.text)}">{_xml(words)}</failure>'
            else:
                yield f'      <skipped message="{_xml(f"{each.severity}: {words}")}"/>'
            yield "    </testcase>"
        yield "  </testsuite>"
    yield "</testsuites>"


def code_quality(problems: Sequence[Problem]) -> list[dict[str, object]]:
    """Return what GitLab takes for a report of code quality.

    A fingerprint is that of the file, the code and the words, not of the line: what only moves is not new.
    """
    found: list[dict[str, object]] = []
    again: dict[str, int] = {}
    for each in problems:
        known = f"{_shown(each.path)}\0{each.code}\0{each.text}"
        again[known] = again.get(known, 0) + 1
        found.append(
            {
                "description": each.text + (f" (hint: {each.hint})" if each.hint else ""),
                "check_name": each.code,
                "fingerprint": sha256(f"{known}\0{again[known]}".encode("utf-8", "replace")).hexdigest(),
                "severity": _QUALITY[each.severity],
                "location": {"path": _shown(each.path), "lines": _Lines(begin=max(each.line, 1))},
            }
        )
    return found


def _fails(problem: Problem) -> bool:
    return problem.severity is Severity.ERROR


def _shown(path: str) -> str:
    return path.removeprefix("./")  # reports know files from the top of the repository


def _xml(text: str) -> str:
    text = "\n".join(map(printable, text.split("\n")))
    return _NO_XML.sub("\ufffd", re.sub('[&<>"\n]', lambda found: _SPECIAL[found[0]], text))
