"""What holds for every duration, meta string, template and pattern."""

import json
import re
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flowlord.rules.durations import LONGEST, go_duration, parse_duration, short_duration
from flowlord.rules.errors import Unreadable
from flowlord.rules.globs import Glob
from flowlord.rules.metastring import format_meta, format_sorted, parse_first, parse_meta
from flowlord.rules.moments import time_of_info, time_of_path
from flowlord.rules.rows import rows_of_lines
from flowlord.rules.template import Template, json_text

texts = st.text(max_size=30)
# Many of the characters that mean something, so that their meetings are tried.
nasty = st.text(st.sampled_from("&=+%;#? /:|{}ab1é\n\x00\x85") | st.characters(codec="utf-8"), max_size=30)


def told(read, *given):
    """What `read` tells is wrong; None when it reads. Any other failure is a failure of the test."""
    try:
        read(*given)
    except Unreadable as error:
        return error
    return None


@given(st.integers(-LONGEST - 1, LONGEST))
def test_a_duration_in_gos_form_reads_back(ns):
    assert parse_duration(go_duration(ns)) == ns


@given(st.integers(-LONGEST - 1, LONGEST))
def test_the_short_form_loses_less_than_a_hundredth(ns):
    written = re.sub(r"(\d+)y", lambda years: f"{int(years[1]) * 365 * 24}h", short_duration(ns))
    lost = abs(ns) - abs(parse_duration(written))
    assert 0 <= lost < max(min(abs(ns) // 100, 10_000_000), 1)


@given(st.text(st.sampled_from("0123456789.+-hmsuµnwd ∞"), max_size=12))
def test_no_text_makes_a_duration_fail_otherwise_than_told(text):
    if error := told(parse_duration, text):
        assert 0 <= error.offset <= len(text)
    else:
        assert -LONGEST - 1 <= parse_duration(text) <= LONGEST


@given(st.lists(st.tuples(nasty, nasty)))
def test_what_was_put_into_a_meta_string_comes_out(pairs):
    values = {}
    for key, value in pairs:
        values.setdefault(key, []).append(value)
    assert parse_meta(format_meta(pairs)) == values
    assert parse_meta(format_sorted(values)) == values


@given(st.dictionaries(nasty, nasty))
def test_a_meta_string_holds_no_controls_and_stays_itself(values):
    written = format_sorted(values)
    assert re.search("[\x00-\x1f\x7f-\x9f;#+]", written) is None
    assert format_sorted(parse_meta(written)) == written


@given(nasty)
def test_every_meta_string_can_be_read_and_then_stays(text):
    values = parse_meta(text)
    assert parse_meta(format_sorted(values)) == values
    assert parse_first(text) == {key: found[0] for key, found in values.items()}


TOKENS = ["{yyyy}", "{Slug}", "{HOST}", "{uuid}", "{meta:a}", "{meta:b}", "#", "{", "}", "x", "{meta:"]


@given(st.lists(st.sampled_from(TOKENS)), nasty | st.sampled_from(TOKENS), nasty)
def test_a_value_is_never_expanded_again(parts, value, host):
    text = "".join(parts)
    template = Template.compile(text)
    mark, place = "\ue000", "\ue001"
    time = datetime(2024, 1, 2, tzinfo=UTC)
    marked = template.render(time, {"a": mark}, host=place)
    assert template.render(time, {"a": value}, host=host or place) == marked.replace(mark, value).replace(
        place, host or place
    )


@given(nasty)
def test_a_template_without_tokens_is_itself(text):
    template = Template.compile(text.replace("{", ""))
    assert template.render(None, {}) == template.text


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_a_number_reads_back_from_its_text_without_an_exponent(number):
    text = json_text(number)
    assert "e" not in text
    assert float(text) == number


values = st.recursive(
    st.none() | st.booleans() | st.integers() | texts,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3),
    max_leaves=8,
)


@given(st.dictionaries(texts, values, max_size=4))
def test_a_row_reads_back_from_its_texts(row):
    [found] = rows_of_lines([json.dumps(row) + "\n"], kind="jsonl")
    for key, value in row.items():
        if isinstance(value, str | None):
            assert found[key] == (value or "")
        else:
            assert json.loads(found[key]) == value


@given(st.text(max_size=60) | st.text(st.sampled_from('{}[],:"\\ue0d8tfn'), max_size=60))
def test_no_line_fails_otherwise_than_told(line):
    for kind in ("jsonl", "csv"):
        error = told(lambda kind=kind: list(rows_of_lines([line], kind=kind)))
        assert error is None or str(error).startswith("line 1: ")


@given(st.text(st.sampled_from("0129/-T.Zday=:%#?{é\n[]@"), max_size=60))
def test_no_text_makes_the_search_for_a_time_fail(text):
    for time in (time_of_path(text), time_of_info(text)):
        assert time is None or time.tzinfo is UTC


def by_backtracking(pattern, path):
    """`*`, `**`, `?` and letters, by trying everything."""
    if not pattern:
        return not path
    if pattern.startswith("*"):
        deep = pattern.startswith("**")
        rest = pattern[2:] if deep else pattern[1:]
        if by_backtracking(rest, path):
            return True
        return bool(path) and (deep or path[0] != "/") and by_backtracking(pattern, path[1:])
    if path and (pattern[0] == path[0] or (pattern[0] == "?" and path[0] != "/")):
        return by_backtracking(pattern[1:], path[1:])
    return False


@given(st.text(st.sampled_from("ab/?*"), max_size=8), st.text(st.sampled_from("ab/"), max_size=8))
def test_a_pattern_fits_as_trying_everything_says(pattern, path):
    assert Glob.compile(pattern).matches(path) is by_backtracking(pattern, path)


@given(
    st.text(st.sampled_from("ab-]^[\\*?/!"), max_size=12), st.text(st.sampled_from("ab-]^[\\*/!"), max_size=6)
)
def test_every_pattern_is_compiled_or_told(pattern, path):
    error = told(lambda: Glob.compile(pattern).matches(path))
    assert error is None or 0 <= error.offset < len(pattern)


@pytest.mark.parametrize("character", sorted(set("&=+%;#\n")))
def test_each_character_with_a_meaning_survives(character):
    assert parse_meta(format_meta([(character, character)])) == {character: [character]}


_PARTS = [
    "2026/01/02/03",
    "/2026/13/01/05/",
    "2026-01-02",
    "2026/07",
    "20260102T030405",
    "T",
    "x",
    "/",
    "//",
    "4",
    "%2F",
    "#",
    "?",
    ":",
    "@",
    "d",
    "é",
    "\x00",
    "date=2026-01-02",
]
_BEGINS = ("s3://bucket", "gs://b.c", "s3://", "file:", "")


@given(st.sampled_from(_BEGINS), st.lists(st.sampled_from(_PARTS), max_size=8))
def test_an_info_of_the_usual_form_tells_the_same_time_as_one_that_is_too_long_for_it(begin, parts):
    text = begin + "/" + "".join(parts)
    longer = text.replace("#", f"{'y' * 300}#", 1) if "#" in text else text + "y" * 300
    if not text[-1].isdigit():
        assert time_of_info(text) == time_of_info(longer)
