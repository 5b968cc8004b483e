"""`flowlord files`: which of the files that were told are wanted."""

from __future__ import annotations

import pytest

from flowlord.cache.fold import fold
from flowlord.cache.seen import files
from flowlord.cli.files import Question
from flowlord.model.errors import FlowlordError
from flowlord.rules.globs import Glob
from flowlord.rules.nearest import is_near, nearest_glob, pattern_in, told
from support.farm import Farm
from unit.test_decide_file import Ledger
from unit.test_taskmaster_notices import heard


def wanted(farm: Farm, **kind: bool) -> list[tuple[str, str]]:
    history = fold(farm.bus, farm.clock)
    found = files(history, Question(**kind).wanted(farm.clock))  # type: ignore[arg-type]
    return sorted((each.path, each.state) for each in found)


def test_near_misses_are_those_whose_folder_fits_and_duplicates_are_notices_of_what_was_known() -> None:
    farm = Farm()
    paths = (
        "a.csv",
        "a.csv",
        "a.csv.gz",
        "A.CSV",
        "odd: nearest: x, fails at 'y'.txt",
        "deep/b.csv",
        "deep/c.gz",
    )
    assert heard(farm, *(f'{{"path": "gs://b/{path}", "size": 3, "checksum": "1"}}' for path in paths))
    small = Ledger("files=/d/*&min_size=11").commit("/d/small.csv")
    assert small is not None
    farm.bus.commit(small.plan)
    near = ["a.csv.gz", "A.CSV", "odd: nearest: x, fails at 'y'.txt"]
    assert wanted(farm, near_miss=True) == sorted(
        [("/d/small.csv", "unmatched"), *((f"gs://b/{path}", "unmatched") for path in near)]
    )
    assert wanted(farm, duplicate=True) == [("gs://b/a.csv", "known")]
    assert len(wanted(farm, unmatched=True)) == 6
    assert len(wanted(farm)) == 8


@pytest.mark.parametrize(
    "path", ["/in/a.csv.gz", "/in/a.CSV", "/in/", "/in/a", "/out/a.csv", "/in/b/c/a.csv"]
)
def test_the_pattern_that_is_told_can_be_read_again(path: str) -> None:
    near = nearest_glob(path, [Glob.compile("/in/a*.csv")])
    assert near is not None
    assert pattern_in(told(path, near)) == "/in/a*.csv"
    assert is_near(path, near.pattern) == (path.count("/") == 2 and path.startswith("/in/"))


def test_kinds_exclude_each_other() -> None:
    with pytest.raises(FlowlordError, match="--unmatched and --near-miss exclude each other"):
        Question(unmatched=True, near_miss=True).wanted(Farm().clock)
