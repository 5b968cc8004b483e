"""The checks of a commit, apart from any bus."""

from hypothesis import given
from hypothesis import strategies as st

from flowlord.bus.judge import judge
from flowlord.bus.landing import digest, prepare, rank
from flowlord.model.errors import LeaseLost, Refused
from flowlord.model.message import Delivery, band
from flowlord.model.plan import ANY, Commit, Committed, Mark

ENTRIES = st.sampled_from("123")
DELIVERIES = st.builds(Delivery, st.just("t"), ENTRIES, st.just(b""), st.sampled_from("xy"), st.just("me"))
VALUE = st.one_of(st.none(), st.sampled_from("ab"))
MARKS = st.builds(Mark, st.sampled_from("mn"), st.one_of(VALUE, st.just(ANY)), VALUE)
COMMITS = st.builds(
    Commit,
    acknowledge=st.lists(DELIVERIES, max_size=2).map(tuple),
    marks=st.lists(MARKS, max_size=2).map(tuple),
    outcomes=st.lists(st.sampled_from("opq"), max_size=2).map(tuple),
)
HOLDERS = st.dictionaries(ENTRIES, st.just(("me", "x")))
VALUES = st.dictionaries(st.sampled_from("mn"), st.sampled_from("ab"))


@given(st.lists(COMMITS, max_size=6), HOLDERS, VALUES, st.sets(st.sampled_from("opq")))
def test_many_at_once_are_the_same_as_one_after_the_other(commits, holders, values, outcomes):
    together = judge(
        [prepare(c, 0) for c in commits], holders, values.get, {digest(o) for o in outcomes}.__contains__
    )
    holders, values, known, answers = dict(holders), dict(values), {digest(o) for o in outcomes}, []
    for commit in commits:
        alone = judge([prepare(commit, 0)], holders, values.get, known.__contains__)
        answers += alone.answers
        for entry in alone.entries:
            del holders[entry]
        for key, mark in alone.marks.items():
            values.pop(key, None)
            if mark.new is not None:
                values[key] = mark.new
        known |= set(alone.digests)
    assert [repr(answer) for answer in together.answers] == [repr(answer) for answer in answers]
    assert len(together.digests) == len(set(together.digests))
    assert {
        key: mark.new for key, mark in together.marks.items() if mark.new is not None
    }.items() <= values.items()


@given(COMMITS, HOLDERS, VALUES)
def test_what_is_refused_changes_nothing(commit, holders, values):
    verdict = judge([prepare(commit, 0)], holders, values.get, lambda _: False)
    if isinstance(verdict.answers[0], Refused | LeaseLost):
        assert (verdict.landed, verdict.entries, verdict.marks, verdict.digests) == ([], [], {}, [])


def test_of_marks_with_one_key_each_is_compared_with_what_was_there_before():
    twice = Commit(marks=(Mark("m", None, "1"), Mark("m", None, "2")))
    verdict = judge([prepare(twice, 0)], {}, {}.get, lambda _: False)
    assert verdict.answers == [Committed()]
    assert verdict.marks["m"].new == "2"


def test_ranks_count_the_bands_from_the_most_urgent():
    assert [rank(priority) for priority in range(11)] == [3, 3, 3, 3, 2, 2, 2, 1, 1, 0, 0]
    for priority in range(-5, 20):
        assert rank(priority) == 3 - band(priority)
