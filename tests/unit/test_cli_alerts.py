"""`flowlord alerts` and its acts, against a bus on disk and the process that tells."""

import json

import pytest

from flowlord.alert.policy import Policy
from flowlord.bus.clock import SystemClock
from flowlord.bus.sqlite import SqliteBus
from flowlord.cli import alertact, alertlook
from flowlord.cli.alertlook import Wanted
from flowlord.cli.exits import ANSWER_IS_BAD, DONE, NO_SUCH_THING, WRONG_USE
from flowlord.cli.printer import Look
from flowlord.config import resolve
from flowlord.taskmaster.alerter import Alerter
from unit.test_taskmaster_alerter import Slack, fail, succeed

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
    from flowlord.alert.port import Undelivered

    slack = Slack()
    slack.answers = [Undelivered("no_service", lasting=True)]
    fail(bus)
    telling(bus, slack)
    [waiting] = listed(capsys, settings, undelivered=True)
    assert (waiting["channel"], waiting["tries"], waiting["error"]) == ("slack", 1, "no_service")
    assert (waiting["refused"], waiting["doubtful"], waiting["alerts"]) == (True, False, "a1")
    assert alertlook.run(settings, Wanted(undelivered=True), look=Look("table")) == DONE
    assert "no_service" in capsys.readouterr().out


def test_what_went_well_again_is_no_longer_open(bus, settings, capsys):
    fail(bus)
    telling(bus, Slack())
    succeed(bus)
    [record] = listed(capsys, settings)
    assert record["state"] == "open"  # until it was quiet for a while
    assert alertact.ack(settings, ["a1"], "") == DONE
