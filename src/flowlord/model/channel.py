"""A way to tell people as it is configured: what kind, where to, and how its secrets are come by."""

from __future__ import annotations

from enum import StrEnum
from typing import Final

import msgspec

SLACK_API: Final = "https://slack.com/api"
SEND_LIMIT_NS: Final = 10_000_000_000


class ChannelKind(StrEnum):
    """What a channel speaks."""

    SLACK = "slack"
    WEBHOOK = "webhook"
    APPRISE = "apprise"


class SecretRef(msgspec.Struct, frozen=True):
    """How a secret is come by: as it is, from a variable, a file or a command; one of them, or none at all.

    The command is a list of words and is run without a shell. `name` is that of the setting, to be told in errors; the
    value itself is in no representation of this.
    """

    name: str = ""
    value: str = ""
    variable: str = ""
    file: str = ""
    command: tuple[str, ...] = ()

    def __bool__(self) -> bool:
        """Whether there is one."""
        return bool(self.value or self.variable or self.file or self.command)

    def __repr__(self) -> str:
        return f"SecretRef({self.name!r})"


class ChannelSpec(msgspec.Struct, frozen=True):
    """One channel of the configuration.

    `url` is an incoming webhook, a receiver, or an address of apprise; `token` makes a Slack channel a bot, and a
    webhook carry it as `Authorization: Bearer`; `secret` signs what a webhook sends. `form` is `blocks` or
    `attachments`, empty to be chosen by the address. `place` is `file:line`, empty when it came from elsewhere.
    """

    name: str
    kind: ChannelKind
    url: SecretRef = SecretRef()
    token: SecretRef = SecretRef()
    secret: SecretRef = SecretRef()
    channel: str = ""
    prefix: str = ""
    title: str = ""
    form: str = ""
    api: str = SLACK_API
    limit_ns: int = SEND_LIMIT_NS
    place: str = ""
