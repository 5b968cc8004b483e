"""Files to workflows: the only module of this room that touches the file system."""

from __future__ import annotations

import errno
import os
import stat as mode
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from itertools import islice
from types import MappingProxyType
from typing import Final, TypeAlias

from flowlord.model.problem import Problem, Severity
from flowlord.model.workflow import Workflow, Workflows
from flowlord.spec.chains import Orphan
from flowlord.spec.check import Parsed
from flowlord.spec.codes import problem, shown
from flowlord.spec.document import named
from flowlord.spec.near import nearest
from flowlord.spec.parse import SUFFIXES, parse, parse_file
from flowlord.spec.source import MAX_BYTES

__all__ = ["Loaded", "load", "parse", "reload", "stamp"]

MAX_FILES: Final = 1_000  # of one tree
MAX_ENTRIES: Final = 100_000  # looked at in one tree
MAX_FOLDERS: Final = 32  # in each other
CONFIGURATION: Final = frozenset(("flowlord.toml", "flowlord.yaml", "flowlord.yml"))
_MOST_HINTS: Final = 100

Stamp: TypeAlias = tuple[int, int, int]  # size, time of change in ns, inode
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
    def parsed(self) -> tuple[Parsed, ...]:
        """What was made of each file, in the order of their names."""
        return tuple(file.parsed for file in self._known.values())

    @property
    def phases(self) -> int:
        """How many phases stand in the files, broken ones included."""
        return sum(file.parsed.phases for file in self._known.values())

    @property
    def failed(self) -> bool:
        """Whether anything is an error."""
        return any(each.severity is Severity.ERROR for each in self.problems)


@dataclass(slots=True)
class _Found:
    """What lies below a path."""

    files: dict[str, str] = field(default_factory=dict)  # name -> path
    ignored: list[str] = field(default_factory=list)
    problems: list[Problem] = field(default_factory=list)
    unlisted: list[str] = field(
        default_factory=list
    )  # beginnings of the names in folders that could not be read
    entries: int = 0


def load(path: str | os.PathLike[str], read: Read = parse_file) -> Loaded:
    """Return the workflows of a file, or of all `.toml`, `.yaml` and `.yml` files below a folder.

    A file with errors is left out, its problems are told; the others load. `read` makes the workflow of one file out
    of its bytes, its name and its path.

    Raises:
        OSError: the path itself cannot be read. What lies below it never raises.
    """
    return _load(None, path, read)


def reload(previous: Loaded, path: str | os.PathLike[str]) -> Loaded:
    """Return what `load` does now, reading only the files that changed since `previous`.

    A file that has become broken, or lies in a folder that cannot be read now, keeps its last good workflow; a file
    that is gone takes its workflow with it.

    Raises:
        OSError: the path itself cannot be read.
    """
    return _load(previous, path, parse_file)


def stamp(path: str | os.PathLike[str]) -> dict[str, Stamp]:
    """Return size, time of change and inode of each workflow file, by name: equal when nothing changed.

    Raises:
        OSError: the path itself cannot be read.
    """
    stamps: dict[str, Stamp] = {}
    for name, file in _find(os.fspath(path)).files.items():
        try:
            stamps[name] = _stamp_of(os.stat(file))
        except OSError:
            stamps[name] = (-1, -1, -1)
    return stamps


def _load(previous: Loaded | None, path: str | os.PathLike[str], read: Read) -> Loaded:
    found = _find(os.fspath(path))
    old: Mapping[str, _File] = previous._known if previous else {}
    known = {name: _read(name, file, old.get(name), read) for name, file in sorted(found.files.items())}
    for name, before in old.items():
        if name not in known and name.startswith(tuple(found.unlisted)):
            known[name] = replace(before, stamp=None, parsed=Parsed(None, ()))
    flows = {name: file.flow for name, file in sorted(known.items()) if file.flow is not None}
    kept = [name for name in flows if known[name].parsed.workflow is None]
    problems = list(found.problems)
    elsewhere = _Elsewhere(flows.values())
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
            return replace(told, code="FL103", text=text, hint=hint, fix=None)
        if told.hint.startswith("did you mean") or self.hints == _MOST_HINTS:
            return told
        self.hints += 1
        like = nearest(name, self.places)
        return replace(told, hint=f"did you mean {like!r} ({self.places[like]})?") if like else told


