"""docs/ci.md and the pre-commit hooks: the YAML parses, and what it runs does run."""

import re
import shlex
from pathlib import Path
from typing import Any

import pytest
import yaml

from docs.reference import ROOT
from docs.test_commands import parse
from flowlord.cli.init import CI, contents
from support.processes import flowlord, write

GOOD = '[[phase]]\ntask = "a"\nrule = "cron=@daily"\n'
PAGE = (ROOT / "docs" / "ci.md").read_text("utf-8")
HOOKS = yaml.safe_load((ROOT / ".pre-commit-hooks.yaml").read_text("utf-8"))
FENCES = re.findall(r"(?ms)^```(\w*)\n(.*?)^```$", PAGE)
BLOCKS = [yaml.safe_load(block) for language, block in FENCES if not language]


@pytest.mark.parametrize("hook", HOOKS, ids=lambda hook: hook["id"])
def test_a_hook_takes_the_files_of_a_commit(hook: dict[str, Any], tmp_path: Path):
    assert set(hook) == {"id", "name", "description", "entry", "language", "files"}
    assert re.search(hook["files"], "workflows/x/a.toml")
    assert not re.search(hook["files"], "src/workflows.py")
    write(tmp_path, {"workflows/a.toml": GOOD, "workflows/b.toml": GOOD.replace("cron", "crn")})
    words = shlex.split(hook["entry"])[1:]
    assert flowlord(*words, "workflows/a.toml", cwd=tmp_path).code == 0
    assert flowlord(*words, "workflows/b.toml", cwd=tmp_path).code == ("--fix" not in words)


def test_the_examples_parse_and_name_hooks_that_exist():
    actions, merge, hooks, local = BLOCKS
    runs = [step["run"] for step in actions["jobs"]["validate"]["steps"] if "run" in step]
    for line in runs[1:]:
        parse(line)
    for line in merge["validate-workflows"]["script"][1:]:
        parse(line.partition(" >")[0])
    assert {each["id"] for each in hooks["repos"][0]["hooks"]} <= {hook["id"] for hook in HOOKS}
    parse(local["repos"][0]["hooks"][0]["entry"])


@pytest.mark.parametrize("ci", CI)
def test_the_page_shows_what_init_writes(ci: str):
    path = CI[ci][1]
    shown = PAGE.partition(f"`flowlord init --ci {ci}` writes this into")[2]
    assert shown.lstrip().startswith(f"`{path}`")
    assert re.search(r"(?ms)^```\n(.*?)^```$", shown)[1] == contents("minimal", ci=ci)[path]
