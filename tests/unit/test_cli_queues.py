"""Topics and the quarantine: what people look at, move, send back and drop."""

import io
import json
import sys
from collections import Counter
from datetime import timedelta

import pytest
from msgspec import structs

from flowlord.bus.open import open_bus
from flowlord.bus.port import QUARANTINE
from flowlord.cli import quarantine, topics_act, topics_tail
from flowlord.cli.exits import ANSWER_IS_BAD, DONE, NO_SUCH_THING, NOT_CONFIRMED, WRONG_USE
from flowlord.cli.printer import FORMS, Look
from flowlord.cli.quarantine import Picked
from flowlord.cli.taskfilter import Chosen
from flowlord.config import resolve
from flowlord.decide.context import Context
from flowlord.decide.done import Done, on_done
from flowlord.model.errors import FlowlordError
from flowlord.model.message import REPLAYED
from flowlord.model.plan import FactKind, Plan, Quarantined
from flowlord.model.task import Task, encode
from support.place import EVIL, FLOWS, Place

JSON = Look("json")


@pytest.fixture
def place(tmp_path, monkeypatch):
    found = Place(tmp_path)
    found.settings = resolve({"bus": found.where.address, "cache": found.cache}, {}, tmp_path)

    def opened(where, *, by):
        return open_bus(where.address, by=by, clock=found.clock)

    monkeypatch.setattr("flowlord.cli.topics_act.bus_at", opened)
    monkeypatch.setattr("flowlord.cli.quarantine.bus_at", opened)
    yield found
    if found._bus is not None:
        found._bus.close()


def answer(capsys):
    out, err = capsys.readouterr()
    return (json.loads(out) if out else []), err


def set_aside(place, payload, reason="not JSON", origin="done"):
    place.bus.commit(Plan(quarantine=(Quarantined(origin, payload, reason),)))


def facts(place, kind):
    return [fact for entry in place.bus.journal(0, 9_999) for fact in entry.facts if fact.kind is kind]


def counts(place, topic):
    return next(((s.waiting, s.running, s.later) for s in place.bus.topics() if s.topic == topic), (0, 0, 0))


def move(place, *chosen_from, yes=True, dry_run=False, **chosen):
    options = topics_act.Options("why not", yes, dry_run, JSON)
    return topics_act.move(place.settings, *chosen_from, Chosen(**chosen), options, clock=place.clock)


def test_what_waits_is_moved_now_and_later_and_what_runs_stays(place, capsys):
    for n in range(4):
        place.send(n, f"s3://in/{n}")
    place.send(9, "s3://in/9", due=place.clock.now() + timedelta(seconds=9))
    place.bus.claim(["extract"], "w", 1)
    assert move(place, "extract", "slow", yes=False) == NOT_CONFIRMED
    out, err = answer(capsys)
    assert out == [{"topic": "extract", "to": "slow", "count": 4, "result": "would be moved"}]
    assert "4 from extract to slow: extract:users 4" in err
    assert "nothing has been on slow yet" in err
    assert move(place, "extract", "slow", yes=False, dry_run=True) == DONE
    assert counts(place, "extract") == (3, 1, 1)
    answer(capsys)
    assert move(place, "extract", "slow") == DONE
    assert answer(capsys)[0] == [{"topic": "extract", "to": "slow", "count": 4, "result": "moved"}]
    assert (counts(place, "extract"), counts(place, "slow")) == ((0, 1, 0), (3, 0, 1))
    told = facts(place, FactKind.MOVED)
    assert all("moved by" in fact.text and fact.text.endswith(": why not") for fact in told)
    assert move(place, "extract", "slow") == DONE
    assert answer(capsys)[0][0]["count"] == 0


def test_filters_choose_what_is_moved(place, capsys):
    for n in range(4):
        place.send(n, f"s3://in/{n}")
    place.send(9, "s3://in/9", due=place.clock.now() + timedelta(seconds=9))
    assert move(place, "extract", "slow", info="*/[139]") == DONE
    assert answer(capsys)[0][0]["count"] == 3
    assert [json.loads(each.payload)["info"] for each in place.bus.peek("extract", 9)] == [
        "s3://in/0",
        "s3://in/2",
    ]
    assert move(place, "extract", "slow", to="2026-07-01") == DONE
    assert answer(capsys)[0][0]["count"] == 0


@pytest.mark.parametrize(
    ("words", "code"),
    [
        (("extract", "extract"), WRONG_USE),
        (("done", "slow"), WRONG_USE),
        (("extract", "done"), WRONG_USE),
        (("quarantine", "extract"), WRONG_USE),
        (("retry-failed", "extract"), WRONG_USE),
        (("nope", "slow"), NO_SUCH_THING),
        (("n" * 1_000_000, "slow"), NO_SUCH_THING),
    ],
)
def test_what_would_lose_work_is_not_moved(place, capsys, words, code):
    place.send(1)
    assert move(place, *words) == code
    rows, err = answer(capsys)
    assert (rows, len(err) < 500, "hint" in err) == ([], True, True)


