"""Slack as a channel: by an incoming webhook, or as a bot that keeps one message for each incident."""

from __future__ import annotations

import json
import re
from typing import Any, Final
from urllib.parse import urlsplit

from flowlord.alert.answers import failure, rest_of, said
from flowlord.alert.http import Hurry, Reply, Request, ask, host_of
from flowlord.alert.port import Notice, Undelivered
from flowlord.alert.secrets import Vault
from flowlord.alert.slack_message import ATTACHMENTS, BLOCKS, Json, attachments_of, blocks_of, only_text
from flowlord.model.channel import ChannelSpec
from flowlord.model.clock import Clock

_FORM_REFUSED: Final = frozenset((
    "invalid_payload", "invalid_blocks", "invalid_blocks_format", "invalid_attachments", "too_many_attachments",
    "msg_too_long", "msg_blocks_too_long", "no_text", "metadata_too_large", "invalid_metadata_format",
))  # fmt: skip
_LATER: Final = frozenset((
    "ratelimited", "rate_limited", "message_limit_exceeded", "internal_error", "fatal_error", "service_unavailable",
    "request_timeout", "team_added_to_org", "rollup_error", "accesslimited",
))  # fmt: skip
_GONE: Final = frozenset((
    "message_not_found", "cant_update_message", "edit_window_closed", "thread_not_found", "channel_not_found",
    "is_inactive", "update_failed",
))  # fmt: skip
_SECRET_REFUSED: Final = frozenset((
    "invalid_auth", "not_authed", "token_revoked", "token_expired", "account_inactive", "invalid_token", "no_service",
    "no_service_id", "no_active_hooks", "no_team", "team_disabled",
))  # fmt: skip
HINTS: Final = {
    "channel_not_found": "name a channel that is there; a private one needs the bot as a member",
    "not_in_channel": "invite the bot: /invite @NAME in the channel",
    "is_archived": "unarchive the channel, or name another one",
    "channel_is_archived": "unarchive the channel, or name another one",
    "action_prohibited": "an admin of the workspace forbids posting there",
    "missing_scope": "give the app the scope chat:write and install it again",
    "posting_to_general_channel_denied": "name another channel",
}
_NEW_SECRET: Final = "make a new webhook or token in Slack and put it where flowlord config says"  # noqa: S105

_HANDLE: Final = re.compile(r"[\w.\-]{1,64}", re.ASCII)


class SlackHook:
    """An incoming webhook. What is sent cannot be changed later, so there is no handle."""

    def __init__(self, spec: ChannelSpec, clock: Clock) -> None:
        self.name = spec.name
        self._spec, self._clock = spec, clock
        self._vault = Vault(spec.url)
        self._hurry = Hurry()

    def hurry(self, limit_s: float) -> None:
        """See `Channel.hurry`."""
        self._hurry.begin(limit_s)

    def send(self, notice: Notice) -> str:
        """Post one message; a form that is refused is followed by the same as plain text."""
        url = self._vault.reveal(self._spec.url)
        try:
            self._post(url, payload_of(notice, self._spec, url))
        except _FormRefused:
            self._post(url, only_text(notice, self._spec.prefix, self._spec.title), is_last=True)
        return ""

    def _post(self, url: str, payload: Json, *, is_last: bool = False) -> None:
        if self._spec.channel:
            payload = {"channel": self._spec.channel, **payload}
        reply = ask(_request(url, payload, self._spec), self._hurry)
        word = _word(reply)
        if reply.status == 400 and word in _FORM_REFUSED and not is_last:
            raise _FormRefused
        hint = HINTS.get(
            word, _NEW_SECRET if word in _SECRET_REFUSED or reply.status in (403, 404, 410) else ""
        )
        error = failure(f"{self.name}: {host_of(url)}", reply, self._clock.now(), hint)
        if error is not None:
            if error.lasting:
                self._vault.forget()
            raise _without_secrets(error, self._vault)
        is_slacks = self._spec.form == BLOCKS or is_slack(url)
        if is_slacks and word.startswith(
            "<"
        ):  # somebody between, such as the login of a network, who lost it
            raise Undelivered(
                f"{self.name}: {host_of(url)} answered {reply.status} with a page, which Slack never does"
            )


def _handle_of(answer: Json) -> str:
    """Return `CHANNEL:TS` of an answer; nothing when it tells none that could be used again."""
    found = [answer.get("channel"), answer.get("ts")]
    usable = [each for each in found if isinstance(each, str) and _HANDLE.fullmatch(each)]
    return ":".join(usable) if len(usable) == len(found) else ""


