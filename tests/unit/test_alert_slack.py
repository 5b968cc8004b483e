"""Slack: one message for each incident, its thread, what Slack refuses, and the forms that it is sent."""

import json

import pytest
from msgspec import structs

from flowlord.alert.answers import rest_of
from flowlord.alert.channels import channels_of
from flowlord.alert.http import MOST_HOPS
from flowlord.alert.plain import text_of
from flowlord.alert.port import Line, Notice, NoticeKind, Severity, Undelivered
from flowlord.alert.slack import is_slack, payload_of
from flowlord.alert.slack_message import attachments_of, blocks_of
from flowlord.bus.clock import SystemClock
from flowlord.cli.alerting import BOT
from flowlord.model.channel import ChannelKind, ChannelSpec, SecretRef
from support.slack import cut_after, cut_short, hang_after, status

PATIENCE_NS = 300_000_000_000
NEW = Notice(
    "n-1", NoticeKind.NEW, Severity.ERROR, "load:users fails", 1_785_585_600_000_000,
    (Line("a12", "load:users", "timeout", 1, command="flowlord alerts show a12"),),
)  # fmt: skip
STILL = structs.replace(NEW, id="n-2", kind=NoticeKind.STILL, title="load:users still fails")
OVER = structs.replace(
    NEW, id="n-3", kind=NoticeKind.RECOVERED, severity=Severity.INFO, title="load:users works again"
)


def spec_of_bot(slack, **more):
    token = SecretRef("slack.token", slack.token)
    return ChannelSpec(
        "slack", ChannelKind.SLACK, token=token, **({"channel": "#ops", "api": slack.api} | more)
    )


def bot(slack, **more):
    return channels_of([spec_of_bot(slack, **more)], SystemClock())["slack"]


def headline(payload):
    return payload["blocks"][0]["text"]["text"]


def threads(slack, handle):
    at = handle.partition(":")[2]
    return [headline(each["json"]) for each in slack.messages().values() if each["thread"] == at]


def test_an_incident_is_one_message_that_changes_and_its_thread_tells_what_came(slack):
    channel = bot(slack, prefix="PROD", title="pipelines")
    handle = channel.send(NEW)
    assert channel.send(structs.replace(STILL, thread=handle)) == handle
    assert channel.send(structs.replace(OVER, thread=handle)) == handle
    message = slack.messages()[handle.partition(":")[2]]
    assert (message["channel"], message["edits"], message["thread"]) == ("C0OPS", 2, "")
    assert headline(message["json"]) == "🟢 [PROD] pipelines: load:users works again"
    assert message["json"]["attachments"][0]["color"] == "#2e9e5b"
    assert message["json"]["metadata"]["event_payload"] == {"id": "n-3", "kind": "recovered"}
    assert [each.partition(": ")[2] for each in threads(slack, handle)] == [
        "load:users still fails", "load:users works again",
    ]  # fmt: skip


def test_a_message_that_somebody_deleted_is_made_anew(slack):
    handle = bot(slack).send(structs.replace(STILL, thread="C0OPS:1.000001"))
    assert handle != "C0OPS:1.000001"
    assert headline(slack.messages()[handle.partition(":")[2]]["json"]) == "🔴 load:users still fails"


@pytest.mark.parametrize("thread", ["nonsense", ":", "C0OPS:", ":1.2"])
def test_a_handle_of_another_channel_is_no_thread(slack, thread):
    assert bot(slack).send(structs.replace(STILL, thread=thread)).startswith("C0OPS:")


def test_what_is_sent_again_after_a_failed_reply_doubles_nothing(slack):
    channel = bot(slack)
    handle = channel.send(NEW)
    still = structs.replace(STILL, thread=handle)
    slack.next(status(200, '{"ok": true}'), status(500))  # the change lands, the reply does not
    with pytest.raises(Undelivered):
        channel.send(still)
    channel.send(still)
    assert threads(slack, handle) == ["🔴 load:users still fails"]


