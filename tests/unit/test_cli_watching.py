"""Answers that are drawn again, and lists that go on: how they begin, go on and end."""

import json

import pytest

from flowlord.bus.sqlite import SqliteBus
from flowlord.cli import printer, topics_tail, watching
from flowlord.cli.exits import DONE, INTERRUPTED, UNREACHABLE
from flowlord.cli.printer import Look
from flowlord.model.errors import FlowlordError
from support.place import Place


@pytest.fixture
def place(tmp_path):
    found = Place(tmp_path)
    yield found
    if found._bus is not None:
        found._bus.close()


def test_an_answer_is_drawn_anew_until_it_is_final(monkeypatch, capsys):
    monkeypatch.setattr(printer, "on_terminal", lambda: True)
    monkeypatch.setattr(watching, "EVERY_S", 0.0)
    drawn = []

    def draw():
        drawn.append(1)
        print("answer", len(drawn))
        return len(drawn)

    assert watching.redraw(draw, is_final=lambda: len(drawn) == 3) == 3
    out = capsys.readouterr().out
    assert out.count("\x1b[2J") == 3
    assert out.endswith("answer 3\n")


def test_in_a_pipe_nothing_is_drawn_anew(place, capsys):
    with pytest.raises(FlowlordError, match="terminal"):
        place.tasks(watch=True)
    assert capsys.readouterr().out == ""


def test_a_task_is_watched_until_it_has_ended(place, monkeypatch, capsys):
    from flowlord.cli import task

    monkeypatch.setattr(printer, "on_terminal", lambda: True)
    monkeypatch.setattr(watching, "EVERY_S", 0.0)
    place.send(1)
    real = task._story

    def story(*words):
        found = real(*words)
        place.work()
        return found

    monkeypatch.setattr(task, "_story", story)
    assert task.run(place.where, None, "00000001", look=Look("table"), watch=True, clock=place.clock) == DONE
    out = capsys.readouterr().out
    assert out.count("\x1b[2J") == 2
    assert "complete" in out.rpartition("\x1b[2J")[2]


@pytest.mark.parametrize("topic", ["extract", "done", "slow", "quarantine"])
def test_a_topic_is_followed_as_messages_come(place, topic, monkeypatch, capsys):
    from flowlord.bus.port import Move
    from flowlord.model.plan import Fact, FactKind, Plan, Quarantined

    place.send(1)
    real = SqliteBus.journal
    steps = iter(
        [
            lambda: place.send(2),
            lambda: place.work(),
            lambda: place.bus.move([Move("extract", place.bus.peek("extract", 1)[0].entry, "slow")]),
            lambda: place.bus.commit(
                Plan(
                    quarantine=(Quarantined("done", b"{", "not JSON"),),
                    facts=(Fact(FactKind.QUARANTINED, topic="done", text="not JSON"),),
                )
            ),
        ]
    )

    def journal(self, after, limit, *, wait_s=0.0):
        if wait_s:
            step = next(steps, None)
            if step is None:
                raise KeyboardInterrupt
            step()
        return real(self, after, limit)

    monkeypatch.setattr(SqliteBus, "journal", journal)
    code = topics_tail.tail(place.where, topic, number=5, follow=True, look=Look("jsonl"), clock=place.clock)
    rows = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert code == INTERRUPTED
    assert len(rows) == {"extract": 2, "done": 1, "slow": 1, "quarantine": 1}[topic]
    assert {row["topic"] for row in rows} == {topic}


def test_following_a_topic_wants_a_bus_and_a_form_that_ends_nowhere(tmp_path, capsys):
    place = Place(tmp_path)
    with pytest.raises(FlowlordError, match="never ends"):
        topics_tail.tail(place.where, "x", number=1, follow=True, look=Look("json"), clock=place.clock)
    code = topics_tail.tail(place.where, "x", number=1, follow=True, look=Look("jsonl"), clock=place.clock)
    assert code == UNREACHABLE
