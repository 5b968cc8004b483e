"""Moving messages that wait on Redis from one topic to another, a bounded part of them in one step."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

import msgspec

from flowlord.bus.landing import common_of
from flowlord.bus.port import CHUNK, Move
from flowlord.bus.redis_core import Core
from flowlord.bus.redis_entry import Entry, about_of, peeked_of, read_entry, row_of
from flowlord.bus.redis_keep import Found, drop
from flowlord.bus.redis_link import Word
from flowlord.bus.redis_look import delayed
from flowlord.bus.redis_names import LATER, names_of, place_of

BYTES = 8 << 20
"""Payloads that one step moves at most, and one more."""
_ENTRY = re.compile(r".+/[0-9]{1,19}-[0-9]{1,19}", re.ASCII | re.DOTALL)
_encode = msgspec.json.Encoder().encode


def move(core: Core, moves: Sequence[Move], reason: str) -> int:
    """See `Bus.move`."""
    count = 0
    for start in range(0, len(moves), CHUNK):
        asked = {each.entry: each for each in moves[start : start + CHUNK]}
        found = _found(core, asked)
        count += drop(core, [each for each in found if not asked[each[1].entry].to], reason, "move")
        for part in _parts([each for each in found if asked[each[1].entry].to]):
            words: list[Word] = []
            for entry, seen in part:
                words += _words(asked[seen.entry], entry, seen.due_us, core.now_us(), reason)
            count += int(core.insist("move", core.name(), core.by, core.now_us(), *words, verb="move"))
    return count


def _found(core: Core, asked: dict[str, Move]) -> list[Found]:
    """Return what is asked for and is there; whether somebody holds it is for the script to see."""
    found: list[Found] = []
    names = [entry for entry in asked if _ENTRY.fullmatch(entry)]
    places = [entry.rpartition("/")[::2] for entry in names]
    reply = (
        core.link.calls([("XRANGE", f"{core.prefix}topic:{name}", id_, id_) for name, id_ in places])
        if names
        else []
    )
    for (name, _), asked_for, entries in zip(places, names, reply, strict=True):
        if isinstance(entries, list) and entries and place_of(name)[0] == asked[asked_for].topic:
            entry = read_entry(name, entries[0])
            found.append((entry, peeked_of(entry, "waiting", deliveries=0)))
    topics = {each.topic for each in asked.values() if each.entry.endswith(LATER)}
    if topics:
        found += [each for each in delayed(core, "topic", ("", *sorted(topics))) if each[1].entry in asked]
    order = {entry: place for place, entry in enumerate(asked)}
    return sorted(found, key=lambda each: order[each[1].entry])


def _parts(found: Sequence[Found]) -> Iterator[list[Found]]:
    part: list[Found] = []
    size = 0
    for each in found:
        part.append(each)
        size += len(each[0].payload)
        if size > BYTES:
            yield part
            part, size = [], 0
    if part:
        yield part


def _words(asked: Move, entry: Entry, due_us: int, now_us: int, reason: str) -> list[Word]:
    """Return what the script needs to know of one message."""
    row = row_of(entry, due_us)
    if entry.about.report is not None:
        row = row._replace(report=_encode(entry.about.report))
    new, fact = row.moved(asked, now_us, reason)
    name = names_of(new.topic)[new.rank]
    about = about_of(new, common_of(new.phase, new.revision, new.cause, new.batch, new.priority))
    return [
        asked.entry,
        row.topic,
        _encode(fact),
        name,
        new.topic,
        new.rank,
        new.key,
        new.payload,
        about,
        due_us,
    ]
