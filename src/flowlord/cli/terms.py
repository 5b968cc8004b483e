"""Which phases were in force when: as daemons loaded them, by the word of history; else as the files stand now."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from flowlord.cache.decided import Load, Written, begins_us, loads, written
from flowlord.model.workflow import Phase, Workflow, Workflows

if TYPE_CHECKING:
    from flowlord.cache.queries import History
    from flowlord.config import Settings
    from flowlord.decide.expected import Term

SLACK = timedelta(seconds=10)
"""A new phase counts from its first look at the clock on, which comes a little after its file was loaded."""
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Known:
    """Phases and when they were in force; `by_files` when nobody told of a load, so that the files alone say it.

    `flows` are the workflows as they were loaded last; `first` is the first load, or the begin of history.
    """

    terms: Sequence[Term] = ()
    flows: Workflows = field(default_factory=Workflows)
    by_files: bool = False
    first: datetime | None = None


def known(history: History, settings: Settings) -> Known:
    """Return what history tells of workflows, or what their files do when it tells nothing."""
    found = loads(history)
    if found:
        return _from_loads(found, written(history))
    from flowlord.decide.expected import Term

    flows = files_of(settings)
    begin = begins_us(history)
    first = time_of(begin) if begin else None
    terms = [Term(phase, first) for _, phase in _phases(flows)] if first else []
    return Known(terms, flows, by_files=True, first=first)


class Loaded:
    """Workflows as they were loaded last, each made of its text when it is asked for: one of many is asked about.

    Where nobody told of a load, or everything was removed, they are what lies in the files.
    """

    def __init__(self, history: History, settings: Settings) -> None:
        self._history, self._settings = history, settings
        self._loads: dict[str, list[Load]] = {}
        for each in loads(history):
            self._loads.setdefault(each.name, []).append(each)
        self._texts = written(history) if self._loads else {}
        self._flows: dict[str, Workflow | None] = {}
        self._terms: dict[str, Sequence[Term]] = {}
        self._every: Workflows | None = None

    @property
    def flows(self) -> Workflows:
        """All of them."""
        if self._every is None:
            found = {name: flow for name in self._loads if (flow := self._last(name)) is not None}
            self._every = Workflows(found) if found else files_of(self._settings)
        return self._every

    def flow(self, name: str) -> Workflow | None:
        """Return one of them."""
        return self._last(name) or self.flows.by_name.get(name)

    def phases(self, name: str) -> list[Phase]:
        """Return the phases that a name means: `topic:job`, a topic, or with the workflow in front."""
        some = {each: flow for each in self._telling(name) if (flow := self._last(each)) is not None}
        flows = Workflows(some) if some else self.flows
        every = [phase for _, phase in _phases(flows)]
        exact = [each for each in every if name in (each.base_name, each.name, each.identity)]
        return exact or [each for each in every if name == each.topic]

    def terms(self, phase: Phase) -> list[Term]:
        """Return when a phase was in force, in the order of time."""
        name = phase.workflow
        if name not in self._terms:
            if self._loads:
                self._terms[name] = _from_loads(self._loads.get(name, ()), self._texts).terms
            else:
                self._terms[name] = known(self._history, self._settings).terms
        return [each for each in self._terms[name] if each.phase.identity == phase.identity]

    def _last(self, name: str) -> Workflow | None:
        if name not in self._flows:
            every = list(_versions(name, self._loads.get(name, ())[-1:], self._texts, {}))
            if not every:  # the last one cannot be read here, so one before it counts
                every = list(_versions(name, self._loads.get(name, ()), self._texts, {}))
            self._flows[name] = every[-1][1] if every else None
        return self._flows[name]

    def _telling(self, name: str) -> set[str]:
        """Return the workflows whose text has a phase that may be meant."""
        found = set()
        for (workflow, _), phases in self._texts.items():
            for each in phases:
                base = each.name.partition("#")[0]
                if name in (base, each.name, f"{workflow}:{each.name}", base.partition(":")[0]):
                    found.add(workflow)
        return found


def files_of(settings: Settings) -> Workflows:
    """Return the workflows in their files as they stand now; none when they cannot be read."""
    from flowlord.cli.places import place_at
    from flowlord.spec.load import load

    try:
        return load(place_at(settings.taskmaster.workflows, where=settings.storage)).workflows
    except OSError:
        return Workflows()


def time_of(us: int) -> datetime:
    """Return microseconds since 1970 as an aware time in UTC."""
    return _EPOCH + timedelta(microseconds=us)


def flow_named(history: History, name: str) -> Workflow | None:
    """Return a workflow as it was loaded last; None when it was removed, or nobody told of it."""
    last = next((each for each in reversed(loads(history)) if each.name == name), None)
    if last is None or not last.revision:
        return None
    return flow_of(name, written(history).get((name, last.digest), ()), last.revision)


def flow_of(name: str, phases: Iterable[Written], revision: str = "") -> Workflow | None:
    """Return a workflow made of phases as they were written; None when this version cannot read them."""
    from flowlord.spec.parse import parse

    text = "".join(_toml(each) for each in phases)
    flow, _ = parse(text.encode("utf-8", "replace"), name if name.endswith(".toml") else f"{name}.toml")
    if flow is None:
        return None
    from msgspec.structs import replace

    lines = {each.name: each.line for each in phases}
    renamed = tuple(
        replace(each, workflow=name, line=lines.get(each.name, each.line)) for each in flow.phases
    )
    return Workflow(name, renamed, revision, name)


def _toml(each: Written) -> str:
    parts = [
        ("task", each.task),
        ("dependsOn", each.depends_on),
        ("rule", each.rule),
        ("template", each.template),
    ]
    lines = [f"{name} = {json.dumps(value)}" for name, value in parts if value]
    return "\n".join(["[[phase]]", *lines, f"retry = {each.retry}", "", ""])


def _from_loads(found: Sequence[Load], texts: Mapping[tuple[str, str], list[Written]]) -> Known:
    from flowlord.decide.expected import Term

    flows: dict[str, Workflow] = {}
    terms: list[Term] = []
    made: dict[tuple[str, str], Workflow | None] = {}
    by_name: dict[str, list[Load]] = {}
    for each in found:
        by_name.setdefault(each.name, []).append(each)
    for name, some in sorted(by_name.items()):
        new: set[str] = set()
        running: dict[str, Term] = {}
        for load, flow in _versions(name, some, texts, made):
            at = time_of(load.at_us)
            phases = {phase.name: phase for phase in flow.phases} if flow else {}
            for old, term in list(running.items()):
                if phases.get(old) != term.phase:
                    terms.append(Term(term.phase, term.since, at))
                    del running[old]
            for each_name, phase in phases.items():
                if each_name not in running:
                    running[each_name] = Term(phase, at if each_name in new else at + SLACK)
                    new.add(each_name)
            if flow is not None:
                flows[name] = flow
            else:
                flows.pop(name, None)
        terms += running.values()
    terms.sort(key=lambda term: (term.phase.identity, term.since))
    return Known(terms, Workflows(flows), first=time_of(found[0].at_us) if found else None)


def _versions(
    name: str,
    some: Iterable[Load],
    texts: Mapping[tuple[str, str], list[Written]],
    made: dict[tuple[str, str], Workflow | None],
) -> Iterator[tuple[Load, Workflow | None]]:
    """Yield each load with the workflow that it brought; None for a removal. One that cannot be read is passed over."""
    for load in some:
        if not load.revision:
            yield load, None
            continue
        key = (name, load.digest)
        if key not in made:
            made[key] = flow_of(name, texts.get(key, ()), load.revision) if key in texts else None
        if made[key] is not None:
            yield load, made[key]


def _phases(flows: Workflows) -> Iterator[tuple[Workflow, Phase]]:
    for _, flow in sorted(flows.by_name.items()):
        for phase in flow.phases:
            yield flow, phase
