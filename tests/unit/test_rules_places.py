"""Where the files of a pattern lie, which names are none, and where a path differs from a pattern."""

from __future__ import annotations

import pytest

from flowlord.rules.globs import Glob
from flowlord.rules.nearest import nearest_glob, told
from flowlord.rules.places import as_text, folder_of, is_passing, name_of, place_of


@pytest.mark.parametrize(
    ("pattern", "scheme", "root"),
    [
        ("/data/in/*.csv", "", "/data/in/"),
        ("/data/in/2026-*/x/*.csv", "", "/data/in/"),
        ("./folder/*.txt", "", "./folder/"),
        ("*.txt", "", ""),
        ("/*.txt", "", "/"),
        ("/data/x.csv", "", "/data/"),
        ("/data/[ab]/x", "", "/data/"),
        ("/data/a\\*b/x", "", "/data/"),
        ("s3://bucket/in/*.csv", "s3", "s3://bucket/in/"),
        ("gs://bucket/*", "gs", "gs://bucket/"),
        ("gs://*/*/x", "gs", "gs://"),
        ("S3://b/x", "s3", "S3://b/"),
    ],
)
def test_a_place_is_what_stands_in_front_of_the_first_wildcard(pattern, scheme, root):
    found = place_of(pattern)
    assert (found.scheme, found.root) == (scheme, root)


@pytest.mark.parametrize(
    ("path", "pattern", "passing"),
    [
        ("/in/a.csv", "/in/*", False),
        ("/in/.a.csv.x7", "/in/*", True),
        ("/in/a.csv~", "/in/*", True),
        ("/in/a.csv.tmp", "/in/*", True),
        ("/in/a.csv.tmp", "/in/*.tmp", False),
        ("/in/a.part", "/in/a.part", False),
        ("/in/.a.swp", "/in/*", True),
        ("/in/.a", "/in/.*", False),
        ("/in/.git/a", "/in/*/*", True),
        ("/in/.git/a", "/in/**/a", True),
        ("/in/.git/a", "/in/.git/*", False),
        ("/home/.cache/in/a", "/home/.cache/in/*", False),
        ("./a", "./*", False),
        ("../in/a", "../in/*", False),
        ("s3://b/in/.a", "s3://b/in/*", True),
    ],
)
def test_hidden_and_temporary_names_are_no_files_unless_the_pattern_names_them(path, pattern, passing):
    assert Glob.compile(pattern).matches(path)
    assert is_passing(path, pattern) is passing


def test_a_name_that_is_no_text_is_written_in_percents():
    assert as_text("/in/a\udcff\udc80ä b.csv") == "/in/a%FF%80ä b.csv"
    assert as_text("/in/100%.csv") == "/in/100%.csv"


def test_folders_and_names():
    assert [folder_of(path) for path in ("/a/b", "/a", "a", "./a/b", "s3://b/k", "/a/b/")] == [
        "/a", "/", ".", "./a", "s3://b", "/a",
    ]  # fmt: skip
    assert [name_of(path) for path in ("/a/b", "a", "/a/b/")] == ["b", "a", "b"]


GLOBS = [Glob.compile(text) for text in ("/out/*", "/in/*/*/*.csv", "/in/*.json")]


@pytest.mark.parametrize(
    ("path", "words"),
    [
        ("/in/2026/08/users.csv.gz", "nearest: /in/*/*/*.csv, which ends before '.gz'"),
        ("/in/users.yaml", "nearest: /in/*.json, fails at 'yaml' where it wants 'json'"),
        ("/in/2026/08", "nearest: /in/*/*/*.csv, which wants '/*.csv' more"),
        ("/ou", "nearest: /out/*, which wants 't/*' more"),
        ("/in/users.JSON", "nearest: /in/*.json, fails at 'JSON' where it wants 'json': case matters"),
    ],
)
def test_the_nearest_pattern_and_where_a_path_differs(path, words):
    near = nearest_glob(path, GLOBS)
    assert near is not None
    assert told(path, near) == words


def test_a_path_without_the_folder_that_two_stars_stand_for_is_told_so():
    for path, pattern in (("/in/a.csv", "/in/**/*.csv"), ("a.csv", "**/*.csv")):
        near = nearest_glob(path, [Glob.compile(pattern)])
        assert near is not None
        assert (
            told(path, near) == f"nearest: {pattern}, which wants '/*.csv' more: '**/' is one folder or more"
        )


def test_without_patterns_nothing_is_near():
    assert nearest_glob("/x", []) is None


def test_a_pattern_knows_which_folders_may_hold_a_file():
    flat, deep, here = (Glob.compile(text) for text in ("/d/*/x*.csv", "/d/**/x.csv", "x*.csv"))
    folders = ("/", "/d/", "/d/q/", "/d/q/r/", "/e/")
    assert [flat.leads_into(folder) for folder in folders] == [True, True, True, False, False]
    assert [flat.holds(folder) for folder in folders] == [False, False, True, False, False]
    assert [deep.leads_into(folder) for folder in folders] == [True, True, True, True, False]
    assert [deep.holds(folder) for folder in folders] == [
        False,
        True,
        True,
        True,
        False,
    ]  # `/d/x.csv` is to be told
    assert not Glob.compile("/d/**/done/*").holds("/d/")
    assert not Glob.compile("/d/x**/*").holds("/d/")
    assert (here.leads_into(""), here.holds(""), here.leads_into("a/")) == (True, True, False)


def test_names_that_look_alike_and_are_other_characters_are_told_as_such():
    written, asked = "/in/Zu\u0308rich-1.csv", "/in/Z\xfcrich-*.csv"
    for path, pattern in ((written, asked), (asked.replace("*", "1"), written.replace("1", "*"))):
        near = nearest_glob(path, [Glob.compile(pattern)])
        assert near is not None
        words = told(path, near)
        assert "looks alike but is other characters" in words
        assert r"\u0308" in words
