"""Dropping and keeping house on Redis."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from itertools import chain, islice

import msgspec

from flowlord.bus.landing import QUARANTINE_CAP
from flowlord.bus.lifetimes import (
    COMMIT_US,
    JOURNAL_ENTRIES,
    JOURNAL_US,
    OPEN_US,
    OUTCOME_DAYS,
    PRESENCE_US,
    SWEEP_CHUNK,
    SWEEP_STEPS,
    day_of,
)
from flowlord.bus.log import log_of
from flowlord.bus.port import CHUNK, DONE, QUARANTINE, Peeked, Presence
from flowlord.bus.redis_commit import member_word
from flowlord.bus.redis_core import Core
from flowlord.bus.redis_entry import Entry, encode_dropped
from flowlord.bus.redis_link import Word
from flowlord.bus.redis_look import delayed, journal_bounds, known_topics, look, seek, topics, wanted
from flowlord.bus.redis_names import age_of, names_of, order_of

log = log_of("flowlord.bus")

Found = tuple[Entry, Peeked]
JOURNAL_PAGE = 16
PURGE_IDLE = 3
"""Steps without anything that could be dropped, because others were faster, after which a purge ends."""
TIDY = 100


class _Beat(msgspec.Struct, array_like=True):
    """A heartbeat as it is kept; `beat_ns` is the bus's time by which life is judged."""

    beat_ns: int
    presence: Presence


_beat = msgspec.json.Decoder(_Beat).decode


def drop(core: Core, found: Collection[Found], reason: str, verb: str) -> int:
    """Take messages off the bus that still wait; returns how many."""
    if not found:
        return 0
    words: list[Word] = []
    for entry, seen in sorted(found, key=lambda each: age_of(each[1].entry)):
        fact, member = encode_dropped(entry, seen.due_us, reason)
        words += (seen.entry, seen.topic, fact, member_word(member))
    return int(core.insist("drop", core.name(), core.by, core.now_us(), *words, verb=verb))


def purge(core: Core, topic: str, reason: str) -> int:
    """See `Bus.purge`."""
    until = _newest(core, topic)
    later = delayed(core, "topic", ("", topic))
    gone = idle = 0
    while True:
        _, found = look(core, topic, CHUNK, newest=False, until=until) if until else ([], [])
        found = found[:CHUNK]
        found += islice(later, CHUNK - len(found))
        if not found or idle == PURGE_IDLE:
            return gone
        dropped = drop(core, found, reason, "purge")
        idle = 0 if dropped else idle + 1
        gone += dropped


def _newest(core: Core, topic: str) -> str:
    """The highest id on a topic now; what arrives meanwhile stays."""
    reply = core.link.calls(
        [("XREVRANGE", f"{core.prefix}topic:{name}", "+", "-", "COUNT", 1) for name in names_of(topic)]
    )
    ids = [found[0][0].decode() for found in reply if isinstance(found, list) and found]
    return max(ids, key=order_of, default="")


def cancel(core: Core, keys: Collection[str], reason: str) -> int:
    """See `Bus.cancel`."""
    if not keys:
        return 0
    gone = 0
    with wanted(core, keys) as named:
        found = chain(_waiting(core, named), delayed(core, "key", named))
        coming = (each for each in found if each[1].topic != DONE)
        # What is dropped lies behind the place where the look goes on.
        while some := list(islice(coming, CHUNK)):
            gone += drop(core, some, reason, "cancel")
    return gone


def _waiting(core: Core, named: Sequence[str]) -> Iterator[Found]:
    for topic in known_topics(core):
        if topic != DONE:
            yield from (each for each in seek(core, topic, named) if each[1].state == "waiting")


def cap_quarantine(core: Core) -> None:
    """Let the oldest of too many quarantined messages make room."""
    while True:
        surplus = sum(s.waiting for s in topics(core) if s.topic == QUARANTINE) - QUARANTINE_CAP
        if surplus <= 0:
            return
        _, found = look(core, QUARANTINE, min(surplus, CHUNK), newest=False)
        if not drop(core, found, f"quarantine keeps {QUARANTINE_CAP} messages", "cap"):
            return


# --- processes


