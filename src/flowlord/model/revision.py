"""Which revision of the workflows runs, and in which files two revisions differ."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from hashlib import sha256
from typing import Final

from flowlord.model.plan import ANY, Mark
from flowlord.model.workflow import Workflows

MARK: Final = "revisions:"
KEPT_S: Final = 7 * 86_400
DIGITS: Final = 8


def revision_of(flows: Workflows) -> str:
    """Return one short digest of everything loaded, equal where two daemons run the same files."""
    text = "\n".join(f"{name} {flows.by_name[name].digest}" for name in sorted(flows.by_name))
    return sha256(text.encode()).hexdigest()[:DIGITS]


def mark_of(flows: Workflows) -> Mark:
    """Return the mark that tells what a revision consists of, for who finds two of them alive."""
    digests = {name: flow.digest[:DIGITS] for name, flow in sorted(flows.by_name.items())}
    return Mark(MARK + revision_of(flows), ANY, json.dumps(digests), ttl_s=KEPT_S)


def files_apart(marks: Iterable[str]) -> list[str]:
    """Return the names of the files in which revisions differ, out of their marks; what cannot be read is left out."""
    told: list[Mapping[str, object]] = []
    for text in marks:
        try:
            digests = json.loads(text)
        except ValueError:
            continue
        if isinstance(digests, dict):
            told.append(digests)
    names = sorted({name for digests in told for name in digests})
    return [name for name in names if len({digests.get(name) for digests in told}) > 1]
