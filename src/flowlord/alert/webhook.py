"""A webhook of one's own: the notice as JSON, signed as the Standard Webhooks specification has it."""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import json
from typing import Any, Final

import msgspec
from msgspec import structs

from flowlord.alert.answers import failure
from flowlord.alert.http import Hurry, Request, ask, host_of
from flowlord.alert.plain import cut, text_of
from flowlord.alert.port import Line, Notice, Undelivered
from flowlord.alert.secrets import Vault
from flowlord.model.channel import ChannelSpec
from flowlord.model.clock import Clock

VERSION: Final = 1
MOST_LINES: Final = 100
_FIELD: Final = 2_000
_TEXT: Final = 20_000
_PREFIX: Final = "whsec_"


class Webhook:
    """Posts each notice. A receiver tells by `webhook-id` when one comes again, by the signature that it is ours."""

    def __init__(self, spec: ChannelSpec, clock: Clock) -> None:
        self.name = spec.name
        self._spec, self._clock = spec, clock
        self._vault = Vault(spec.url, spec.token, spec.secret)
        self._hurry = Hurry()

    def hurry(self, limit_s: float) -> None:
        """See `Channel.hurry`."""
        self._hurry.begin(limit_s)

    def send(self, notice: Notice) -> str:
        """Post the notice, once."""
        url = self._vault.reveal(self._spec.url)
        body = body_of(notice)
        headers = {"Content-Type": "application/json", "webhook-id": notice.id}
        seconds = int(self._clock.now().timestamp())
        headers["webhook-timestamp"] = str(seconds)
        if secret := self._vault.reveal(self._spec.secret):
            headers["webhook-signature"] = signature(secret, notice.id, seconds, body)
        if token := self._vault.reveal(self._spec.token):
            headers["Authorization"] = f"Bearer {token}"
        reply = ask(Request(url, body, headers, limit_s=self._spec.limit_ns / 1e9), self._hurry)
        error = failure(f"{self.name}: {host_of(url)}", reply, self._clock.now())
        if error is not None:
            if error.lasting:
                self._vault.forget()
            error.args = (self._vault.hide(str(error)),)
            raise error
        return ""


def body_of(notice: Notice) -> bytes:
    """Return the notice as JSON; fields that are empty are left out, times are microseconds since 1970 UTC.

    A hundred incidents at most are named, and long texts are cut.
    """
    lines = tuple(_bounded(line) for line in notice.lines[:MOST_LINES])
    more = notice.more + len(notice.lines) - len(lines)
    notice = structs.replace(
        notice, lines=lines, more=more, text=text_of(notice, _TEXT), title=cut(notice.title, _FIELD)
    )
    told: dict[str, Any] = msgspec.to_builtins(notice)
    told.pop("to", None)
    told.pop("thread", None)
    # Half a surrogate pair is no UTF-8, and may be in a path; JSON can say it in ASCII.
    return json.dumps({"version": VERSION, **told}, ensure_ascii=True, separators=(",", ":")).encode()


def _bounded(line: Line) -> Line:
    told = {name: cut(text, _FIELD) for name, text in structs.asdict(line).items() if isinstance(text, str)}
    return structs.replace(line, **told)


def signature(secret: str, id_: str, seconds: int, body: bytes) -> str:
    """Return the value of `webhook-signature`: `v1,` and the HMAC-SHA256 of `ID.SECONDS.BODY` in base64.

    A secret that begins with `whsec_` is base64 behind it, any other is taken as it is.

    Raises:
        Undelivered: what follows `whsec_` is no base64.
    """
    key = secret.encode()
    if secret.startswith(_PREFIX):
        try:
            key = base64.b64decode(secret.removeprefix(_PREFIX), validate=True)
        except (binascii.Error, ValueError):
            raise Undelivered(f"the secret begins with {_PREFIX} and is no base64", lasting=True) from None
    signed = b".".join((id_.encode(), str(seconds).encode(), body))
    return f"v1,{base64.b64encode(hmac.digest(key, signed, hashlib.sha256)).decode()}"
