"""Which tasks count as unfinished: incomplete."""

from datetime import datetime
from typing import Any

import pytest

from flowlord.decide.late import Limits, is_late
from flowlord.model.workflow import Workflows
from flowlord.rules.durations import parse_duration
from vectors.cases import cases


@pytest.mark.parametrize("case", cases("incomplete"))
def test_a_task_without_a_result_is_unfinished_after_its_time(case: dict[str, Any]) -> None:
    given = case["input"]
    since = datetime.fromisoformat(given["created"]) if given["created"] else None
    limit_ns = Limits.of(Workflows(), parse_duration(given["ttl"])).limit_of("")
    now = datetime.fromisoformat(given["now"])
    assert is_late(since, given["result"], now, limit_ns) is case["expected"]