WORDS = {
    "invalid_auth": (True, "make a new webhook or token"),
    "channel_not_found": (True, "name a channel that is there"),
    "not_in_channel": (True, "invite the bot"),
    "something_new": (True, ""),
    "ratelimited": (False, ""),
    "internal_error": (False, ""),
}


def test_each_word_of_the_api_says_whether_to_try_again_and_what_to_do(slack):
    channel = bot(slack)
    for word, (lasting, hint) in WORDS.items():
        slack.next(status(200, json.dumps({"ok": False, "error": word}), retry_after="3"))
        with pytest.raises(Undelivered) as caught:
            channel.send(NEW)
        error = caught.value
        assert (error.lasting, error.doubtful, error.retry_after_s) == (lasting, False, 3.0)
        assert word in str(error)
        assert hint in error.hint


def test_an_answer_that_is_none_of_slack_is_doubtful(slack):
    channel = bot(slack)
    for text in ("<html>login</html>", "", "[]", '{"ok":', "[" * 5_000):
        slack.next(status(200, text))
        with pytest.raises(Undelivered) as caught:
            channel.send(NEW)
        assert caught.value.doubtful


def test_a_form_that_is_refused_is_sent_as_plain_text(slack):
    before = len(slack.taken())
    slack.next(status(200, '{"ok": false, "error": "invalid_blocks"}'))
    bot(slack).send(NEW)
    hook = ChannelSpec("hook", ChannelKind.SLACK, SecretRef("u", slack.hook), form="blocks", channel="#ops")
    slack.next(status(400, "invalid_attachments"))
    channels_of([hook], SystemClock())["hook"].send(NEW)
    by_bot, by_hook = slack.taken()[before:]
    assert set(by_bot) == {"text", "mrkdwn", "channel"}
    assert by_bot["text"].startswith("load:users fails\nload:users  1 task\n    timeout\n")
    assert by_hook == by_bot | {"channel": "#ops"}


def test_a_form_that_is_refused_as_plain_text_too_is_lasting_and_ends(slack):
    hook = ChannelSpec("hook", ChannelKind.SLACK, SecretRef("u", slack.hook), form="blocks")
    slack.next(always=status(400, "invalid_payload"))
    before = len(slack.received())
    with pytest.raises(Undelivered) as caught:
        channels_of([hook], SystemClock())["hook"].send(NEW)
    assert caught.value.lasting
    assert len(slack.received()) == before + 2


def test_a_page_in_place_of_the_answer_to_a_webhook_is_no_delivery(slack):
    hook = ChannelSpec("hook", ChannelKind.SLACK, SecretRef("u", slack.hook), form="blocks")
    slack.next(status(200, " <!doctype html><title>Log in to the network</title>" + "x" * 200_000))
    with pytest.raises(Undelivered) as caught:
        channels_of([hook], SystemClock())["hook"].send(NEW)
    assert (caught.value.lasting, caught.value.doubtful) == (False, False)
    assert "Log in" not in str(caught.value)


def test_half_a_character_in_an_answer_is_neither_a_handle_nor_an_error_that_cannot_be_kept(slack):
    channel = bot(slack)
    slack.next(status(200, '{"ok": true, "channel": "C0\\ud800", "ts": "1.2"}'))
    assert channel.send(NEW) == ""
    slack.next(status(200, '{"ok": false, "error": "odd\\ud800"}'))
    with pytest.raises(Undelivered) as caught:
        channel.send(NEW)
    assert str(caught.value).encode() == b"slack: Slack answered odd\\ud800"


