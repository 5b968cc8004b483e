"""How keys and entries are named on Redis; docs/redis.md tells the whole layout.

A stream is `{namespace}:topic:<name>`, where the name is the topic with its band. An entry of ours is `<name>/<id>`.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Final

from flowlord.model.message import DEFAULT_PRIORITY

RANKS: Final = range(4)
SUFFIXES: Final = (":critical", ":high", "", ":low")
"""By rank, highest first; the normal band has none, so that plain producers need not know of bands."""
MIDDLE: Final = (9, 7, DEFAULT_PRIORITY, 1)
"""The priority by rank of an entry that names none."""
_SPELT_OUT: Final = ":normal"
LATER: Final = "/later"
"""What the entry of a message ends with while it waits for its time; those on streams end with an id."""


@lru_cache(maxsize=4096)
def names_of(topic: str) -> tuple[str, str, str, str]:
    """Return the names of a topic's bands, highest first.

    A topic that ends like a band has its normal band spelt out, so that no two bands share a name.
    """
    normal = topic + _SPELT_OUT if topic.endswith((*filter(None, SUFFIXES), _SPELT_OUT)) else topic
    return (topic + SUFFIXES[0], topic + SUFFIXES[1], normal, topic + SUFFIXES[3])


def prefix_of(namespace: str) -> str:
    """Return what every key begins with. The braces are a hash tag: all keys lie in one slot of a cluster."""
    return f"{{{namespace}}}:"


@lru_cache(maxsize=4096)
def place_of(name: str) -> tuple[str, int]:
    """Return the topic and the rank of a stream's name."""
    for rank, suffix in enumerate(SUFFIXES):
        if suffix and name.endswith(suffix):
            return name.removesuffix(suffix), rank
    return name.removesuffix(_SPELT_OUT), SUFFIXES.index("")


def order_of(entry: str) -> tuple[int, int]:
    """Return what sorts entries by their arrival."""
    ms, _, number = entry.rpartition("/")[2].partition("-")
    return (int(ms), int(number)) if ms.isdecimal() and number.isdecimal() else (0, 0)


def age_of(entry: str) -> tuple[int, str]:
    """Return what sorts entries, those of later messages too, by the number that they were given on the bus."""
    if entry.endswith(LATER):
        return (int(entry.partition("/")[0]), entry)
    return (order_of(entry)[1], entry)
