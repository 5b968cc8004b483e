"""The page of each code: its bad example triggers that code alone, at the marked place; the good one nothing."""

import re
from datetime import UTC, datetime
from pathlib import Path

import pytest

from flowlord.cli.rowfiles import problems_of
from flowlord.config import resolve
from flowlord.model.errors import InvalidConfig
from flowlord.model.problem import Problem, Severity
from flowlord.spec.author.inspect import Inspected, reader, verdict
from flowlord.spec.codes import CODES, SAFE, UNSAFE
from flowlord.spec.load import load
from flowlord.spec.pages import Example, pages

NOW = datetime(2026, 11, 27, tzinfo=UTC)
PAGES = pages()


def told(example: Example, folder: Path, monkeypatch: pytest.MonkeyPatch) -> list[Problem]:
    """What is told about an example; of several files about the first one."""
    monkeypatch.chdir(folder)
    for name, text in ((example.name, example.text), *example.beside):
        (folder / name).write_bytes(text.encode())
    if example.name == "flowlord.toml" and "[[phase]]" not in example.text:
        try:
            return list(resolve({"config": example.name}).notes)
        except InvalidConfig as error:
            return list(error.problems)
    single = example.name == "flowlord.toml"
    loaded = load(folder / example.name if single else folder, reader(NOW))
    inspected = [each for each in loaded.parsed if isinstance(each, Inspected)]
    found = [*loaded.problems, *problems_of(row for each in inspected for row in each.rows)]
    return [each for each in verdict(inspected, found) if each.path.endswith(example.name)]


def test_every_code_has_a_page_and_every_page_a_code():
    assert list(PAGES) == list(CODES)


@pytest.mark.parametrize("code", CODES)
def test_the_bad_example_triggers_its_code_and_nothing_else_at_the_marked_place(code, tmp_path, monkeypatch):
    example = PAGES[code].bad
    found = told(example, tmp_path, monkeypatch)
    codes = {each.code for each in found} - ({"FL013"} if code == "FL009" else set())
    assert codes == {code}, [str(each) for each in found]
    [problem] = [each for each in found if each.code == code]
    if code != "FL200":  # as tomllib tells it: in a sentence
        assert (problem.line, problem.column, problem.end if example.place[2] and problem.end else 0) == (
            *example.place[:2], example.place[2] if problem.end else 0,
        )  # fmt: skip
    assert problem.severity is CODES[code].severity
    assert problem.fix is None or problem.fix.safe == (CODES[code].fix == SAFE)


@pytest.mark.parametrize("code", CODES)
def test_the_good_example_triggers_nothing(code, tmp_path, monkeypatch):
    assert [
        str(each) for each in told(PAGES[code].good, tmp_path / ".", monkeypatch) if code != "FL001"
    ] == []


@pytest.mark.parametrize("code", [code for code, kind in CODES.items() if kind.fix])
def test_a_code_that_is_fixable_has_a_fix_in_its_example(code, tmp_path, monkeypatch):
    [problem] = [each for each in told(PAGES[code].bad, tmp_path, monkeypatch) if each.code == code]
    assert CODES[code].fix in (SAFE, UNSAFE)
    if code != "FL013":  # `owner` is near to nothing
        assert problem.fix is not None or code == "FL020"


def test_titles_and_reasons_are_words_for_people():
    for code, (title, severity, _) in CODES.items():
        assert re.fullmatch(r"FL\d{3}", code)
        assert title == title.strip().removesuffix(".")
        assert len(title) < 60
        assert isinstance(severity, Severity)
        why = PAGES[code].why
        assert 60 <= len(why) <= 400, (code, len(why))
        assert why.endswith(".")
