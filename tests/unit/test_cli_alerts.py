"""`flowlord alerts` and its acts, against a bus on disk and the process that tells."""

import json

import pytest

from flowlord.alert.policy import Policy
from flowlord.alert.port import Undelivered
from flowlord.alert.words import what_of
from flowlord.bus.clock import SystemClock
from flowlord.bus.memory import MemoryBus
from flowlord.bus.sqlite import SqliteBus
from flowlord.cli import alertact, alertlook
from flowlord.cli.alertlook import Wanted
from flowlord.cli.exits import ANSWER_IS_BAD, DONE, NO_SUCH_THING, WRONG_USE
from flowlord.cli.printer import Look
from flowlord.config import resolve
from flowlord.model.errors import FlowlordError
from flowlord.model.plan import Fact, FactKind, Plan
from flowlord.taskmaster.alerter import Alerter
from support.clock import VirtualClock
from unit.test_taskmaster_alerter import Slack, fail, succeed, work

JSON = Look("json")


@pytest.fixture
def settings(tmp_path):
    return resolve({"bus": f"sqlite:///{tmp_path}/bus.db"})


@pytest.fixture
def bus(tmp_path, settings):
    made = SqliteBus(f"{tmp_path}/bus.db", by="test")
    yield made
    made.close()


def telling(bus, slack):
    """The process that tells does what there is to do."""
    policy = Policy(channels=("slack",), default="slack")
    one = Alerter(bus, SystemClock(), policy, {"slack": slack}, "d|1")
    one.finish()


def alertlook_notes(capsys, settings):
    """What is said to people beside the list."""
    assert alertlook.run(settings, Wanted(), look=JSON) == DONE
    return capsys.readouterr().err


def listed(capsys, settings, *, code=DONE, **wanted):
    assert alertlook.run(settings, Wanted(**wanted), look=JSON) == code
    return json.loads(capsys.readouterr().out)


def test_incidents_are_listed_whether_somebody_tells_them_or_not(bus, settings, capsys):
    assert listed(capsys, settings) == []
    fail(bus, 3)
    [alone] = listed(capsys, settings, exit_code=True, code=ANSWER_IS_BAD)
    assert (alone["id"], alone["count"], alone["untold"], alone["messages"]) == ("a1", 3, 3, 0)
    telling(bus, Slack())
    fail(bus, 1)
    [told] = listed(capsys, settings, open=True, since="1h")
    assert (told["id"], told["count"], told["untold"], told["messages"]) == ("a1", 4, 1, 1)
    assert (told["name"], told["error"], told["dates"]) == ("load:users", "no route to host", "2026/01/01T00")
    assert (told["state"], told["kind"], told["workflow"]) == ("open", "task", "a.toml")


@pytest.mark.parametrize("since", ["gestern", "-9999999d", "2026-13-01"])
def test_a_time_that_is_none_is_wrong_use_and_says_what_could_be_written(settings, since):
    with pytest.raises(FlowlordError, match=f"--since: '{since}' is no time.*write 24h"):
        alertlook.run(settings, Wanted(since=since), look=JSON)


def test_a_table_says_what_and_whether_anybody_was_told(bus, settings, capsys):
    fail(bus, 2)
    assert alertlook.run(settings, Wanted(), look=Look("table")) == DONE
    header, row = capsys.readouterr().out.splitlines()
    assert header.split() == ["ID", "SINCE", "LAST", "COUNT", "WHAT", "SENT", "STATE"]
    assert row.startswith("a1 ")
    assert row.endswith("load:users no route to host  no channel  open")


def test_one_alert_is_shown_with_what_to_type_next(bus, settings, capsys):
    fail(bus)
    assert alertlook.show(settings, "a1", look=Look("table")) == DONE
    page = capsys.readouterr().out
    assert "reason    no route to host" in page
    assert "flowlord tasks --failed --topic load --job users  |  flowlord alerts ack a1" in page
    assert alertlook.show(settings, "a1", look=JSON) == DONE
    assert json.loads(capsys.readouterr().out)["phase"] == "a.toml:load:users"
    assert alertlook.show(settings, "a9", look=JSON) == NO_SUCH_THING
    assert "there is no alert a9" in capsys.readouterr().err


def test_an_acknowledgement_is_told_in_the_journal_with_who_and_why(bus, settings, capsys):
    fail(bus)
    assert alertact.ack(settings, ["a1", "a2"], "mine") == NO_SUCH_THING
    assert alertact.ack(settings, ["a1"], "mine") == DONE
    fact = bus.journal(0, 10)[-1].facts[0]
    assert (fact.kind, fact.key, fact.text) == ("acked", "a1", "mine")
    assert fact.cause.startswith("person:")
    capsys.readouterr()
    [record] = listed(capsys, settings)
    assert record["acked_by"] == fact.cause.removeprefix("person:")


