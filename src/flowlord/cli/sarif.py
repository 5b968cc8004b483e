"""Problems as a SARIF 2.1.0 log, for code scanning services and editors."""

from __future__ import annotations

import os
from collections.abc import Sequence
from urllib.parse import quote

from flowlord import __version__
from flowlord.model.problem import Problem, Severity
from flowlord.spec.codes import CODES
from flowlord.spec.pages import page

SCHEMA = "https://json.schemastore.org/sarif-2.1.0.json"
_LEVELS = {Severity.ERROR: "error", Severity.WARNING: "warning", Severity.NOTE: "note"}


def log(problems: Sequence[Problem]) -> dict[str, object]:
    """Return the log: one run, the codes that were found as its rules, columns in code points."""
    codes = sorted({problem.code for problem in problems})
    places = {code: number for number, code in enumerate(codes)}
    driver = {
        "name": "flowlord",
        "version": __version__,
        "semanticVersion": __version__.replace(".dev", "-dev."),
        "rules": [_rule(code) for code in codes],
    }
    run = {
        "tool": {"driver": driver},
        "columnKind": "unicodeCodePoints",
        "results": [_result(problem, places[problem.code]) for problem in problems],
    }
    return {"$schema": SCHEMA, "version": "2.1.0", "runs": [run]}


def _rule(code: str) -> dict[str, object]:
    kind, told = CODES[code], page(code)
    return {
        "id": code,
        "shortDescription": {"text": kind.title},
        "fullDescription": {"text": told.why},
        "help": {"text": f"{told.why}\n\nflowlord rule {code} shows an example and what mends it."},
        "defaultConfiguration": {"level": _LEVELS[kind.severity]},
    }


def _result(problem: Problem, rule: int) -> dict[str, object]:
    physical: dict[str, object] = {"artifactLocation": {"uri": address(problem.path)}}
    if problem.line:
        region = {"startLine": problem.line, "startColumn": problem.column}
        if problem.end > problem.column:
            region |= {"endLine": problem.line, "endColumn": problem.end}
        physical["region"] = region
    text = problem.text + (f" (hint: {problem.hint})" if problem.hint else "")
    return {
        "ruleId": problem.code,
        "ruleIndex": rule,
        "level": _LEVELS[problem.severity],
        "message": {"text": text},
        "locations": [{"physicalLocation": physical}],
    }


def address(path: str) -> str:
    """Return a path as a URI reference: relative ones stay relative, to where the command ran."""
    written = quote(path.removeprefix("./"), safe="/-._~")
    return f"file://{written}" if os.path.isabs(path) else written
