"""Whether a file that matches was there before its pattern was watched: a daemon knows it, and it starts nothing."""

from __future__ import annotations

import os
import shlex
from typing import TYPE_CHECKING

from flowlord.decide.file import file_mark
from flowlord.decide.versions import is_known

if TYPE_CHECKING:
    from collections.abc import Sequence

    from flowlord.cli.sources import Sources
    from flowlord.decide.files import Match


def there_before(sources: Sources, matches: Sequence[Match], path: str) -> list[Match]:
    """Return the phases that know a file as it lies there now; to be asked of one that no history tells of.

    A file of this machine that was written since is another version, which a daemon starts.
    """
    nothing: dict[str, str] = {}
    keys = {file_mark(match.rules.phase.identity, path): match for match in matches}
    marks = sources.ask(lambda bus: bus.marks(list(keys)), nothing) if keys else nothing
    version = _version(path)
    return [keys[key] for key, seen in marks.items() if not version or is_known(seen, version)]


def words_of(match: Match) -> str:
    """Return what is to be told of a file that a phase knows from before."""
    phase = match.rules.phase
    return f"{phase.base_name}: it was there before {match.pattern} was watched; it starts nothing by itself"


def rerun(path: str) -> str:
    """Return the command that starts one file."""
    return shlex.join(["flowlord", "files", "--rerun", path])


def _version(path: str) -> str:
    """Return the version of a file of this machine as a listing tells it; empty when it cannot be asked for here."""
    try:
        found = os.stat(path)
    except (OSError, ValueError):
        return ""
    return f"{found.st_size}-{found.st_mtime_ns}"
