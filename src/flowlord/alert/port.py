"""What is told to people as a value, and the port of the ways to tell it (channels)."""

from __future__ import annotations

from enum import StrEnum
from typing import Protocol

import msgspec

from flowlord.model.errors import FlowlordError


class Severity(StrEnum):
    """How bad it is: ERROR is red, WARNING yellow, INFO (recovered, a test) green."""

    INFO = "info"
    WARNING = "warning"
    ERROR = "error"


class NoticeKind(StrEnum):
    """Why something is told now.

    NEW is the first of an incident, STILL a digest of what goes on, RECOVERED its end. ALERT is a task that ended in
    `alert`, TROUBLE something of flowlord itself, TEST a rehearsal.
    """

    NEW = "new"
    STILL = "still"
    RECOVERED = "recovered"
    ALERT = "alert"
    TROUBLE = "trouble"
    TEST = "test"


class Line(msgspec.Struct, frozen=True, omit_defaults=True):
    """One incident in a notice.

    `name` is `type` or `type:job`, `error` the reason with its numbers as they came last, `dates` the data times as
    ranges, `count` how many tasks (or what `unit` says) since the notice before. Times are microseconds since 1970
    UTC. `command` can be pasted into a shell to see more.
    """

    incident: str
    name: str
    error: str
    count: int
    total: int = 0
    dates: str = ""
    since_us: int = 0
    last_us: int = 0
    workflow: str = ""
    command: str = ""
    unit: str = ""


class Notice(msgspec.Struct, frozen=True, omit_defaults=True):
    """One message to people, before a channel gives it its form.

    `id` stays the same when it has to be sent again, so that a receiver can tell. `more` counts incidents that are left
    out of `lines`. `to` names where it goes, empty for the default; `thread` is what `Channel.send` returned for the
    earlier message of the same incident, empty when there is none or when a new message is wanted.
    """

    id: str
    kind: NoticeKind
    severity: Severity
    title: str
    at_us: int
    lines: tuple[Line, ...] = ()
    more: int = 0
    text: str = ""
    to: str = ""
    thread: str = ""
    link: str = ""
    command: str = ""


class Undelivered(FlowlordError):
    """A channel could not deliver a notice.

    `retry_after_s` is how long the receiver asked to be left alone (0.0: it did not say). `lasting` tells that the same
    again cannot succeed, since the address, the rights or the message is wrong. `doubtful` tells that it may have
    arrived although no answer came.
    """

    def __init__(
        self,
        text: str,
        *,
        hint: str = "",
        retry_after_s: float = 0.0,
        lasting: bool = False,
        doubtful: bool = False,
    ) -> None:
        super().__init__(text, hint=hint)
        self.retry_after_s = retry_after_s
        self.lasting = lasting
        self.doubtful = doubtful


class Channel(Protocol):
    """A way to reach people. May be called by one thread at a time; each call returns within a bounded time."""

    name: str

    def send(self, notice: Notice) -> str:
        """Deliver one notice; returns a handle by which a later one can update it, empty when that is impossible.

        Raises:
            Undelivered: it did not arrive, or nobody knows.
        """
        ...

    def hurry(self, limit_s: float) -> None:
        """Be done with what is being sent, and whatever is sent later, in so many seconds: the process is to end.

        May be called by another thread than `send`.
        """
        ...
