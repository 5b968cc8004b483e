"""Vectors of the times that paths, infos and tasks tell."""

from datetime import datetime

import pytest

from flowlord.rules.metastring import parse_meta
from flowlord.rules.moments import time_of_info, time_of_path, time_of_task
from vectors.cases import cases


def written(time: datetime | None) -> str | None:
    return None if time is None else time.isoformat().replace("+00:00", "Z")


@pytest.mark.parametrize("case", cases("path_time"))
def test_path_time(case):
    assert written(time_of_path(case["input"])) == case["expected"]


@pytest.mark.parametrize("case", cases("info_time"))
def test_info_time(case):
    assert written(time_of_info(case["input"])) == case["expected"]


@pytest.mark.parametrize("case", cases("task_time"))
def test_task_time(case):
    given = case["input"]
    found = time_of_task(given.get("info", ""), parse_meta(given.get("meta", "")))
    assert written(found) == case["expected"]