def test_a_topic_is_purged_when_somebody_says_so(place, capsys):
    place.send(1)
    place.send(2)
    assert topics_act.purge(place.settings, "extract", topics_act.Options()) == NOT_CONFIRMED
    assert "2 waiting and 0 later" in answer(capsys)[1]
    assert topics_act.purge(place.settings, "done", topics_act.Options(yes=True)) == WRONG_USE
    assert topics_act.purge(place.settings, "nope", topics_act.Options(yes=True)) == NO_SUCH_THING
    answer(capsys)
    assert topics_act.purge(place.settings, "extract", topics_act.Options("old", True, look=JSON)) == DONE
    assert answer(capsys)[0] == [{"topic": "extract", "to": "", "count": 2, "result": "dropped"}]
    assert all(fact.text.endswith(": old") for fact in facts(place, FactKind.CANCELLED))
    assert topics_act.purge(place.settings, "extract", topics_act.Options(yes=True, look=JSON)) == DONE


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("many", [0, 1, 3])
def test_the_quarantine_and_the_tail_of_a_topic_in_every_form(place, capsys, form, many):
    for n in range(many):
        set_aside(place, f'{{"x": "{EVIL}{n}"'.encode() + b"\xff\x1b[2J", f"not JSON {EVIL}")
        place.send(n, EVIL)
    for show in (
        lambda: quarantine.show_list(place.where, Picked(), 0, look=Look(form), clock=place.clock),
        lambda: (
            topics_tail.tail(
                place.where, "extract", number=9, follow=False, look=Look(form), clock=place.clock
            )
            if many
            else DONE
        ),
    ):
        assert show() == DONE
        out, _ = capsys.readouterr()
        assert not {c for c in out if (c < " " and c not in "\n\t") or c in "\x7f\u202e\x9b"}
        if form == "json" and out:
            assert len(json.loads(out)) == many
        if form == "jsonl":
            assert len([json.loads(line) for line in out.splitlines()]) in (many, 0)


def test_a_quarantined_message_is_shown_harmlessly_and_given_out_byte_for_byte(place, capsys, monkeypatch):
    payload = b"\x1b]0;owned\x07\xff\nsecond line"
    set_aside(place, payload)
    [one] = place.bus.peek(QUARANTINE, 1)
    name = quarantine.id_of(one)
    assert quarantine.show(place.where, name, clock=place.clock) == DONE
    out, _ = capsys.readouterr()
    assert "\x1b" not in out
    assert "\\x1b]0;owned" in out
    assert "second line" in out
    assert quarantine.show(place.where, name, look=JSON, clock=place.clock) == DONE
    assert json.loads(capsys.readouterr().out)["bytes"] == len(payload)
    raw = io.TextIOWrapper(io.BytesIO())
    monkeypatch.setattr(sys, "stdout", raw)
    assert quarantine.show(place.where, name, raw=True, clock=place.clock) == DONE
    assert raw.buffer.getvalue() == payload
    monkeypatch.undo()
    monkeypatch.setattr("flowlord.cli.printer.on_terminal", lambda: True)
    with pytest.raises(FlowlordError, match="terminal"):
        quarantine.show(place.where, name, raw=True, clock=place.clock)
    assert quarantine.show(place.where, "9" * 1_000_000, clock=place.clock) == NO_SUCH_THING


def replay(place, *ids, **more):
    picked = Picked(ids, **{name: more.pop(name) for name in ("all_", "origin", "error") if name in more})
    options = quarantine.Options(look=JSON, **more)
    return quarantine.replay(place.where, None, picked, options, clock=place.clock)


def test_a_notice_goes_back_to_its_topic_as_it_was(place, capsys):
    set_aside(place, b"odd \xff", origin="files")
    set_aside(place, b"other", "another reason", origin="files")
    assert replay(place) == WRONG_USE
    assert replay(place, origin="files") == NOT_CONFIRMED
    assert [row["result"] for row in answer(capsys)[0]] == ["would be replayed"] * 2
    assert replay(place, error="ANOTHER", yes=True, reason="mended the reader") == DONE
    rows = json.loads(capsys.readouterr().out)
    assert [(row["result"], row["from"], row["to"]) for row in rows] == [("replayed", "files", "files")]
    assert [each.payload for each in place.bus.peek("files", 9)] == [b"other"]
    [told] = facts(place, FactKind.MOVED)
    assert told.text.endswith(": mended the reader")
    assert replay(place, "nope") == NO_SUCH_THING


