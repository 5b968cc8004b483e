"""The commit of the folder that workflows were loaded from, read out of its repository."""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Iterable
from dataclasses import replace
from typing import Final

from flowlord.model.workflow import Workflow

GIT_LIMIT_S: Final = 5.0
_COMMIT: Final = re.compile(r"[0-9a-f]{40}(?:[0-9a-f]{24})?")
_MOST_BYTES: Final = 4 << 20


def at_commit(flows: Iterable[Workflow], commit: str) -> dict[str, Workflow]:
    """Return workflows by name, their revisions with the commit that they are of; an empty one is left out."""
    if not commit:
        return {flow.name: flow for flow in flows}
    return {flow.name: replace(flow, revision=f"{flow.digest}@{commit}") for flow in flows}


class Repository:
    """The git repository that holds a folder, read from its files; nothing is asked of git but whether all is clean.

    `commit` is the short commit that is checked out, empty without a repository.
    """

    def __init__(self, folder: str) -> None:
        self._folder = folder if os.path.isdir(folder) else os.path.dirname(folder) or "."
        self._git = _git_of(os.path.realpath(self._folder))

    @property
    def commit(self) -> str:
        """Return the first seven digits of the commit that is checked out now."""
        return _head(self._git)[:7] if self._git else ""

    def described(self) -> str:
        """Return the commit, with `+dirty` when workflow files differ from it, or nobody can tell."""
        commit = self.commit
        return commit if not commit or self._is_clean() else f"{commit}+dirty"

    def _is_clean(self) -> bool:
        # Neither monitors nor locks: a look at a repository must run nothing of it and be in nobody's way.
        command = [
            "git",
            "-c",
            "core.fsmonitor=false",
            "-C",
            self._folder,
            "status",
            "--porcelain",
            "--",
            ".",
        ]
        try:
            done = subprocess.run(
                command, capture_output=True, timeout=GIT_LIMIT_S, check=False, stdin=subprocess.DEVNULL,
                env=os.environ | {"GIT_OPTIONAL_LOCKS": "0"},
            )  # fmt: skip
        except (OSError, subprocess.SubprocessError):
            return False
        return done.returncode == 0 and not done.stdout.strip()


def _git_of(folder: str) -> str:
    """Return the folder of git's own files that is in charge of a folder; empty when none is."""
    while True:
        found = os.path.join(folder, ".git")
        if os.path.isdir(found):
            return found
        if os.path.isfile(found):  # a worktree, or a submodule
            pointer = _text(found)
            return (
                os.path.join(folder, pointer.removeprefix("gitdir: "))
                if pointer.startswith("gitdir: ")
                else ""
            )
        above = os.path.dirname(folder)
        if above == folder:
            return ""
        folder = above


def _head(git: str) -> str:
    """Return the commit that is checked out; empty when it cannot be told."""
    head = _text(os.path.join(git, "HEAD"))
    name = head.removeprefix("ref: ")
    if name == head:
        return head if _COMMIT.fullmatch(head) else ""
    common = _text(os.path.join(git, "commondir"))
    for place in dict.fromkeys((git, os.path.join(git, common) if common else git)):
        if _COMMIT.fullmatch(found := _text(os.path.join(place, name))):
            return found
        for line in _text(os.path.join(place, "packed-refs")).splitlines():
            commit, _, packed = line.partition(" ")
            if packed == name and _COMMIT.fullmatch(commit):
                return commit
    return ""


def _text(path: str) -> str:
    """Return what a small file says, without blanks around it; empty when it cannot be read."""
    try:
        with open(path, "rb", opener=lambda name, flags: os.open(name, flags | os.O_NONBLOCK)) as file:
            return file.read(_MOST_BYTES).decode("utf-8", "replace").strip()
    except (OSError, ValueError):  # a NUL in a name
        return ""
