"""Whatever happens in whatever order: nothing is lost, nothing is told twice, and what is one thing stays one thing."""

from __future__ import annotations

from collections import Counter
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from flowlord.alert.keep import read, written
from flowlord.alert.port import Notice, NoticeKind, Undelivered
from flowlord.alert.state import Act, ActKind, EventKind, Mode, State
from flowlord.alert.take import take
from flowlord.alert.tell import tell
from flowlord.rules.errortext import folded
from support.alerts import HOUR, MINUTE, POLICY, START, Desk, failure, success

names = st.sampled_from(["load", "load:users", "geo"])
texts = st.sampled_from(["timeout after 3 s", "timeout after 40 s", "disk full"])
kinds = st.sampled_from([EventKind.TASK, EventKind.RESULT, EventKind.MISSED])
modes = st.sampled_from([Mode.EDGE, Mode.EDGE, Mode.EVERY, Mode.DIGEST])


@st.composite
def steps(draw: st.DrawFn) -> list[tuple[str, int, Any]]:
    """What happens after how many minutes."""
    what = st.sampled_from(["fail", "fail", "fail", "well", "mute", "ack", "away", "back", "time"])
    found = []
    for _ in range(draw(st.integers(1, 30))):
        kind = draw(what)
        minutes = draw(st.integers(0, 200))
        of: Any = draw(names)
        if kind == "fail":
            of = (of, draw(texts), draw(kinds), draw(modes))
        found.append((kind, minutes, of))
    return found


def play(desk: Desk, story: list[tuple[str, int, Any]]) -> int:
    """Live through it; returns how many events there were."""
    count = 0
    is_away = [False]

    def answer(notice: Notice) -> str:
        if is_away[0]:
            raise Undelivered("away")
        return "thread"

    desk.answer = answer
    for kind, minutes, of in story:
        at = desk.now + minutes * MINUTE
        desk.until(at)
        match kind:
            case "fail":
                name, text, event, mode = of
                desk.hear(failure(at, name, text, kind=event, mode=mode))
                count += 1
            case "well":
                desk.hear(success(at, of))
            case "mute":
                desk.hear(Act(ActKind.MUTE, at, of.partition(":")[0], until_us=at + HOUR))
            case "ack":
                desk.hear(Act(ActKind.ACK, at, "a1"))
            case "away":
                is_away[0] = True
            case "back":
                is_away[0] = False
    is_away[0] = False
    return count


@given(steps())
def test_every_event_is_told_once_or_still_counted_as_untold(story):
    desk = Desk()
    count = play(desk, story)
    desk.until(desk.now + 24 * HOUR)
    told: Counter[str] = Counter()
    total = 0
    for notice in desk.sent:
        for line in notice.lines:
            if notice.kind is NoticeKind.RECOVERED:
                assert line.count >= told[line.incident]  # in all
                total += line.count
                told[line.incident] = 0
            else:
                told[line.incident] += line.count
    untold = sum(each.fresh for each in desk.state.incidents.values() if each.is_open)
    assert total + told.total() + untold == count
    assert all(each.acked_us for each in desk.state.incidents.values() if each.is_open and each.fresh)
    assert len({notice.id for notice in desk.sent}) == len(desk.sent)
    assert not desk.state.pending


@given(steps())
def test_asked_twice_it_tells_once_and_what_is_kept_can_be_read_again(story):
    desk = Desk()
    play(desk, story)
    again = tell(desk.state, POLICY, desk.now)
    assert again.pending == desk.state.pending
    assert again.incidents == desk.state.incidents
    assert read(written(State(), desk.state)[0]) == desk.state


@given(st.lists(st.tuples(st.integers(0, 500), names, texts), min_size=1, max_size=20), st.data())
def test_events_make_the_same_incidents_one_by_one_and_all_at_once(found, data):
    events = [failure(START + minutes * MINUTE, name, text) for minutes, name, text in sorted(found)]
    cut = data.draw(st.integers(0, len(events)))
    whole = take(State(), events, POLICY)
    parts = take(take(State(), events[:cut], POLICY), events[cut:], POLICY)
    assert parts == whole
    assert sum(each.total for each in whole.incidents.values()) == len(events)


@given(st.text(max_size=80), st.integers(0, 10**12))
def test_reasons_that_differ_in_a_number_are_one_incident(text, number):
    one, other = (f"row {n} of {text}" for n in (7, number))
    events = [failure(START, text=one), failure(START, text=other)]
    assert folded(one) == folded(other)
    assert len(take(State(), events, POLICY).incidents) == 1
