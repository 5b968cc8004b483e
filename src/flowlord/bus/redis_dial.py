"""Finding the server that holds our keys: behind one address, among the nodes of a cluster, by asking sentinels."""

from __future__ import annotations

from threading import Lock

from flowlord.bus.redis_address import Address, Place
from flowlord.bus.redis_errors import NotSent, Wrong, safe
from flowlord.bus.redis_wire import Broken, NoConnection, Reply, Wire
from flowlord.model.errors import BusUnusable

_UNKNOWN = ("", "?")
"""What a node says for the host of another one when it shall not be told: the one that was asked."""


class Route:
    """Where to look for the server, best first. All keys of a bus lie in one slot, so one node is home."""

    def __init__(self, seeds: tuple[Place, ...]) -> None:
        self.home: Place | None = None
        self._seeds = seeds
        self._nodes: tuple[Place, ...] = ()

    def places(self) -> list[Place]:
        """Return every place worth trying, each once."""
        home = (self.home,) if self.home else ()
        return list(dict.fromkeys((*home, *self._seeds, *self._nodes)))

    def settle(self, place: Place) -> bool:
        """Make a place home; returns whether that is news."""
        is_news = self.home != place
        self.home = place
        return is_news

    def leave(self, place: Place | None) -> None:
        """Forget that a place is home: it cannot be reached, or is no primary any more."""
        if self.home == place:
            self.home = None

    def learn(self, slots: Reply, via: Place) -> None:
        """Remember the nodes in an answer to CLUSTER SLOTS that came from `via`."""
        nodes: list[Place] = []
        for slot in slots if isinstance(slots, list) else []:
            for host, port, *_ in slot[2:]:
                name = (host or b"").decode()
                nodes.append((via[0] if name in _UNKNOWN else name, port))
        self._nodes = tuple(dict.fromkeys(nodes)) or self._nodes


def redirect(wrong: Wrong, via: Place) -> Place | None:
    """Return the place in a MOVED or ASK that came from `via`; None for every other error."""
    if wrong.code not in ("MOVED", "ASK"):
        return None
    host, colon, port = wrong.text.rpartition(" ")[2].rpartition(":")
    if not colon or not port.isdecimal():
        return None
    return (via[0] if host in _UNKNOWN else host, int(port))


class Dialer:
    """Makes connections to whoever has the keys now. Thread-safe."""

    def __init__(self, address: Address, client_name: str) -> None:
        self.address = address
        self.route = Route(() if address.service else address.hosts)
        self._name = client_name
        self._sentinels = list(address.hosts) if address.service else []
        self._lock = Lock()
        self._opening: set[Wire] = set()
        self._closed = False

    def dial(self) -> Wire:
        """Return a new connection.

        Raises:
            NotSent: nobody could be reached who may have the keys.
            BusUnusable: what is there can never serve.
        """
        if self.address.path:
            return self.to(None)
        if self._sentinels:
            return self._to_primary()
        places = self.route.places()
        errors: list[NotSent] = []
        for place in places:
            try:
                wire = self.to(place)
            except NotSent as error:
                self.route.leave(place)
                errors.append(error)
                continue
            if len(places) > 1 and wire.mode != "cluster" and wire.role != "master":
                wire.drop()
                errors.append(self._not_sent(place, "it is a replica", "address the primary"))
                continue
            self._look_around(wire, place)
            return wire
        if len(errors) == 1:
            raise errors[0]
        raise self._no_one(errors, "none of its servers can be used")

    def to(self, place: Place | None, *, is_sentinel: bool = False) -> Wire:
        """Return a new connection to one place; raises NotSent."""
        wire = Wire(self.address, place, self._name, is_sentinel=is_sentinel)
        with self._lock:
            if self._closed:
                raise self._not_sent(place, "this bus was closed", "")
            self._opening.add(wire)
        try:
            wire.connect()
        except NoConnection as error:
            raise self._not_sent(place, str(error), error.hint) from error.__cause__
        finally:
            with self._lock:
                self._opening.discard(wire)
        return wire

    def close(self) -> None:
        """Make no more connections, and let go of those that wait to be greeted."""
        with self._lock:
            self._closed = True
            for wire in self._opening:
                wire.hang_up()

    def _look_around(self, wire: Wire, place: Place) -> None:
        """Learn the other nodes of a cluster: some of the seeds may be gone by the time they are needed."""
        if wire.mode != "cluster":
            return
        if self.address.db:
            wire.drop()
            raise BusUnusable(
                f"the bus at {self.address.shown} is a cluster, which has database 0 only",
                hint="leave the database out of the address",
            )
        if self.route.home == place:
            return
        try:
            wire.send([("CLUSTER", "SLOTS")])
            found = wire.read()
        except Broken as error:
            wire.drop()
            raise self._not_sent(place, str(error), "") from error
        if not isinstance(found, Wrong):  # who may not ask gets along with the seeds
            self.route.learn(found, place)

    # --- sentinels

    def _to_primary(self) -> Wire:
        """Ask the sentinels in turn who is the primary, go there and see whether it knows that it is."""
        errors: list[NotSent] = []
        for sentinel in tuple(self._sentinels):
            try:
                place = self._ask(sentinel)
                wire = self.to(place)
            except NotSent as error:
                errors.append(error)
                continue
            if wire.role != "master":  # a failover is going on, or this sentinel does not know yet
                wire.drop()
                errors.append(self._not_sent(place, "it is named as primary, but is a replica", ""))
                continue
            with self._lock:  # next time, first ask the one that knew
                self._sentinels.sort(key=lambda each: each != sentinel)
            self.route.settle(place)
            return wire
        raise self._no_one(errors, f"no sentinel led to the primary of {self.address.service!r}")

    def _ask(self, sentinel: Place) -> Place:
        wire = self.to(sentinel, is_sentinel=True)
        try:
            wire.send([("SENTINEL", "GET-MASTER-ADDR-BY-NAME", self.address.service)])
            found = wire.read()
        except Broken as error:
            raise self._not_sent(sentinel, str(error), "") from error
        finally:
            wire.drop()
        if isinstance(found, Wrong):
            said = safe(f"{found.code} {found.text}", self.address.secrets)
            raise self._not_sent(
                sentinel, f"the sentinel says: {said}", "address the sentinels, not the servers"
            )
        if not found:
            raise self._not_sent(
                sentinel, f"the sentinel watches over no service {self.address.service!r}", "check its name"
            )
        host, port = found
        return host.decode(), int(port)

    # --- errors

    def _not_sent(self, place: Place | None, text: str, hint: str) -> NotSent:
        shown = self.address.shown
        where = (
            ""
            if place is None or (len(self.address.hosts) == 1 and place in self.address.hosts)
            else (f" ({place[0]}:{place[1]})")
        )
        return NotSent(f"cannot connect to the bus at {shown}{where}: {text}", hint=hint)

    def _no_one(self, errors: list[NotSent], text: str) -> NotSent:
        told = "; ".join(str(error).partition(self.address.shown)[2].lstrip(": ") for error in errors)
        hint = next((error.hint for error in errors if error.hint), "")
        return NotSent(f"cannot connect to the bus at {self.address.shown}: {text}: {told}", hint=hint)
