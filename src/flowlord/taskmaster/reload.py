"""Loads workflow files, watches them for change, and keeps each file's last good version working."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterable, Mapping, Sequence

from flowlord.bus.port import Bus
from flowlord.model.plan import ANY, Fact, FactKind, Mark, Plan
from flowlord.model.problem import Problem, Severity
from flowlord.model.workflow import Workflow, Workflows
from flowlord.spec import load as files
from flowlord.taskmaster.surroundings import Surroundings

log = logging.getLogger("flowlord.reload")

MARK = "workflow:"
SUBJECT = "file "


class Reloader:
    """Holds what is loaded now; one step looks for changes and swaps the whole when there are any."""

    def __init__(self, around: Surroundings, path: str) -> None:
        self._around = around
        self._path = path
        self._missing: frozenset[str] = frozenset()
        self._loaded = files.Loaded(Workflows())
        self._stamp: object = None
        self._generation = ""

    @property
    def loaded(self) -> files.Loaded:
        """What the last look at the files found."""
        return self._loaded

    def start(self) -> files.Loaded:
        """Load for the first time; files that are broken now are taken from the bus as they last worked.

        A path that cannot be read at all raises OSError.
        """
        self._stamp = files.stamp(self._path)
        self._generation = self._around.bus.generation()
        self._loaded = files.load(self._path)
        restored = last_good(self._around.bus, self._loaded.broken)
        flows = dict(self._loaded.workflows.by_name) | {flow.name: flow for flow in restored}
        self._swap(Workflows(flows), Workflows(), restored)
        return self._loaded

    def step(self) -> None:
        """Load again when a file has changed.

        A file counts as removed when two looks in a row do not find it: a checkout or an editor may take it away for a
        moment, and results that come in between would start nothing.
        """
        self._keep_again()
        stamp = files.stamp(self._path)
        if stamp == self._stamp and not self._missing:
            return
        before = self._around.workflows
        loaded = files.reload(self._loaded, self._path)
        flows = dict(loaded.workflows.by_name)
        for name in loaded.broken:  # one that was broken at the start goes on as it was kept on the bus
            if name not in flows and name in before.by_name:
                flows[name] = before.by_name[name]
        missing = frozenset(before.by_name.keys() - flows.keys())
        flows |= {name: before.by_name[name] for name in missing - self._missing}
        self._loaded = loaded
        self._swap(Workflows(flows), before, ())
        self._stamp, self._missing = stamp, missing - self._missing

    def _swap(self, flows: Workflows, before: Workflows, restored: Iterable[Workflow]) -> None:
        broken = _broken(self._loaded.problems)
        facts = [*self._changes(flows, before), *self._news(broken)]
        for flow in restored:
            text = f"{flow.name} is broken; its last good version, as kept on the bus, runs"
            facts.append(Fact(FactKind.RELOAD, phase=flow.name, revision=flow.revision, text=text))
        marks = self._kept(flows, before)
        marks += [Mark(MARK + name, ANY, None) for name in before.by_name.keys() - flows.by_name.keys()]
        if facts or marks:
            self._around.bus.commit(Plan(facts=tuple(facts)), marks=marks)
        self._around.workflows = flows
        self._around.changed.set()
        self._note(broken)  # only now that the alert is on the bus
        for fact in facts:
            level = logging.ERROR if fact.kind is FactKind.ALERT else logging.INFO
            log.log(level, "%s", fact.text, extra={"action": "reload", "workflow": fact.phase})

    def _kept(self, flows: Workflows, before: Workflows) -> list[Mark]:
        """Return the marks that keep the texts of new and changed files on the bus."""
        return [
            Mark(MARK + name, ANY, json.dumps({"revision": flow.revision, "text": text}))
            for name, flow in flows.by_name.items()
            if (text := self._loaded.text_of(name))
            and (name not in before.by_name or before.by_name[name].revision != flow.revision)
        ]

    def _keep_again(self) -> None:
        """Keep all files once more when the bus lost its data: daemons look there for what they do not run."""
        generation = self._around.bus.generation()
        if generation != self._generation:
            if marks := self._kept(self._around.workflows, Workflows()):
                self._around.bus.commit(Plan(), marks=marks)
            self._generation = generation

    def _news(self, broken: Mapping[str, str]) -> list[Fact]:
        """Return one alert for each broken file, once for each version of it."""
        known = self._around.health.faults()
        return [
            Fact(FactKind.ALERT, phase=path, cause=f"file:{path}", text=text)
            for path, text in broken.items()
            if known.get(f"{SUBJECT}{path}") != text
        ]

    def _note(self, broken: Mapping[str, str]) -> None:
        """Health is yellow while a file is broken."""
        health = self._around.health
        for subject in health.faults():
            if subject.startswith(SUBJECT) and subject.removeprefix(SUBJECT) not in broken:
                health.mended(subject)
        for path, text in broken.items():
            health.fault(f"{SUBJECT}{path}", text, Severity.WARNING)

    def _changes(self, flows: Workflows, before: Workflows) -> list[Fact]:
        facts = []
        for name in sorted(flows.by_name.keys() | before.by_name.keys()):
            new, old = flows.by_name.get(name), before.by_name.get(name)
            if new is None:
                facts.append(Fact(FactKind.RELOAD, phase=name, text=f"{name} was removed"))
            elif old is None or old.revision != new.revision:
                verb = "changed" if old else "loaded"
                phases = "1 phase" if len(new.phases) == 1 else f"{len(new.phases)} phases"
                text = f"{name} was {verb}: {phases}"
                facts.append(Fact(FactKind.RELOAD, phase=name, revision=new.revision, text=text))
        return facts


def _broken(problems: Iterable[Problem]) -> dict[str, str]:
    """Return what is wrong with each broken file, by path: its first error, and how many more there are."""
    found: dict[str, list[Problem]] = {}
    for problem in problems:
        if problem.severity is Severity.ERROR:
            found.setdefault(problem.path, []).append(problem)
    texts = {}
    for path, errors in found.items():
        first = errors[0]
        more = f" (and {len(errors) - 1} more)" if len(errors) > 1 else ""
        hint = f"; {first.hint}" if first.hint else ""
        texts[path] = f"{first.place}: {first.text}{hint}{more}"
    return texts


def last_good(bus: Bus, names: Sequence[str]) -> list[Workflow]:
    """Return workflows as they last worked, out of the bus; what was never kept there is left out."""
    kept = bus.marks([MARK + name for name in names]) if names else {}
    found = []
    for name in names:
        try:
            flow, _ = files.parse(json.loads(kept[MARK + name])["text"].encode(), name)
        except (ValueError, KeyError, TypeError):  # never kept, or by a release that kept it otherwise
            continue
        if flow is not None:
            found.append(flow)
    return found
