"""How much of a meta-file is looked through and held, however small it is packed."""

from __future__ import annotations

import gzip
import json
from pathlib import Path

import pytest

from flowlord.decide.context import Source
from flowlord.rules.rows import MOST_EMPTY
from flowlord.taskmaster.surroundings import HELD_BYTES, read_sources


def read(path: Path) -> Source | str:
    return read_sources([str(path)])[str(path)]


@pytest.mark.parametrize(("name", "head", "row"), [("a.jsonl.gz", "", '{"n": 1}'), ("a.csv.gz", "n\n", "1")])
def test_a_file_may_have_many_empty_lines_but_not_end_in_them_for_ever(
    tmp_path: Path, name: str, head: str, row: str
) -> None:
    path = tmp_path / name
    path.write_bytes(gzip.compress((head + ("\n" * MOST_EMPTY + row + "\n") * 2).encode()))
    found = read(path)
    assert isinstance(found, Source)
    assert found.rows == [{"n": "1"}] * 2
    path.write_bytes(gzip.compress((head + row + "\n" * (MOST_EMPTY + 5)).encode()))
    line = MOST_EMPTY + 2 + bool(head)
    assert read(path) == f"meta-file {path}: line {line}: more than 100,000 empty lines follow each other"


def test_of_rows_as_long_as_rows_may_be_only_some_are_held(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl.gz"
    row = json.dumps({"n": "x" * 900_000}) + "\n"
    path.write_bytes(gzip.compress(row.encode(), 1) * 100)
    found = read(path)
    assert isinstance(found, Source)
    assert not found.is_whole
    assert sum(len(each["n"]) for each in found.rows) <= HELD_BYTES + 1_000_000
