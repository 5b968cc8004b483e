"""Secrets of channels: where they come from, what is said when they are not there, and that they are never said."""

import base64
import hashlib
import hmac
import json
import logging
import traceback

import pytest

from flowlord.alert.channels import channels_of
from flowlord.alert.port import Notice, NoticeKind, Severity, Undelivered
from flowlord.alert.secrets import Vault, hidden
from flowlord.alert.webhook import signature
from flowlord.bus.clock import SystemClock
from flowlord.model.channel import ChannelKind, ChannelSpec, SecretRef
from support.slack import status

PLANTED = "planted-7d1f"
NOTICE = Notice("n-1", NoticeKind.TEST, Severity.INFO, "a test", 1, text="hello")


def test_a_secret_comes_from_where_it_is_kept(tmp_path, monkeypatch):
    (tmp_path / "secret").write_text(f"{PLANTED}\n")
    monkeypatch.setenv("OPS_URL", f" {PLANTED} ")
    for ref in (
        SecretRef("u", f" {PLANTED} "),
        SecretRef("u", variable="OPS_URL"),
        SecretRef("u", file=str(tmp_path / "secret")),
        SecretRef("u", command=("printf", f"%s\\n\n\n{''}", PLANTED)),
    ):
        assert Vault(ref).reveal(ref) == PLANTED


def test_a_file_is_read_each_time_and_a_command_when_its_secret_was_refused(tmp_path):
    file = tmp_path / "secret"
    by_file, by_command = SecretRef("f", file=str(file)), SecretRef("c", command=("cat", str(file)))
    vault = Vault(by_file, by_command)
    file.write_text("one")
    assert (vault.reveal(by_file), vault.reveal(by_command)) == ("one", "one")
    file.write_text("two")
    assert (vault.reveal(by_file), vault.reveal(by_command)) == ("two", "one")
    vault.forget()
    assert vault.reveal(by_command) == "two"


def test_no_shell_runs_a_command(tmp_path):
    ref = SecretRef("c", command=("echo", "$HOME;", "touch", str(tmp_path / "x")))
    assert Vault(ref).reveal(ref).startswith("$HOME; touch")
    assert not (tmp_path / "x").exists()


def test_a_secret_that_is_not_there_is_lasting_and_says_where_it_was_looked_for(tmp_path):
    (tmp_path / "empty").write_text("\n")
    (tmp_path / "bytes").write_bytes(b"\xff\xfe")
    wanted = {
        "u: the variable NO_SUCH is empty or not set": SecretRef("u", variable="NO_SUCH"),
        "/none cannot be read: No such file": SecretRef("u", file=str(tmp_path / "none")),
        "/empty is empty": SecretRef("u", file=str(tmp_path / "empty")),
        "/bytes cannot be read: is no text": SecretRef("u", file=str(tmp_path / "bytes")),
        "no-such-program cannot be run": SecretRef("u", command=("no-such-program", PLANTED)),
        "sh ended with 3": SecretRef("u", command=("sh", "-c", f"echo {PLANTED} >&2; exit 3")),
        "true printed nothing": SecretRef("u", command=("true",)),
    }
    for words, ref in wanted.items():
        with pytest.raises(Undelivered) as caught:
            Vault(ref).reveal(ref)
        assert caught.value.lasting
        assert words in str(caught.value)
        assert PLANTED not in str(caught.value) + caught.value.hint


def test_the_parts_of_an_address_are_hidden_and_its_host_is_not():
    url = "https://user:hunter22@hooks.slack.com/services/T0/B0123456/planted-7d1f?token=abcdefgh"
    told = hidden(f"POST {url} or /planted-7d1f, B0123456, hunter22, abcdefgh at hooks.slack.com", [url])
    assert told == "POST *** or /***, ***, ***, *** at hooks.slack.com"
    assert hidden("nothing", ["", " "]) == "nothing"


def specs(slack):
    url = SecretRef("u", f"{slack.root}/in/{PLANTED}")
    return [
        ChannelSpec(
            "hook", ChannelKind.SLACK, SecretRef("u", f"{slack.root}/services/T/B/{PLANTED}"), form="blocks"
        ),
        ChannelSpec("bot", ChannelKind.SLACK, token=SecretRef("t", PLANTED), channel="#ops", api=slack.api),
        ChannelSpec("web", ChannelKind.WEBHOOK, url, SecretRef("t", PLANTED), SecretRef("s", PLANTED)),
    ]


def error_of(channel):
    """All that an error of this channel would show, its causes too; nothing when there is none."""
    try:
        channel.send(NOTICE)
    except Undelivered as error:
        return "".join(traceback.format_exception(error)) + repr(error) + error.hint
    return ""


def test_no_error_and_no_log_line_holds_a_secret_even_when_the_receiver_repeats_it(slack, caplog):
    caplog.set_level(logging.DEBUG)
    for name, channel in channels_of(specs(slack), SystemClock()).items():
        for answer in (
            status(400, f"bad {PLANTED}"),
            status(200, json.dumps({"ok": False, "error": f"no {PLANTED}"})),
            status(308, Location=f"/elsewhere/{PLANTED}"),
            status(302, Location=f"https://other.test/{PLANTED}"),
            {"do": "cut after"},
            {},
        ):
            slack.next(answer)
            error = error_of(channel)
            assert PLANTED not in error, (name, answer)
    assert PLANTED not in caplog.text
    assert "HTTP Request" not in caplog.text


def test_others_that_use_the_same_client_keep_their_log(slack, caplog):
    import httpx

    channels_of(specs(slack), SystemClock())["web"].send(NOTICE)
    caplog.set_level(logging.INFO)
    httpx.get(f"{slack.root}/theirs", trust_env=False)
    assert f"HTTP Request: GET {slack.root}/theirs" in caplog.text


def test_a_receiver_can_verify_what_a_webhook_signed(slack):
    before = len(slack.received())
    channels_of(specs(slack), SystemClock())["web"].send(NOTICE)
    [request] = slack.received()[before:]
    head = request["headers"]
    assert (head["webhook-id"], head["authorization"]) == ("n-1", f"Bearer {PLANTED}")
    # As docs/alerts.md tells receivers to do it.
    signed = f"{head['webhook-id']}.{head['webhook-timestamp']}.{request['body']}".encode()
    digest = hmac.new(PLANTED.encode(), signed, hashlib.sha256).digest()
    assert head["webhook-signature"] == "v1," + base64.b64encode(digest).decode()
    assert abs(int(head["webhook-timestamp"]) - SystemClock().now().timestamp()) < 60
    assert request["json"] == {
        "version": 1, "id": "n-1", "kind": "test", "severity": "info", "title": "a test", "at_us": 1, "text": "hello",
    }  # fmt: skip


def test_the_example_of_the_specification_is_signed_as_it_says():
    body = b'{"test": 2432232314}'
    secret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
    made = signature(secret, "msg_p5jXN8AQM9LWM0D4loKWxJek", 1_614_265_330, body)
    assert made == "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="
    with pytest.raises(Undelivered):
        signature("whsec_#", "id", 1, body)
