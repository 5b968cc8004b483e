"""docs/troubleshooting.md: each of its commands answers, in a place where something went wrong."""

import re
import shlex
from pathlib import Path

import pytest

from docs.reference import ROOT
from support.processes import flowlord, write

PAGE = (ROOT / "docs" / "troubleshooting.md").read_text("utf-8")
BLOCKS = re.findall(r"(?ms)^```sh\n(.*?)^```$", PAGE)
COMMANDS = [line.partition(" #")[0].strip() for block in BLOCKS for line in block.splitlines() if line]
FLOW = """
[[phase]]
task = "extract:users"
rule = "cron=@yearly"
template = "?day={yyyy}-{mm}-{dd}"
[[phase]]
task = "load:users"
dependsOn = "extract:users"
template = "?day={yyyy}-{mm}-{dd}"
[[phase]]
task = "report:daily"
dependsOn = "load:users"
template = "r"
[[phase]]
task = "read"
rule = "files=/data/in/*.csv"
template = "{meta:file}"
"""
ENDS = {"flowlord doctor": {0, 1}}
"""Exit codes of those that judge the machine that they run on."""


@pytest.fixture(scope="module")
def night(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A place in which a load died, and its report waits."""
    here = write(tmp_path_factory.mktemp("night"), {"workflows/a.toml": FLOW})
    assert flowlord("backload", "extract:users", "--at", "2026-08-01", "--execute", cwd=here).code == 0
    workers = ("--worker", "extract=builtin:noop", "--worker", "load=sh -c 'echo no luck >&2; exit 1'")
    assert flowlord("run", "workflows", "--once", *workers, cwd=here).code == 1
    return here


def test_the_page_has_its_commands():
    assert len(COMMANDS) > 15


@pytest.mark.parametrize("command", COMMANDS)
def test_a_command_of_the_page_answers(night, command):
    words = shlex.split(command)
    assert words[0] == "flowlord"
    found = flowlord(*words[1:], cwd=night)
    assert found.code in ENDS.get(command, {0}), found.err
    assert "Traceback" not in found.err


def test_the_words_of_the_table_are_those_that_the_program_says():
    sources = "".join(path.read_text("utf-8") for path in (ROOT / "src" / "flowlord").rglob("*.py"))
    for words in (
        "no scheduler was running",
        "was paused",
        "overlap=queue, and ",
        "which {done.task.name} did not return",
        "no worker takes the topic",
        "no phase matches it",
        "no daemon had loaded the phase before",
        "no record tells why",
    ):
        assert words in sources
