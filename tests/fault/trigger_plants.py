"""Bugs that triggers may have, put around the bus or into the daemon of the victims. Each must make the run fail."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from msgspec.structs import replace

import flowlord.bus.open as door
from fault.kill_plants import Answer, Faulty
from flowlord.bus.port import Bus
from flowlord.model.crashpoint import crashpoint
from flowlord.model.plan import Commit, Committed, Plan

BETWEEN = "plant.between"
"""Between two steps that should be one: where victims of a planted bug kill themselves."""


def guards(commit: Commit) -> bool:
    """Whether a commit makes something that its marks guard."""
    plan = commit.plan
    return bool(commit.marks and (plan.publish or plan.frozen or plan.opened))


class MarkFirst(Faulty):
    """Moves the mark of a start in one step and makes its tasks in another: a crash between the two loses them."""

    def commit_many(self, commits: Sequence[Commit]) -> list[Answer]:
        first = [replace(each, plan=Plan(), rendered=None) if guards(each) else each for each in commits]
        answers = self._real.commit_many(first)
        then = [
            Commit(each.plan)
            for each, answer in zip(commits, answers, strict=True)
            if guards(each) and isinstance(answer, Committed)
        ]
        if then:
            crashpoint(BETWEEN)
            self._real.commit_many(then)
        return answers


class MarkAfter(Faulty):
    """Makes the tasks of a start in one step and moves its mark in another: a crash between the two doubles them."""

    def commit_many(self, commits: Sequence[Commit]) -> list[Answer]:
        first = [Commit(each.plan) for each in commits if guards(each)]
        if first:
            self._real.commit_many(first)
            crashpoint(BETWEEN)
        return self._real.commit_many(
            [replace(each, plan=Plan(), rendered=None) if guards(each) else each for each in commits]
        )


class GroupInMemory(Faulty):
    """Counts the files of groups in this process: a crash forgets how many came."""

    def __init__(self, real: Bus) -> None:
        super().__init__(real)
        self._groups: dict[str, str] = {}

    def marks(self, keys: Sequence[str]) -> Mapping[str, str]:
        return {**self._real.marks(keys), **{key: self._groups[key] for key in keys if key in self._groups}}

    def commit_many(self, commits: Sequence[Commit]) -> list[Answer]:
        kept = []
        for each in commits:
            for mark in each.marks:
                if mark.key.startswith("group:"):
                    if mark.new is None:
                        self._groups.pop(mark.key, None)
                    else:
                        self._groups[mark.key] = mark.new
            if any(mark.key.startswith("group:") for mark in each.marks):
                crashpoint(BETWEEN)
            rest = tuple(mark for mark in each.marks if not mark.key.startswith("group:"))
            kept.append(replace(each, marks=rest))
        return self._real.commit_many(kept)


class NothingOpen(Faulty):
    """Takes every phase and every backload for done: starts do not wait for each other."""

    def open_counts(self, groups: Sequence[str]) -> dict[str, int]:
        return dict.fromkeys(groups, 0)


class Hurried(Faulty):
    """Lets time go fifty times as fast for paced batches."""

    def now_us(self) -> int:
        return self._real.now_us() * 50


SPOILS: dict[str, Callable[[Bus], Faulty]] = {
    "mark-first": MarkFirst,
    "mark-after": MarkAfter,
    "group-in-memory": GroupInMemory,
    "nothing-open": NothingOpen,
    "hurried": Hurried,
}


def plant(name: str) -> None:
    """Let every bus that a taskmaster opens from now on have this bug."""
    spoil, real = SPOILS[name], door.open_bus

    def open_bus(address: str, **more: object) -> Bus:
        return spoil(real(address, **more))  # type: ignore[arg-type,return-value]

    door.open_bus = open_bus  # type: ignore[assignment]
