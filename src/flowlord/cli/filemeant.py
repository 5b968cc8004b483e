"""Which path somebody meant who wrote it relative where patterns are absolute, or the other way round."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from flowlord.storage.address import is_remote

if TYPE_CHECKING:
    from flowlord.decide.files import FilePhases


def meant(path: str, phases: FilePhases) -> str:
    """Return the same path of this folder as some phase takes it; nothing when none does, or it takes `path` itself."""
    if is_remote(path) or phases.matching(path):
        return ""
    try:
        others = (os.path.abspath(path), os.path.relpath(path))
    except (OSError, ValueError):  # this folder is gone, or there is no path
        return ""
    for other in others:
        if other != path and phases.matching(other):
            return other
    return ""
