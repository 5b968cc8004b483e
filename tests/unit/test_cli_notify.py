"""`flowlord notify` on an embedded bus: what each channel answered, and the digest in its forms."""

import json
from contextlib import closing
from datetime import UTC, datetime

import pytest
from msgspec import structs

from flowlord.alert.keep import written
from flowlord.alert.policy import Policy
from flowlord.alert.state import Act, ActKind, Event, EventKind, State
from flowlord.alert.take import take
from flowlord.bus.clock import micros
from flowlord.bus.open import open_bus
from flowlord.cli import notify
from flowlord.cli.exits import ANSWER_IS_BAD, DONE, UNREACHABLE
from flowlord.cli.printer import Look
from flowlord.config import AlertSettings, BusSettings, CacheSettings, Settings
from flowlord.model.channel import ChannelKind, ChannelSpec, SecretRef
from flowlord.model.errors import FlowlordError
from flowlord.model.plan import Mark, Plan
from support.clock import VirtualClock
from support.slack import hang, status
from support.slack_rules import refusal

NOW = datetime(2026, 8, 1, 14, 30, tzinfo=UTC)


@pytest.fixture
def clock():
    return VirtualClock(NOW)


@pytest.fixture
def settings(tmp_path, slack):
    hook = ChannelSpec("slack", ChannelKind.SLACK, SecretRef("u", slack.hook), prefix="PROD", form="blocks")
    web = ChannelSpec("oncall", ChannelKind.WEBHOOK, SecretRef("u", f"{slack.root}/in/planted"))
    return Settings(
        bus=BusSettings(f"sqlite:///{tmp_path / 'bus.db'}"),
        cache=CacheSettings(str(tmp_path / "tasks.db")),
        alerts=AlertSettings(channels=(hook, web), default="slack", link="https://flowlord.test/alerts"),
    )


def event(name, text, minutes, hour, to=""):
    at = micros(NOW) - minutes * 60_000_000
    return Event(EventKind.TASK, at, text, name, name, "daily.toml", hour=hour, to=to)


def given(settings, clock, *happened):
    """Put what happened on the bus as the daemon keeps it."""
    first = int(NOW.timestamp()) // 3600
    found = [
        *(event("load:users", f"timeout after {n} s", 90 - n, first - n) for n in range(5)),
        event("transform:geo", "missing column 'zip'", 20, first),
        event("pay:out", "the bank is closed", 10, None, to="oncall"),
        *happened,
    ]
    policy = Policy(channels=("slack", "oncall"), default="slack")
    state = take(State(), found, policy)
    marks, _ = written(State(), state)
    with closing(open_bus(settings.bus.address, by="test", clock=clock)) as bus:
        bus.commit(Plan(), marks=[Mark(key, None, value) for key, value in marks.items()])
    return state


def rows(capsys):
    return {row["channel"]: row for row in json.loads(capsys.readouterr().out)}


def test_a_test_goes_to_each_channel_and_tells_what_became_of_it(slack, settings, clock, capsys):
    before = len(slack.taken())
    assert notify.rehearse(settings.alerts, look=Look("json"), clock=clock) == DONE
    told = rows(capsys)
    assert {name: row["state"] for name, row in told.items()} == {"slack": "delivered", "oncall": "delivered"}
    by_slack, by_web = slack.taken()[before:]
    assert by_slack["blocks"][0]["text"]["text"] == "🟢 [PROD] flowlord reaches this channel"
    assert by_web["kind"] == "test"
    assert notify.rehearse(settings.alerts, "oncall", look=Look("json"), clock=clock) == DONE
    assert list(rows(capsys)) == ["oncall"]


def test_what_failed_and_what_did_not_answer_have_their_exit_codes(slack, settings, clock, capsys):
    slack.next(status(404, "no_service"), status(429, retry_after="7"))
    assert notify.rehearse(settings.alerts, look=Look("json"), clock=clock) == ANSWER_IS_BAD
    told = rows(capsys)
    assert told["slack"]["state"] == "failed"
    assert "no_service" in told["slack"]["text"]
    assert "make a new webhook" in told["slack"]["hint"]
    assert told["oncall"]["hint"] == "it asks to wait 7 s"
    short = tuple(structs.replace(spec, limit_ns=300_000_000) for spec in settings.alerts.channels)
    slack.next(hang())
    alerts = structs.replace(settings.alerts, channels=short)
    assert notify.rehearse(alerts, look=Look("json"), clock=clock) == UNREACHABLE
    told = rows(capsys)
    assert (told["slack"]["state"], told["oncall"]["state"]) == ("unreachable", "delivered")
    assert told["slack"]["text"].endswith("did not answer within 0.3 s; it may have arrived")


