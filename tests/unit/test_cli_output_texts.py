"""What a text of a task can do to the place where it is shown: nothing."""

import csv
import io
import json
import re
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flowlord.cli.table import Column, Layout, cells_wide, cut
from flowlord.cli.texts import csv_cell, json_text, printable, tsv_cell, tsv_line

HOSTILE = [
    "\x1b[31mred", "\x1b]8;;http://x\x07link", "\x1b]52;c;AAAA\x07", "\x9b31m", "a\nb", "a\rb", "a\tb", "\x00", "\x7f",
    "\u202eabc", "\u2066abc\u2069", "\u2028", "\ufeff", "\u200bzero", "\U000e0041", "\ud800", "a\\nb",
    "[link=x]y[/link]",
    "=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "\uff1d1", 'say "hi", you', " padded ", "",
]  # fmt: skip
FORMULAS = tuple("=+-@\t\r\uff1d\uff0b\uff0d\uff20")
ANY = st.one_of(
    st.text(max_size=30),
    st.sampled_from(HOSTILE),
    st.text(alphabet="\x1b\n\t\\\"',=+-@\x9b\u202e", max_size=8),
)


@given(ANY)
def test_no_form_lets_a_control_or_format_character_through(text):
    for shown in (printable(text), tsv_cell(text), csv_cell(text), json_text({"x": text})):
        left = [c for c in shown if unicodedata.category(c) in ("Cc", "Cs", "Zl", "Zp")]
        assert left == []
        assert not re.search("[\u200b-\u200f\u202a-\u202e\u2066-\u2069\ufeff]", shown)


@given(ANY)
def test_json_keeps_every_value(text):
    assert json.loads(json_text({"x": text})) == {"x": text}


@given(st.lists(ANY, min_size=1, max_size=4))
def test_a_line_of_tabs_gives_every_value_back(values):
    line = "\t".join(map(tsv_cell, values))
    assert tsv_line(values) == line
    back = [
        re.sub(
            r"\\(n|r|t|\\|x[0-9a-f]{2}|u[0-9a-f]{4}|U[0-9a-f]{8})",
            lambda found: (
                {"n": "\n", "r": "\r", "t": "\t", "\\": "\\"}.get(found[1]) or chr(int(found[1][1:], 16))
            ),
            cell,
        )
        for cell in line.split("\t")
    ]
    assert back == values


@given(st.lists(ANY, min_size=2, max_size=4))
def test_csv_parses_back_and_never_begins_a_formula(values):
    line = ",".join(map(csv_cell, values))
    [row] = csv.reader(io.StringIO(line + "\n"))
    assert row == [
        ("'" if value[:1] in FORMULAS else "") * bool(value) + printable(value) for value in values
    ]
    assert not any(cell.startswith(("=", "+", "-", "@")) for cell in row)


def test_numbers_are_no_formulas():
    assert [csv_cell(-5), csv_cell(1.5), csv_cell(None), csv_cell(True)] == ["-5", "1.5", "", "true"]
    assert tsv_cell(["a", "b\n"]) == "a,b\\n"


@given(st.text(max_size=40), st.integers(1, 30))
def test_a_cut_text_fits(text, wide):
    shown = cut(printable(text), wide)
    assert cells_wide(shown) <= wide
    if cells_wide(printable(text)) <= wide:
        assert shown == printable(text)


@given(st.lists(st.tuples(ANY, ANY), min_size=1, max_size=5), st.integers(24, 60))
def test_the_lines_of_a_table_are_aligned_and_fit_a_terminal(rows, width):
    layout = Layout([Column("first", gives=True), Column("n", right=True), Column("last", gives=True)])
    records = [{"first": a, "n": n, "last": b} for n, (a, b) in enumerate(rows)]
    lines = layout.lines(records, width=width, color=False, plain=False, header=True)
    assert all(cells_wide(line) <= width for line in lines)
    assert all("\x1b" not in line and "\n" not in line for line in lines)


def test_rows_that_come_later_stay_in_line():
    layout = Layout([Column("a"), Column("b")])
    [head, first] = layout.lines([{"a": "long one", "b": 1}], width=0, color=False, plain=False, header=True)
    [later] = layout.lines([{"a": "x", "b": 2}], width=0, color=False, plain=False, header=False)
    assert (head, first, later) == ("A         B", "long one  1", "x         2")


@pytest.mark.parametrize(("text", "wide"), [("abc", 3), ("日本", 4), ("⌛", 2), ("e\u0301", 1), ("✓", 1)])
def test_width_is_counted_in_cells(text, wide):
    assert cells_wide(text) == wide
