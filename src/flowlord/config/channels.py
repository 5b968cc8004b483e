"""The table of channels in the configuration file: `[alerts.channels.NAME]`, each key with its place."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import Any, Final

from flowlord.config import values as v
from flowlord.config.settings import Entry
from flowlord.model.channel import SEND_LIMIT_NS, SLACK_API, ChannelKind, ChannelSpec, SecretRef
from flowlord.model.problem import Problem

TABLE: Final = "alerts.channels"
SLACK: Final = "slack"
"""Name of the channel that `[slack]` makes."""
_NAME: Final = r"[A-Za-z0-9_-]{1,64}"
_SECRETS: Final = ("url", "token", "secret")
READ: Final[dict[str, Callable[[object], Any]]] = {
    "kind": v.one_of(*ChannelKind),
    **dict.fromkeys(_SECRETS, v.read_text),
    **{f"{secret}_env": v.read_variable for secret in _SECRETS},
    **{f"{secret}_file": v.read_path for secret in _SECRETS},
    **{f"{secret}_command": v.read_command for secret in _SECRETS},
    "channel": v.read_words,
    "prefix": v.read_words,
    "title": v.read_words,
    "format": v.one_of("auto", "blocks", "attachments"),
    "api": v.read_web_address,
    "timeout": v.read_duration,
}
KEYS: Final = tuple(READ)
_OF_KIND: Final = {
    ChannelKind.SLACK: {"url", "token", "channel", "prefix", "title", "format", "api"},
    ChannelKind.WEBHOOK: {"url", "token", "secret"},
    ChannelKind.APPRISE: {"url", "prefix"},
}
HELP: Final = {
    "kind": "slack, webhook or apprise",
    "url": "where it is sent: an incoming webhook, a receiver, an address of apprise",
    "token": "token of a bot in Slack; what a webhook sends as its bearer token",
    "secret": "what a webhook signs with",
    "channel": "channel in Slack",
    "prefix": "[PREFIX] before each title",
    "title": "words before each title",
    "format": "auto, blocks, or attachments for receivers that are like Slack",
    "api": "where the methods of Slack are",
    "timeout": "how long one message may take",
}


class Channels:
    """What the file says of channels so far."""

    def __init__(self) -> None:
        self._given: dict[str, dict[str, tuple[object, Problem, str]]] = {}  # read, place, as written
        self._broken: set[str] = set()  # those with a key that cannot be: what is missing then is no news
        self.problems: list[Problem] = []

    def take(self, name: str, key: str, value: object, place: Problem) -> None:
        """Take one key of one channel; an empty `key` is a channel that is no table."""
        if not name or not key or not re.fullmatch(_NAME, name):
            text = f"{TABLE}.{name}: a channel is a table with a name of letters, digits, - and _"
            self._wrong(place, text, "write [alerts.channels.ops] and kind = ... below it")
            return
        channel = self._given.setdefault(name, {})
        plain = key.lower().replace("-", "_")
        if plain not in READ:
            from difflib import get_close_matches

            close = get_close_matches(plain, KEYS, 1, 0.6)
            self._broken.add(name)
            hint = f"did you mean {close[0]!r}?" if close else f"write some of {', '.join(HELP)}"
            self._wrong(place, f"unknown setting {TABLE + '.' + name + '.' + key!r}", hint, "FL201")
            return
        try:
            read = READ[plain](value)
        except v.Wrong as error:
            self._broken.add(name)
            shown = "***" if plain in _SECRETS else repr(str(value)[:60])
            self._wrong(place, f"{TABLE}.{name}.{plain}: {shown} {error}", HELP[plain.partition("_")[0]])
            return
        channel[plain] = (read, place, str(value))

    def specs(self, path: str) -> tuple[ChannelSpec, ...]:
        """Return the channels, in the order of the file; those that cannot be are told as problems."""
        whole = {name: keys for name, keys in self._given.items() if name not in self._broken}
        found = [self._spec(name, keys, path) for name, keys in whole.items()]
        return tuple(spec for spec in found if spec is not None)

    def entries(self, path: str) -> Iterator[Entry]:
        """Yield a line for each key, as `flowlord config` shows it; secrets are masked."""
        for name, keys in self._given.items():
            for key, (_, place, written) in keys.items():
                told = "***" if key in _SECRETS else written
                help_ = HELP[key.partition("_")[0]]
                yield Entry(f"{TABLE}.{name}.{key}", told, f"{path}:{place.line}", "", help_)

    def _spec(self, name: str, keys: dict[str, tuple[object, Problem, str]], path: str) -> ChannelSpec | None:
        where = next(iter(keys.values()))[1] if keys else Problem(path, 0, 0, "")
        if name == SLACK:
            self._wrong(where, f"{TABLE}.{SLACK} is the channel that [slack] makes", "give it another name")
            return None
        if "kind" not in keys:
            self._wrong(
                where, f"{TABLE}.{name} has no kind", f"write kind = {' or '.join(map(repr, ChannelKind))}"
            )
            return None
        kind = ChannelKind(str(keys["kind"][0]))
        for key, (_, place, _) in keys.items():
            base = re.sub(r"_(env|file|command)$", "", key)
            if base not in _OF_KIND[kind] | {"kind", "timeout"}:
                self._wrong(place, f"{TABLE}.{name}.{key} means nothing to a channel of kind {kind}")
        url, token, secret = (self._ref(name, each, keys) for each in _SECRETS)
        read: dict[str, Any] = {key: value for key, (value, _, _) in keys.items()}
        spec = ChannelSpec(
            name,
            kind,
            url,
            token,
            secret,
            channel=read.get("channel", ""),
            prefix=read.get("prefix", ""),
            title=read.get("title", ""),
            form=form_of(read.get("format", "")),
            api=read.get("api", SLACK_API),
            limit_ns=read.get("timeout", SEND_LIMIT_NS),
            place=f"{path}:{where.line}" if where.line else path,
        )
        self.problems += wrongs(spec, where, f"{TABLE}.{name}")
        return spec

    def _ref(self, name: str, secret: str, keys: dict[str, tuple[object, Problem, str]]) -> SecretRef:
        ways = [
            key for key in (secret, f"{secret}_env", f"{secret}_file", f"{secret}_command") if key in keys
        ]
        if len(ways) > 1:
            self._wrong(
                keys[ways[1]][1], f"{TABLE}.{name}: {' and '.join(ways)} are given", "keep one of them"
            )
        read = {key: keys[key][0] for key in ways}
        return secret_ref(
            f"{TABLE}.{name}.{secret}",
            value=read.get(secret),
            variable=read.get(f"{secret}_env"),
            file=read.get(f"{secret}_file"),
            command=read.get(f"{secret}_command"),
        )

    def _wrong(self, place: Problem, text: str, hint: str = "", code: str = "FL202") -> None:
        self.problems.append(Problem(place.path, place.line, place.column, text, hint, code))


def secret_ref(
    name: str, *, value: object = None, variable: object = None, file: object = None, command: object = None
) -> SecretRef:
    """Return a reference made of read values; what was not given is None."""
    words = command if isinstance(command, tuple) else ()
    return SecretRef(name, str(value or ""), str(variable or ""), str(file or ""), words)


def form_of(text: str) -> str:
    """Return the form of a channel; `auto` is none."""
    return "" if text == "auto" else text


def wrongs(spec: ChannelSpec, place: Problem, name: str) -> Iterator[Problem]:
    """Yield what keeps a channel from ever sending."""

    def wrong(text: str, hint: str = "") -> Problem:
        return Problem(place.path, place.line, place.column, f"{name} {text}", hint, "FL202")

    if spec.kind is ChannelKind.SLACK:
        if bool(spec.url) == bool(spec.token):
            both = "has a url and a token" if spec.url else "has neither url nor token"
            yield wrong(both, "url is an incoming webhook, token a bot: give one of them")
        elif spec.token and not spec.channel:
            yield wrong("has a token and no channel", "write channel = '#data-alerts', or the channel's id")
    elif not spec.url:
        yield wrong("has no url", "write url, url_env, url_file or url_command")
    if spec.url.value and spec.kind is not ChannelKind.APPRISE:
        try:
            v.read_web_address(spec.url.value)
        except v.Wrong as error:
            yield wrong(f"has a url that {error}")
