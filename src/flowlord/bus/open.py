"""Opening a bus by its address."""

from __future__ import annotations

import os
from typing import Final

from flowlord.bus.port import Bus
from flowlord.bus.trap import arm_from
from flowlord.model.clock import Clock
from flowlord.model.errors import BusMissing, BusUnavailable, FlowlordError

FORMS: Final = "sqlite:///relative/path.db, sqlite:////absolute/path.db, redis://host:6379, memory:"
NAMESPACE: Final = "flowlord"
"""The one that is used when nobody names another; buses that have no namespaces know no other."""
_REDIS: Final = frozenset(("redis", "rediss", "valkey", "valkeys", "unix"))


def open_bus(
    address: str,
    *,
    by: str,
    clock: Clock | None = None,
    namespace: str = NAMESPACE,
    accept_loss: bool = False,
    make: bool = True,
) -> Bus:
    """Open the bus at `address`; what is not there yet is made.

    Args:
        address: one of FORMS; docs/redis.md has all forms of Redis.
        by: who writes, as told in every journal entry.
        clock: the bus's own, unless a test drives it.
        namespace: which of several buses on one Redis server.
        accept_loss: use a Redis server that is set up to lose tasks.
        make: False for those who only look: nothing is written then.

    Raises:
        BusMissing: there is none, and none is to be made.
        FlowlordError: no such form of address, or one that has no namespaces.
        BusUnavailable, BusUnusable: as its adapter says.
    """
    arm_from(os.environ)
    if is_redis(address):
        return _open_redis(
            address, by=by, clock=clock, namespace=namespace, accept_loss=accept_loss, make=make
        )
    if namespace != NAMESPACE and address.startswith(("memory:", "sqlite:")):
        raise FlowlordError(
            f"the bus at {address} has no namespaces, so it cannot be asked for {namespace!r}",
            hint=f"name a file of its own: --bus sqlite:///.flowlord/{namespace}.db",
        )
    if address == "memory:":
        from flowlord.bus.memory import MemoryBus

        return MemoryBus(clock, by=by)
    if address.startswith("sqlite:///") and len(address) > len("sqlite:///"):
        path = address.removeprefix("sqlite:///")
        if not make and not os.path.exists(path):
            raise BusMissing(f"there is no bus at {address} yet")
        from flowlord.bus.sqlite import SqliteBus

        return SqliteBus(path, by=by, clock=clock)
    raise FlowlordError(f"{_harmless(address)!r} is no address of a bus", hint=f"write one of {FORMS}")


def is_redis(address: str) -> bool:
    """Return whether an address is one of Redis or Valkey; whether it is a right one is told when it is opened."""
    return address.partition(":")[0].partition("+")[0].lower() in _REDIS


def _open_redis(
    address: str, *, by: str, clock: Clock | None, namespace: str, accept_loss: bool, make: bool
) -> Bus:
    from flowlord.bus.redis import RedisBus
    from flowlord.bus.redis_address import parse

    try:
        return RedisBus(address, by=by, clock=clock, namespace=namespace, accept_loss=accept_loss, make=make)
    except BusUnavailable as error:
        way = "flowlord doctor redis   # what is wrong"
        raise unreachable(parse(address).shown, error, way) from error


def unreachable(shown: str, error: BusUnavailable, *first: str) -> BusUnavailable:
    """Return the error with which a command ends that found no server.

    Args:
        shown: the address without secrets.
        error: what happened.
        first: ways to go on that are named before the others.
    """
    told = str(error)
    text = told if shown in told else f"the bus at {shown} does not answer: {told}"
    ways = (
        error.hint,
        *first,
        "redis-server --appendonly yes   # start one here",
        "--bus sqlite:///.flowlord/bus.db   # the embedded bus needs none",
    )
    return BusUnavailable(text, hint="\n        ".join(way for way in ways if way))


def _harmless(address: str) -> str:
    """Return what may be said of an address that nobody understands: nothing up to its last `@`."""
    return f"***@{address.rpartition('@')[2]}" if "@" in address else address
