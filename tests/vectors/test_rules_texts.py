"""Vectors of durations, meta strings, templates and file patterns."""

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from flowlord.rules.durations import go_duration, parse_duration, short_duration
from flowlord.rules.errors import Unreadable
from flowlord.rules.globs import Glob
from flowlord.rules.metastring import format_sorted, parse_meta
from flowlord.rules.rows import rows_of_lines
from flowlord.rules.template import Template
from vectors.cases import cases

UNIQUE = "0a1b2c3d"


def subset(found: Mapping[str, Any], case: Mapping[str, Any]) -> Mapping[str, Any]:
    """What of `found` the case asks for."""
    return {key: found[key] for key in case["expected"]} if case.get("match") == "subset" else found


@pytest.mark.parametrize("case", cases("durations"))
def test_durations(case):
    if case.get("error"):
        with pytest.raises(Unreadable):
            parse_duration(case["input"])
        return
    ns = parse_duration(case["input"]) if case["op"] == "dur_parse" else case["input"]
    found = {"print": short_duration(ns), "string": go_duration(ns)}
    assert (found | {"ns": ns} if case["op"] == "dur_parse" else found) == case["expected"]


@pytest.mark.parametrize("case", cases("meta_string"))
def test_meta_strings(case):
    meta = format_sorted(case["input"])
    assert subset({"meta": meta, "parsed_back": parse_meta(meta)}, case) == case["expected"]


def rendered(given: Mapping[str, Any]) -> str:
    """The template step alone, as the vectors have it: meta tokens stay for the second step."""
    time = None
    if given["time"] != "zero":
        time = datetime.fromisoformat(given["time"])
        time = (time if time.tzinfo else time.replace(tzinfo=UTC)).astimezone(
            ZoneInfo(given.get("tz", "UTC"))
        )
    template = Template.compile(given["template"])
    values = {name: f"{{meta:{name}}}" for name in template.meta_names}
    return template.render(time, values, unique=UNIQUE, host=given.get("host", ""))


@pytest.mark.parametrize("case", cases("template_parse"))
def test_template_parse(case):
    assert rendered(case["input"]) == case["expected"].replace("<8hex>", UNIQUE)


WANTED = {
    "{UUID}": UNIQUE,
    "zero time leaves even host tokens": "test-hostname-abcdefghij-12345 abcdefghij-12345 {SLUG}",
    "year 5 panics": "x",
    "uuid twice: only the first": f"{UNIQUE}_{UNIQUE}",
}


@pytest.mark.parametrize("case", cases("deviations", where="template_parse"))
def test_templates_where_we_do_better(case):
    assert rendered(case["input"]) == WANTED[case["name"]]


@pytest.mark.parametrize("case", cases("template_meta"))
def test_template_meta(case):
    given = case["input"]
    template = Template.compile(given["template"])
    if case.get("error"):
        with pytest.raises(Unreadable):
            list(rows_of_lines([given["rowjson"]], kind="jsonl"))
        return
    if "rowjson" in given:
        [values] = rows_of_lines([given["rowjson"]], kind="jsonl")
    elif "query" in given:
        values = {key: each[0] for key, each in parse_meta(given["query"]).items()}
    else:
        values = given["str"]
    found = {"keys": list(template.meta_names), "out": template.render(None, values)}
    assert subset(found, case) == case["expected"]


def test_row_values_of_a_file_where_we_do_better():
    [case] = [each.values[0] for each in cases("deviations", where="batch_expand")] or [{}]
    if not case:
        pytest.skip("no vectors")
    lines = case["input"]["files"]["f.json"].splitlines(keepends=True)
    found = [row["k"] for row in rows_of_lines(lines, kind="jsonl")]
    assert found == ["1.5", "true", "", json.dumps([1]), '{"a":1}', "10000000", "s"]


@pytest.mark.parametrize("case", cases("file_match"))
def test_file_match(case):
    given = case["input"]
    if case["expected"].get("pattern_error"):
        with pytest.raises(Unreadable):
            Glob.compile(given["pattern"])
        return
    assert Glob.compile(given["pattern"]).matches(given["path"]) is case["expected"]["match"]