def test_a_result_goes_back_mended_only_and_belongs_to_its_attempt(place, capsys, tmp_path):
    place.send(1)
    [held] = place.bus.claim(["extract"], "w", 1)
    task = held.task()
    odd = structs.replace(task, result="fine")
    plan = on_done(Done(odd, held.key), FLOWS, Context(now=place.clock.now()))
    place.bus.commit(plan, acknowledge=[held], outcomes=[held.key])
    [one] = place.bus.peek(QUARANTINE, 1)
    name = quarantine.id_of(one)
    with pytest.raises(FlowlordError, match="fine"):
        replay(place, name)
    mended = tmp_path / "mended.json"
    mended.write_bytes(one.payload.replace(b'"fine"', b'"complete"'))
    assert replay(place, name, payload=str(mended)) == DONE
    [again] = place.bus.claim(["done"], "router", 1)
    assert (again.key, again.cause, again.task().result) == (held.key, REPLAYED, "complete")
    assert replay(place, name, payload=str(mended)) == NO_SUCH_THING
    assert replay(place, all_=True, payload=str(mended)) == WRONG_USE


def test_what_is_no_task_is_not_sent_back_to_the_results(place, tmp_path):
    set_aside(place, b"{")
    name = quarantine.id_of(place.bus.peek(QUARANTINE, 1)[0])
    for payload in (b"", b"[]", b'{"type": "x"}', b"\xff" * 100_000):
        (tmp_path / "p").write_bytes(payload)
        with pytest.raises(FlowlordError):
            replay(place, name, payload=str(tmp_path / "p"))
    with pytest.raises(FlowlordError, match="nowhere"):
        replay(place, name, payload=str(tmp_path / "nowhere"))
    (tmp_path / "p").write_bytes(encode(Task(type="x", info="", result="warn")))
    assert replay(place, name, payload=str(tmp_path / "p")) == DONE


def test_of_many_that_are_replayed_one_that_is_no_result_hinders_no_other(place, capsys):
    good = encode(Task(type="extract", info="", id="r1", created="2026-08-01T12:00:00Z", result="complete"))
    for payload in (good, b"{", good.replace(b"complete", b"fine"), good):
        set_aside(place, payload)
    assert replay(place, all_=True, dry_run=True) == DONE
    out, err = answer(capsys)
    assert Counter(row["result"] for row in out) == {"would be replayed": 2, "refused": 2}
    assert "2 more would be refused" in err
    assert replay(place, all_=True, yes=True) == ANSWER_IS_BAD
    out, err = answer(capsys)
    assert Counter((row["result"], row["to"]) for row in out) == {("replayed", "done"): 2, ("refused", ""): 2}
    assert sum("is no result" in row["text"] or "which is none" in row["text"] for row in out) == 2
    assert "2 replayed, 2 refused" in err
    assert len(place.bus.peek(QUARANTINE, 9)) == 2
    assert len(place.bus.peek("done", 9)) == 2


def test_messages_are_dropped_by_name_or_all(place, capsys):
    for n in range(3):
        set_aside(place, str(n).encode())
    first = quarantine.id_of(place.bus.peek(QUARANTINE, 3)[0])
    options = quarantine.Options(reason="noise", yes=True, look=JSON)
    assert quarantine.drop(place.where, Picked(), options, clock=place.clock) == WRONG_USE
    assert (
        quarantine.drop(place.where, Picked((first,)), quarantine.Options(look=JSON), clock=place.clock)
        == DONE
    )
    assert (
        quarantine.drop(place.where, Picked(all_=True), quarantine.Options(), clock=place.clock)
        == NOT_CONFIRMED
    )
    assert quarantine.drop(place.where, Picked(all_=True), options, clock=place.clock) == DONE
    assert place.bus.peek(QUARANTINE, 9) == []
    assert [fact.text[-5:] for fact in facts(place, FactKind.CANCELLED)][1:] == ["noise", "noise"]
    assert quarantine.drop(place.where, Picked(all_=True), options, clock=place.clock) == DONE


def test_what_somebody_took_meanwhile_is_refused(place, capsys, monkeypatch):
    set_aside(place, b"x", origin="files")
    real = quarantine._named

    def taken(lying, names):
        place.bus.claim([QUARANTINE], "w", 1)
        return real(lying, names)

    monkeypatch.setattr(quarantine, "_named", taken)
    name = quarantine.id_of(place.bus.peek(QUARANTINE, 1)[0])
    assert replay(place, name) == ANSWER_IS_BAD
    assert json.loads(capsys.readouterr().out)[0]["result"] == "refused"
