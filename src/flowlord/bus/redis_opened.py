"""What a Redis bus knows of open tasks, by the group that they hold open; `lua/common.lua` tells how it is kept."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import count

import msgspec

from flowlord.bus.port import OpenTask
from flowlord.bus.redis_core import Core

_PAGE = 1_000
_held = msgspec.msgpack.Decoder(tuple[str, str]).decode


def counts(core: Core, groups: Sequence[str]) -> dict[str, int]:
    """See `Bus.open_counts`."""
    if not groups:
        return {}
    reply = core.link.call("HMGET", core.key("open:count"), *groups)
    return {group: int(count or 0) for group, count in zip(groups, reply, strict=True)}


def tasks(core: Core, group: str, limit: int) -> list[OpenTask]:
    """See `Bus.open_tasks`."""
    found: list[OpenTask] = []
    for start in count(0, _PAGE):
        last = start + _PAGE - 1
        reply = core.link.call("ZRANGE", core.key("open:at"), start, last, "WITHSCORES")  # oldest first
        if not reply or limit < 1:
            break
        held = core.link.call("HMGET", core.key("open"), *reply[::2])
        for value, at in zip(held, reply[1::2], strict=True):
            if value is not None and (told := _held(value))[0] == group:
                found.append(OpenTask(told[1], int(float(at))))
        found.sort(key=lambda task: (task.since_us, task.key))
        if len(found) >= limit and found[limit - 1].since_us < int(float(reply[-1])):
            break  # else more of the same age may follow
    return found[: max(limit, 0)]