def test_a_second_acknowledgement_changes_nothing_and_is_not_told_in_the_journal(bus, settings, capsys):
    fail(bus)
    assert alertact.ack(settings, ["a1", "a1"], "mine", look=JSON) == DONE
    assert [each["target"] for each in json.loads(capsys.readouterr().out)] == ["a1"]
    [first], end = listed(capsys, settings), bus.journal(0, 100)[-1].seq
    assert alertact.ack(settings, ["a1"], "no, mine", look=JSON) == DONE
    told = capsys.readouterr()
    assert json.loads(told.out) == []
    assert f"a1 is acknowledged already, by {first['acked_by']} at " in told.err
    facts = [fact.kind for entry in bus.journal(0, 100) for fact in entry.facts]
    assert (bus.journal(0, 100)[-1].seq, facts.count(FactKind.ACKED)) == (end, 1)
    assert listed(capsys, settings) == [first]
    telling(bus, Slack())
    assert alertact.ack(settings, ["a1"], "") == DONE  # whether somebody tells or not
    assert "a1 is acknowledged already" in capsys.readouterr().err


def test_bytes_that_are_no_text_are_refused_as_a_name_and_written_out_in_a_reason(bus, settings, capsys):
    fail(bus)
    assert alertact.mute(settings, "load\udcff", "2h", "") == WRONG_USE
    assert alertact.mute(settings, "geo", "2h", "no\udcff\x1b[31m") == DONE
    assert alertact.ack(settings, ["a1"], "known\udcff") == DONE
    capsys.readouterr()
    [record] = listed(capsys, settings)
    assert record["reason"] == "known\\udcff"
    assert "no\\udcff\\x1b[31m" in alertlook_notes(capsys, settings)


def test_a_mute_needs_an_end_and_can_be_ended(bus, settings, capsys):
    slack = Slack()
    assert alertact.mute(settings, "load", "", "") == WRONG_USE
    assert alertact.mute(settings, "load", "-2h", "") == WRONG_USE
    assert alertact.mute(settings, "load", "soon", "") == WRONG_USE
    assert alertact.mute(settings, "", "2h", "") == WRONG_USE
    assert alertact.mute(settings, "load", "2h", "moving") == DONE
    fail(bus)
    telling(bus, slack)
    capsys.readouterr()
    [record] = listed(capsys, settings)
    assert record["muted_until"] is not None
    assert (record["reason"], slack.got) == ("moving", [])
    assert alertact.unmute(settings, "geo") == NO_SUCH_THING
    assert "what is: load" in capsys.readouterr().err
    assert alertact.unmute(settings, "load") == DONE
    telling(bus, slack)
    assert len(slack.got) == 1


def test_messages_that_did_not_arrive_are_listed_with_the_reason(bus, settings, capsys):
    slack = Slack()
    slack.answers = [Undelivered("slack: no_service", hint="make a new webhook", lasting=True)]
    fail(bus)
    telling(bus, slack)
    [waiting] = listed(capsys, settings, undelivered=True)
    assert (waiting["channel"], waiting["tries"], waiting["error"]) == (
        "slack", 1, "slack: no_service; make a new webhook",
    )  # fmt: skip
    assert (waiting["refused"], waiting["doubtful"], waiting["alerts"]) == (True, False, "a1")
    assert alertlook.run(settings, Wanted(undelivered=True), look=Look("table")) == DONE
    table = capsys.readouterr().out
    assert "no_service" in table
    assert "it may have arrived" not in table
    [record] = listed(capsys, settings)
    assert (record["messages"], record["undelivered"]) == (1, 1)
    assert alertlook.run(settings, Wanted(), look=Look("table")) == DONE
    assert "undelivered" in capsys.readouterr().out
    assert alertlook.show(settings, "a1", look=Look("table")) == DONE
    assert "next      flowlord alerts --undelivered" in capsys.readouterr().out


def test_a_message_of_which_nobody_knows_says_that_it_may_have_arrived(bus, settings, capsys):
    slack = Slack()
    slack.answers = [Undelivered("it did not answer within 10 s", doubtful=True)]
    fail(bus)
    telling(bus, slack)
    assert alertlook.run(settings, Wanted(undelivered=True), look=Look("table")) == DONE
    assert "it did not answer within 10 s; it may have arrived" in capsys.readouterr().out


def test_what_went_well_again_is_no_longer_open(bus, settings, capsys):
    fail(bus)
    telling(bus, Slack())
    succeed(bus)
    [record] = listed(capsys, settings)
    assert record["state"] == "open"  # until it was quiet for a while
    assert alertact.ack(settings, ["a1"], "") == DONE


