"""What durations, meta strings, templates, JSON values and patterns do beyond the vectors."""

from datetime import UTC, datetime, timedelta, timezone
from time import process_time

import pytest

from flowlord.rules.batch import parse_lists
from flowlord.rules.cron import Cron
from flowlord.rules.durations import DAY, HOUR, WEEK, parse_duration, short_duration
from flowlord.rules.errors import TooLong, Unreadable, quote
from flowlord.rules.globs import Glob
from flowlord.rules.metastring import format_meta, format_sorted, parse_meta
from flowlord.rules.moments import time_of_info, time_of_path
from flowlord.rules.rows import rows_of_lines
from flowlord.rules.template import LONGEST_OUTPUT, Template, json_text, pod

NOON = datetime(2024, 3, 4, 12, 5, 6, tzinfo=UTC)


@pytest.mark.parametrize(
    "text, ns",
    [
        ("1d", DAY),
        ("2w", 2 * WEEK),
        ("-1w2d", -(WEEK + 2 * DAY)),
        ("0.5d", 12 * HOUR),
        ("1.h", HOUR),
        ("0.100000000000000000000h", HOUR // 10),
        ("9223372036854775807ns", 2**63 - 1),
        ("-9223372036854775808ns", -(2**63)),
    ],
)
def test_days_weeks_and_the_outermost_durations_are_read(text, ns):
    assert parse_duration(text) == ns


@pytest.mark.parametrize(
    "text, offset, told",
    [
        ("", 0, "is no duration"),
        ("-", 1, "is no duration"),
        ("90", 2, "lacks a unit"),
        ("1h30", 4, "lacks a unit"),
        ("1h 30m", 1, "unknown unit"),
        ("1hours", 1, 'unknown unit "hours"'),
        ("5x", 1, "ns, us, ms, s, m, h, d, w"),
        ("1h.m", 2, "a number is missing"),
        ("300y", 3, "unknown unit"),
        ("20000w", 0, "292 years"),
        ("٣h", 0, "a number is missing"),
        ("9" * 5000 + "h", 0, "too long"),
    ],
)
def test_an_unreadable_duration_tells_where_and_what(text, offset, told):
    with pytest.raises(Unreadable, match=told) as found:
        parse_duration(text)
    assert found.value.offset == offset


def test_a_second_that_is_cut_to_nothing_leaves_the_minutes():
    assert short_duration(60_001_000_000) == "1m"


def test_an_error_moves_with_the_text_it_was_found_in():
    moved = TooLong("x", offset=3, end=5).moved(4)
    assert (type(moved), str(moved), moved.offset, moved.end) == (TooLong, "x", 7, 9)
    assert Unreadable("x").moved(4).end == -1


def test_a_quoted_text_stays_on_one_line_and_short():
    assert quote('a"b\n\x00') == '"a\\"b\\n\\x00"'
    assert len(quote("x" * 1000)) == 62


@pytest.mark.parametrize(
    "text, values",
    [
        ("", {}),
        ("&&", {}),
        ("a", {"a": [""]}),
        ("=v", {"": ["v"]}),
        ("a=b=c", {"a": ["b=c"]}),
        ("a=1&b=2&a=3", {"a": ["1", "3"], "b": ["2"]}),
        ("a+b=c+d", {"a b": ["c d"]}),
        ("a=50%&b=1", {"a": ["50%"], "b": ["1"]}),
        ("a=%zz%41", {"a": ["%zzA"]}),
        ("a=x;y#z", {"a": ["x;y#z"]}),
        ("?a=1", {"?a": ["1"]}),
        ("a=%E4%BD%A0", {"a": ["你"]}),
        ("a=%41%fF%42", {"a": ["A%fFB"]}),
        ("a=%ed%a0%80", {"a": ["%ed%a0%80"]}),
        ("a%3Db=1", {"a=b": ["1"]}),
    ],
)
def test_a_meta_string_is_read(text, values):
    assert parse_meta(text) == values


def test_pairs_are_written_in_the_given_order_and_stay_readable():
    pairs = [
        ("workflow", "d/a.toml"),
        ("cron", "2024-01-01T05"),
        ("file", "gs://b/x y?a=1"),
        ("a=b", "1=2\n\x85"),
    ]
    assert format_meta(pairs) == "workflow=d/a.toml&cron=2024-01-01T05&file=gs://b/x y?a=1&a%3Db=1=2%0A%C2%85"


def test_sorted_meta_keeps_the_order_of_values():
    assert format_sorted({"b": ["2", "1"], "a": "x", "c": []}) == "a=x&b=2&b=1"


def test_a_template_names_its_meta_once_and_knows_whether_it_needs_a_time():
    template = Template.compile("{meta:b}{meta:a}{meta:b}#{yyyy}")
    assert (template.meta_names, template.has_time) == (("b", "a"), False)
    assert Template.compile("#{yyyy}").has_time
    assert not Template.compile("{host}{UUID}").has_time


@pytest.mark.parametrize(
    "text, expected",
    [
        ("{{meta:a}}", "{1}"),
        ("{{yyyy}}", "{2024}"),
        ("{meta:a", "{meta:a"),
        ("{meta:}", "{meta:}"),
        ("{meta:a-b}", "{meta:a-b}"),
        ("{meta:ä}", "{meta:ä}"),
        ("{m\u017f}", "{m\u017f}"),
        ("{Slug}|{SLUG}|{Hour_Slug}|{TS}|{tS}", "|".join(["2024/03/04/12"] * 3 + ["20240304T120506"] * 2)),
        ("{MIN}", "05"),
        ("{0}{a.b}{a[0]}{}%s%(a)s", "{0}{a.b}{a[0]}{}%s%(a)s"),
    ],
)
def test_a_template_is_rendered(text, expected):
    assert Template.compile(text).render(NOON, {"a": "1"}) == expected


def test_sec_09_values_are_never_expanded_again():
    template = Template.compile("{meta:a}{meta:b}{host}")
    assert template.render(NOON, {"a": "{meta:b}", "b": "{yyyy}"}, host="{pod}") == "{meta:b}{yyyy}{pod}"


def test_tokens_of_the_machine_stay_when_it_gives_nothing():
    assert Template.compile("{host}{pod}{uuid}").render(NOON, {}) == "{host}{pod}{uuid}"


def test_the_fields_are_those_of_the_zone_of_the_time():
    time = NOON.astimezone(timezone(timedelta(hours=14)))
    assert Template.compile("{dd}T{hh}").render(time, {}) == "05T02"


def test_sec_09_what_comes_out_of_a_template_is_bounded_in_bytes():
    template = Template.compile("{meta:a}" * 8)
    assert len(template.render(None, {"a": "x" * (LONGEST_OUTPUT // 8)})) == LONGEST_OUTPUT
    with pytest.raises(TooLong, match="becomes longer"):
        template.render(None, {"a": "é" * (LONGEST_OUTPUT // 16 + 1)})


def test_a_pod_is_the_last_two_parts():
    assert [pod("a-b-c-d"), pod("x"), pod("")] == ["c-d", "x", ""]


@pytest.mark.parametrize(
    "value, text",
    [
        ("as it is", "as it is"),
        (None, ""),
        (True, "true"),
        (-0.0, "0"),
        (0.1, "0.1"),
        (1e21, "1" + "0" * 21),
        (1e-7, "0.0000001"),
        (123456.789, "123456.789"),
        (-1.5e300, "-15" + "0" * 299),
        (2**70, str(2**70)),
        ([1, 1.0, None, True, "é\n"], '[1,1,null,true,"é\\n"]'),
        ({"a": {"b": [1e21]}}, '{"a":{"b":[1000000000000000000000]}}'),
    ],
)
def test_a_json_value_becomes_text(value, text):
    assert json_text(value) == text


def deep(levels):
    value = []
    for _ in range(levels):
        value = [value]
    return value


@pytest.mark.parametrize("value", [float("nan"), float("inf"), object(), 10**1000, deep(100_000), b"x"])
def test_what_is_no_json_value_is_refused(value):
    with pytest.raises(Unreadable):
        json_text(value)


@pytest.mark.parametrize(
    "pattern, path, fits",
    [
        ("/a/**/c.txt", "/a/b/c.txt", True),
        ("/a/**/c.txt", "/a/b/d/c.txt", True),
        ("/a/**/c.txt", "/a/c.txt", False),
        ("/a/**", "/a/b/c", True),
        ("**.gz", "gs://b/x/y.gz", True),
        ("**x*y", "a/x/y", False),
        ("**x*y", "a/x/xby", True),
        ("/a/***b", "/a/c/d/b", True),
        ("/a[^b]c", "/a/c", True),
        ("a]-", "a]-", True),
        ("[a-]]", "", False),
        ("日?", "日本", True),
        ("/a/b", "/a/b\n", False),
        ("[z-a]", "m", False),
    ],
)
def test_a_pattern_is_matched(pattern, path, fits):
    if pattern == "[a-]]":
        with pytest.raises(Unreadable):
            Glob.compile(pattern)
        return
    assert Glob.compile(pattern).matches(path) is fits


@pytest.mark.parametrize(
    "pattern, offset",
    [
        ("/a/\\", 3),
        ("/a/[", 3),
        ("/a/[a", 3),
        ("/a/[a-", 3),
        ("/a/[^]", 5),
        ("/a/[\\", 3),
        ("/[]", 2),
        ("a" * 5000, 0),
    ],
)
def test_a_bad_pattern_tells_where(pattern, offset):
    with pytest.raises(Unreadable) as found:
        Glob.compile(pattern)
    assert found.value.offset == offset


N = 100_000
HOSTILE = {
    "digits": "1" * N,
    "days that are none": "2024/13/" * (N // 8),
    "parameters that are none": "day=2024-02-30" * (N // 14),
    "stamps that are none": "20241314T250000" * (N // 15),
    "bad bytes": "%ff" * (N // 3),
    "percent signs": "%" * N,
    "pairs": "a&" * (N // 2),
    "plus signs": "+" * N,
    "half tokens": "{meta:" * (N // 6),
    "tokens": "{yyyy}" * (N // 6),
    "one long name": "{meta:" + "a" * N,
    "letters": "a" * N,
    "colons": "s3://" + "a:" * (N // 2),
    "slashes": "/" * N,
    "stars": "*" * N,
    "units": "1h" * (N // 2),
    "opened": "[" * N,
}
READERS = {
    "duration": parse_duration,
    "meta": parse_meta,
    "meta written": lambda text: format_meta([("k", text)]),
    "template": lambda text: Template.compile(text).render(NOON, {}),
    "path": time_of_path,
    "info": time_of_info,
    "pattern": Glob.compile,
    "path of a file": Glob.compile("**a*b/[^a]*?").matches,
    "lists": parse_lists,
    "schedule": Cron.parse,
    "zone": lambda text: Cron.parse(f"TZ={text} * * * * *"),
    "json": lambda text: list(rows_of_lines([text], kind="jsonl")),
    "csv": lambda text: list(rows_of_lines([text], kind="csv")),
}


@pytest.mark.parametrize("name", READERS)
def test_sec_08_no_text_of_100_kb_takes_long(name):
    for text in HOSTILE.values():
        start = (
            process_time()
        )  # of this process alone: what grows with the square takes minutes, not milliseconds
        try:
            READERS[name](text)
        except Unreadable:
            pass
        assert process_time() - start < 2.0


@pytest.mark.parametrize("digits", [20, 400, 5000])
def test_sec_07_no_number_is_too_long_to_be_told(digits):
    number = "9" * digits
    for read in (parse_duration, Cron.parse):
        for text in (
            f"{number}h",
            f"0.{number}x",
            f"@every {number}s",
            f"{number} * * * *",
            f"*/{number} * * * x",
        ):
            with pytest.raises(Unreadable):
                read(text)