def test_a_slow_bot_with_every_detour_is_done_before_its_lease_ends(slack):
    """The form is refused, the message is gone, and the form of the new one is refused: so many requests."""
    words = ("invalid_blocks", "message_not_found", "invalid_blocks", "internal_error")
    slack.next(*(status(200, json.dumps({"ok": False, "error": word})) for word in words))
    before = len(slack.received())
    with pytest.raises(Undelivered):
        bot(slack).send(structs.replace(STILL, thread="C0OPS:1.2"))
    made = len(slack.received()) - before
    assert made == len(words)
    detours = sum(
        1 / MOST_HOPS**hop for hop in range(MOST_HOPS)
    )  # of redirects, each with a third of the time before
    assert made * detours <= BOT


def test_a_cut_answer_to_a_webhook_that_was_taken_is_no_doubt(slack):
    hook = ChannelSpec("hook", ChannelKind.SLACK, SecretRef("u", slack.hook), form="blocks")
    slack.next(cut_after())
    with pytest.raises(Undelivered) as caught:
        channels_of([hook], SystemClock())["hook"].send(NEW)
    assert caught.value.doubtful


def test_receivers_that_are_like_slack_get_what_the_go_program_sent():
    url = SecretRef("slack.url", "https://mattermost.example/hooks/xyz")
    spec = ChannelSpec("slack", ChannelKind.SLACK, url, prefix="PROD", title="pipelines")
    assert payload_of(NEW, spec) == {
        "attachments": [{
            "title": "[PROD] pipelines: load:users fails",
            "text": "```\nload:users  1 task\n    timeout\n    $ flowlord alerts show a12\n```",
            "color": "#c0202c",
            "pretext": "flowlord",
            "author_name": "",
            "fallback": "[PROD] pipelines: load:users fails",
        }]
    }  # fmt: skip
    assert "blocks" in payload_of(NEW, structs.replace(spec, form="blocks"))


def test_slack_itself_is_known_by_its_host():
    assert is_slack("https://hooks.slack.com/services/x")
    assert is_slack("https://hooks.slack-gov.com/services/x")
    assert not is_slack("https://hooks.slack.com.evil.test/x")
    assert not is_slack("https://notslack.com/x")
    assert not is_slack("http://[broken")


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("", 0.0), ("7", 7.0), (" 1.5 ", 1.5), ("-3", 0.0), ("1e9", 0.0), ("nan", 0.0), ("²", 0.0), ("9" * 400, 3_600.0),
     ("Thu, 01 Jan 1970 00:00:00 GMT", 0.0), ("Fri, 31 Dec 9999 23:59:59 GMT", 3_600.0), ("Mon, 99 Foo", 0.0)],
)  # fmt: skip
def test_any_retry_after_is_a_bounded_number(text, seconds):
    assert rest_of(text, SystemClock().now()) == seconds


@pytest.mark.parametrize("kind", ["bot", "hook"])
def test_a_send_that_hangs_is_over_soon_once_its_process_is_to_end_and_nothing_leaves_after_it(slack, kind):
    hook = ChannelSpec(
        "hook", ChannelKind.SLACK, SecretRef("u", slack.hook), form="blocks", limit_ns=PATIENCE_NS
    )
    channel = (
        bot(slack, limit_ns=PATIENCE_NS) if kind == "bot" else channels_of([hook], SystemClock())["hook"]
    )
    slack.next(always=hang_after())
    before = len(slack.received())
    [error] = cut_short(channel, NEW, slack)
    assert error.doubtful
    assert "when this process was to end" in str(error)
    with pytest.raises(Undelivered) as caught:
        channel.send(NEW)
    assert not caught.value.doubtful
    assert len(slack.received()) == before + 1


def test_the_command_of_a_single_incident_is_written_once_in_every_form():
    notice = structs.replace(NEW, command="flowlord alerts show a12")
    assert text_of(notice).count(notice.command) == 1
    assert attachments_of(notice)["attachments"][0]["text"].count(notice.command) == 1
    [shown] = blocks_of(notice)["attachments"]
    assert json.dumps(shown["blocks"]).count(notice.command) == 1
    assert "alerts --open" in text_of(structs.replace(NEW, command="flowlord alerts --open"))
