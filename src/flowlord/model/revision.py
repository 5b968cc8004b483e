"""Which revision of the workflows runs, and in which files two revisions differ."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Final

import msgspec

from flowlord.model.plan import ANY, Mark

if TYPE_CHECKING:
    from flowlord.model.workflow import Workflows

MARK: Final = "revisions:"
KEPT_S: Final = 7 * 86_400
DIGITS: Final = 8


def revision_of(flows: Workflows) -> str:
    """Return one short digest of everything loaded, equal where two daemons run the same files."""
    from hashlib import sha256  # for who has workflows; who only compares revisions does without

    text = "\n".join(f"{name} {flows.by_name[name].digest}" for name in sorted(flows.by_name))
    return sha256(text.encode()).hexdigest()[:DIGITS]


def mark_of(flows: Workflows) -> Mark:
    """Return the mark that tells what a revision consists of, for who finds two of them alive."""
    digests = {name: flow.digest[:DIGITS] for name, flow in sorted(flows.by_name.items())}
    return Mark(MARK + revision_of(flows), ANY, msgspec.json.encode(digests).decode(), ttl_s=KEPT_S)


def files_apart(marks: Iterable[str]) -> list[str]:
    """Return the names of the files in which revisions differ, out of their marks; what cannot be read is left out."""
    told: list[Mapping[str, object]] = []
    for text in marks:
        try:
            digests = msgspec.json.decode(text)
        except (msgspec.DecodeError, UnicodeError):
            continue
        if isinstance(digests, dict):
            told.append(digests)
    names = sorted({name for digests in told for name in digests})
    return [name for name in names if len({digests.get(name) for digests in told}) > 1]