class SlackBot:
    """A bot: the first notice of an incident is a message, later ones change it and tell the news in its thread."""

    def __init__(self, spec: ChannelSpec, clock: Clock) -> None:
        self.name = spec.name
        self._spec, self._clock = spec, clock
        self._vault = Vault(spec.token)
        self._hurry = Hurry()

    def hurry(self, limit_s: float) -> None:
        """See `Channel.hurry`."""
        self._hurry.begin(limit_s)

    def send(self, notice: Notice) -> str:
        """Post or change a message; returns `CHANNEL:TS` of the message.

        The change comes first and the reply last, so that what is sent again after a failure doubles nothing: to
        change a message twice is to change it once.
        """
        channel, _, at = notice.thread.partition(":")
        if channel and at:
            try:
                self._call("chat.update", {"channel": channel, "ts": at}, notice)
            except _Refused as error:
                if error.word not in _GONE:
                    raise self._undelivered(error) from None
            else:
                return self._posted({"channel": channel, "thread_ts": at}, notice, notice.thread)
        return self._posted({"channel": self._spec.channel}, notice, "")

    def _posted(self, where: Json, notice: Notice, handle: str) -> str:
        try:
            answer = self._call("chat.postMessage", where, notice)
        except _Refused as error:
            raise self._undelivered(error) from None
        return handle or _handle_of(answer)

    def _call(self, method: str, where: Json, notice: Notice) -> Json:
        about = {
            "event_type": "flowlord_notice",
            "event_payload": {"id": notice.id, "kind": str(notice.kind)},
        }
        more = {**where, "metadata": about, "parse": "none", "link_names": False}
        payload = blocks_of(notice, self._spec.prefix, self._spec.title)
        if method == "chat.update":  # what a message had and the change does not name would stay
            payload.setdefault("attachments", [])
        try:
            return self._ask(method, {**payload, **more})
        except _Refused as error:
            if error.word not in _FORM_REFUSED:
                raise
        return self._ask(method, {**only_text(notice, self._spec.prefix, self._spec.title), **where})

    def _ask(self, method: str, payload: Json) -> Json:
        token = self._vault.reveal(self._spec.token)
        url = f"{self._spec.api.rstrip('/')}/{method}"
        reply = ask(_request(url, payload, self._spec, token), self._hurry)
        if error := failure(f"{self.name}: {host_of(url)}", reply, self._clock.now()):
            raise _without_secrets(error, self._vault)
        answer = _json(reply.body)
        if answer.get("ok") is True:
            return answer
        if answer.get("ok") is None:  # 200, and not whole: it may stand in the channel
            raise Undelivered(f"{self.name}: {host_of(url)} answered 200 and no word of Slack", doubtful=True)
        raise _Refused(said(str(answer.get("error", ""))), reply)

    def _undelivered(self, error: _Refused) -> Undelivered:
        lasting = error.word not in _LATER
        if lasting and error.word in _SECRET_REFUSED:
            self._vault.forget()
        hint = HINTS.get(error.word, _NEW_SECRET if error.word in _SECRET_REFUSED else "")
        return _without_secrets(
            Undelivered(
                f"{self.name}: Slack answered {error.word or 'no'}",
                hint=hint,
                lasting=lasting,
                retry_after_s=rest_of(error.reply.retry_after, self._clock.now()),
            ),
            self._vault,
        )


class _FormRefused(Exception):
    """The receiver does not like how the message is built."""


class _Refused(Exception):
    """Slack's API says no; `word` is why."""

    def __init__(self, word: str, reply: Reply) -> None:
        super().__init__(word)
        self.word, self.reply = word, reply


def payload_of(notice: Notice, spec: ChannelSpec, url: str = "") -> Json:
    """Return what a webhook is sent: blocks where Slack itself listens, else what the Go program sent."""
    form = spec.form or (BLOCKS if spec.token or is_slack(url or spec.url.value) else ATTACHMENTS)
    make = attachments_of if form == ATTACHMENTS else blocks_of
    return make(notice, spec.prefix, spec.title)


def address_of(spec: ChannelSpec) -> str:
    """Return the address of a webhook, to choose its form by; empty when it is none, or cannot be had."""
    try:
        return "" if spec.token else Vault(spec.url).reveal(spec.url)
    except Undelivered:
        return ""


def is_slack(url: str) -> bool:
    """Whether an address is one of Slack itself."""
    try:
        host = urlsplit(url).hostname or ""
    except ValueError:
        return False
    return host.endswith((".slack.com", ".slack-gov.com")) or host in ("slack.com", "slack-gov.com")


def _request(url: str, payload: Json, spec: ChannelSpec, token: str = "") -> Request:
    headers = {"Content-Type": "application/json; charset=utf-8"}
    if token:
        headers["Authorization"] = f"Bearer {token}"
    body = json.dumps(payload, ensure_ascii=True, separators=(",", ":")).encode()
    return Request(url, body, headers, limit_s=spec.limit_ns / 1e9)


def _word(reply: Reply) -> str:
    """Return the word by which a webhook says what is wrong."""
    return reply.body.strip()[:100]


def _json(body: str) -> dict[str, Any]:
    try:
        found = json.loads(body)
    except (ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}


def _without_secrets(error: Undelivered, vault: Vault) -> Undelivered:
    """Return the error with the secrets of the channel hidden, should the receiver have repeated one."""
    return Undelivered(
        vault.hide(str(error)),
        hint=error.hint,
        retry_after_s=error.retry_after_s,
        lasting=error.lasting,
        doubtful=error.doubtful,
    )
