"""Lands what follows from files: each with the marks that keep every version from starting a phase twice."""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

import msgspec

from flowlord.decide.context import Context
from flowlord.decide.file import FileEvent, decide_file, marks_of
from flowlord.decide.files import FilePhases, Match, Timing
from flowlord.decide.group import GROUP
from flowlord.decide.tick import failed
from flowlord.model.crashpoint import crashpoint
from flowlord.model.errors import BusError, LeaseLost, Refused
from flowlord.model.plan import Commit, Committed, Fact, FactKind, Mark, Plan
from flowlord.model.workflow import Workflows
from flowlord.taskmaster.quietgroups import Groups
from flowlord.taskmaster.readings import NOTHING_READ, Found, Readings
from flowlord.taskmaster.surroundings import Surroundings, read_sources

log = logging.getLogger("flowlord.files")

ASKED = 1_000
"""Marks that one question to the bus names."""
LAND_AT = 2_000
"""Messages that land at once at most, but for a single start that makes more."""
TRIES = 8
"""How often one is decided again that another daemon was faster with; what is left comes with the next listing."""


@dataclass(frozen=True, slots=True)
class Ready:
    """A complete file, and the phases that it starts."""

    event: FileEvent
    matches: Sequence[Match]


@dataclass(slots=True)
class Landed:
    """What became of some files: paths that are known on the bus now, and those of them that were before."""

    paths: set[str] = field(default_factory=set)
    before: set[str] = field(default_factory=set)