def test_no_channel_and_an_unknown_one_are_wrong_use_with_a_hint(settings, clock):
    with pytest.raises(FlowlordError) as caught:
        notify.rehearse(AlertSettings(), clock=clock)
    assert "FLOWLORD_SLACK_URL=" in caught.value.hint
    with pytest.raises(FlowlordError) as caught:
        notify.rehearse(settings.alerts, "oncal", clock=clock)
    assert caught.value.hint == "did you mean oncall?"
    with pytest.raises(FlowlordError) as caught:
        notify.preview(settings, form="slak", clock=clock)
    assert caught.value.hint == "did you mean slack?"


def test_a_preview_shows_what_the_default_channel_would_be_told(settings, clock, capsys):
    given(settings, clock)
    assert notify.preview(settings, clock=clock) == DONE
    told = capsys.readouterr()
    assert told.out == (
        "🔴 [PROD] 2 alerts go on: load:users, transform:geo\n"
        "load:users  5 tasks  2026/08/01T10-2026/08/01T14\n"
        "    timeout after 4 s\n"
        "    daily.toml, since 13:00Z\n"
        "    $ flowlord alerts show a1\n"
        "transform:geo  1 task  2026/08/01T14\n"
        "    missing column 'zip'\n"
        "    daily.toml, since 14:10Z\n"
        "    $ flowlord alerts show a2\n"
        "$ flowlord alerts --open\n"
        "https://flowlord.test/alerts\n"
    )
    assert "there is something for oncall too: --to oncall" in told.err


def test_a_preview_is_the_message_of_slack_or_the_body_of_a_webhook(slack, settings, clock, capsys):
    given(settings, clock)
    before = len(slack.received())
    assert notify.preview(settings, form="slack", clock=clock) == DONE
    payload = json.loads(capsys.readouterr().out)
    assert refusal(payload) == ""
    assert payload["attachments"][0]["color"] == "#c0202c"
    assert notify.preview(settings, "oncall", "json", clock=clock) == DONE
    body = json.loads(capsys.readouterr().out)
    assert (body["kind"], body["lines"][0]["name"], body["version"]) == ("still", "pay:out", 1)
    assert len(slack.received()) == before


def test_what_is_acked_or_muted_is_left_out_and_counted(settings, clock, capsys):
    now = micros(NOW)
    given(
        settings, clock,
        Act(ActKind.ACK, now, "a1", "ana"), Act(ActKind.MUTE, now, "transform", until_us=now + 1),
    )  # fmt: skip
    assert notify.preview(settings, clock=clock) == DONE
    told = capsys.readouterr()
    assert told.out == ""
    assert "there is nothing to tell" in told.err
    assert "2 alerts acked or muted" in told.err or "1 alert acked or muted" in told.err


def test_the_digest_is_sent_to_each_channel_that_has_something_to_hear(slack, settings, clock, capsys):
    given(settings, clock)
    before = len(slack.taken())
    assert notify.send(settings, look=Look("json"), clock=clock) == DONE
    assert set(rows(capsys)) == {"slack", "oncall"}
    by_slack, by_web = slack.taken()[before:]
    assert "2 alerts go on" in by_slack["text"]
    assert [line["name"] for line in by_web["lines"]] == ["pay:out"]


def test_without_anything_to_tell_nothing_is_sent(slack, settings, clock, capsys):
    before = len(slack.received())
    assert notify.send(settings, look=Look("json"), clock=clock) == DONE
    told = capsys.readouterr()
    assert json.loads(told.out) == []
    assert "there is nothing to tell" in told.err
    assert "these are the failures of a day" in told.err
    assert len(slack.received()) == before
