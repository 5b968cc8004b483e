"""Tables on narrow terminals: which column is cut first, and which names a hint tells."""

from __future__ import annotations

import pytest

from flowlord.cli.table import Column, Layout
from flowlord.cli.texts import few

ROW = {"what": "w" * 38 + "!!", "state": "open, next digest 12:00Z", "rule": "r" * 40}
COLUMNS = [
    Column("what", gives=True, least=40),
    Column("state", gives=True),
    Column("rule", gives=True),
]


@pytest.mark.parametrize(
    ("width", "what"), [(108, 40), (80, 40), (60, 40), (50, 30), (28, 8), (5, 8)], ids=lambda n: str(n)
)
def test_the_column_that_tells_rows_apart_is_cut_last(width: int, what: int) -> None:
    [line] = Layout(COLUMNS).lines([ROW], width=width, color=False, plain=False, header=False)
    assert len(line) <= max(width, 28)
    assert len(line.split("  ")[0]) == what


def test_a_hint_tells_how_many_names_it_leaves_out() -> None:
    assert few([]) == "none"
    assert few([], "no phases") == "no phases"
    assert few(list("abcdefgh")) == "a, b, c, d, e, f, g, h"
    assert few(list("abcdefghij")) == "a, b, c, d, e, f, g, h and 2 more"
