"""The starts that `flowlord gaps --all` shows beside the gaps: those that came, with what became of them."""

from __future__ import annotations

import shlex
from collections.abc import Collection, Mapping, Sequence
from typing import TYPE_CHECKING

from flowlord.cache.ends import FAILED_AT_LAST, ends_of, ends_of_batches
from flowlord.cli.gaps import ranges_of
from flowlord.cli.times import iso, to_us
from flowlord.decide.gaps import BACKLOADED, Gap, Lacking, batch_of, joined
from flowlord.decide.keys import dispatch_key

if TYPE_CHECKING:
    from flowlord.cache.queries import History
    from flowlord.cli.evidence import Present
    from flowlord.decide.expected import Expected

_WORDS = {
    "done": "",
    FAILED_AT_LAST: "it failed for good, or one of its tasks did",
    "late": "it is not done, and should have been",
    "open": "it waits for a worker, or is with one",
    "cancelled": "a person took it back",
    BACKLOADED: "a backload made up for it",
}


def there_rows(
    history: History,
    starts: Sequence[Expected],
    there: Present,
    lacking: Collection[str],
    still: Sequence[Lacking],
) -> list[Mapping[str, object]]:
    """Return the rows of starts that are no gaps; `lacking` are slots without a task, `still` what nobody made up."""
    slots = {start.slot for _, start, _ in still}
    kinds = {slot: BACKLOADED for slot in lacking if slot not in slots}
    alone: dict[str, str] = {}
    batches: dict[str, str] = {}
    for start in starts:
        if start.slot in lacking:
            continue
        if not start.phase.rule.is_batch:
            alone[dispatch_key(start.slot)] = start.slot
        elif there.made.get(start.slot):
            batches[batch_of(start)] = start.slot
        else:  # it has no rows, so there was nothing to make
            kinds[start.slot] = "done"
    kinds.update((alone[key], kind) for key, kind in ends_of(history, alone).items())
    kinds.update((batches[batch], kind) for batch, kind in ends_of_batches(history, batches).items())
    return [_record(each) for each in joined(starts, kinds)]


def _record(found: Gap) -> Mapping[str, object]:
    phase = found.phase
    return {
        "task": phase.base_name,
        "kind": found.kind,
        "why": _WORDS[found.kind],
        "first": iso(to_us(found.first)),
        "last": iso(to_us(found.last)),
        "starts": found.starts,
        "tasks": len(found.times),
        "ranges": ranges_of(found.times),
        "workflow": phase.workflow,
        "phase": phase.identity,
        "slot": found.slot,
        "commands": [_again(found)] if found.kind == FAILED_AT_LAST and found.times else [],
        "wanted": True,
    }


def _again(found: Gap) -> str:
    phase, times = found.phase, found.times
    words = ["flowlord", "retry", "--failed", "--workflow", phase.workflow, "--topic", phase.topic]
    words += ["--job", phase.job] if phase.job else []
    words += ["--from", iso(to_us(times[0])), "--to", iso(to_us(times[-1]))]
    return shlex.join(words)
