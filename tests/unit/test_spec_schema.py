"""The schemas of phase files and of the configuration: true JSON Schema, and of one mind with the parser."""

import itertools
import json
import re
import tomllib
from pathlib import Path
from typing import Any

import jsonschema_rs
import pytest
import tomli_w
from hypothesis import given
from hypothesis import strategies as st

from flowlord.cli.schema import find, pages
from flowlord.config.schema import config_schema, setting_schema
from flowlord.config.table import SETTINGS
from flowlord.config.values import Wrong
from flowlord.model.problem import Severity
from flowlord.model.workflow import Rule
from flowlord.spec.manual import FIELDS, OPTIONS
from flowlord.spec.options import KNOWN
from flowlord.spec.parse import parse
from flowlord.spec.phases import FIELDS as KNOWN_FIELDS
from flowlord.spec.rule import EMPTY, parse_rule, parse_table
from flowlord.spec.schema import workflow_schema
from vectors.cases import cases

ROOT = Path(__file__).resolve().parents[2]
SCHEMA = workflow_schema()
VALIDATOR = jsonschema_rs.Draft202012Validator(SCHEMA)


@pytest.mark.parametrize("schema", [SCHEMA, config_schema()], ids=["workflow", "config"])
def test_the_schemas_are_schemas_of_the_public_dialect(schema):
    assert schema["$schema"] == "https://json-schema.org/draft/2020-12/schema"
    jsonschema_rs.meta.validate(schema)
    assert json.loads(json.dumps(schema)) == schema


def test_the_manual_has_the_options_and_fields_that_the_parser_knows():
    assert sorted(option.name for option in OPTIONS) == sorted(KNOWN)
    assert {field.name for field in FIELDS} == set(KNOWN_FIELDS.values())
    names = {option.name for option in OPTIONS}
    for option in OPTIONS:
        assert set(option.see) <= names
        assert option.meaning.endswith(".")


@pytest.mark.parametrize("option", OPTIONS, ids=lambda option: option.name)
def test_examples_are_fine_and_defaults_are_the_defaults(option):
    rule, remarks = parse_rule(option.example)
    assert remarks == ()
    assert option.name in {key for key, _ in rule.pairs}
    if option.default:
        written, remarks = parse_rule(f"{option.name}={option.default}")
        assert remarks == ()
        for field in Rule.__struct_fields__:
            if field not in ("pairs", "settle_ns"):
                assert getattr(written, field) == getattr(EMPTY, field), field
    for word in option.words:
        assert parse_rule(f"{option.name}={word}")[1] == ()
    assert re.search(rf"(?m)^\| `{option.name}\b", (ROOT / "docs" / "rules.md").read_text("utf-8"))


@pytest.mark.parametrize("field", FIELDS, ids=lambda field: field.name)
def test_examples_of_fields_are_fine(field):
    text = field.example if field.name == "task" else f'task = "t"\n{field.example}'
    flow, problems = parse(f"[[phase]]\n{text}\n".encode(), "a.toml")
    assert flow is not None
    assert [each for each in problems if each.code not in ("FL101", "FL102")] == []


@pytest.mark.parametrize("case", cases("phase_parse"))
def test_a_file_without_problems_fits_the_schema(case):
    if case.get("op") != "phase_parse":
        return
    flow, problems = parse(case["input"].encode(), "flow.toml")
    if flow is None or any(each.code in ("FL013", "FL012") for each in problems):
        return  # unknown keys: the schema is as strict as `validate --strict`
    told = [str(each) for each in VALIDATOR.iter_errors(tomllib.loads(case["input"]))]
    assert told == []


@pytest.mark.parametrize(
    "path",
    sorted((ROOT / "examples").rglob("*.toml")),
    ids=lambda path: path.name,
)
def test_the_examples_fit_the_schema(path):
    is_configuration = path.name == "flowlord.toml"
    schema = jsonschema_rs.Draft202012Validator(config_schema()) if is_configuration else VALIDATOR
    schema.validate(tomllib.loads(path.read_text("utf-8")))


