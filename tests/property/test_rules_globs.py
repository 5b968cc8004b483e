"""What a pattern says of folders and of paths that do not fit, beside what it says of those that do."""

from __future__ import annotations

from hypothesis import example, given
from hypothesis import strategies as st

from flowlord.rules.globs import Glob
from flowlord.rules.nearest import nearest_glob

pieces = st.lists(st.sampled_from(["a", "b", "/", "*", "**", "?", "[ab]", "[^a]", "\\*", "."]), max_size=8)
patterns = pieces.map("".join)
paths = st.text(st.sampled_from("ab/.*c"), max_size=10)


@given(patterns, paths)
@example("**/a", "/a")
@example("a\\*/b", "a*/b")
def test_a_path_that_fits_lies_in_a_folder_that_leads_to_it_and_may_hold_it(pattern: str, path: str) -> None:
    glob = Glob.compile(pattern)
    folder = path[: path.rfind("/") + 1]
    if glob.matches(path):
        assert glob.leads_into(folder)
        assert glob.holds(folder) or "[" in pattern  # a class may stand for a slash
        for n, character in enumerate(path):
            if character == "/":
                assert glob.leads_into(path[: n + 1])


@given(patterns, paths)
def test_where_a_path_differs_lies_within_it_and_what_is_before_fits(pattern: str, path: str) -> None:
    glob = Glob.compile(pattern)
    near = nearest_glob(path, [glob])
    assert near is not None
    assert 0 <= near.offset <= len(path)
    assert pattern.endswith(near.wants)
    assert glob.leads_into(path[: near.offset]) or near.offset == 0
    if glob.matches(path):
        assert near.offset == len(path)


@given(st.lists(patterns, min_size=1, max_size=5), paths)
def test_a_pattern_that_fits_is_the_nearest(texts: list[str], path: str) -> None:
    globs = [Glob.compile(text) for text in texts]
    near = nearest_glob(path, globs)
    assert near is not None
    fitting = [glob for glob in globs if glob.matches(path) and not glob.pattern.endswith("*")]
    if fitting:
        assert near.offset == len(path)
