"""How the phases of a file hang together: parents that are not there, and circles."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple

from flowlord.model.problem import Problem
from flowlord.model.workflow import Phase
from flowlord.spec.document import Fields, Finding, Findings, Path, named
from flowlord.spec.near import Names

_MOST_CIRCLES: Final = 100
_MOST_COMPARED: Final = 25_000
_MOST_HINTS: Final = 100  # looking for a like name looks at all of them
_MOST_TRIES: Final = 300  # and compares some letter by letter


_ODD: Final = re.compile(r"[^\w:.-]", re.ASCII)  # what would have to be escaped somewhere


class Lost(NamedTuple):
    """A child whose parent is not in the file, and what to say about it."""

    topic: str
    job: str
    finding: Finding


@dataclass(frozen=True, slots=True)
class Orphan:
    """The same, with its place."""

    topic: str
    job: str
    problem: Problem


def check_chains(phases: Sequence[Phase], fields: Sequence[Fields], findings: Findings) -> list[Lost]:
    """Return the children without parents and add every circle to `findings`; `fields` are those of each phase."""
    children = [(number, phase) for number, phase in enumerate(phases) if phase.parent]
    if not children:
        return []
    topics: dict[str, int] = {}  # the last phase of a topic, of a topic with a job
    jobs: dict[tuple[str, str], int] = {}
    for number, phase in enumerate(phases):
        topics[phase.topic] = number
        if phase.job:
            jobs[phase.topic, phase.job] = number
    lost: list[Lost] = []
    lines: dict[str, int] = {}  # of the first phase of each name and topic, for hints
    names: Names | None = None
    hints = min(_MOST_HINTS, _MOST_COMPARED // (len(topics) + len(jobs) + 1))
    backwards = False
    for number, phase in children:
        parent = phase.parent
        last = jobs.get((parent, phase.parent_job)) if phase.parent_job else topics.get(parent)
        if last is None:
            like = ""
            if len(lost) < hints:
                for each in () if lines else phases:
                    lines.setdefault(each.base_name, each.line)
                    lines.setdefault(each.topic, each.line)  # which names every job of it
                names = names or Names(lines, _MOST_TRIES)
                like = names.nearest(phase.depends_on, but=phase.base_name)
                like = "" if like == phase.topic else like  # its own
            lost.append(_lost(phase, fields[number].where("dependsOn"), like, lines))
        elif last >= number:
            backwards = True
    if backwards:  # when all parents stand above their children there is no circle
        _circles(phases, fields, findings)
    return lost


def _lost(phase: Phase, path: Path, like: str, lines: Mapping[str, int]) -> Lost:
    hint = "it starts when a task of that name is reported that names this workflow"
    if like:
        hint = f"did you mean {like!r} (line {lines[like]})?"
    text = f"dependsOn names {named(phase.depends_on)}, which is no phase here"
    better = like if like and not _ODD.search(like) else None
    return Lost(phase.parent, phase.parent_job, Finding("FL102", path, text, hint, better=better))


def _circles(phases: Sequence[Phase], fields: Sequence[Fields], findings: Findings) -> None:
    """Walk down all chains; meeting a phase that is still being walked closes a circle.

    Children hang on hubs, one for a topic and one for a topic with a job, so that many phases of a topic with many
    children stay a small graph.
    """
    children: dict[tuple[str, str], list[int]] = {}
    for number, phase in enumerate(phases):
        if phase.parent:
            children.setdefault((phase.parent, phase.parent_job), []).append(number)
    hubs: dict[tuple[str, str], int] = {}
    below: list[list[int]] = [[] for _ in phases]
    for number, phase in enumerate(phases):
        for hub in {(phase.topic, ""), (phase.topic, phase.job)}:
            if hub not in children:
                continue
            if hub not in hubs:
                hubs[hub] = len(below)
                below.append(children[hub])
            below[number].append(hubs[hub])
    fresh, open_, done = 0, 1, 2
    state = [fresh] * len(below)
    told: set[int] = set()
    closed = 0
    for start in range(len(phases)):
        if state[start] != fresh:
            continue
        walk = [start]
        rest = [iter(below[start])]
        state[start] = open_
        while walk:
            step = next(rest[-1], None)
            if step is None:
                state[walk.pop()] = done
                rest.pop()
            elif state[step] == fresh:
                state[step] = open_
                walk.append(step)
                rest.append(iter(below[step]))
            elif state[step] == open_:
                circle = [each for each in walk[walk.index(step) :] if each < len(phases)]
                closed += 1
                if closed > _MOST_CIRCLES:
                    return
                if not told.issuperset(circle):
                    told.update(circle)
                    findings.add(
                        _circle([phases[each] for each in circle], fields[circle[0]].where("dependsOn"))
                    )


def _circle(circle: list[Phase], path: Path) -> Finding:
    names = [phase.base_name for phase in circle]
    shown = names if len(names) <= 12 else [*names[:6], "…", *names[-5:]]
    text = f"the phases start each other for ever: {' -> '.join([*shown, names[0]])}"
    return Finding("FL100", path, text, _way_out(circle))


def _way_out(circle: list[Phase]) -> str:
    for phase, before in zip(circle, [circle[-1], *circle], strict=False):
        if before.job and not phase.parent_job and before.topic == phase.topic:
            every = f"dependsOn = {named(phase.parent)} means every job of that topic, {named(before.base_name)} too"
            return f"{every}: name the job that is meant"
    return "take one dependsOn out"
