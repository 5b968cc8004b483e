"""Planted bugs: the mistakes that task queues make, put around the bus or the history of the victims. Each must make
the test fail.

They replace `open_bus`, or who writes history, before any command module has taken it by name, in the process from
which the victims are forked; the product knows nothing of them.
"""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import Any

from msgspec.structs import replace

import flowlord.bus.open as door
from flowlord.bus.port import Bus
from flowlord.bus.single import Single
from flowlord.cache.historian import Historian
from flowlord.cache.ledger import Entry
from flowlord.cache.rows import write_harmless
from flowlord.cache.schema import transaction
from flowlord.model.errors import LeaseLost, Refused
from flowlord.model.plan import Commit, Committed
from flowlord.taskmaster.chronicle import Chronicle

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
    """Keeps what is due later in this process and publishes it a moment after its time: a crash loses it.

    The moment is for the kills of a small run: between a failure and its next try lie no more than 50 ms.
    """

    MOMENT_S = 0.25

    def commit_many(self, commits: Sequence[Commit]) -> list[Answer]:
        kept, waiting = [], []
        for each in commits:
            waiting += each.plan.later
            kept.append(replace(each, plan=replace(each.plan, later=())))
        answers = self._real.commit_many(kept)
        for message in waiting:
            due = message.due or datetime.now(UTC)
            seconds = max(0.0, (due - datetime.now(UTC)).total_seconds()) + self.MOMENT_S
            timer = threading.Timer(seconds, self._real.publish, [[replace(message, due=None)]])
            timer.daemon = True
            timer.start()
        return answers


class Buffered(Historian):
    """Moves its place in the journal at once and writes the rows with the next ones: a crash leaves rows out."""

    waiting: Sequence[Entry] = ()

    def follow(self, entries: Sequence[Entry]) -> int:
        new = [entry for entry in entries if entry.seq > self.cursor()]
        with transaction(self.connection):
            self._write(self._ledger(self.waiting, first_heard=False), write_harmless)
            if new:
                self.connection.execute("UPDATE cursor SET seq = ?", (new[-1].seq,))
        self.waiting = new
        return len(new)

    def close(self) -> None:
        self.follow(())
        super().close()


class Twice(Historian):
    """Knows only its own place in the journal, and not what others took in: with two daemons all is told twice."""

    place: int | None = None

    def cursor(self) -> int:
        found = super().cursor()
        return found if self.place is None else self.place

    def _cursor(self) -> tuple[int, str]:
        seq, generation = super()._cursor()
        return (seq if self.place is None else self.place), generation

    def follow(self, entries: Sequence[Entry]) -> int:
        self.cursor()
        self.place = entries[0].seq - 1 if self.place is None and entries else self.place
        taken = super().follow(entries)
        self.place = entries[-1].seq if entries else self.place
        return taken


HISTORIANS = {"history-buffered": Buffered, "history-twice": Twice}
PLANTS: dict[str, Callable[[Bus], Faulty]] = {
    "ack-first": AckFirst,
    "no-fencing": NoFencing,
    "publish-then-ack": PublishThenAck,
    "retry-in-memory": RetryInMemory,
}


NAMES = sorted({*PLANTS, *HISTORIANS})
PLANTED = "KILL_PLANTED"
"""The variable that tells a process of history, which is started cold, of its bug."""


def plant(name: str) -> None:
    """Let every bus that is opened, or every history that is written, from now on have this bug."""
    if name in HISTORIANS:
        _plant_historian(name)
        return
    spoil, real = PLANTS[name], door.open_bus

    def open_bus(address: str, **more: object) -> Bus:
        return spoil(real(address, **more))  # type: ignore[arg-type,return-value]

    door.open_bus = open_bus  # type: ignore[assignment]


def _plant_historian(name: str) -> None:
    """Let daemons write history with this bug, and start the process that writes it with it, too."""
    import flowlord.cli.historian as beside

    beside.Historian = HISTORIANS[name]  # type: ignore[misc]
    real = beside.Chronicle

    def chronicle(command: Sequence[str], *more: Any, **named: Any) -> Chronicle:
        return real((*command[:-1], "fault.kill_plants"), *more, **named)

    beside.Chronicle = chronicle  # type: ignore[assignment,misc]
    os.environ[PLANTED] = name


if __name__ == "__main__":
    plant(os.environ[PLANTED])
    from flowlord.cli.historian import main

    sys.exit(main())
