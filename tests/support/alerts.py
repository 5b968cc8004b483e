"""Alerts on a virtual clock: what happens is taken in, what is due is told, and what is told is delivered or not."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import UTC, datetime

from flowlord.alert import outbox
from flowlord.alert.policy import Policy
from flowlord.alert.port import Notice, NoticeKind, Undelivered
from flowlord.alert.state import Ending, Event, EventKind, Happening, Mode, State
from flowlord.alert.take import take
from flowlord.alert.tell import tell

SECOND = 1_000_000
MINUTE = 60 * SECOND
HOUR = 60 * MINUTE
DAY = 24 * HOUR
START = int(datetime(2026, 8, 3, tzinfo=UTC).timestamp()) * SECOND  # a Monday
POLICY = Policy(channels=("slack",), default="slack")


def failure(
    at_us: int,
    name: str = "load:users",
    text: str = "timeout talking to bq",
    *,
    kind: EventKind = EventKind.TASK,
    mode: Mode = Mode.EDGE,
    to: str = "",
    hour: int | None = None,
) -> Event:
    """A task of the workflow users.toml that failed."""
    phase = f"users.toml:{name}"
    return Event(kind, at_us, text, phase, name, "users.toml", phase, hour, mode, to)


def success(at_us: int, name: str = "load:users") -> Ending:
    """A task of the same phase that went well."""
    return Ending(f"users.toml:{name}", at_us)


class Desk:
    """Decides and delivers; `answer` may raise Undelivered, or return the handle of the message."""

    def __init__(self, policy: Policy = POLICY, answer: Callable[[Notice], str] | None = None) -> None:
        self.policy = policy
        self.now = START
        self.state = State(generation="0123456789abcdef")
        self.sent: list[Notice] = []
        self.answer = answer or (lambda notice: "")

    def hear(self, *found: Happening) -> None:
        """Take in what happened, at the time of the last of them."""
        self.now = max([self.now, *(each.at_us for each in found)])
        self.state = take(self.state, found, self.policy)
        self._settle()

    def until(self, end_us: int) -> None:
        """Let time pass, and do whatever it brings about."""
        while True:
            _, soonest = outbox.next_notice(self.state, self.now)
            due = min((at for at in (self.state.wake_us, soonest) if at), default=0)
            if not due or due > end_us:
                break
            self.now = max(due, self.now)
            self._settle()
        self.now = max(self.now, end_us)

    def live(self, found: Iterable[Happening]) -> None:
        """Hear these, in order, and let the time between them pass."""
        for each in found:
            self.until(each.at_us)
            self.hear(each)

    @property
    def kinds(self) -> list[NoticeKind]:
        """Of what was delivered."""
        return [notice.kind for notice in self.sent]

    def _settle(self) -> None:
        while True:
            self.state = tell(self.state, self.policy, self.now)
            id_, _ = outbox.next_notice(self.state, self.now)
            if not id_:
                return
            self.state = outbox.sending(self.state, id_, self.now)
            notice = outbox.threaded(self.state, id_)
            try:
                handle = self.answer(notice)
            except Undelivered as error:
                self.state = outbox.refused(self.state, id_, error, self.now, self.policy.min_us)
            else:
                self.sent.append(notice)
                self.state = outbox.delivered(self.state, id_, handle)