class FileDesk:
    """Decides files against the marks of the bus; to be used by one thread."""

    def __init__(self, around: Surroundings, who: str, *, at_once: bool = False) -> None:
        """`who` tells this desk from others of the same daemon; `at_once`: nobody waits for instants of a schedule."""
        self._around = around
        self._at_once = at_once
        self._built_from: Workflows | None = None
        self._readings = Readings(around, threading.Event())
        self.groups = Groups(self, around, who, at_once=at_once)
        self.phases = FilePhases()
        self.overdue: frozenset[str] = frozenset()

    def refresh(self) -> bool:
        """Take up the workflows as they are now; returns whether they changed."""
        flows = self._around.workflows
        if flows is self._built_from:
            return False
        self.phases = FilePhases.of(flows)
        self._built_from = flows
        return True

    @property
    def timing(self) -> Timing:
        """When tasks start for phases with a schedule."""
        return Timing(self._around.zone, self._at_once, self.overdue)

    def known(self, keys: Iterable[str]) -> dict[str, str]:
        """Return the values of marks, however many."""
        wanted = list(keys)
        found: dict[str, str] = {}
        for at in range(0, len(wanted), ASKED):
            found |= self._around.bus.marks(wanted[at : at + ASKED])
        return found

    def patterns(self, matches: Iterable[Match]) -> set[str]:
        """Return the meta-files that these phases read."""
        return {match.rules.phase.rule.meta_file for match in matches} - {""}

    def sources(self, name: str, match: Match) -> Mapping[str, object] | None:
        """Return what the meta-file of a phase holds, read for the start of this name; None while it is being read."""
        pattern = match.rules.phase.rule.meta_file
        if not pattern:
            return NOTHING_READ
        return self.read([pattern]) if self._at_once else self._readings.take(name, pattern)

    def read(self, patterns: Iterable[str]) -> Found:
        """Read meta-files now, for as long as it takes."""
        return read_sources(patterns, self._around.storage)

    def context(self, sources: Mapping[str, object]) -> Context:
        """Return the context of one decision."""
        ctx = self._around.context()
        return msgspec.structs.replace(ctx, sources=sources) if sources else ctx

    def land(self, ready: Sequence[Ready], sources: Mapping[str, object] = NOTHING_READ) -> Landed:
        """Land what follows from these files, with the meta-files of their phases as they were read.

        What another daemon was faster with is decided again without it.
        """
        landed = Landed()
        left = list(ready)
        for _ in range(TRIES):
            if not left:
                break
            marks = self.known(
                dict.fromkeys(key for each in left for key in marks_of(each.event, each.matches))
            )
            again: list[Ready] = []
            gathered: list[tuple[Ready, Commit]] = []
            messages = 0
            for each in left:
                commit = self.decide(each, marks, sources)
                if commit is None:
                    landed.paths.add(each.event.path)
                    landed.before.add(each.event.path)
                    continue
                gathered.append((each, commit))
                messages += commit.plan.size
                if messages >= LAND_AT:
                    again += self._commit(gathered, landed)
                    gathered, messages = [], 0
            again += self._commit(gathered, landed)
            left = again
        return landed

    def decide(self, ready: Ready, marks: dict[str, str], sources: Mapping[str, object]) -> Commit | None:
        """Return what must land for a file, None for nothing; `marks` then hold what it would make of them."""
        ctx = self.context(sources)
        try:
            commit = self._around.decide(
                ctx,
                lambda ctx: decide_file(ready.event, self.phases, ready.matches, ctx, marks, self.timing),
            )
        except BusError:
            raise
        except Exception as error:  # one hostile name must not stop the others
            log.exception("a file could not be decided", extra={"action": "file.failed"})
            text = f"{ready.event.path} could not be decided: {error!r}"
            facts = [failed(match.rules.phase, f"file:{ready.event.path}", text) for match in ready.matches]
            return Commit(Plan(facts=tuple(facts)))
        if commit is not None:
            for mark in commit.marks:
                if mark.new is not None:
                    marks[mark.key] = mark.new
        return commit

    def _commit(self, gathered: Sequence[tuple[Ready, Commit]], landed: Landed) -> list[Ready]:
        """Land some decisions; returns the files that must be decided again."""
        if not gathered:
            return []
        crashpoint("files.decided")
        answers = self.commit([commit for _, commit in gathered])
        crashpoint("files.landed")
        again: list[Ready] = []
        for (each, commit), answer in zip(gathered, answers, strict=True):
            if isinstance(answer, Committed):
                landed.paths.add(each.event.path)
                self.tell(commit)
            else:
                again.append(each)
        return again

    def commit(self, commits: Sequence[Commit]) -> list[Committed | Refused | LeaseLost]:
        """Land commits; a plan that no bus can carry is replaced by an alert, so that it stops no other file."""
        try:
            return list(self._around.bus.commit_many(commits))
        except BusError:
            raise
        except Exception as error:  # noqa: BLE001 - told, and the others go on
            if len(commits) > 1:
                return [answer for commit in commits for answer in self.commit([commit])]
            [commit] = commits
            text = f"what a file starts cannot land: {error}"
            log.error("%s", text, extra={"action": "file.failed"})
            cause = next((fact.cause for fact in commit.plan.facts), "")
            facts = (Fact(FactKind.ALERT, cause=cause if cause.isprintable() else "", text=text),)
            return list(
                self._around.bus.commit_many([msgspec.structs.replace(commit, plan=Plan(facts=facts))])
            )

    def tell(self, commit: Commit) -> None:
        """Log what landed, and remember the groups that wait for quiet."""
        self._around.counters.published += commit.plan.size
        for fact in commit.plan.facts:
            level = logging.ERROR if fact.kind is FactKind.ALERT else logging.INFO
            log.log(
                level,
                "%s",
                fact.text,
                extra={"action": f"file.{fact.file.state if fact.file else fact.kind}"},
            )
        for mark in commit.marks:
            if mark.key.startswith(GROUP) and mark.new:
                self.groups.wait_for(mark.key, mark.new)


def combined(commits: Sequence[Commit], plan: Plan) -> tuple[Plan, tuple[Mark, ...]]:
    """Return one step for several decisions of which each was made upon the marks that the one before leaves."""
    firsts: dict[str, Mark] = {}
    for commit in commits:
        for mark in commit.marks:
            known = firsts.get(mark.key)
            firsts[mark.key] = mark if known is None else Mark(mark.key, known.seen, mark.new, mark.ttl_s)
    return plan, tuple(firsts.values())
