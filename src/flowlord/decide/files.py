"""Which phases a file starts, and why it does not start the others: the file rules of all workflows, compiled once."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from flowlord.model.workflow import Phase, Workflows
from flowlord.rules.globs import Glob
from flowlord.rules.nearest import nearest_glob, told
from flowlord.rules.places import PASSING, is_passing, name_of
from flowlord.rules.settle import SETTLE_NS


@dataclass(frozen=True, slots=True)
class FilePhase:
    """A phase that files start; `globs` are its patterns, `ignored` what it leaves out."""

    phase: Phase
    revision: str
    globs: tuple[Glob, ...]
    ignored: tuple[Glob, ...] = ()

    @property
    def settle_ns(self) -> int:
        """How long a file must stand still for this phase."""
        own = self.phase.rule.settle_ns
        return SETTLE_NS if own is None else own

    @property
    def is_grouped(self) -> bool:
        """Whether several files make one start."""
        return bool(self.phase.rule.count or self.phase.rule.group)

    def pattern_for(self, path: str) -> str:
        """Return the first pattern that `path` fits; empty when there is none."""
        return next((glob.pattern for glob in self.globs if glob.matches(path)), "")

    def refusal(self, path: str, pattern: str) -> str:
        """Return why a file that fits `pattern` is none of this phase all the same; empty when it is one."""
        rule = self.phase.rule
        name = name_of(path)
        if is_passing(path, pattern):
            return "its name is a hidden or a temporary one"
        if self.is_marker(path):
            return f"it is the marker {rule.marker}"
        for glob in self.ignored:
            if glob.matches(path if "/" in glob.pattern else name):
                return f"ignore={glob.pattern}"
        return ""

    def is_marker(self, path: str) -> bool:
        """Tell whether this is a marker that the phase waits for, and no file."""
        marker = self.phase.rule.marker
        if not marker.startswith("."):
            return bool(marker) and name_of(path) == marker
        return path.endswith(marker)

    def marker_of(self, path: str) -> str:
        """Return the path of the marker that must be there before `path` counts; empty when none is asked for."""
        marker = self.phase.rule.marker
        if not marker:
            return ""
        return path + marker if marker.startswith(".") else path[: len(path) - len(name_of(path))] + marker


@dataclass(frozen=True, slots=True)
class Match:
    """A phase that a file starts, by which of its patterns."""

    rules: FilePhase
    pattern: str


@dataclass(frozen=True, slots=True)
class Timing:
    """When the tasks of files start for phases that have a `cron` beside `files`.

    Args:
        zone: of schedules that name none.
        at_once: nobody will be there at the next instant.
        overdue: identities of phases whose last instant passed while nobody looked.
    """

    zone: str = ""
    at_once: bool = False
    overdue: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class FilePhases:
    """All phases that files start, in the order of files and phases."""

    phases: tuple[FilePhase, ...] = ()
    by_identity: dict[str, FilePhase] = field(default_factory=dict)

    @classmethod
    def of(cls, flows: Workflows) -> FilePhases:
        """Return those of all workflows; a pattern that cannot be read was told when its file was loaded."""
        found = [
            FilePhase(phase, flow.revision, _compiled(phase.rule.files), _compiled(phase.rule.ignore))
            for _, flow in sorted(flows.by_name.items())
            for phase in flow.phases
            if phase.rule.files
        ]
        return cls(tuple(found), {each.phase.identity: each for each in found})

    def matching(self, path: str) -> list[Match]:
        """Return the phases that a file at `path` starts."""
        return [match for match, refusal in self._fitting(path) if not refusal]

    def is_ignored(self, path: str) -> bool:
        """Tell whether a file that starts nothing is nothing to tell of: left out by all that it fits, or a byway.

        Byways are hidden and temporary names, and markers, which fit no pattern either as a rule.
        """
        found = [refusal for _, refusal in self._fitting(path)]
        if found:
            return all(found)
        name = name_of(path)
        return (
            name.startswith(".")
            or name.endswith(PASSING)
            or any(each.is_marker(path) for each in self.phases)
        )

    def why_not(self, path: str) -> str:
        """Return in words why a file starts nothing: who leaves it out, or the nearest pattern."""
        refused = [f"{match.rules.phase.identity}: {why}" for match, why in self._fitting(path) if why]
        if refused:
            return "; ".join(refused)
        near = nearest_glob(path, (glob for each in self.phases for glob in each.globs))
        return told(path, near) if near else "no phase waits for files"

    def _fitting(self, path: str) -> Iterator[tuple[Match, str]]:
        for each in self.phases:
            if pattern := each.pattern_for(path):
                yield Match(each, pattern), each.refusal(path, pattern)


def _compiled(patterns: tuple[str, ...]) -> tuple[Glob, ...]:
    found = []
    for pattern in patterns:
        try:
            found.append(Glob.compile(pattern))
        except ValueError:
            continue
    return tuple(found)
