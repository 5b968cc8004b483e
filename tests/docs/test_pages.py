"""What the pages show works: phase files validate, Python compiles, commands and make targets exist."""

import re
import shlex
import subprocess
from pathlib import Path
from typing import NamedTuple

import pytest

from docs import daylight
from docs.reference import ROOT
from docs.test_commands import parse
from support.processes import flowlord, tasks, write

PAGES = [
    ROOT / "README.md",
    ROOT / "CONTRIBUTING.md",
    *sorted((ROOT / "docs").glob("*.md")),
    *sorted((ROOT / "examples").rglob("*.md")),
]
_FENCE = re.compile(r"(?ms)^```(\w+)\n(.*?)^```$")


class Block(NamedTuple):
    """A fenced block of a page."""

    place: str
    language: str
    text: str


def blocks(*languages: str) -> list[Block]:
    found = []
    for page in PAGES:
        text = page.read_text("utf-8")
        for match in _FENCE.finditer(text):
            if match[1] in languages:
                line = text.count("\n", 0, match.start()) + 1
                found.append(Block(f"{page.relative_to(ROOT)}:{line}", match[1], match[2]))
    return found


def ids(block: Block) -> str:
    return block.place


def is_phases(block: Block) -> bool:
    return "[[phase]]" in block.text or "phases:" in block.text


@pytest.mark.parametrize("block", [each for each in blocks("toml", "yaml") if is_phases(each)], ids=ids)
def test_a_phase_file_has_neither_errors_nor_warnings(block):
    from flowlord.spec.load import parse as parse_phases

    flow, problems = parse_phases(block.text.encode(), f"page.{block.language}", f"page.{block.language}")
    assert [str(problem) for problem in problems] == []
    assert flow is not None
    assert flow.phases


@pytest.mark.parametrize("block", [each for each in blocks("toml", "yaml") if not is_phases(each)], ids=ids)
def test_a_configuration_is_understood(block, tmp_path):
    from flowlord.config import resolve

    file = tmp_path / f"flowlord.{block.language}"
    file.write_text(block.text, "utf-8")
    resolve({"config": str(file)})


@pytest.mark.parametrize("block", blocks("python"), ids=ids)
def test_python_compiles_and_its_tasks_are_found(block):
    from flowlord.worker.app import MARK

    names: dict[str, object] = {}
    exec(compile(block.text, block.place, "exec"), names)
    if "flowlord.worker" in block.text:
        assert any(hasattr(value, MARK) for value in names.values())


@pytest.mark.parametrize("block", blocks("sh"), ids=ids)
def test_every_command_of_flowlord_can_be_parsed(block):
    for line in block.text.replace("\\\n", " ").splitlines():
        if line.startswith("flowlord "):
            parse(line)


def test_the_pages_show_enough():
    assert len(blocks("sh")) > 10
    assert sum(map(is_phases, blocks("toml", "yaml"))) > 6
    assert len(blocks("python")) >= 2


def test_every_make_target_exists():
    listed = subprocess.run(["make"], cwd=ROOT, capture_output=True, text=True, check=True, timeout=60).stdout
    targets = set(re.findall(r"(?m)^ +make ([a-z-]+) +\S", listed))
    assert "test" in targets
    for page in PAGES:
        named = set(re.findall(r"(?:`|^)make ([a-z][a-z-]*)", page.read_text("utf-8"), re.MULTILINE))
        assert named <= targets, page


def test_a_command_shown_in_the_guide_does_what_it_says(tmp_path):
    [script] = [block.text for block in blocks("sh") if block.text.startswith("#!/bin/sh")]
    (tmp_path / "three").write_text("a\nb\nc\n", "utf-8")
    for file, code, out, err in (
        ("three", 0, "flowlord:meta lines=3\n", "3 lines\n"),
        ("none", 75, "", "none is not there yet\n"),
    ):
        done = subprocess.run(
            ["sh", "-c", script, "count.sh", file], cwd=tmp_path, capture_output=True, text=True, check=False
        )
        assert (done.returncode, done.stdout, done.stderr) == (code, out, err)


