"""The quick start as `make run` calls it: real data, a planned failure, a result to look at."""

import json
import shutil
import signal
import sys
import xml.etree.ElementTree as ET
from pathlib import Path

import pytest

from support.processes import ROOT, Ended, flowlord, ran, started, tasks, until

QUICKSTART = ROOT / "examples" / "quickstart"
PLANETS = ["Mercury", "Venus", "Earth", "Mars", "Jupiter", "Saturn", "Uranus", "Neptune"]


def copied(folder: Path) -> Path:
    """A copy, so that the tests neither see nor leave state in the repository."""
    left_out = shutil.ignore_patterns("out", ".flowlord", "__pycache__")
    return Path(shutil.copytree(QUICKSTART, folder / "quickstart", ignore=left_out))


def start(here: Path, *arguments: str) -> list[str]:
    return [sys.executable, str(here / "start.py"), *arguments]


@pytest.fixture(scope="module")
def once(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Ended]:
    """One run of the quick start to its end."""
    here = copied(tmp_path_factory.mktemp("once"))
    return here, ran(start(here, "--once"), cwd=here.parent)


def test_the_quick_start_ends_by_itself_with_zero_and_shows_its_report(once):
    here, ended = once
    assert ended.code == 0, ended.out + ended.err
    assert "(8 of 8 planets)" in ended.out
    lines = (here / "out" / "report.txt").read_text("utf-8").splitlines()
    assert [line.split()[0] for line in lines[3:]] == PLANETS
    assert "█" in lines[3]
    for line in lines[3:]:
        assert 0.97 < float(line.split()[5]) < 1.03, "Kepler's law does not hold"


def test_its_picture_shows_every_planet(once):
    here, _ = once
    texts = [
        element.text
        for element in ET.parse(here / "out" / "report.svg").iter()
        if element.tag.endswith("text")
    ]
    assert set(PLANETS) <= set(texts)


def test_mars_took_two_tries_and_everything_else_one(once):
    here, _ = once
    orbits = tasks(here, "--topic", "orbit")
    tries: dict[str, list[int]] = {}
    for row in orbits:
        tries.setdefault(Path(row["info"].partition("?")[0]).stem, []).append(row["attempt"])
    assert {planet: sorted(found) for planet, found in tries.items()} == {
        planet: [1, 2] if planet == "Mars" else [1] for planet in PLANETS
    }
    assert {row["state"] for row in orbits} == {"complete", "retried"}
    assert json.loads((here / "out" / "Mars.json").read_text("utf-8"))["tries"] == 2


def test_every_report_and_the_catalogue_are_complete_and_of_one_run(once):
    here, _ = once
    found = tasks(here)
    assert sum(row["topic"] == "report" for row in found) == 8
    assert sum(row["topic"] == "catalog" for row in found) == 1
    assert {row["state"] for row in found if row["topic"] != "orbit"} == {"complete"}
    assert len({row["id"] for row in found}) == 1


def test_what_it_prints_can_be_read_and_tells_how_to_look(once):
    _, ended = once
    lines = (ended.out + ended.err).splitlines()
    assert len(lines) < 120
    assert max(map(len, lines)) < 200
    assert "\x1b" not in ended.out + ended.err
    assert "$ flowlord send catalog data/planets.csv" in ended.out
    assert "$ flowlord tasks" in ended.out


def test_it_stays_up_until_ctrl_c_and_leaves_nothing_running(tmp_path):
    here = copied(tmp_path)
    with started(start(here), cwd=tmp_path) as process:
        until(lambda: "Ctrl-C ends it" in process.out or process.is_gone, "the words that it is up")
        assert not process.is_gone, process.out + process.err
        alive = flowlord("workers", "-o", "json", cwd=here).data
        assert {row["kind"] for row in alive} == {"taskmaster", "worker"}
        assert process.end(signal.SIGINT) == 0, process.out + process.err
    assert flowlord("workers", "-o", "json", cwd=here).data == []


def test_a_chain_that_fails_ends_it_with_another_code_and_the_reason(tmp_path):
    here = copied(tmp_path)
    figures = here / "data" / "planets.csv"
    figures.write_text(figures.read_text("utf-8").replace("Mars,228.0", "Mars,far away"), "utf-8")
    ended = ran(start(here, "--once"), cwd=tmp_path)
    assert ended.code == 1
    assert "data/planets.csv:5: this is no positive number: far away" in ended.err


def test_it_may_be_run_again_over_what_it_left(once, tmp_path):
    here = tmp_path / "quickstart"
    shutil.copytree(once[0], here)
    ended = ran(start(here, "--once"), cwd=tmp_path)
    assert ended.code == 0, ended.out + ended.err
    assert "(8 of 8 planets)" in ended.out
    assert sum(row["topic"] == "catalog" for row in tasks(here)) == 2


def test_the_readme_types_what_the_quick_start_types():
    told = (QUICKSTART / "README.md").read_text("utf-8").replace("\\\n", " ")
    for words in (
        "catalog=sh steps/catalog.sh {info}",
        "report=python steps/report.py {info}",
        "--app steps.orbit",
    ):
        assert words in told
    script = (QUICKSTART / "start.py").read_text("utf-8")
    assert "catalog=sh steps/catalog.sh {info}" in script
    assert "steps/report.py" in script