def _read(name: str, path: str, before: _File | None, read: Read) -> _File:
    """Return the file as it is now; `before` itself when it has not changed."""
    flow = before.flow if before else None
    try:
        # Neither a pipe nor a device may hold us up, so nothing is opened for good before it is known to be a file.
        handle = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        try:
            status = os.fstat(handle)
            if not mode.S_ISREG(status.st_mode):
                return _File(path, None, _unreadable(path, "it is no regular file"), flow)
            now = _stamp_of(status)
            if before is not None and before.stamp == now and before.path == path:
                return before
            data = _read_all(handle)
        finally:
            os.close(handle)
    except OSError as error:
        return _File(path, None, _unreadable(path, error.strerror or str(error)), flow)
    parsed = read(data, name, path)
    return _File(path, now, parsed, parsed.workflow or flow, data)


def _read_all(handle: int) -> bytes:
    """Return the bytes of a file, up to one more than is taken."""
    parts: list[bytes] = []
    left = MAX_BYTES + 1
    while left and (part := os.read(handle, left)):
        parts.append(part)
        left -= len(part)
    return b"".join(parts)


def _unreadable(path: str, reason: str) -> Parsed:
    return Parsed(None, (problem("FL001", path, text=f"cannot be read: {reason}"),))


def _stamp_of(status: os.stat_result) -> Stamp:
    return status.st_size, status.st_mtime_ns, status.st_ino


def _find(path: str) -> _Found:
    """Look for workflow files at `path`: itself, or all below it; names are relative to the folder."""
    found = _Found()
    if "\0" in path:
        raise FileNotFoundError(errno.ENOENT, "a NUL is in no file name", path)
    status = os.stat(path)
    if not mode.S_ISDIR(status.st_mode):
        name = os.path.basename(path)
        if not _is_text(name):
            found.problems.append(_unnamed(path))
            return found
        if name in CONFIGURATION:
            text = "this is flowlord's configuration, which is never read as a workflow"
            found.problems.append(problem("FL001", path, text=text, hint="give the file another name"))
        else:
            found.files[name] = path
        return found
    for name, file, regular in _walk(path, "", frozenset({(status.st_dev, status.st_ino)}), found):
        if not regular or not name.lower().endswith(SUFFIXES) or os.path.basename(name) in CONFIGURATION:
            found.ignored.append(name)
        elif not _is_text(name):
            found.problems.append(_unnamed(file))
        elif len(found.files) == MAX_FILES:
            text = f"the folder holds more than {MAX_FILES:,} workflow files; the rest is left out"
            found.problems.append(problem("FL003", path, text=text, hint="load a folder further down"))
            break
        else:
            found.files[name] = file
    return found


def _is_text(name: str) -> bool:
    """Whether a name can be told to others; it is that of a workflow, which travels with each of its tasks."""
    try:
        name.encode()
    except UnicodeEncodeError:
        return False
    return True


def _unnamed(path: str) -> Problem:
    return problem("FL001", path, text="the name of the file is not UTF-8", hint="give the file another name")


def _walk(
    folder: str, prefix: str, above: frozenset[tuple[int, int]], found: _Found
) -> Iterator[tuple[str, str, bool]]:
    """Yield name, path and whether it is a file to be read for all that lies below a folder, sorted.

    Links are followed; a folder that is met inside itself is not entered again.
    """
    try:
        with os.scandir(folder) as entries:
            listed = sorted(islice(entries, MAX_ENTRIES), key=lambda entry: entry.name)
    except OSError as error:
        if not prefix:
            raise
        found.problems.append(problem("FL001", folder, text=f"cannot be read: {error.strerror or error}"))
        found.unlisted.append(prefix)
        return
    for entry in listed:
        found.entries += 1
        if found.entries > MAX_ENTRIES:
            if found.entries == MAX_ENTRIES + 1:
                text = f"the folder holds more than {MAX_ENTRIES:,} files; the rest is left out"
                found.problems.append(problem("FL003", folder, text=text))
            return
        name = prefix + entry.name
        if entry.name.startswith("."):
            if not entry.is_dir():
                yield name, entry.path, False
            continue
        try:
            status = entry.stat()
        except OSError:  # a link to nowhere, or gone since it was listed
            yield name, entry.path, False
            continue
        if not mode.S_ISDIR(status.st_mode):
            yield name, entry.path, mode.S_ISREG(status.st_mode)
            continue
        here = (status.st_dev, status.st_ino)
        if here not in above and len(above) <= MAX_FOLDERS:
            yield from _walk(entry.path, f"{name}/", above | {here}, found)
