"""Foreign bytes become one harmless line, a bounded tail, and words for us."""

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flowlord.worker.text import LINE_BYTES, OUTPUT_BYTES, Tail, Words, one_line, together


@pytest.mark.parametrize(
    "text,shown",
    [
        ("plain", "plain"),
        ("  blanks around \n", "blanks around"),
        ("two\nlines", r"two\nlines"),
        ("\x1b[31mred\x1b[0m", r"\x1b[31mred\x1b[0m"),
        ("\x1b]52;c;ZXZpbA==\x07", r"\x1b]52;c;ZXZpbA==\x07"),
        ("a\x9bb", r"a\x9bb"),
        ("evil\u202etxt.exe", r"evil\u202etxt.exe"),
        ("line\u2028separator", r"line\u2028separator"),
        ("nul\0here", r"nul\x00here"),
        ("half \ud800", "half ?"),
        ("ä €", "ä €"),
    ],
)
def test_a_message_is_one_line_without_controls(text, shown):
    assert one_line(text) == shown


@given(st.text(), st.integers(10, 60))
def test_a_message_never_grows_over_its_limit_and_never_holds_a_control(text, limit):
    shown = one_line(text, limit)
    assert len(shown.encode()) <= limit
    assert {unicodedata.category(each) for each in shown}.isdisjoint({"Cc", "Zl", "Zp", "Cs"})


def test_a_message_that_was_cut_says_so():
    assert one_line("x" * 2000).endswith("x…")
    assert one_line("x" * 1024) == "x" * 1024


@given(st.lists(st.binary(max_size=40)), st.integers(1, 30))
def test_a_tail_is_the_end_of_what_was_fed(chunks, limit):
    tail = Tail(limit)
    for chunk in chunks:
        tail.feed(chunk)
    everything = b"".join(chunks)
    assert tail.size == len(everything)
    assert bytes(tail._kept).endswith(everything[-limit:])
    assert len(tail._kept) <= 2 * limit


def test_what_is_kept_of_both_streams_fits_together():
    out, err = Tail(), Tail()
    out.feed(b"o" * 100_000)
    err.feed("ß€".encode() * 50_000)
    kept = together(out, err)
    assert len(kept.encode()) <= OUTPUT_BYTES
    assert kept.startswith("--- stdout\n… 100000 bytes, these are the last\n")
    assert kept.endswith("ß€")


def test_a_short_stream_leaves_its_room_to_the_other():
    out, err = Tail(), Tail()
    out.feed(b"o" * 8000)
    err.feed(b"short")
    assert together(out, err) == "--- stdout\n" + "o" * 8000 + "\n--- stderr\nshort"
    assert together(out, Tail()) == "o" * 8000
    assert together(Tail(), Tail()) == ""


def test_bytes_that_are_no_text_do_not_grow_over_the_cap():
    out = Tail()
    out.feed(b"\xff" * 8192)
    assert len(together(out, Tail()).encode()) <= OUTPUT_BYTES


@pytest.mark.parametrize(
    "stream,line",
    [
        (b"", ""),
        (b"\n \n", ""),
        (b"first\nlast\n", "last"),
        (b"first\nlast\n\n  \n", "last"),
        (b"progress 1%\rprogress 100%\r", "progress 100%"),
        (b"\xff\xfe bad", "\ufffd\ufffd bad"),
    ],
)
def test_the_last_line_is_the_last_that_is_not_blank(stream, line):
    tail = Tail()
    tail.feed(stream)
    assert tail.last_line() == line


LINES = b"rows\nflowlord:meta a=1\nnot flowlord:meta b=2\nflowlord:meta c=3\r\nflow\nflowlord:result warn"


@given(st.lists(st.integers(0, len(LINES)), max_size=12))
def test_our_words_are_found_however_the_stream_is_cut(cuts):
    words, at = Words(), 0
    for cut in [*sorted(cuts), len(LINES)]:
        words.feed(LINES[at:cut])
        at = cut
    assert words.end() == ["meta a=1", "meta c=3", "result warn"]


def test_a_line_too_long_for_us_is_passed_over_in_bounded_memory():
    words = Words()
    for _ in range(100):
        words.feed(b"flowlord:meta a=" + b"x" * LINE_BYTES)
    assert len(words._carry) <= LINE_BYTES
    words.feed(b"\nflowlord:meta b=1\n")
    assert words.end() == ["meta b=1"]


def test_an_endless_stream_of_words_is_bounded():
    words = Words()
    for number in range(5000):
        words.feed(b"flowlord:meta k%d=v\n" % number)
    assert len(words.end()) == 1000
