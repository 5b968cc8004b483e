"""Planted bugs: the mistakes that task queues make, put around the bus of the victims. Each must make the test fail.

They replace `open_bus` before any command module has taken it by name, in the process from which the victims are
forked; the product knows nothing of them.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from datetime import UTC, datetime

from msgspec.structs import replace

import flowlord.bus.open as door
from flowlord.bus.port import Bus
from flowlord.bus.single import Single
from flowlord.model.errors import LeaseLost, Refused
from flowlord.model.plan import Commit, Committed

Answer = Committed | Refused | LeaseLost


class Faulty(Single):
    """A bus whose commits are spoilt; everything else goes to the real one."""

    def __init__(self, real: Bus) -> None:
        self._real = real

    def __getattr__(self, name: str) -> object:
        return getattr(self._real, name)

    def commit_many(self, commits: Sequence[Commit]) -> list[Answer]:
        return self._real.commit_many(commits)


class AckFirst(Faulty):
    """Acknowledges in one step and publishes what follows in another: a crash between the two loses it."""

    def commit_many(self, commits: Sequence[Commit]) -> list[Answer]:
        first = [each if not each.acknowledge else Commit(acknowledge=each.acknowledge) for each in commits]
        answers = self._real.commit_many(first)
        then = [
            Commit(each.plan, (), each.marks)
            for each, answer in zip(commits, answers, strict=True)
            if each.acknowledge and isinstance(answer, Committed)
        ]
        if then:
            self._real.commit_many(then)
        return answers


class PublishThenAck(Faulty):
    """Publishes in one step and acknowledges in another, remembering no outcome: a crash between the two doubles."""

    def commit_many(self, commits: Sequence[Commit]) -> list[Answer]:
        answers = self._real.commit_many([Commit(each.plan, (), each.marks) for each in commits])
        then = [Commit(acknowledge=each.acknowledge) for each in commits if each.acknowledge]
        if then:
            self._real.commit_many(then)
        return answers


class NoFencing(Faulty):
    """Accepts what a worker or a taskmaster reports under a lease that has passed on, and remembers no outcome."""

    def commit_many(self, commits: Sequence[Commit]) -> list[Answer]:
        answers = self._real.commit_many(
            [Commit(each.plan, each.acknowledge, each.marks) for each in commits]
        )
        for place, (each, answer) in enumerate(zip(commits, answers, strict=True)):
            if isinstance(answer, LeaseLost):
                [answers[place]] = self._real.commit_many([Commit(each.plan, (), each.marks)])
        return answers


class RetryInMemory(Faulty):
    """Keeps what is due later in this process and publishes it when its time has come: a crash loses it."""

    def commit_many(self, commits: Sequence[Commit]) -> list[Answer]:
        kept, waiting = [], []
        for each in commits:
            waiting += each.plan.later
            kept.append(replace(each, plan=replace(each.plan, later=())))
        answers = self._real.commit_many(kept)
        for message in waiting:
            due = message.due or datetime.now(UTC)
            seconds = max(0.0, (due - datetime.now(UTC)).total_seconds())
            timer = threading.Timer(seconds, self._real.publish, [[replace(message, due=None)]])
            timer.daemon = True
            timer.start()
        return answers


PLANTS: dict[str, Callable[[Bus], Faulty]] = {
    "ack-first": AckFirst,
    "no-fencing": NoFencing,
    "publish-then-ack": PublishThenAck,
    "retry-in-memory": RetryInMemory,
}


def plant(name: str) -> None:
    """Let every bus that is opened from now on have this bug."""
    spoil, real = PLANTS[name], door.open_bus

    def open_bus(address: str, **more: object) -> Bus:
        return spoil(real(address, **more))  # type: ignore[arg-type,return-value]

    door.open_bus = open_bus  # type: ignore[assignment]
