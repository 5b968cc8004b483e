"""Places with workflows: a path of this machine or in a bucket; and what is said when nothing can be read there."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from typing import TYPE_CHECKING

from flowlord.cli import printer
from flowlord.cli.exits import NO_SUCH_THING, UNREACHABLE, WRONG_USE
from flowlord.cli.texts import LONGEST_NAME, few
from flowlord.model.errors import FlowlordError
from flowlord.spec.disk import DiskTree
from flowlord.storage.address import is_remote, local_path

if TYPE_CHECKING:
    from flowlord.config import StorageSettings
    from flowlord.model.workflow import Phase
    from flowlord.spec.tree import Tree
    from flowlord.storage.open import Storage


STDIN_PATH = "<stdin>"  # what problems call it


def place_at(
    path: str, *, storage: Storage | None = None, where: StorageSettings | None = None, config: str = ""
) -> Tree:
    """Return the place with workflows at a path.

    A bucket is reached by `storage`, else as `where` says, else as the settings say that `config` names.

    Raises:
        Unavailable: a scheme that is none of ours.
    """
    if not is_remote(path):
        return DiskTree(local_path(path))
    from flowlord.cli.stores import storage_at
    from flowlord.config import resolve
    from flowlord.spec.bucket import BucketTree

    if storage is None:
        storage = storage_at(where or resolve({"config": config} if config else {}).storage)
    return BucketTree(path, storage)


def unreadable(path: str, error: OSError, command: str) -> int:
    """Say that nothing can be read at a path with workflows; returns the exit code. `command` is what was typed."""
    hint = f"name a workflow file or a folder of them: flowlord {command} workflows/"
    if is_remote(path):
        missing = isinstance(error, FileNotFoundError) or type(error).__name__ == "Missing"
        reason = error.strerror or str(error).removeprefix(f"{path}: ").removeprefix(f"{path}/: ")
        printer.error(
            f"{path}: {reason}", hint=hint if missing else "docs/storage.md tells what buckets need"
        )
        return WRONG_USE if missing else UNREACHABLE
    is_missing = isinstance(error, FileNotFoundError)
    reason = "there is no such file or folder" if is_missing else error.strerror or str(error)
    printer.error(f"{path or repr(path)}: {reason}", hint=hint)
    return WRONG_USE


def from_stdin(most: int) -> bytes:
    """Return what comes on stdin, `most` bytes of it.

    Raises:
        FlowlordError: it is closed, or nothing that can be read.
    """
    hint = "give it a text, as in: flowlord validate - < workflows/a.toml"
    if sys.stdin is None:
        raise FlowlordError("stdin is closed", hint=hint)
    try:
        return sys.stdin.buffer.read(most)
    except OSError as error:
        raise FlowlordError(f"stdin cannot be read: {error.strerror}", hint=hint) from error


def unknown_topic(topic: str, phases: Iterable[Phase]) -> int:
    """Say that no phase is of that topic, or `topic:job`, and which ones there are; returns the exit code."""
    from flowlord.spec.near import nearest

    names = sorted({name for phase in phases for name in (phase.topic, phase.base_name)})
    like = nearest(topic, names)
    hint = f"did you mean {like}?" if like else f"there are {few(names, 'no phases')}"
    printer.error(f"no phase has the topic {topic[:LONGEST_NAME]}", hint=hint)
    return NO_SUCH_THING


def unknown_phase(name: str, phases: Iterable[Phase]) -> int:
    """Say that no phase has the name of a task, and which ones are like it; returns the exit code."""
    from flowlord.spec.near import nearest

    topic = name.partition(":")[0]
    names = sorted({phase.base_name for phase in phases})
    alike = [each for each in names if each.partition(":")[0] == topic]
    like = nearest(name, alike) or few(alike, "") or nearest(name, names)
    there = f"there are {few(names)}" if names else "no phase is loaded"
    own = "to send what no phase describes, give a template: --template"
    printer.error(f"no phase is called {name}", hint=f"did you mean {like}?" if like else f"{there}; {own}")
    return NO_SUCH_THING
