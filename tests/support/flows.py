"""Workflows out of the short form that the vectors use."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import tomli_w

from flowlord.model.problem import Severity
from flowlord.model.workflow import Workflow, Workflows
from flowlord.spec.load import parse


def workflow(name: str, phases: Sequence[Mapping[str, Any]]) -> Workflow:
    """Return the workflow of these phases; a file that cannot be loaded fails the test."""
    kept = [{key: value for key, value in phase.items() if value != ""} for phase in phases]
    flow, problems = parse(tomli_w.dumps({"phase": kept}).encode(), name, name)
    assert flow is not None, [str(problem) for problem in problems]
    assert not [problem for problem in problems if problem.severity is Severity.ERROR]
    return flow


def flows_of(files: Mapping[str, Sequence[Mapping[str, Any]]]) -> Workflows:
    """Return all workflows of a vector's `workflows`."""
    return Workflows({name: workflow(name, phases) for name, phases in files.items()})
