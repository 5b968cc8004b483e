"""From a document to a workflow: its phases read, its chains walked, everything wrong told with its place."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import groupby

from flowlord.model.problem import Problem
from flowlord.model.workflow import Phase, Workflow
from flowlord.spec.chains import Lost, Orphan, check_chains
from flowlord.spec.codes import problem
from flowlord.spec.document import MOST_FINDINGS, Document, Fields, Findings
from flowlord.spec.known import Known
from flowlord.spec.phases import PhaseReader


@dataclass(frozen=True, slots=True)
class Parsed:
    """One file: its workflow, None when it cannot be used, and what is wrong with it.

    `orphans` are children whose parents are not in the file; they may be in another one. `phases` counts what the
    file holds, good or not. `draft` has what could be read of them, also where the file cannot be used: to be looked
    at, not run.
    """

    workflow: Workflow | None
    problems: tuple[Problem, ...]
    orphans: tuple[Orphan, ...] = ()
    phases: int = 0
    draft: Workflow | None = None


@dataclass(frozen=True, slots=True)
class Examined:
    """The phases of a document, the fields that each was read from, and what was found; nothing has its place yet.

    `left` counts the last phases, at which nobody looked because the file cannot be used, whatever they say.
    """

    name: str
    document: Document
    phases: list[Phase]
    fields: list[Fields]
    findings: Findings
    lost: list[Lost]
    left: int = 0

    @property
    def is_complete(self) -> bool:
        """Whether all that is wrong was looked for and kept."""
        return not self.left and not self.findings.lost


def check(document: Document, name: str, revision: str, known: Known | None = None) -> Parsed:
    """Return the workflow that a document describes, with every problem in it, sorted by place."""
    return conclude(examine(document, name, known), revision)


def examine(document: Document, name: str, known: Known | None = None) -> Examined:
    """Read the phases of a document and find what must be told before a workflow may run."""
    reader = PhaseReader(document, name, known or Known())
    phases = reader.read()
    # A parent may be among those that were left out.
    lost = [] if reader.left else check_chains(phases, reader.parents, reader.findings)
    return Examined(name, document, phases, reader.parents, reader.findings, lost, reader.left)


def conclude(examined: Examined, revision: str) -> Parsed:
    """Give every finding its place; the workflow is None when any is an error."""
    document, findings = examined.document, examined.findings
    told = [document.problem(found) for found in findings.kept]
    lost = tuple(
        Orphan(each.topic, each.job, document.problem(each.finding)) for each in examined.lost[:MOST_FINDINGS]
    )
    told += [each.problem for each in lost]
    told.sort(key=lambda each: (each.line, each.column, each.code))
    told = [each for each, _ in groupby(told)]  # behind an alias of YAML it is met again, where it stands
    more = findings.lost + len(examined.lost) - len(lost)
    untold: list[str] = []
    if more:
        untold.append(f"{more:,} more problem{'s are' if more > 1 else ' is'} not told")
    if examined.left:
        last = "phase" if examined.left == 1 else f"{examined.left:,} phases"
        untold.append(f"nobody looked at the last {last}")
    if untold:
        told.append(problem("FL009", document.source.path, text=", and ".join(untold)))
    draft = Workflow(examined.name, tuple(examined.phases), revision, document.source.path)
    workflow = None if findings.broken else draft
    return Parsed(workflow, tuple(told), lost, len(document.items), draft)
