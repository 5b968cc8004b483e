"""Files to workflows, wherever they lie; what is broken is told and hurts only itself."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from types import MappingProxyType
from typing import Final, TypeAlias

from msgspec import structs

from flowlord.model.problem import Problem, Severity
from flowlord.model.workflow import Workflow, Workflows
from flowlord.spec.chains import Orphan
from flowlord.spec.check import Parsed
from flowlord.spec.codes import problem, shown
from flowlord.spec.disk import DiskTree
from flowlord.spec.document import named
from flowlord.spec.near import Names
from flowlord.spec.parse import parse, reader
from flowlord.spec.tree import MAX_FILES, Found, Place, Stamp, Tree

__all__ = ["MAX_FILES", "Loaded", "load", "parse", "reload", "stamp", "stamps", "tree_of"]

_MOST_HINTS: Final = 100
_MOST_COMPARED: Final = 1_000_000  # names of all files, in all hints together
_MOST_TRIES: Final = 3_000  # and letter by letter

Read: TypeAlias = Callable[[bytes, str, str], Parsed]


@dataclass(frozen=True, slots=True)
class _File:
    """A file as it was read the last time; `stamp` None when it could not be read. `flow` is its last good workflow."""

    path: str
    stamp: Stamp | None
    parsed: Parsed
    flow: Workflow | None = None
    data: bytes = b""


@dataclass(frozen=True, slots=True)
class Loaded:
    """All workflows of a file or folder, with every problem in them.

    `files` are the names of all workflow files found, broken ones included; `ignored` the names of files that are none.
    `kept` are the names of broken files whose last good version is in `workflows`.
    """

    workflows: Workflows
    problems: tuple[Problem, ...] = ()
    files: tuple[str, ...] = ()
    ignored: tuple[str, ...] = ()
    kept: tuple[str, ...] = ()
    _known: Mapping[str, _File] = field(default_factory=dict, repr=False)

    @property
    def broken(self) -> tuple[str, ...]:
        """The names of files that cannot be used as they are."""
        return tuple(name for name in self.files if self._known[name].parsed.workflow is None)

    def text_of(self, name: str) -> str:
        """Return the text of a good file exactly as it was read; empty for a broken one."""
        file = self._known.get(name)
        return file.data.decode("utf-8", "replace") if file and file.parsed.workflow is not None else ""

    @property
    def drafts(self) -> tuple[Workflow, ...]:
        """All files as they stand, with what could be read of broken ones: to be looked at, not run."""
        return tuple(
            file.parsed.draft for _, file in sorted(self._known.items()) if file.parsed.draft is not None
        )

    @property
    def paths(self) -> dict[str, str]:
        """The name of the workflow of each file that could be read, by its path as problems tell it."""
        return {shown(file.path): name for name, file in self._known.items() if file.stamp is not None}

    @property
    def names(self) -> dict[str, str]:
        """The name of every file, those that cannot be read included, by its path as problems tell it."""
        return {shown(file.path): name for name, file in self._known.items()}

    @property
    def parsed(self) -> tuple[Parsed, ...]:
        """What was made of each file, in the order of their names."""
        return tuple(file.parsed for file in self._known.values())

    @property
    def unread(self) -> tuple[str, ...]:
        """The names of files that could not be read: what mends that need not change them."""
        return tuple(name for name in self.files if self._known[name].stamp is None)

    @property
    def phases(self) -> int:
        """How many phases stand in the files, broken ones included."""
        return sum(file.parsed.phases for file in self._known.values())

    @property
    def failed(self) -> bool:
        """Whether anything is an error."""
        return any(each.severity is Severity.ERROR for each in self.problems)


def load(path: str | os.PathLike[str] | Tree, read: Read | None = None) -> Loaded:
    """Return the workflows of a file, or of all `.toml`, `.yaml` and `.yml` files below a folder.

    A file with errors is left out, its problems are told; the others load.

    Args:
        path: of this machine, or a Tree that lies elsewhere.
        read: makes the workflow of one file out of its bytes, its name and its path; the reader of `spec.parse`
            when None.
    Raises:
        OSError: the path itself cannot be read. What lies below it never raises.
    """
    tree = tree_of(path)
    return _load(None, tree, tree.find(), read or reader())


def reload(previous: Loaded, path: str | os.PathLike[str] | Tree, found: Found | None = None) -> Loaded:
    """Return what `load` does now, reading only the files that changed since `previous`.

    A file that has become broken, or lies in a folder that cannot be read now, keeps its last good workflow; a file
    that is gone takes its workflow with it.

    Args:
        found: what the tree answered a moment ago; asked now when None.
    Raises:
        OSError: the path itself cannot be read.
    """
    tree = tree_of(path)
    return _load(previous, tree, found or tree.find(), reader())


def stamp(path: str | os.PathLike[str] | Tree) -> dict[str, Stamp | None]:
    """Return what tells of each workflow file whether it changed, by name: equal when nothing did.

    Raises:
        OSError: the path itself cannot be read.
    """
    return stamps(tree_of(path).find())


def stamps(found: Found) -> dict[str, Stamp | None]:
    """Return the same of what was found already."""
    return {name: place.stamp for name, place in found.files.items()}


def tree_of(path: str | os.PathLike[str] | Tree) -> Tree:
    """Return the tree at a path of this machine; a tree is returned as it is."""
    return DiskTree(path) if isinstance(path, str | os.PathLike) else path


def _load(previous: Loaded | None, tree: Tree, found: Found, read: Read) -> Loaded:
    old: Mapping[str, _File] = previous._known if previous else {}
    known = {
        name: _read(tree, name, place, old.get(name), read) for name, place in sorted(found.files.items())
    }
    for name, before in old.items():
        if name not in known and name.startswith(tuple(found.unlisted)):
            known[name] = replace(before, stamp=None, parsed=Parsed(None, ()))
    flows = {name: file.flow for name, file in sorted(known.items()) if file.flow is not None}
    kept = [name for name in flows if known[name].parsed.workflow is None]
    problems = list(found.problems)
    # A broken file has its phases all the same.
    drafts = (file.parsed.draft or file.flow for _, file in sorted(known.items()))
    elsewhere = _Elsewhere(flow for flow in drafts if flow is not None)
    for each in known.values():
        problems += elsewhere.problems(each.parsed)
    problems.sort(key=lambda each: (each.path, each.line, each.column, each.code))
    return Loaded(
        Workflows(MappingProxyType(flows)),
        tuple(problems),
        tuple(known),
        tuple(sorted(found.ignored)),
        tuple(kept),
        MappingProxyType(known),
    )


class _Elsewhere:
    """What all files know of parents that are missing in one."""

    def __init__(self, flows: Iterable[Workflow]) -> None:
        self.flows = tuple(flows)
        self.hints = 0  # looking for a like name compares with all of them

    @cached_property
    def places(self) -> dict[str, str]:
        """Where the first phase of each name, and of each topic, stands."""
        places: dict[str, str] = {}
        for flow in self.flows:
            for phase in flow.phases:
                place = f"{flow.path}:{phase.line}"
                places.setdefault(phase.base_name, place)
                places.setdefault(phase.topic, place)
        return places

    @cached_property
    def names(self) -> Names:
        return Names(self.places, _MOST_TRIES)

    def problems(self, parsed: Parsed) -> list[Problem]:
        """Return the problems of a file, those about unknown parents with what the other files know."""
        better = {orphan.problem: self.better(orphan) for orphan in parsed.orphans if len(self.flows) > 1}
        return [better.get(each, each) for each in parsed.problems]

    def better(self, orphan: Orphan) -> Problem:
        told = orphan.problem
        name = f"{orphan.topic}:{orphan.job}" if orphan.job else orphan.topic
        place = self.places.get(name)
        if place:
            text = f"dependsOn names {named(name)}, which is a phase of another file"
            hint = f"children start only in the file of their parent ({place}): move one of them"
            return structs.replace(told, code="FL103", text=text, hint=hint, fix=None)
        if told.hint.startswith("did you mean") or self.hints >= min(
            _MOST_HINTS, _MOST_COMPARED // len(self.places)
        ):
            return told
        self.hints += 1
        like = self.names.nearest(name)
        return structs.replace(told, hint=f"did you mean {like!r} ({self.places[like]})?") if like else told


def _read(tree: Tree, name: str, place: Place, before: _File | None, read: Read) -> _File:
    """Return the file as it is now; `before` itself when it has not changed."""
    flow = before.flow if before else None
    seen = before.stamp if before and before.path == place.path else None
    try:
        now, data = tree.read(place, seen)
    except OSError as error:
        why = error.strerror or str(error).removeprefix(f"{place.path}: ")
        reason = problem("FL001", place.path, text=f"cannot be read: {why}")
        return _File(place.path, None, Parsed(None, (reason,)), flow)
    if data is None and before is not None:
        return before
    parsed = read(data or b"", name, place.path)
    return _File(place.path, now, parsed, parsed.workflow or flow, data or b"")
