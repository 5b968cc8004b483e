"""`flowlord schema`: schemas for programs, pages for people."""

import json

import jsonschema_rs
import pytest

from support.processes import flowlord


@pytest.mark.parametrize("key", [[], ["config"]], ids=["workflow", "config"])
def test_the_whole_schema_is_one_document(key, tmp_path):
    ended = flowlord("schema", *key, cwd=tmp_path)
    assert (ended.code, ended.err) == (0, "")
    jsonschema_rs.meta.validate(json.loads(ended.out))


def test_a_key_is_a_page_or_its_schema(tmp_path):
    page = flowlord("schema", "phase.rule.catchup", cwd=tmp_path)
    assert page.out.splitlines() == [
        "phase.rule.catchup    word",
        "",
        "  What to do about starts that were missed while nothing ran: all of them, the newest, none.",
        "  Up to ten seconds late is on time.",
        "",
        "  allowed    none, last, all",
        "  default    all, but none for rules that start more often than each minute",
        '  example    rule = "cron=0 * * * *&catchup=last"',
        "  see also   phase.rule.catchup_window, docs/rules.md",
    ]
    assert flowlord("schema", "catchup", "-o", "json", cwd=tmp_path).data["anyOf"][0] == {
        "enum": ["none", "last", "all"]
    }
    assert "bus.lease" in flowlord("schema", "config", "-o", "text", cwd=tmp_path).out


def test_an_unknown_key_is_told_with_the_nearest_one(tmp_path):
    ended = flowlord("schema", "phase.rule.catchpu", cwd=tmp_path)
    assert (ended.code, ended.out) == (5, "")
    assert "did you mean phase.rule.catchup?" in ended.err
    assert flowlord("schema", "-o", "xml", cwd=tmp_path).code == 2