def test_what_ended_is_told_from_the_history_when_the_bus_has_forgotten_it(bus, settings, tmp_path, capsys):
    from flowlord.cache.historian import Historian

    kept = resolve({"bus": settings.bus.address, "cache": f"{tmp_path}/tasks.db"})
    clock = VirtualClock()
    bus = MemoryBus(clock)
    one = Alerter(bus, clock, Policy(channels=("slack",), default="slack"), {"slack": Slack()}, "d|1")
    work(one, clock)
    fail(bus, 2)
    work(one, clock)
    succeed(bus)
    work(one, clock, 900)
    historian = Historian(f"{tmp_path}/tasks.db", clock)
    historian.follow(bus.journal(0, 1_000))
    historian.close()
    [record] = listed(capsys, kept, since="2000-01-01")
    assert (record["id"], record["state"], record["count"], record["messages"]) == ("a1", "recovered", 2, 2)
    assert (record["name"], record["error"], record["channel"]) == ("load:users", "no route to host", "slack")
    assert (record["workflow"], record["dates"], record["kind"]) == ("a.toml", "2026/01/01T00", "task")
    assert listed(capsys, kept) == []  # of today the bus tells, and it knows nothing of it
    assert listed(capsys, kept, since="2000-01-01", open=True) == []
    assert alertlook.show(kept, "a1", look=JSON) == DONE
    shown = json.loads(capsys.readouterr().out)
    assert shown["ended"] == record["ended"]
    assert shown["next"] == ["flowlord tasks --failed --topic load --job users"]
    assert alertlook.show(kept, "a1", look=Look("table")) == DONE
    assert "state recovered" in capsys.readouterr().out
    assert alertlook.show(kept, "a2", look=JSON) == NO_SUCH_THING


def test_an_incident_is_in_the_history_once_for_each_time_it_ended():
    from flowlord.cache.fold import fold
    from flowlord.cache.past import ended_since, last_of

    clock = VirtualClock()
    bus = MemoryBus(clock)
    one = Alerter(bus, clock, Policy(channels=("slack",), default="slack"), {"slack": Slack()}, "d|1")
    work(one, clock)
    for times in (3, 1):
        fail(bus, times)
        work(one, clock)
        succeed(bus)
        work(one, clock, 1_200)
    history = fold(bus, clock)
    assert [(each.id, each.past.total, each.past.stage) for each in ended_since(history, 0)] == [
        ("a1", 3, "recovered"), ("a1", 1, "recovered"),
    ]  # fmt: skip
    assert last_of(history, "a1").past.total == 1
    assert ended_since(history, bus.now_us() + 1) == []
    assert last_of(history, "a7") is None


def test_a_mute_of_a_name_that_nobody_knows_says_so_with_the_one_that_was_meant(bus, settings, capsys):
    fail(bus)
    assert alertact.mute(settings, "laod:users", "2h", "", look=JSON) == DONE
    told = capsys.readouterr()
    assert (
        "nothing called laod:users is on this bus now; it counts once it is; did you mean 'load:users'?"
        in told.err
    )
    [record] = json.loads(told.out)
    assert (record["act"], record["target"], record["known"]) == ("muted", "laod:users", False)
    for known in ("load", "load:users", "a.toml", "a1", "lo*", "*"):
        assert alertact.mute(settings, known, "2h", "", look=JSON) == DONE
        told = capsys.readouterr()
        assert (json.loads(told.out)[0]["known"], "did you mean" in told.err) == (True, False), known


def test_a_mute_with_a_star_holds_what_fits_and_nothing_else(bus, settings, capsys):
    slack = Slack()
    assert alertact.mute(settings, "load:u*", "2h", "") == DONE
    fail(bus)
    bus.commit(Plan(facts=(Fact(FactKind.ALERT, key="o", topic="other", phase="b.toml:other", text="boom"),)))
    telling(bus, slack)
    assert [line.name for notice in slack.got for line in notice.lines] == ["other"]


def test_acts_are_data_where_a_form_is_asked_for(bus, settings, capsys):
    fail(bus)
    assert alertact.ack(settings, ["a1"], "mine", look=JSON) == DONE
    [record] = json.loads(capsys.readouterr().out)
    assert (record["act"], record["target"], record["reason"], record["until"]) == (
        "acked",
        "a1",
        "mine",
        None,
    )
    assert alertact.mute(settings, "load", "2h", "moving", look=Look("name")) == DONE
    assert capsys.readouterr().out == "load\n"
    assert alertact.unmute(settings, "load", look=JSON) == DONE
    assert json.loads(capsys.readouterr().out)[0]["act"] == "unmuted"
    assert alertact.mute(settings, "load", "2h", "") == DONE
    assert capsys.readouterr().out == ""


def test_a_name_that_the_reason_repeats_stands_once(bus, settings, capsys):
    bus.commit(
        Plan(
            facts=(
                Fact(FactKind.ALERT, key="o", topic="geo", phase="b.toml:geo", text="geo could not start: x"),
            )
        )
    )
    assert alertlook.run(settings, Wanted(), look=Look("table")) == DONE
    assert "geo could not start: x  no channel" in capsys.readouterr().out.splitlines()[1]
    assert what_of("geo", "geography") == "geo geography"
