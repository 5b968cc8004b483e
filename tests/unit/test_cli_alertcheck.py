"""`flowlord doctor alerts`: whether people would hear of it, without anybody being told."""

import pytest

from flowlord.alert.channels import channels_of
from flowlord.alert.policy import Policy
from flowlord.cli.exits import ANSWER_IS_BAD, DONE
from flowlord.config import AlertSettings, Settings
from flowlord.model.channel import ChannelKind, ChannelSpec, SecretRef
from flowlord.model.plan import Fact, FactKind, Plan
from flowlord.taskmaster.alerter import Alerter
from support.slack import status
from unit.test_cli_doctor import Home


@pytest.fixture
def home(tmp_path, slack):
    made = Home(tmp_path)
    hook = ChannelSpec("slack", ChannelKind.SLACK, SecretRef("slack.url", slack.hook), form="blocks")
    made.settings = Settings(
        bus=made.settings.bus, cache=made.settings.cache, alerts=AlertSettings((hook,), "slack")
    )
    yield made
    made.bus.close()


def told(home):
    """Somebody follows the journal and tells what is in it."""
    alerts = home.settings.alerts
    policy = Policy(channels=("slack",), default="slack")
    one = Alerter(home.bus, home.clock, policy, channels_of(alerts.channels, home.clock), "d|1")
    while one.step(0.0):
        pass


def fail(home):
    home.bus.commit(Plan(facts=(Fact(FactKind.ALERT, phase="a.toml:load", text="no route"),)))


def test_channels_that_work_and_messages_that_arrived_are_well(home, slack, capsys):
    fail(home)
    told(home)
    before = slack.taken()
    code, found = home.doctor(capsys, "alerts", strict=True)
    assert code == DONE, found
    assert {name for _, name in found} == {"slack", "undelivered", "behind"}
    assert slack.taken() == before


@pytest.mark.parametrize(("answer", "level"), [(status(500), "warn"), (status(403), "fault")])
def test_what_did_not_arrive_is_told_with_the_reason_though_the_channel_works_now(
    home, slack, capsys, answer, level
):
    slack.next(always=answer)
    fail(home)
    told(home)
    slack.next()
    code, found = home.doctor(capsys, "alerts", strict=True)
    assert code == ANSWER_IS_BAD
    assert found["alerts", "slack"]["level"] == "ok"
    row = found["alerts", "undelivered"]
    assert row["level"] == level
    assert row["text"].startswith("1 alert could not be delivered to slack: 127.0.0.1")
    assert row["fix"] == "flowlord alerts --undelivered"


def test_a_channel_by_which_nothing_can_leave_is_a_fault(home, slack, capsys):
    slack.next(always=status(404, "no_service"))
    code, found = home.doctor(capsys, "alerts")
    assert (code, found["alerts", "slack"]["level"]) == (ANSWER_IS_BAD, "fault")


def test_a_journal_that_nobody_looks_at_is_told(home, capsys, monkeypatch):
    monkeypatch.setattr("flowlord.cli.alertcheck.BEHIND", 2)
    for count, level in ((2, "ok"), (1, "warn")):
        for _ in range(count):
            fail(home)
        row = home.doctor(capsys, "alerts")[1]["alerts", "behind"]
        assert row["level"] == level
    assert row["text"] == "3 entries of the journal were not looked at for alerts yet"