def beat(core: Core, presence: Presence) -> None:
    """See `Bus.beat`."""
    told = msgspec.structs.replace(presence, beat_us=core.now_us(), alive=True)
    value = msgspec.json.encode(_Beat(core.clock.boottime_ns(), told))
    core.run("beat", presence.consumer, value)


def presences(core: Core) -> list[Presence]:
    """See `Bus.presences`."""
    now_ns = core.clock.boottime_ns()
    first_us = core.now_us() - PRESENCE_US
    found = [(beat, name) for name, value in _beats(core).items() if (beat := _read_beat(value)) is not None]
    return [
        msgspec.structs.replace(each.presence, alive=now_ns - each.beat_ns <= each.presence.lease_ns)
        for each, _ in sorted(found, key=lambda pair: pair[1])
        if each.presence.beat_us >= first_us
    ]


def _read_beat(value: bytes) -> _Beat | None:
    """Read a heartbeat; None for what somebody else wrote there."""
    try:
        return _beat(value)
    except (msgspec.DecodeError, UnicodeError):
        return None


def _beats(core: Core) -> dict[str, bytes]:
    reply = core.link.call("HGETALL", core.key("beat"))
    return {name.decode(errors="replace"): value for name, value in zip(reply[::2], reply[1::2], strict=True)}


# --- lifetimes


def sweep(core: Core) -> Mapping[str, int]:
    """See `Bus.sweep`; also deletes what foreign readers acknowledged and left on the streams."""
    now_us = core.now_us()
    first_day = day_of(now_us) - OUTCOME_DAYS
    steps: dict[str, Callable[[], int]] = {
        "marks": lambda: _step(core, "marks", now_us),
        "outcomes": lambda: _step(core, "outcomes", first_day),
        "commits": lambda: _step(core, "commits", f"({now_us - COMMIT_US}"),
        "open": lambda: _step(core, "open", f"({now_us - OPEN_US}"),
    }
    dropped: dict[str, int] = {}
    for kind, step in steps.items():
        dropped[kind] = 0
        for _ in range(SWEEP_STEPS):
            gone = step()
            dropped[kind] += gone
            if not gone:
                break
    dropped["journal"] = _trim(core, now_us)
    dropped["presences"] = _forget(core, now_us)
    if gone := tidy(core):
        told = "%d entries that foreign readers had acknowledged and left were deleted"
        log.info(told, gone, extra={"action": "sweep.foreign"})
    return dropped


def _step(core: Core, kind: str, bound: Word) -> int:
    return int(core.run("sweep", kind, bound, SWEEP_CHUNK, verb="sweep"))


def _trim(core: Core, now_us: int) -> int:
    """Drop the oldest journal entries when they are too old or too many; the newest always stays."""
    first, last = journal_bounds(core)
    keep = first
    most = min(last, first + SWEEP_CHUNK * SWEEP_STEPS)
    while keep < most:
        reply = core.link.call("XRANGE", core.key("journal"), f"{keep}-0", "+", "COUNT", JOURNAL_PAGE)
        before = keep
        for raw_id, fields in reply:
            seq = int(raw_id.partition(b"-")[0])
            is_old = int(fields[1]) < now_us - JOURNAL_US
            if seq >= most or not (is_old or last - seq >= JOURNAL_ENTRIES):
                break
            keep = seq + 1
        if keep < before + JOURNAL_PAGE:
            break
    if keep == first:
        return 0
    return int(core.run("sweep", "journal", keep, verb="sweep"))


def _forget(core: Core, now_us: int) -> int:
    words: list[Word] = []
    for name, value in _beats(core).items():
        if _beat(value).presence.beat_us < now_us - PRESENCE_US:
            words += (name, value)
    if not words:
        return 0
    return int(core.run("sweep", "presences", *words, verb="sweep"))


def tidy(core: Core) -> int:
    """Delete what foreign readers acknowledged without deleting it; returns how many entries went."""
    gone = 0
    for topic in known_topics(core):
        for name in names_of(topic):
            start: Word = "-"
            while start:
                reply = core.run("tidy", name, start, TIDY, verb="tidy")
                start = reply[0]
                gone += reply[1]
    return gone
