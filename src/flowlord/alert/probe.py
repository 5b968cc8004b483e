"""Whether alerts can leave, found out without telling anybody anything."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from typing import Final
from urllib.parse import urlsplit

from flowlord.alert.http import Reply, Request, ask, host_of
from flowlord.alert.port import Undelivered
from flowlord.alert.secrets import Vault
from flowlord.alert.slack import is_slack
from flowlord.alert.slack_message import BLOCKS
from flowlord.model.channel import ChannelKind, ChannelSpec, SecretRef
from flowlord.model.finding import Finding, Level

LIMIT_S: Final = 5.0
_NO_MESSAGE: Final = frozenset(("invalid_payload", "no_text", "missing_text_or_fallback_or_attachments"))
_GONE: Final = frozenset((401, 403, 404, 410))


def probe(specs: Iterable[ChannelSpec], heartbeat: SecretRef) -> Iterator[Finding]:
    """Yield a finding for each channel, and one for the heartbeat.

    Slack is sent an empty message, which it refuses by name, or asked whose token it is; other receivers get a HEAD, an
    address of apprise is only read. The heartbeat's host is asked, not its address: that would be a beat.
    """
    for spec in specs:
        yield from _guarded(spec.name, partial(_channel, spec))
    if heartbeat:
        yield from _guarded("heartbeat", partial(_heartbeat, heartbeat))


def _guarded(name: str, look: Callable[[], Finding]) -> Iterator[Finding]:
    try:
        yield look()
    except Undelivered as error:
        fix = error.hint or f"flowlord notify test --to {name}"
        yield Finding(name, Level.FAULT, f"alerts cannot leave: {error}", fix)


def _channel(spec: ChannelSpec) -> Finding:
    match spec.kind:
        case ChannelKind.APPRISE:
            from flowlord.alert.apprise import Apprise

            Apprise(spec).target()
            return Finding(spec.name, Level.OK, "apprise knows the address; it was not asked anything")
        case ChannelKind.SLACK if spec.token:
            return _bot(spec)
        case ChannelKind.SLACK:
            url = Vault(spec.url).reveal(spec.url)
            if is_slack(url) or spec.form == BLOCKS:
                return _hook(spec, url)
            return _receiver(spec, url)
        case _:
            vault = Vault(spec.url, spec.token, spec.secret)
            for ref in (spec.token, spec.secret):
                vault.reveal(ref)
            return _receiver(spec, vault.reveal(spec.url))


def _hook(spec: ChannelSpec, url: str) -> Finding:
    reply = ask(Request(url, b"{}", {"Content-Type": "application/json"}, limit_s=LIMIT_S))
    word = reply.body.strip()[:60]
    if reply.status == 400 and word in _NO_MESSAGE:
        return Finding(spec.name, Level.OK, f"{host_of(url)} takes messages of this webhook")
    return _other(spec, url, reply)


def _bot(spec: ChannelSpec) -> Finding:
    vault = Vault(spec.token)
    url = f"{spec.api.rstrip('/')}/auth.test"
    head = {"Authorization": f"Bearer {vault.reveal(spec.token)}"}
    reply = ask(Request(url, b"", head, limit_s=LIMIT_S))
    try:
        answer = json.loads(reply.body)
        is_ok, word = answer.get("ok"), str(answer.get("error", ""))[:60]
        team, user = str(answer.get("team", ""))[:60], str(answer.get("user", ""))[:60]
    except (ValueError, AttributeError, RecursionError):
        return _other(spec, url, reply)
    if is_ok is True:
        return Finding(spec.name, Level.OK, f"Slack knows the token: {user} of {team}, to {spec.channel}")
    text = vault.hide(f"alerts cannot leave: Slack refuses the token: {word}")
    return Finding(spec.name, Level.FAULT, text, f"flowlord notify test --to {spec.name}")


def _receiver(spec: ChannelSpec, url: str) -> Finding:
    reply = ask(Request(url, method="HEAD", limit_s=LIMIT_S))
    if reply.status in _GONE or 300 <= reply.status < 400 or reply.status >= 500:
        return _other(spec, url, reply)
    return Finding(spec.name, Level.OK, f"{host_of(url)} answers")


def _other(spec: ChannelSpec, url: str, reply: Reply) -> Finding:
    """An answer that says nothing good: a fault where the address is refused, else a doubt."""
    level = Level.FAULT if reply.status in _GONE and spec.kind is ChannelKind.SLACK else Level.WARN
    text = f"{host_of(url)} answers {reply.status}: it is in doubt whether alerts arrive"
    return Finding(spec.name, level, text, f"flowlord notify test --to {spec.name}")


def _heartbeat(ref: SecretRef) -> Finding:
    url = Vault(ref).reveal(ref)
    parts = urlsplit(url)
    reply = ask(Request(f"{parts.scheme}://{parts.netloc}/", method="HEAD", limit_s=LIMIT_S))
    return Finding("heartbeat", Level.OK, f"{host_of(url)} answers ({reply.status})")
