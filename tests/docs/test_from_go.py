"""The page for those who come from the Go program says what is so."""

from __future__ import annotations

import re

from docs.reference import ROOT
from flowlord.config.fromgo import GONE, TAKEN
from flowlord.config.table import SETTINGS
from flowlord.spec.load import parse

PAGE = (ROOT / "docs" / "from-go.md").read_text("utf-8")


def phases(text: str) -> list[str]:
    _, problems = parse(text.encode(), "a.toml", "a.toml")
    return [problem.code for problem in problems if problem.severity == "error"]


def test_every_setting_that_the_page_names_is_one():
    names = {setting.name for setting in SETTINGS}
    told = set(re.findall(r"`((?:bus|cache|taskmaster|storage|watch)\.[a-z_]+)\b", PAGE))
    assert told
    assert told <= names


def test_what_the_page_says_of_keys_without_an_equal_is_what_the_program_does():
    for key in (
        "status_port",
        "host",
        "bus",
        "nsqd_hosts",
        "lookupd_hosts",
        "pubsub_host",
        "pubsub_id",
        "in_topic",
    ):
        plain = key.replace("_", "")
        assert f"`{key}`" in PAGE or f"`[bus] {key}`" in PAGE
        assert plain in GONE or f"bus.{plain}" in GONE
    assert set(TAKEN.values()) == {"cache.path"}


def test_what_the_page_says_is_refused_is_refused():
    assert phases('[[phase]]\ntask = "a"\ndependsOn = "a"\n') == ["FL100"]
    assert phases('[[phase]]\ntask = "a"\nrule = "cron=@daily&retry_delay=soon"\nretry = 1\n') != []
    assert phases('[[Phase]]\ntask = "a"\nrule = "cron=0 0 * * * *&meta-file=x.json&no_alert"\n') == []