@pytest.mark.parametrize("case", cases("rule_parse"))
def test_a_good_rule_written_as_a_table_fits_the_schema(case):
    if not isinstance(case.get("input"), str):
        return
    rule, remarks = parse_rule(case["input"])
    table: dict[str, Any] = {}
    for key, value in rule.pairs:
        table.setdefault(key, []).append(value)
    if remarks or any(len(values) > 1 for values in table.values()):
        return
    VALIDATOR.validate({"phase": [{"task": "t", "rule": {key: value for key, [value] in table.items()}}]})


VALUES: dict[str, list[Any]] = {
    "cron": ["@daily", "0 0 1 * *"], "tz": ["UTC"], "from": ["2026-01-01"],
    "until": ["2026-01-01T05:30Z"],
    "jitter": ["1m", 0, "0"], "catchup": ["ALL"], "catchup_window": ["1.5h"],
    "overlap": ["Skip"],
    "offset": ["-1h30m", "+2d", 0], "job": ["j", 5], "files": ["a/*", ["a", "b"]],
    "settle": ["10s"], "count": [3, "3", 0],
    "group": ["{yyyy}"], "marker": [".done"], "ignore": ["*.tmp", ["a"]], "min_size": [10, "10kB"],
    "on_rewrite": ["run"],
    "require": ["{meta:x}", ["{meta:x}", "{meta:y}"]], "retry_delay": ["5m"], "backoff": [2, 1.5, "2"],
    "max_delay": ["1h"],
    "no_alert": [True, False, "true", ""], "alert": ["every", "EDGE", "none"], "alert_to": ["on-call", 5],
    "for": ["-24h", "1w"], "by": ["Hourly"],
    "meta": ["a:1,2"], "meta-file": ["x.csv"],
    "pass": ["a,b", ["a"]], "batch_limit": [5, "5"], "priority": [0, 10, "LOW", "7"], "timeout": ["10m"],
    "ttl": ["36h", "1s", "1d12h"], "late": ["06:00", "6:30-24h", "2h", "0 6 * * MON-FRI -1d", "@daily"],
}  # fmt: skip
WRONG: dict[str, list[Any]] = {
    "jitter": ["-1m", "5", 5, True, "1x"], "catchup": ["some", 1], "offset": ["1", "h", 3], "count": [-1, "many", 1.5],
    "batch_limit": [0, -3], "backoff": ["x", 0.5], "priority": [11, "urgent", -1], "by": ["fortnight", 3],
    "files": [["a", {}], {}], "overlap": ["maybe"], "timeout": [{}], "ttl": ["1", True], "late": [{}],
    "from": ["tomorrow", 3], "alert": ["loud", True],
}  # fmt: skip


@given(st.lists(st.sampled_from(KNOWN), unique=True, max_size=5), st.data())
def test_the_schema_takes_every_table_that_the_parser_takes(names, data):
    table = {name: data.draw(st.sampled_from(VALUES[name])) for name in names}
    _, problems = parse_table(table)
    codes = {each.code for each in problems} - {"FL062", "FL077"}  # what cannot stand together
    assert codes == set()
    VALIDATOR.validate({"phase": [{"task": "t", "rule": table}]})


@pytest.mark.parametrize(
    ("name", "value"), [(name, value) for name, values in WRONG.items() for value in values]
)
def test_neither_takes_a_value_that_cannot_be(name, value):
    _, problems = parse_table({name: value})
    assert problems != ()
    assert not VALIDATOR.is_valid({"phase": [{"task": "t", "rule": {name: value}}]})


