"""Leases on Redis: what a claim answers, and which leases have lapsed."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from msgspec.structs import replace

from flowlord.bus.redis_core import Core, flat
from flowlord.bus.redis_entry import deliveries_of
from flowlord.bus.redis_link import Reply, Word
from flowlord.bus.redis_names import names_of, order_of
from flowlord.bus.sightings import Sightings
from flowlord.model.message import Delivery

SCAN = 1_000
"""Leases that one step of a reclaimer looks at."""
FOREIGN = 1_000
"""Entries of one stream that a look at foreign readers returns at most."""
FOREIGN_LEASE_NS = 30 * 60 * 1_000_000_000
"""How long a foreign reader may keep a message that it neither acknowledged nor read again."""


class Lease(NamedTuple):
    """A lease as it is written: `<nanoseconds>|<renewal>|<name>|<kind>|<consumer>`, from `name` on the token.

    The kind is s for the start of a task, h for the hold of a reclaimer, f for its hold of what a foreigner left.
    """

    lease_ns: int
    token: str
    is_start: bool
    consumer: str


class Lapsed(NamedTuple):
    """A lease that stood still for its whole length."""

    at_ns: int
    entry: str
    value: str
    is_start: bool


START, HOLD, ADOPTION = "s", "h", "f"


def token(name: str, kind: str, consumer: str) -> str:
    """Return a new token; its kind is one of those in `Lease`."""
    return f"{name}|{kind}|{consumer}"


def read_lease(value: str) -> Lease | None:
    """Read a lease; None when it is none of ours."""
    parts = value.split("|", 4)
    if len(parts) < 5 or not parts[0].isdecimal():
        return None
    return Lease(int(parts[0]), "|".join(parts[2:]), parts[3] == START, parts[4])


def read_claim(reply: Reply, lease_token: str, consumer: str, *, starts: int) -> list[Delivery]:
    """Return what a claim or a take-over got; `starts` is added to the crashes of each."""
    if isinstance(reply[0], bytes):
        return _plain(reply, lease_token, consumer, starts)
    runs, crashed = reply[0], reply[1]
    crashes = dict(zip(crashed[::2], crashed[1::2], strict=True))
    found: list[Delivery] = []
    for name, entries in runs:
        found += deliveries_of(name.decode(), entries, lease_token, consumer, starts, crashes)
    return found


def _plain(reply: Reply, lease_token: str, consumer: str, starts: int) -> list[Delivery]:
    """Read what lies on one stream in the form that we write: name, id, payload, key, about, id, ..."""
    found = [
        (reply[at], (b"task", reply[at + 1], b"key", reply[at + 2], b"at", b"", b"about", reply[at + 3]))
        for at in range(1, len(reply), 4)
    ]
    return deliveries_of(reply[0].decode(), found, lease_token, consumer, starts, {})


def leases(core: Core) -> Iterator[tuple[str, str]]:
    """Yield entry and lease of what is held now, in steps, so that nobody waits long for it."""
    cursor: Word = 0
    while True:
        reply = core.link.call("HSCAN", core.key("lease"), cursor, "COUNT", SCAN)
        cursor, found = reply[0], reply[1]
        for entry, value in zip(found[::2], found[1::2], strict=True):
            yield entry.decode(), value.decode()
        if cursor == b"0":
            return


def lapsed(core: Core, sightings: Sightings) -> list[Lapsed]:
    """Look at all leases and return those that stood still for their length, the first to lapse first."""
    now_ns, real_ns = core.clock.monotonic_ns(), core.patience.monotonic_ns()
    found: list[Lapsed] = []
    for entry, value in leases(core):
        lease = read_lease(value)
        if lease is None:
            continue
        since_ns = sightings.look(value, now_ns, real_ns, steady_since_ns=core.link.steady_since_ns)
        if now_ns - since_ns >= lease.lease_ns:
            found.append(Lapsed(since_ns + lease.lease_ns, entry, value, lease.is_start))
    return sorted(found, key=lambda each: (each.at_ns, order_of(each.entry)))


def abandoned(core: Core, sightings: Sightings, topics: Sequence[str], lease_ns: int) -> list[Word]:
    """Return stream, id and reader of what foreign readers neither acknowledged nor took again for so long."""
    names = flat(*map(names_of, topics))
    reply = core.run("foreign", FOREIGN, *names) if names else []
    now_ns, real_ns = core.clock.monotonic_ns(), core.patience.monotonic_ns()
    found: list[Word] = []
    for start in range(0, len(reply), 4):
        name, entry_id, reader, count = reply[start : start + 4]
        value = f"foreign|{name!r}|{entry_id!r}|{reader!r}|{count}"
        since_ns = sightings.look(value, now_ns, real_ns, steady_since_ns=core.link.steady_since_ns)
        if now_ns - since_ns >= lease_ns:
            found += (name, entry_id, reader, count)
    return found


def reclaim(
    core: Core,
    sightings: Sightings,
    consumer: str,
    limit: int,
    *,
    topics: Sequence[str],
    lease_ns: int,
    foreign_lease_ns: int,
) -> tuple[list[Delivery], list[str]]:
    """Take over what has lapsed, `limit` at most; what foreign readers abandoned comes last.

    Also returns the entries that were leased while their messages are gone: somebody deleted them.
    """
    sightings.begin()
    ours = lapsed(core, sightings)[: max(limit, 0)]
    theirs = abandoned(core, sightings, topics, foreign_lease_ns)[: 4 * max(limit - len(ours), 0)]
    sightings.end()
    before = {each.entry: lease.consumer for each in ours if (lease := read_lease(each.value))}
    before |= {
        f"{_text(name)}/{_text(entry_id)}": _text(reader)
        for name, entry_id, reader in zip(theirs[::4], theirs[1::4], theirs[2::4], strict=True)
    }
    found: list[Delivery] = []
    gone: list[str] = []
    for script, kind, words in (
        ("reclaim", HOLD, flat(*((each.entry, each.value, int(each.is_start)) for each in ours))),
        ("adopt", ADOPTION, theirs),
    ):
        if words:
            held = token(core.name(), kind, consumer)
            written = f"{lease_ns}|0|{held}"
            reply = core.run(script, written, *words, verb="reclaim")
            found += [
                replace(delivery, before=before.get(delivery.entry, ""))
                for delivery in read_claim(reply, held, consumer, starts=0)
            ]
            gone += [entry.decode() for entry in reply[2]]
            sightings.note(written, core.clock.monotonic_ns(), core.patience.monotonic_ns())
    return found, gone


def _text(word: Word) -> str:
    return word.decode(errors="replace") if isinstance(word, bytes) else str(word)


def renew(
    core: Core, sightings: Sightings, deliveries: Sequence[Delivery], tokens: Sequence[str], lease_ns: int
) -> list[Delivery]:
    """Lengthen leases; returns those that are lost."""
    head = f"{lease_ns}|{core.name()}"
    words: list[Word] = []
    for delivery, each in zip(deliveries, tokens, strict=True):
        words += (delivery.entry, each)
    reply = core.run("renew", head, *words, verb="renew")
    now_ns, real_ns = core.clock.monotonic_ns(), core.patience.monotonic_ns()
    for each in set(tokens):
        sightings.note(head + each, now_ns, real_ns)
    return [deliveries[place - 1] for place in reply if isinstance(place, int)]


def recall(
    core: Core, tokens: Sequence[str], held: str, consumer: str, limit: int, *, lease_ns: int
) -> list[Delivery]:
    """Take under the token `held` what is leased under `tokens`, as if it were claimed now."""
    ours: list[tuple[str, str]] = []
    for entry, value in leases(core):
        lease = read_lease(value)
        if lease is not None and lease.token in tokens:
            ours.append((entry, value))
    ours.sort(key=lambda each: order_of(each[0]))
    words = flat(*((*each, 0) for each in ours[:limit]))
    if not words:
        return []
    reply = core.run("reclaim", f"{lease_ns}|0|{held}", *words, verb="claim")
    return read_claim(reply, held, consumer, starts=1)
