"""`flowlord help`: pages that say what the program does."""

import re
from pathlib import Path

import pytest

from flowlord.cli import exits
from flowlord.cli.guides import EXIT_CODES, TOKENS, TOPICS, run
from flowlord.config.table import SETTINGS
from flowlord.spec.options import KNOWN
from flowlord.spec.phases import TOKENS as KNOWN_TOKENS
from support.processes import flowlord

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.parametrize("topic", ["", *TOPICS])
def test_every_topic_fits_a_screen(topic, capsys):
    assert run(topic) == 0
    told = capsys.readouterr()
    lines = told.out.splitlines()
    assert told.err == ""
    assert 5 < len(lines) <= (80 if topic == "environment" else 50)  # each setting has its line
    assert max(map(len, lines)) <= 120
    assert told.out.isprintable() or all(line.isprintable() for line in lines)


def test_the_exit_codes_are_those_of_the_program_and_of_the_reference():
    codes = {value for name, value in vars(exits).items() if name.isupper()}
    assert set(EXIT_CODES) == codes - {exits.NOT_ALLOWED}  # nothing is forbidden yet
    table = (ROOT / "docs" / "reference.md").read_text("utf-8")
    for code in re.findall(r"(?m)^\| ([\d, ]+) \|", table):
        assert {int(each) for each in code.split(",")} <= set(EXIT_CODES)


def test_all_tokens_options_and_variables_are_told(capsys):
    told = " ".join(TOKENS)
    assert [token for token in KNOWN_TOKENS if f"{{{token}}}" not in told] == []
    run("rules")
    rules = set(re.findall(r"[\w-]+", capsys.readouterr().out))
    assert [name for name in KNOWN if name not in rules] == []
    run("environment")
    page = capsys.readouterr().out
    assert [setting.variable for setting in SETTINGS if setting.variable not in page] == []


def test_a_command_is_a_topic_too_and_an_unknown_one_is_told(tmp_path):
    assert flowlord("help", "topics", cwd=tmp_path).out == flowlord("topics", "--help", cwd=tmp_path).out
    unknown = flowlord("help", "outptu", cwd=tmp_path)
    assert (unknown.code, unknown.out) == (5, "")
    assert "did you mean output?" in unknown.err
