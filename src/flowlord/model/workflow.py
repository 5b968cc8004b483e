"""Phases as they were written, checked and ready to decide with; immutable, swapped whole at a reload."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import msgspec


class Rule(msgspec.Struct, frozen=True):
    """The options of a phase, decoded.

    Durations are whole nanoseconds, None when absent. `pairs` has every option as written, unknown ones included, in
    order; `unknown` those that are not ours: they travel into the meta of file tasks.
    Source: docs/reference.md, "Rule strings".
    """

    cron: str = ""
    tz: str = ""
    offset_ns: int = 0
    job: str = ""
    files: tuple[str, ...] = ()
    count: int = 0
    require: tuple[str, ...] = ()  # names of meta keys
    retry_delay_ns: int | None = None
    backoff: float | None = None
    max_delay_ns: int | None = None
    no_alert: bool = False  # also `alert=none`
    alert: str = "edge"  # every, edge, digest, none: how its failures are told
    alert_to: str = ""  # the channel that is told; whether there is one, the configuration knows
    for_ns: int = 0
    by: str = ""
    meta: Mapping[str, tuple[str, ...]] = msgspec.field(default_factory=dict)
    has_meta: bool = False
    meta_file: str = ""
    pass_on: tuple[str, ...] = ()
    batch_limit: int = 100_000
    catchup: str = (
        ""  # none, last, all; empty: all, but none for rules that start more often than each minute
    )
    catchup_window_ns: int = 3_600_000_000_000
    overlap: str = "allow"  # allow, skip, queue: what a start does while tasks of the one before are open
    jitter_ns: int = (
        0  # a start comes up to this much after its planned instant, always the same for one phase
    )
    first: str = ""  # `from=`: no planned instant before this text names; read by `rules.bounds`
    until: str = ""  # none after this; a day counts to its end
    settle_ns: int | None = None  # a file must have stayed as it is for so long
    marker: str = ""  # `.done` behind the name of each file, or the name of a file beside it
    ignore: tuple[
        str, ...
    ] = ()  # patterns of names, or with a slash of paths, that are no files of this phase
    min_size: int = 0  # bytes
    on_rewrite: str = "run"  # run, ignore: what a further version of a file does
    late: str = ""  # until when a file must have come; read by `rules.deadline`
    group: str = ""  # time tokens: files whose paths fill them alike count together
    priority: int = 5
    timeout_ns: int = 0
    ttl_ns: int = (
        0  # a task that has not come to its end after this is late; 0: after the daemon's `task_ttl`
    )
    pairs: tuple[tuple[str, str], ...] = ()
    unknown: tuple[tuple[str, str], ...] = ()

    @property
    def is_batch(self) -> bool:
        """Whether one start makes several tasks."""
        return bool(self.for_ns) or self.has_meta or bool(self.meta_file)


class Phase(msgspec.Struct, frozen=True):
    """A recipe for tasks.

    `name` is `topic:job` (`topic` when there is no job), with `#2` for the second of that name in its workflow.
    `parent` is what `dependsOn` names, split; `parent_job` empty means any job.
    """

    workflow: str
    topic: str
    job: str = ""
    name: str = ""
    parent: str = ""
    parent_job: str = ""
    rule: Rule = Rule()
    retry: int = 0
    template: str = ""
    task: str = ""
    depends_on: str = ""
    rule_text: str = ""
    line: int = 0
    column: int = 0

    @property
    def identity(self) -> str:
        """One name among all workflows, as keys and attributes carry it."""
        return f"{self.workflow}:{self.name}"

    @property
    def base_name(self) -> str:
        """`topic` or `topic:job`."""
        return f"{self.topic}:{self.job}" if self.job else self.topic


@dataclass(frozen=True, slots=True)
class Workflow:
    """One file of phases; `path` is where it was read, for people.

    `revision` is a digest of its bytes, and behind an `@`, when a repository holds it, the commit there: `+dirty` when
    the folder differs from that. Nothing is recognised by it but the digest.
    """

    name: str
    phases: tuple[Phase, ...] = ()
    revision: str = ""
    path: str = ""
    _index: _Index | None = field(default=None, init=False, repr=False, compare=False)

    @property
    def digest(self) -> str:
        """The part of the revision that is made of its bytes."""
        return self.revision.partition("@")[0]

    @property
    def index(self) -> _Index:
        """Its phases by name and by parent, made at the first question."""
        if self._index is None:
            object.__setattr__(self, "_index", _Index.of(self.phases))
        assert self._index is not None
        return self._index

    def phase_of(self, topic: str, job: str) -> Phase | None:
        """Return the first phase of that name, or None.

        A job in front of a further colon finds its phase too (`a`, `b` finds `a:b:c`): so its tasks were named before.
        """
        topic, job = _split(topic, job)
        return self.index.exact.get((topic, job)) or self.index.cut.get((topic, job))

    def children(self, topic: str, job: str) -> tuple[Phase, ...]:
        """Return the phases that a completed `topic:job` starts, in name order."""
        topic, job = _split(topic, job)
        index = self.index
        found = index.children.get((topic, ""), ())
        if not job:
            return found
        more = index.children.get((topic, job), ())
        if (topic, job) not in index.exact:
            more += index.cut_children.get((topic, job), ())
        return tuple(sorted((*found, *more), key=_name_of)) if more else found


@dataclass(frozen=True, slots=True)
class _Index:
    """What is asked of a workflow for every result, by topic and job; children by parent, in name order.

    `cut` and `cut_children` know jobs with a colon by their first part.
    """

    exact: Mapping[tuple[str, str], Phase]
    cut: Mapping[tuple[str, str], Phase]
    children: Mapping[tuple[str, str], tuple[Phase, ...]]
    cut_children: Mapping[tuple[str, str], tuple[Phase, ...]]

    @classmethod
    def of(cls, phases: Sequence[Phase]) -> _Index:
        exact: dict[tuple[str, str], Phase] = {}
        cut: dict[tuple[str, str], Phase] = {}
        children: dict[tuple[str, str], list[Phase]] = {}
        cut_children: dict[tuple[str, str], list[Phase]] = {}
        for phase in phases:
            exact.setdefault((phase.topic, phase.job), phase)
            first, colon, _ = phase.job.partition(":")
            if colon:
                cut.setdefault((phase.topic, first), phase)
            if phase.parent:
                children.setdefault((phase.parent, phase.parent_job), []).append(phase)
                first, colon, _ = phase.parent_job.partition(":")
                if colon:
                    cut_children.setdefault((phase.parent, first), []).append(phase)
        return cls(exact, cut, _sorted(children), _sorted(cut_children))


def _sorted(children: Mapping[tuple[str, str], list[Phase]]) -> dict[tuple[str, str], tuple[Phase, ...]]:
    return {parent: tuple(sorted(found, key=_name_of)) for parent, found in children.items()}


def _name_of(phase: Phase) -> str:
    return phase.name


def _split(topic: str, job: str) -> tuple[str, str]:
    """Take apart a type that holds the job: nobody's topic has a colon."""
    if ":" not in topic:
        return topic, job
    topic, _, rest = topic.partition(":")
    return topic, f"{rest}:{job}" if rest and job else rest or job


@dataclass(frozen=True, slots=True)
class Workflows:
    """All loaded workflows by name."""

    by_name: Mapping[str, Workflow] = field(default_factory=dict)

    def phase_of(self, workflow: str, topic: str, job: str) -> Phase | None:
        """Return the phase that made a task, or None.

        A task that names its workflow is looked up there only; one without (or with `*`) gets the first phase of that
        name, files in name order. Source: docs/reference.md, "Children".
        """
        names = [workflow] if workflow and workflow != "*" else sorted(self.by_name)
        for name in names:
            flow = self.by_name.get(name)
            phase = flow.phase_of(topic, job) if flow else None
            if phase is not None:
                return phase
        return None

    def rule_of(self, identity: str) -> Rule:
        """Return the rule of a phase by its identity; one without options when it is not loaded."""
        flow = self.by_name.get(identity.partition(":")[0])
        phases = flow.phases if flow else ()
        return next((phase.rule for phase in phases if phase.identity == identity), Rule())

    def children(self, workflow: str, topic: str, job: str) -> tuple[Phase, ...]:
        """Return the phases that a completed task starts; none when it names no loaded workflow."""
        flow = self.by_name.get(workflow)
        return flow.children(topic, job) if flow else ()
