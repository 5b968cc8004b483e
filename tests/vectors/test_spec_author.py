"""What authors are told about the phase files of the vectors: the errors of loading and no others."""

from datetime import UTC, datetime
from typing import Any

import pytest

from flowlord.model.problem import Severity
from flowlord.spec.author.inspect import inspect, verdict
from flowlord.spec.parse import parse_file
from vectors.cases import cases
from vectors.test_spec_vectors import every_file, toml

NOW = datetime(2026, 11, 27, tzinfo=UTC)


def files() -> list[Any]:
    found = [pytest.param(toml(each.values[2]), id=str(each.id)) for each in every_file()]
    for file in ("phase_parse", "rule_parse"):
        plain = [case for case in cases(file) if not case.marks]
        found += [pytest.param(text_of(case.values[0]["input"]), id=f"{file}: {case.id}") for case in plain]
    return found


def text_of(given: Any) -> str:
    return given if isinstance(given, str) else toml([{"task": "t", **given}])


@pytest.mark.parametrize("text", files())
def test_authors_get_the_errors_of_loading_and_no_others(text):
    loaded = parse_file(text.encode(), "a.toml", "a.toml")
    found = inspect(text.encode(), "a.toml", "a.toml", NOW)
    assert found.workflow == loaded.workflow
    told = verdict([found], found.problems)
    assert [each for each in told if each.severity is Severity.ERROR] == [
        each for each in loaded.problems if each.severity is Severity.ERROR
    ]
    assert set(loaded.problems) <= set(told)
