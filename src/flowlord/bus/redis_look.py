"""Looking without taking: topics, messages, marks and the journal on Redis."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from itertools import islice
from typing import Any, Final

import msgspec

from flowlord.bus.judge import BATCH
from flowlord.bus.port import JournalEntry, Peeked, TopicState
from flowlord.bus.redis_claim import read_lease
from flowlord.bus.redis_core import Core, flat
from flowlord.bus.redis_entry import Entry, about_from, peeked_of, read_entry, time_of
from flowlord.bus.redis_link import Word
from flowlord.bus.redis_names import LATER, RANKS, age_of, names_of, order_of
from flowlord.model.plan import Fact

SCAN = 1_000
SEEK = 200
LAID_DOWN = 200
"""Keys above which they are laid down on the server: with each part of a stream they would travel anew."""
WANTED = 5_000
WANTED_S = 3_600
"""Messages that one step of a search looks at: each may be a megabyte."""
PAGE = 64
"""Journal entries that one read asks for; one may hold 500 facts and more."""
PAGE_BYTES = 8 << 20
_facts = msgspec.json.Decoder(tuple[Fact, ...]).decode

_ID: Final = re.compile(r"\d{1,15}-\d{1,18}", re.ASCII)


def known_topics(core: Core) -> list[str]:
    """Return every topic that holds or held something, by name."""
    reply = core.link.call("HKEYS", core.key("topics"))
    return sorted(name.decode() for name in reply)


def topics(core: Core) -> list[TopicState]:
    """See `Bus.topics`."""
    reply = None
    while reply is None:
        names = known_topics(core)
        reply = core.run("topics", *flat(*((topic, *names_of(topic)) for topic in names))) if names else []
    found: list[TopicState] = []
    for topic, waiting, running, later, oldest in reply:
        oldest_us = 0
        if oldest:
            entry_id, at = oldest
            oldest_us = time_of(at) or order_of(entry_id.decode())[0] * 1000
        found.append(TopicState(topic.decode(), waiting, running, later, oldest_us))
    return found


def look(
    core: Core, topic: str, limit: int, *, newest: bool, until: str = "+"
) -> tuple[list[tuple[Entry, Peeked]], list[tuple[Entry, Peeked]]]:
    """Return what runs and what waits on a topic, `limit` of each at most, in the order of `Bus.peek`."""
    reply = core.run("look", limit, int(newest), until, *names_of(topic))
    running: list[tuple[Entry, Peeked]] = []
    waiting: list[tuple[int, Entry, Peeked]] = []
    for rank in RANKS:
        raw_name, run, free, fresh = reply[rank]
        name = raw_name.decode()
        for each, value, crashes in _threes(run):
            lease = read_lease(value.decode(errors="replace"))
            entry = read_entry(name, each)
            consumer = lease.consumer if lease else value.decode(errors="replace").removeprefix("foreign|")
            starts = int(lease is None or lease.is_start)
            running.append(
                (entry, peeked_of(entry, "running", deliveries=crashes + starts, consumer=consumer))
            )
        for each, crashes in _pairs([*free, *fresh]):
            entry = read_entry(name, each)
            waiting.append((rank, entry, peeked_of(entry, "waiting", deliveries=crashes)))
    running.sort(key=lambda pair: order_of(pair[0].id), reverse=newest)
    if newest:
        waiting.sort(key=lambda three: order_of(three[1].id), reverse=True)
    else:
        waiting.sort(key=lambda three: (three[0], order_of(three[1].id)))
    return running[:limit], [(entry, seen) for _, entry, seen in waiting[:limit]]


def peek(core: Core, topic: str, limit: int, *, newest: bool) -> list[Peeked]:
    """See `Bus.peek`."""
    if limit < 1:
        return []
    running, waiting = look(core, topic, limit, newest=newest)
    found = [seen for _, seen in (*running, *waiting)]
    if len(found) < limit:
        later = [seen for _, seen in delayed(core, "topic", ("", topic))]
        later.sort(key=lambda seen: (seen.due_us, seen.entry), reverse=newest)
        found += later
    return found[:limit]


def arrived(core: Core, topic: str, after: str, until_us: int, limit: int) -> list[Peeked]:
    """See `Bus.arrived`. The ids of entries grow over all streams, so they are the order of arrival."""
    if limit < 1 or until_us < 1000:
        return []
    behind = after.rpartition("/")[2]
    start = f"({behind}" if _ID.fullmatch(behind) else "-"
    reply = core.run("arrived", start, until_us // 1000, limit, *names_of(topic))
    found: list[Entry] = []
    shown: dict[str, Peeked] = {}
    for raw_name, entries in _pairs(reply):
        for each, holder, crashes in _threes(entries):
            entry = read_entry(raw_name.decode(), each)
            lease = read_lease(holder.decode(errors="replace")) if holder else None
            starts = int(bool(holder) and (lease is None or lease.is_start))
            consumer = (
                lease.consumer if lease else (holder or b"").decode(errors="replace").removeprefix("foreign|")
            )
            state = "running" if holder else "waiting"
            found.append(entry)
            shown[entry.entry] = peeked_of(entry, state, deliveries=crashes + starts, consumer=consumer)
    found.sort(key=lambda entry: order_of(entry.id))
    return [shown[entry.entry] for entry in found[:limit]]


def find(core: Core, keys: Collection[str]) -> list[Peeked]:
    """See `Bus.find`."""
    if not keys:
        return []
    with wanted(core, keys) as named:
        found = [seen for topic in known_topics(core) for _, seen in seek(core, topic, named)]
        found += [seen for _, seen in delayed(core, "key", named)]
    return sorted(found, key=lambda seen: age_of(seen.entry))


@contextmanager
def wanted(core: Core, keys: Collection[str]) -> Iterator[Sequence[str]]:
    """Give what `seek` and `delayed` take for keys: many lie on the server as long as they are looked for."""
    if len(keys) <= LAID_DOWN:
        yield ("", *keys)
        return
    name = f"wanted:{core.name()}"
    names = iter(keys)
    while some := list(islice(names, WANTED)):
        core.run("wanted", name, WANTED_S, *some)
    try:
        yield (name,)
    finally:
        core.link.call("DEL", core.key(name))


def seek(core: Core, topic: str, named: Sequence[str]) -> Iterator[tuple[Entry, Peeked]]:
    """Yield the messages of a topic with the keys of `wanted`, in parts, so that nobody waits long for it."""
    for name in names_of(topic):
        start: Word = "-"
        while start:
            reply = core.run("seek", name, start, SEEK, *named)
            start = reply[0]
            for each, value, crashes, waits in _fours(reply[1]):
                entry = read_entry(name, each)
                lease = read_lease(value.decode(errors="replace")) if value else None
                starts = int(lease is not None and lease.is_start)
                yield (
                    entry,
                    peeked_of(
                        entry,
                        "waiting" if waits else "running",
                        deliveries=crashes + starts,
                        consumer=lease.consumer if lease else "",
                    ),
                )


def delayed(core: Core, by: str, named: Sequence[str]) -> Iterator[tuple[Entry, Peeked]]:
    """Yield the messages that wait for their time, of these topics or with these keys, as `wanted` gives them."""
    cursor: Word = 0
    seen: set[bytes] = set()
    while True:
        reply = core.run("later", cursor, SEEK, by, *named)
        cursor = reply[0]
        found = reply[1]
        for start in range(0, len(found), 9):
            member, due, name, key, about, payload, at, _, crashes = found[start : start + 9]
            if member in seen:  # a scan may show a thing twice
                continue
            seen.add(member)
            entry = Entry(
                name.decode(),
                member.decode(),
                payload,
                key.decode(errors="replace"),
                time_of(at),
                about_from(name.decode(), about),
            )
            due_us = int(float(due))
            shown = peeked_of(entry, "later", deliveries=crashes, due_us=due_us)
            yield entry, msgspec.structs.replace(shown, entry=entry.id + LATER)
        if cursor == b"0":
            return


def marks(core: Core, keys: Sequence[str]) -> dict[str, str]:
    """See `Bus.marks`."""
    if not keys:
        return {}
    reply = core.link.call("HMGET", core.key("marks"), *keys)
    return {key: value.decode() for key, value in zip(keys, reply, strict=True) if value is not None}


def marks_like(core: Core, prefix: str) -> dict[str, str]:
    """See `Bus.marks_like`."""
    if prefix == BATCH:
        keys = core.link.call("SMEMBERS", core.key("marks:batch"))
        return dict(sorted(marks(core, [key.decode() for key in keys]).items())) if keys else {}
    pattern = re.sub(r"([\\*?\[\]^])", r"\\\1", prefix) + "*"
    cursor: Word = 0
    found: dict[str, str] = {}
    while True:
        reply = core.link.call("HSCAN", core.key("marks"), cursor, "MATCH", pattern, "COUNT", SCAN)
        cursor, pairs = reply[0], reply[1]
        found.update((key.decode(), value.decode()) for key, value in _pairs(pairs))
        if cursor == b"0":
            return dict(sorted(found.items()))


def journal(core: Core, after: int, limit: int) -> list[JournalEntry]:
    """See `Bus.journal`."""
    found: list[JournalEntry] = []
    size = 0
    while len(found) < limit and size < PAGE_BYTES:
        count = min(limit - len(found), PAGE)
        generation, reply = core.link.calls(
            (
                ("HGET", core.key("state"), "generation"),
                ("XRANGE", core.key("journal"), f"{after + 1}-0", "+", "COUNT", count),
            )
        )
        core.check(generation)
        for raw_id, fields in reply:
            at, by, commit, facts = fields[1::2]
            after = int(raw_id.partition(b"-")[0])
            found.append(JournalEntry(after, int(at), by.decode(), commit.decode(), _facts(facts)))
            size += len(facts)
        if len(reply) < count:
            break
    return found


def journal_bounds(core: Core) -> tuple[int, int]:
    """See `Bus.journal_bounds`."""
    reply = core.link.call("HMGET", core.key("state"), "first", "journal")
    last = int(reply[1] or 0)
    return (int(reply[0] or 1), last) if last else (0, 0)


def _pairs(flat_list: Sequence[Any]) -> Iterator[tuple[Any, ...]]:
    return zip(flat_list[::2], flat_list[1::2], strict=True)


def _threes(flat_list: Sequence[Any]) -> Iterator[tuple[Any, ...]]:
    return zip(flat_list[::3], flat_list[1::3], flat_list[2::3], strict=True)


def _fours(flat_list: Sequence[Any]) -> Iterator[tuple[Any, ...]]:
    return zip(flat_list[::4], flat_list[1::4], flat_list[2::4], flat_list[3::4], strict=True)
