"""A stand-in for Slack, in a process of its own: takes what Slack takes, refuses what it refuses, and can misbehave.

    with standing_in() as slack:
        slack.next(status(429, retry_after="2"), cut_after())   # then it behaves again
        ... settings with slack.hook, or slack.api and slack.token ...
        [first, *_] = slack.received(atleast=1)                 # waits for it

Paths: `hook` is an incoming webhook, `api` the root of chat.postMessage, chat.update, chat.delete and auth.test (with
`token`); any other path answers 200 and is recorded, for webhooks and heartbeats.
"""

from __future__ import annotations

import json
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.request import ProxyHandler, Request, build_opener

from flowlord.alert.port import Channel, Notice, Undelivered
from support.slack_server import HOOK, TOKEN

_DIRECT = build_opener(ProxyHandler({}))
Answer = dict[str, Any]


def status(code: int, text: str = "", *, retry_after: str = "", **headers: str) -> Answer:
    """An answer that is not Slack's own; the message did not arrive."""
    told = {name.replace("_", "-"): value for name, value in headers.items()}
    if retry_after:
        told["Retry-After"] = retry_after
    return {"do": "status", "status": code, "text": text, "headers": told}


def cut_before() -> Answer:
    """The connection ends before the message was read."""
    return {"do": "cut before"}


def cut_after() -> Answer:
    """The message arrives, and the connection ends before the answer."""
    return {"do": "cut after"}


def hang() -> Answer:
    """It reads the message, drops it and says nothing."""
    return {"do": "hang"}


def hang_after() -> Answer:
    """The message arrives, and nothing is said."""
    return {"do": "hang after"}


def drip() -> Answer:
    """The message arrives, and the answer comes a byte at a time without an end."""
    return {"do": "drip"}


@dataclass(frozen=True)
class StandIn:
    """One of them at work."""

    port: int
    token: str = TOKEN

    @property
    def root(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def hook(self) -> str:
        return self.root + HOOK

    @property
    def api(self) -> str:
        return f"{self.root}/api"

    def next(self, *answers: Answer, always: Answer | None = None) -> None:
        """Say how the next requests are answered, one each, and all after them by `always`; frees those that hang."""
        self._ask("/_control/script", {"next": answers, "always": always or {}})

    def received(self, atleast: int = 0) -> list[dict[str, Any]]:
        """Return all requests in order (method, path, headers, body, json, status, do), once there are so many."""
        if atleast:
            assert self._ask(f"/_control/wait/{atleast}")["came"], f"fewer than {atleast} requests came"
        found: list[dict[str, Any]] = self._ask("/_control/received")["received"]
        return found

    def taken(self) -> list[dict[str, Any]]:
        """Return the payloads that arrived, as far as Slack is concerned."""
        return [
            each["json"]
            for each in self.received()
            if each["status"] == 200 and each["do"] != "cut before" and each["path"] != "/api/auth.test"
        ]

    def messages(self) -> dict[str, dict[str, Any]]:
        """Return the messages of a bot that stand in its channels (channel, thread, edits, json), by time stamp."""
        found: dict[str, dict[str, Any]] = self._ask("/_control/received")["messages"]
        return found

    def _ask(self, path: str, body: Any = None) -> Any:
        data = None if body is None else json.dumps(body).encode()
        with _DIRECT.open(Request(self.root + path, data), timeout=40) as answer:
            return json.load(answer)


@contextmanager
def standing_in() -> Iterator[StandIn]:
    """A stand-in of one's own, as long as the block lasts."""
    process = subprocess.Popen(
        [sys.executable, str(Path(__file__).with_name("slack_server.py"))],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    try:
        assert process.stdout
        yield StandIn(int(process.stdout.readline()))
    finally:
        process.kill()
        process.communicate()


def cut_short(channel: Channel, notice: Notice, slack: StandIn) -> list[Undelivered]:
    """Send what is not answered, and have it given up once it was taken; returns as what it was told, if it was."""
    before, found = len(slack.received()), []

    def send() -> None:
        try:
            channel.send(notice)
        except Undelivered as error:
            found.append(error)

    sending = threading.Thread(target=send)
    sending.start()
    slack.received(atleast=before + 1)
    channel.hurry(0.0)
    sending.join(40)
    return found
