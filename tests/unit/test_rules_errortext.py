"""Errors that differ in an id, a number, a time or a path only are the same error."""

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from flowlord.rules.errortext import LONGEST, folded


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("timeout talking to bq", "timeout talking to bq"),
        ("missing column 'zip'", "missing column 'zip'"),
        ("row 17 of 12345678 is bad", "row # of # is bad"),
        ("took 1.5s, 2,000 rows", "took #s, # rows"),
        ("run 9f3c1e7a-52b1-4a86-9d3e-8a1f0c4b6d27 vanished", "run ID vanished"),
        ("commit 4f1c2ab9d", "commit ID"),
        ("object at 0x7f6b37d1dfd0", "object at ID"),
        ("key 01ARZ3NDEKTSV4RRFFQ69G5FAV", "key ID"),
        ("at 2026-08-01T05:30:00.123Z", "at TIME"),
        ("for 2026-08-01", "for TIME"),
        ("since 05:30:00", "since TIME"),
        ("cannot open gs://acme/users/2026/08/01.json?x=1: denied", "cannot open PATH denied"),
        ("/data/in/users.csv: no such file", "PATH: no such file"),
        ("open ./out/x.csv", "open PATH"),
        ("and/or, 3 km/h", "and/or, # km/h"),
        ("ORA-00942: table or view does not exist", "ORA-00942: table or view does not exist"),
        ("HTTP 503 from upstream", "HTTP 503 from upstream"),
        ("exit code 137", "exit code 137"),
        ("utf8 and s3", "utf8 and s3"),
        ("burst12 and burst345 and burst6", "burst# and burst# and burst#"),
        ("shard7, Shard12, web34, v12 x", "shard#, Shard#, web#, v# x"),
        ("part00012.csv bad", "part#.csv bad"),
        ("table users20260801 missing", "table users# missing"),
        ("table users_20260801 missing", "table users_# missing"),
        ("task21/40, row13: bad, a12b", "task#/#, row#: bad, a#b"),
        ("v2, S3, k8s, db2, ec2, HTTP2, E1234", "v2, S3, k8s, db2, ec2, HTTP2, E1234"),
        ("cannot cast int64 to float32: my_utf8", "cannot cast int64 to float32: my_utf8"),
        ("SHA256 or sha-512 or base64 of ipv6", "SHA256 or sha-512 or base64 of ipv6"),
        ("sha257 of int640", "sha# of int#"),
        ("\n\n  first words  \nTraceback", "first words"),
        ("", ""),
        ("x" * 5_000, "x" * LONGEST),
    ],
)
def test_what_differs_from_case_to_case_is_replaced(text, expected):
    assert folded(text) == expected


_pieces = st.sampled_from(
    ["a", "abc", "AB", "utf", "int", "1", "6", "64", "0x", "-", "_", ".", ":", "/", " ", "TIME"]
)


@given(st.text() | st.lists(_pieces | st.just("2026-08-01"), max_size=20).map("".join))
@example("x" * (LONGEST - 4) + "int16")
def test_folding_what_is_folded_changes_nothing(text):
    once = folded(text)
    assert folded(once) == once
    assert len(once) <= LONGEST


@pytest.mark.parametrize(
    "text",
    ["a" * 1_000_000, "/" * 100_000, "1.1," * 100_000, "0x" * 100_000, "a:" * 100_000, "abc1" * 100_000],
)
def test_a_hostile_text_is_folded_at_once(text):
    assert len(folded(text)) <= LONGEST
