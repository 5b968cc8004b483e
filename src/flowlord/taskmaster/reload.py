"""Loads workflow files, looks at them for changes, and keeps each file's last good version working."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterable, Mapping, Sequence

from flowlord.bus.port import Bus
from flowlord.model.plan import ANY, BROKEN, Fact, FactKind, Mark, PhaseText, Plan
from flowlord.model.problem import Problem, Severity
from flowlord.model.revision import mark_of
from flowlord.model.workflow import Workflow, Workflows
from flowlord.spec import load as files
from flowlord.spec.disk import DiskTree
from flowlord.spec.tree import Tree
from flowlord.taskmaster.commit import Repository, at_commit
from flowlord.taskmaster.strangers import tell_strangers
from flowlord.taskmaster.surroundings import Surroundings

log = logging.getLogger("flowlord.reload")

MARK = "workflow:"
SUBJECT = "file "
PLACE = "workflows"
TOLD_AGAIN_NS = 24 * 3_600 * 1_000_000_000


class Reloader:
    """Holds what is loaded now; one step looks for changes and swaps the whole when there are any.

    `path` is of this machine, or a Tree that lies elsewhere.
    """

    def __init__(self, around: Surroundings, path: str | Tree) -> None:
        self._around = around
        self._tree = files.tree_of(path)
        self._repository = Repository(self._tree.path) if isinstance(self._tree, DiskTree) else None
        self._commit = self._described = ""
        self._missing: frozenset[str] = frozenset()
        self._loaded = files.Loaded(Workflows())
        self._stamp: object = None
        self._generation = ""
        self._broken: frozenset[str] = frozenset()
        self._told_ns = 0

    @property
    def loaded(self) -> files.Loaded:
        """What the last look at the files found."""
        return self._loaded

    @property
    def commit(self) -> str:
        """The commit of the folder as it was loaded, `+dirty` when it differs from that; empty without one."""
        return self._described

    def start(self) -> files.Loaded:
        """Load for the first time; files that are broken now are taken from the bus as they last worked.

        A place that cannot be looked at is taken from the bus as it last worked; one that never did raises OSError.
        """
        self._generation = self._around.bus.generation()
        try:
            found = self._tree.find()
        except OSError as error:
            return self._start_without(error)
        self._stamp = files.stamps(found)
        self._loaded = files.load(self._tree)
        self._describe()
        restored = last_good(self._around.bus, self._loaded.broken)
        flows = self._flows(Workflows()) | {flow.name: flow for flow in restored}
        self._swap(Workflows(flows), Workflows(), restored)
        return self._loaded

    def step(self) -> bool:
        """Load again when a file has changed; returns whether anything is to be told.

        A file counts as removed when two looks in a row do not find it: a checkout or an editor may take it away for a
        moment, and results that come in between would start nothing. While the place cannot be looked at, what is
        loaded goes on.
        """
        self._keep_again()
        try:
            found = self._tree.find()
        except OSError as error:
            return self._lost(error)
        if was_lost := self._around.health.mended(PLACE):
            log.info("%s can be looked at again", self._tree.path, extra={"action": "reload.mended"})
        stamp = files.stamps(found)
        is_same = stamp == self._stamp and not self._missing and not self._loaded.unread
        if is_same and (self._repository is None or self._repository.commit == self._commit):
            return was_lost
        before = self._around.workflows
        loaded = files.reload(self._loaded, self._tree, found)
        self._loaded = loaded
        self._describe()
        flows = self._flows(before)
        missing = frozenset(before.by_name.keys() - flows.keys())
        flows |= {name: before.by_name[name] for name in missing - self._missing}
        self._swap(Workflows(flows), before, ())
        self._stamp, self._missing = stamp, missing - self._missing
        return True

    def _start_without(self, error: OSError) -> files.Loaded:
        """Run what last worked of this place while it cannot be looked at."""
        kept = _all_kept(self._around.bus, self._tree.path)
        if not kept:
            raise error
        self._around.workflows = Workflows({flow.name: flow for flow in kept})
        self._around.changed.set()
        self._lost(error, f"what last worked, as kept on the bus, runs: {_count(kept, 'file')}")
        return self._loaded

    def _describe(self) -> None:
        """Find out which commit was loaded."""
        if self._repository is not None:
            self._commit = self._repository.commit
            self._described = self._repository.described()

    def _flows(self, before: Workflows) -> dict[str, Workflow]:
        """Return what runs from now on: good files as they are, broken ones as they were."""
        loaded = self._loaded
        good = [flow for name, flow in loaded.workflows.by_name.items() if name not in loaded.broken]
        flows = at_commit(good, self._described)
        for name in loaded.broken:  # one that was broken at the start goes on as it was kept on the bus
            kept = before.by_name.get(name) or loaded.workflows.by_name.get(name)
            if kept is not None:
                flows[name] = kept
        return flows

    def _lost(self, error: OSError, then: str = "what was loaded goes on") -> bool:
        """Tell once that the place cannot be looked at; returns whether that is news."""
        path = self._tree.path
        reason = (error.strerror or str(error)).removeprefix(f"{path}: ")
        what = f"{path} cannot be looked at: {reason}; "
        text = what + then
        if is_news := not self._around.health.faults().get(PLACE, "").startswith(what):
            alert = Fact(FactKind.ALERT, phase=path, cause=f"workflows:{path}", text=text)
            self._around.bus.commit(Plan(facts=(alert,)))
            self._around.health.fault(PLACE, text, Severity.WARNING)
            log.error("%s", text, extra={"action": "reload.lost"})
        return is_news

    def _swap(self, flows: Workflows, before: Workflows, restored: Iterable[Workflow]) -> None:
        broken = _broken(self._loaded.problems)
        facts = [*self._changes(flows, before), *self._news(broken)]
        were, self._broken = self._broken, frozenset(self._loaded.broken)
        changed = {fact.phase for fact in facts}
        facts += [
            _loaded(flow, f"{flow.name} can be read again")  # as it was before it broke
            for flow in flows.by_name.values()
            if flow.name in were - self._broken - changed
        ]
        gone = (
            were - self._broken - changed - flows.by_name.keys()
        )  # broken files that never ran, removed since
        facts += [Fact(FactKind.RELOAD, phase=name, text=f"{name} was removed") for name in sorted(gone)]
        for flow in restored:
            text = f"{flow.name} is broken; its last good version, as kept on the bus, runs"
            facts.append(_loaded(flow, text))
        marks = self._kept(flows, before)
        marks += [Mark(MARK + name, ANY, None) for name in before.by_name.keys() - flows.by_name.keys()]
        if facts or marks:
            self._around.bus.commit(Plan(facts=tuple(facts)), marks=[*marks, mark_of(flows)])
            self._told_ns = self._around.clock.monotonic_ns()
        self._around.workflows = flows
        self._around.changed.set()
        self._note(broken)  # only now that the alert is on the bus
        tell_strangers(self._around)
        for fact in facts:
            level = logging.ERROR if fact.kind is FactKind.ALERT else logging.INFO
            log.log(level, "%s", fact.text, extra={"action": "reload", "workflow": fact.phase})

    def _kept(self, flows: Workflows, before: Workflows) -> list[Mark]:
        """Return the marks that keep the texts of new and changed files on the bus."""
        return [
            Mark(MARK + name, ANY, json.dumps({"revision": flow.digest, "text": text, "of": self._tree.path}))
            for name, flow in flows.by_name.items()
            if (text := self._loaded.text_of(name))
            and (name not in before.by_name or before.by_name[name].digest != flow.digest)
        ]

    def _keep_again(self) -> None:
        """Keep all files once more when the bus lost its data: daemons look there for what they do not run."""
        generation = self._around.bus.generation()
        now_ns = self._around.clock.monotonic_ns()
        if generation != self._generation or now_ns - self._told_ns > TOLD_AGAIN_NS:
            self._around.bus.commit(Plan(), marks=[mark_of(self._around.workflows)])
            self._told_ns = now_ns
        if generation != self._generation:
            if marks := self._kept(self._around.workflows, Workflows()):
                self._around.bus.commit(Plan(), marks=marks)
            self._generation = generation

    def _news(self, broken: Mapping[str, str]) -> list[Fact]:
        """Return one alert for each broken file, once for each version of it."""
        known = self._around.health.faults()
        keys = {path: BROKEN + name for path, name in self._loaded.names.items()} if broken else {}
        return [
            Fact(FactKind.ALERT, keys.get(path, ""), phase=path, cause=f"file:{path}", text=text)
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
            elif old is None or old.digest != new.digest:
                verb = "changed" if old else "loaded"
                phases = "1 phase" if len(new.phases) == 1 else f"{len(new.phases)} phases"
                text = f"{name} was {verb}: {phases}"
                facts.append(_loaded(new, text))
        return facts


def _loaded(flow: Workflow, text: str) -> Fact:
    """Return the fact that a workflow runs from now on, with its phases as they were written."""
    phases = tuple(
        PhaseText(each.name, each.line, each.task, each.depends_on, each.rule_text, each.retry, each.template)
        for each in flow.phases
    )
    return Fact(FactKind.RELOAD, phase=flow.name, revision=flow.revision, text=text, phases=phases)


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
            text = json.loads(kept[MARK + name])["text"]
            flow = files.parse(text.encode(), name)[0] if isinstance(text, str) else None
        except (ValueError, KeyError, TypeError, RecursionError):  # never kept, or otherwise than we do
            continue
        if flow is not None:
            found.append(flow)
    return found


def _all_kept(bus: Bus, path: str) -> list[Workflow]:
    """Return every workflow of a place as it last worked, out of the bus; other daemons may run other places."""
    names = []
    for key, value in bus.marks_like(MARK).items():
        try:
            if json.loads(value)["of"] == path:
                names.append(key.removeprefix(MARK))
        except (ValueError, KeyError, TypeError, RecursionError):
            continue
    return last_good(bus, names)


def _count(found: Sequence[object], word: str) -> str:
    return f"1 {word}" if len(found) == 1 else f"{len(found)} {word}s"
