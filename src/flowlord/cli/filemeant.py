"""How else a path may be spelled, and which spelling was meant: patterns and history know a file by one of them."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

from flowlord.storage.address import is_remote

if TYPE_CHECKING:
    from flowlord.decide.files import FilePhases


def spellings(path: str, roots: Iterable[str] = ()) -> Iterator[str]:
    """Yield other spellings of a path of this machine: absolute, relative, with `./`, and as each of `roots` begins.

    A root is the folder in front of a pattern's first wildcard, with its slash at the end, or empty.
    """
    if is_remote(path) or not path:
        return
    try:
        whole, short = os.path.abspath(path), os.path.relpath(path)
        found = [whole, short, f"./{short}"]
        for root in roots:
            folder = os.path.abspath(root).rstrip("/") + "/"
            if not is_remote(root) and whole.startswith(folder):
                found.append(root + whole[len(folder) :])
    except (OSError, ValueError):  # this folder is gone, or there is no path
        return
    yield from (each for each in dict.fromkeys(found) if each != path)


def meant(path: str, phases: FilePhases) -> str:
    """Return the same path as some phase takes it; nothing when none does, or it takes `path` itself."""
    from flowlord.rules.places import place_of

    if is_remote(path) or phases.matching(path):
        return ""
    roots = dict.fromkeys(place_of(glob.pattern).root for each in phases.phases for glob in each.globs)
    return next((other for other in spellings(path, roots) if phases.matching(other)), "")
