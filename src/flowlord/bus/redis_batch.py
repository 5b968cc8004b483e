"""Frozen batches on Redis: brought to the server in parts, and published from there chunk by chunk."""

from __future__ import annotations

from collections.abc import Sequence

from flowlord.bus.judge import BATCH
from flowlord.bus.landing import Landing, thaw
from flowlord.bus.port import PLAN_LIMIT
from flowlord.bus.redis_commit import Advance
from flowlord.bus.redis_core import Core
from flowlord.model.plan import Commit, Mark, Plan

STAGE = 1_000
"""Messages of a frozen batch that one command brings to the server."""
STEP_BYTES = 32 << 20
"""Bytes of a frozen batch that go to the server, or come from it, at once: a message may have a megabyte."""
STAGED_S = 3_600
"""How long what was brought waits for its commit before Redis forgets it."""


def stage(core: Core, commit_id: str, landings: Sequence[Landing]) -> dict[tuple[int, str], str]:
    """Bring the messages of frozen batches to the server, where their commit will find them."""
    staged: dict[tuple[int, str], str] = {}
    for place, landing in enumerate(landings):
        for batch, messages in landing.frozen:
            key = core.key(f"batch:{commit_id}:{len(staged)}")
            start = 0
            while part := within(messages[start : start + STAGE], STEP_BYTES):
                core.link.calls((("RPUSH", key, *part), ("EXPIRE", key, STAGED_S)))
                start += len(part)
            staged[place, batch.key] = key
    return staged


def next_chunk(core: Core, limit: int) -> tuple[Commit, Advance] | None:
    """Return what publishes the next chunk of the oldest batch; None when no batch is open."""
    while limit > 0:
        first = core.link.call("LINDEX", core.key("batches"), 0)
        if not isinstance(first, bytes):
            return None
        name = first.decode()
        # The mark is read before the messages: when somebody is faster, it refuses what we read.
        mark, staged = core.link.calls(
            (("HGET", core.key("marks"), BATCH + name), ("HGET", core.key("batch:lists"), name))
        )
        if not isinstance(mark, bytes) or not isinstance(staged, bytes):
            forget_batch(core, name)
            continue
        messages = within(core.link.call("LRANGE", staged, 0, min(limit, PLAN_LIMIT) - 1), STEP_BYTES)
        done, total = map(int, mark.split(b"/"))
        if not messages:
            forget_batch(core, name)
            continue
        done += len(messages)
        is_last = done >= total
        moved = Mark(BATCH + name, mark.decode(), None if is_last else f"{done}/{total}")
        commit = Commit(Plan(publish=tuple(thaw(messages))), marks=(moved,))
        return commit, Advance(name, staged.decode(), len(messages), is_last)
    return None


def within(messages: Sequence[bytes], size: int) -> list[bytes]:
    """Return the first messages that have at most `size` bytes together, one at least."""
    total = 0
    for count, message in enumerate(messages):
        total += len(message)
        if count and total > size:
            return list(messages[:count])
    return list(messages)


def forget_batch(core: Core, name: str) -> None:
    """Let a frozen batch go that has no mark or no messages any more, unless it was only just finished by another."""
    mark, staged = core.link.calls(
        (("HGET", core.key("marks"), BATCH + name), ("HGET", core.key("batch:lists"), name))
    )
    if mark is None or staged is None or not core.link.call("EXISTS", staged):
        core.link.call("LREM", core.key("batches"), 1, name)