def test_the_chain_of_the_quick_start_page_runs_as_it_is_typed(tmp_path):
    mine = [block for block in blocks("toml", "sh") if block.place.startswith("docs/quickstart.md")]
    flow, script, commands = (block.text for block in mine[-3:])
    write(tmp_path, {"workflows/count.toml": flow, "newest.sh": script})
    for line in commands.splitlines():
        ended = flowlord(*shlex.split(line, comments=True)[1:], cwd=tmp_path)
        assert ended.code == 0, ended.err
    assert {row["topic"]: row["state"] for row in tasks(tmp_path)} == {
        "newest": "complete",
        "count": "complete",
    }
    assert "2 ./newest.sh" in flowlord("task", "@last", "-o", "table", cwd=tmp_path).out


def test_the_problem_shown_in_the_guide_is_what_validate_says():
    from flowlord.spec.load import parse as parse_phases

    page = (ROOT / "docs" / "phase-files.md").read_text("utf-8")
    block = next(each for each in blocks("toml") if each.place.startswith("docs/phase-files.md"))
    broken = block.text.replace('dependsOn = "fetch:daily"', 'dependsOn = "fetch:dayly"')
    _, problems = parse_phases(broken.encode(), "weather.toml", "workflows/weather.toml")
    [told] = [str(problem) for problem in problems if str(problem) in page]
    hint = next(problem.hint for problem in problems if str(problem) == told)
    assert f"{told}\n    hint: {hint}\n" in page


def test_every_rule_option_and_token_has_its_line():
    from flowlord.spec.options import KNOWN
    from flowlord.spec.phases import TOKENS

    rules = (ROOT / "docs" / "rules.md").read_text("utf-8")
    missing = [name for name in KNOWN if not re.search(rf"(?m)^\| `{name}\b", rules)]
    assert missing == []
    templates = (ROOT / "docs" / "templates.md").read_text("utf-8")
    assert [name for name in TOKENS if f"`{{{name}}}`" not in templates] == []


def test_every_setting_has_its_line_with_variable_and_default():
    from flowlord.config.table import SETTINGS

    page = (ROOT / "docs" / "configuration.md").read_text("utf-8")
    defaults = [f"`{each.default}`" if each.default else "none" for each in SETTINGS]
    lines = [
        f"| `{each.name}` | `{each.variable}` | {default} |"
        for each, default in zip(SETTINGS, defaults, strict=True)
    ]
    assert [line for line in lines if line not in page] == []


def test_every_page_is_linked_from_the_index():
    index = (ROOT / "docs" / "index.md").read_text("utf-8")
    pages = {page.name for page in (ROOT / "docs").glob("*.md")} - {"index.md"}
    assert {page for page in pages if f"]({page})" not in index} == set()


def test_the_texts_name_no_path_that_is_not_there():
    for page in PAGES:
        for path in re.findall(
            r"`((?:examples|workflows|docs|tests|src)/[\w./-]+)`", page.read_text("utf-8")
        ):
            found = ROOT / path
            assert (
                found.exists() or path == "examples/quickstart/.flowlord/bus.db" or not Path(path).suffix
            ), f"{page}: {path}"


def test_the_page_of_problems_says_what_flowlord_rule_says():
    from docs.problems import BEGIN, PAGE, written

    _, mark, found = PAGE.read_text("utf-8").partition(BEGIN)
    assert mark
    assert found.strip() == written().strip(), "run: python tests/docs/problems.py"


def test_the_page_of_daylight_saving_tells_what_the_code_does():
    _, mark, found = daylight.PAGE.read_text("utf-8").partition(daylight.BEGIN)
    assert mark
    assert found.strip() == daylight.written().strip(), "run: python tests/docs/daylight.py"
