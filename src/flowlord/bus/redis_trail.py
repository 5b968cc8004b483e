"""Claims of many from one stream: the client reads what comes next by itself, and a script leases it, or does not.

That takes a round trip more than a claim, and a third of the server's work: what a script reads costs it twice as much
to take in and to hand on as to find. Until it is leased, nothing that was read is anybody's.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple, TypeAlias

import msgspec

from flowlord.bus.redis_core import Core, flat
from flowlord.bus.redis_entry import deliveries_of
from flowlord.bus.redis_errors import ServerError
from flowlord.bus.redis_link import Reply, Word
from flowlord.bus.redis_names import names_of
from flowlord.model.message import Delivery

LEAST = 50
"""Messages of one claim from which on it is worth it."""
OFF = 10
"""How many claims go without, once others were found to claim there too."""

Asked: TypeAlias = tuple[str, tuple[str, ...]]
"""Who asks, and for which topics."""
_pack = msgspec.msgpack.Encoder().encode


class Trail(NamedTuple):
    """Where the last claim of many ended that got all it asked for: more waits behind it, it seems."""

    topic: str
    name: str
    after: str
    others: tuple[Word, ...]
    """The other topics that are asked for, each with the name of its normal band."""


class Trails:
    """What is known by who asks for which topics; a hint, so threads may overtake each other."""

    def __init__(self) -> None:
        self._known: dict[Asked, Trail] = {}
        self._off: dict[Asked, int] = {}

    def follow(self, core: Core, asked: Asked, lease: str, token: str, limit: int) -> list[Delivery]:
        """Claim what comes behind the last claim; nothing when there is nothing, or it is to be claimed as usual."""
        trail = self._known.pop(asked, None)
        if trail is None:
            return []
        found = _leased(core, trail, lease, token, asked[0], limit)
        if found is None:
            self._off[asked] = OFF
        return found or []

    def note(self, asked: Asked, found: Sequence[Delivery], limit: int) -> None:
        """Learn from a claim of LEAST or more."""
        if len(found) < limit:
            return
        if self._off.get(asked, 0) > 0:
            self._off[asked] -= 1
            return
        topics, topic = asked[1], found[0].topic
        name, _, _ = found[0].entry.rpartition("/")
        last_name, _, last = found[-1].entry.rpartition("/")
        if not name == last_name == _normal(topic):
            return
        if len(topics) > 1 and any(each.topic != topic for each in found):
            return
        others = flat(*((each, _normal(each)) for each in topics if each != topic))
        self._known[asked] = Trail(topic, name, last, tuple(others))


def _normal(topic: str) -> str:
    return names_of(topic)[2]


def _leased(
    core: Core, trail: Trail, lease: str, token: str, consumer: str, limit: int
) -> list[Delivery] | None:
    """Read on and lease what is there; None when that was not to be had."""
    topic, name, after, others = trail
    try:
        read: Reply = core.link.call("XRANGE", core.key(f"topic:{name}"), f"({after}", "+", "COUNT", limit)
    except ServerError:  # what lies there now is no stream
        return None
    if not read:
        return []
    entries = [f"{name}/{entry_id.decode()}" for entry_id, _ in read]
    if core.run("take", lease, topic, name, after, _pack(entries), *others, verb="claim") != 1:
        return None
    return deliveries_of(name, read, token, consumer, 1, {})