PHASES: list[tuple[Any, bool]] = [
    ({"task": "t", "retry": 3, "template": "", "dependsOn": "x", "rule": ""}, True),
    ({"TASK": "t:j", "DependsOn": "x"}, True),
    ({"task": "t", "depends_on": "x"}, True),
    ({"task": "a:"}, True),
    ({}, False), ({"task": ""}, False), ({"task": " "}, False), ({"task": ":j"}, False), ({"task": 3}, False),
    ({"task": "done"}, False), ({"task": "quarantine:x"}, False),
    ({"task": "t", "retry": "3"}, False),
    ({"task": "t", "retry": -1}, False), ({"task": "t", "retry": True}, False),
    ({"task": "t", "template": 3}, False),
    ({"task": "t", "dependsOn": ["a", "b"]}, False), ({"task": "t", "rule": 3}, False),
    ({"task": "t", "rule": []}, False),
    ({"task": "t", "dependson_": "x"}, False), (3, False), ([], False),
]  # fmt: skip


@pytest.mark.parametrize(("phase", "good"), PHASES)
def test_schema_and_parser_agree_about_fields(phase, good):
    text = tomli_w.dumps({"phase": [phase]}) if isinstance(phase, dict) else f"phase = [{phase}]"
    _, problems = parse(text.encode(), "a.toml")
    fine = not [each for each in problems if each.severity is Severity.ERROR]
    assert (fine, VALIDATOR.is_valid({"phase": [phase]})) == (good, good)


@pytest.mark.parametrize("top", [{"phase": {}}, {"phase": "x"}, {"phases": [3]}, {"phaze": []}, []])
def test_what_is_no_list_of_phases_does_not_fit(top):
    assert not VALIDATOR.is_valid(top)


SAMPLES = [
    "",
    "x",
    "60s",
    "1h30m",
    "5",
    5,
    0,
    1000000,
    True,
    "yes",
    "off",
    None,
    "a b",
    "redis://h:1",
    "info",
    "INFO",
    "UTC",
    [],
    {},
]


@pytest.mark.parametrize("setting", SETTINGS, ids=lambda setting: setting.name)
def test_the_schema_of_a_setting_takes_what_its_reader_takes(setting):
    told = jsonschema_rs.Draft202012Validator(setting_schema(setting))
    if setting.default:
        told.validate(setting.default)
    for sample in SAMPLES:
        try:
            setting.read(sample)
        except Wrong:
            continue
        except (TypeError, AttributeError):
            continue
        assert told.is_valid(sample), sample


def test_a_configuration_fits_in_all_its_spellings():
    told = jsonschema_rs.Draft202012Validator(config_schema())
    for good in (
        {},
        {"bus": "redis://h:1"},
        {"bus": {"lease": "5s"}},
        {"lease": "5s"},
        {"sqlite": {"path": "x"}},
        {"slack": {"hook": "x"}},
    ):
        told.validate(good)
    for bad in ({"bus": {"lease": 5}}, {"bus": 5}, {"cache": {"enabled": "maybe"}}, {"taskmaster": 3}, []):
        assert not told.is_valid(bad)


def test_every_key_has_a_page_that_fits_a_terminal_and_a_schema():
    known = {page.path: page for page in pages()}
    assert len(known) == 3 + len(FIELDS) - 1 + len(OPTIONS) + len(SETTINGS)
    for path, page in known.items():
        lines = list(page.lines())
        assert lines[0].startswith(path)
        assert max(map(len, lines)) <= 110, path
        json.dumps(page.schema())
        assert find(path, known) is page
        assert find(path.upper(), known) is page


@pytest.mark.parametrize(
    ("key", "path"),
    [
        ("catchup", "phase.rule.catchup"), ("rule", "phase.rule"), ("phases[].rule.meta_file", "phase.rule.meta-file"),
        ("phase[0].depends_on", "phase.dependsOn"), ("bus.lease", "config.bus.lease"), ("lease", "config.bus.lease"),
        ("phase.rule.nothing", None), ("", None), ("..", None), ("phase.phase", None),
    ],
)  # fmt: skip
def test_a_key_is_found_by_its_end_and_in_other_spellings(key, path):
    found = find(key, {page.path: page for page in pages()})
    assert (found.path if found else None) == path


@given(st.text(max_size=30))
def test_whatever_is_asked_for_is_found_or_not(key):
    known = {page.path: page for page in itertools.islice(pages(), 5)}
    assert find(key, known) is None or key
