"""The stand-in for Slack refuses what Slack refuses, and misbehaves as it is told."""

import json
from http.client import HTTPConnection

import pytest

from support.slack import cut_after, cut_before, standing_in, status
from support.slack_rules import calls_somebody, refusal


def section(text):
    return {"type": "section", "text": {"type": "mrkdwn", "text": text}}


REFUSED = {
    "no object": ([], "invalid_payload"),
    "nothing": ({}, "no_text"),
    "too long": ({"text": "x" * 40_001}, "msg_too_long"),
    "51 blocks": ({"blocks": [{"type": "divider"}] * 51}, "invalid_blocks"),
    "long section": ({"blocks": [section("x" * 3_001)]}, "invalid_blocks"),
    "empty section": ({"blocks": [section("")]}, "invalid_blocks"),
    "long header": (
        {"blocks": [{"type": "header", "text": {"type": "plain_text", "text": "x" * 151}}]},
        "invalid_blocks",
    ),
    "text beside blocks": ({"attachments": [{"blocks": [section("x")], "text": "x"}]}, "invalid_attachments"),
    "colour by name": ({"attachments": [{"blocks": [section("x")], "color": "red"}]}, "invalid_attachments"),
    "101 attachments": ({"attachments": [{"text": "x"}] * 101}, "too_many_attachments"),
}


@pytest.mark.parametrize(("payload", "word"), REFUSED.values(), ids=REFUSED)
def test_a_message_beyond_the_limits_is_refused(payload, word):
    assert refusal(payload) == word


def test_a_message_within_the_limits_is_taken():
    blocks = [section("x" * 3_000)] * 50
    assert refusal({"text": "x" * 40_000, "attachments": [{"blocks": blocks, "color": "#a30200"}]}) == ""


def test_what_would_call_people_is_found():
    assert calls_somebody({"text": "a <!channel> b", "x": [{"y": "<@U1> \x1b"}]}) == [
        "<!channel>",
        "<@U1>",
        "\x1b",
    ]
    assert calls_somebody({"text": "&lt;!channel&gt; <https://flowlord.test/x|ours>"}) == []


def ask(slack, path, payload, **headers):
    connection = HTTPConnection("127.0.0.1", slack.port, timeout=40)
    try:
        connection.request("POST", path, json.dumps(payload), headers)
        answer = connection.getresponse()
        return answer.status, answer.getheader("Retry-After"), answer.read().decode()
    finally:
        connection.close()


def test_it_answers_as_slack_and_as_it_is_told():
    with standing_in() as slack:
        hook = slack.hook.removeprefix(slack.root)
        bot = {"Authorization": f"Bearer {slack.token}"}
        assert ask(slack, hook, {"text": "a"})[::2] == (200, "ok")
        assert ask(slack, f"{hook}x", {"text": "a"})[::2] == (403, "invalid_token")
        assert ask(slack, hook, {"text": "a", "channel": "#gone"})[::2] == (404, "channel_not_found")
        slack.next(status(429, retry_after="7"), cut_before(), cut_after())
        assert ask(slack, hook, {"text": "b"})[:2] == (429, "7")
        for lost in ("c", "d"):
            with pytest.raises(OSError):
                ask(slack, hook, {"text": lost})
        assert [each["text"] for each in slack.taken()] == ["a", "d"]
        posted = json.loads(ask(slack, "/api/chat.postMessage", {"channel": "#ops", "text": "e"}, **bot)[2])
        edit = {"channel": posted["channel"], "ts": posted["ts"], "text": "f"}
        assert json.loads(ask(slack, "/api/chat.update", edit, **bot)[2])["ok"]
        assert slack.messages()[posted["ts"]]["json"]["text"] == "f"
        assert json.loads(ask(slack, "/api/chat.update", edit)[2])["error"] == "invalid_auth"
