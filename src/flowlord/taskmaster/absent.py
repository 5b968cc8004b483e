"""Notices files that do not come: looks at each deadline of the phases with `late`, once among all daemons."""

from __future__ import annotations

import logging
from datetime import datetime, timedelta

from flowlord.decide.absent import absent_mark, came_mark, look, read_came
from flowlord.model.plan import Commit, Committed, Plan
from flowlord.model.workflow import Phase
from flowlord.rules.settle import SETTLE_NS
from flowlord.taskmaster.surroundings import Surroundings

log = logging.getLogger("flowlord.files")

SLACK_NS = 10_000_000_000
"""How long after it is complete a file may take until it is decided."""


class AbsentWatch:
    """One step looks at all phases with `late`; used by one thread.

    A file that lies there at its deadline counts as one that came: what it takes to find it, and that it stands still,
    is waited for. So is the first look of a daemon that just began: what came meanwhile is found then.

    Args:
        poll_ns: how often places are listed that tell nothing.
    """

    def __init__(self, around: Surroundings, poll_ns: int) -> None:
        self._around = around
        self._poll_ns = poll_ns
        self._begun_ns = around.clock.monotonic_ns()
        self._complained: dict[str, str] = {}

    def step(self) -> int:
        """Tell what did not come; returns how many files."""
        around = self._around
        phases = [
            (phase, flow.revision)
            for flow in around.workflows.by_name.values()
            for phase in flow.phases
            if phase.rule.late and phase.rule.files
        ]
        if not phases:
            return 0
        keys = [key(phase.identity) for phase, _ in phases for key in (absent_mark, came_mark)]
        marks = around.bus.marks(keys)
        now, up_ns = around.now(), around.clock.monotonic_ns() - self._begun_ns
        commits = []
        for phase, revision in phases:
            settle_ns = SETTLE_NS if phase.rule.settle_ns is None else phase.rule.settle_ns
            grace_ns = self._poll_ns + settle_ns + SLACK_NS
            seen = marks.get(absent_mark(phase.identity))
            if up_ns < grace_ns and seen is not None:
                continue
            last = read_came(marks.get(came_mark(phase.identity)))
            pause = around.paused.phase(phase, now) if around.paused else None
            try:
                found = look(phase, revision, around.zone, seen, last, _earlier(now, grace_ns), pause)
            except (
                ArithmeticError,
                TypeError,
                ValueError,
            ) as error:  # one strange mark must not stop the others
                self._complain(phase, error)
                continue
            if found.mark is not None:
                commits.append(Commit(Plan(facts=found.facts), marks=(found.mark,)))
        told = 0
        for commit, answer in zip(commits, around.bus.commit_many(commits), strict=True):
            if isinstance(answer, Committed):  # else another daemon was faster
                for text in {fact.text: None for fact in commit.plan.facts}:
                    told += 1
                    log.error("%s", text, extra={"action": "file.absent"})
        return told

    def _complain(self, phase: Phase, error: Exception) -> None:
        """Say, once, that nobody can tell whether the files of a phase came."""
        text = f"whether files came for {phase.base_name} cannot be judged: {error!r}"
        if self._complained.get(phase.identity) != text:
            self._complained[phase.identity] = text
            log.error("%s", text, extra={"action": "file.unjudged"})


def _earlier(now: datetime, ns: int) -> datetime:
    return now - timedelta(microseconds=ns // 1000)
