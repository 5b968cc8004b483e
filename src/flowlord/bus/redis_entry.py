"""What a stream entry holds, written and read: `task`, `key` and `at` for everybody, `about` for us."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from flowlord.bus.landing import Row
from flowlord.bus.landing import rank as rank_of
from flowlord.bus.port import Peeked
from flowlord.bus.redis_names import MIDDLE, order_of, place_of
from flowlord.model.message import DEFAULT_PRIORITY, Delivery, Report


class About(msgspec.Struct, omit_defaults=True, gc=False):
    """The attributes of a dispatch beside its key; all may be missing."""

    phase: str = ""
    revision: str = ""
    cause: str = ""
    batch: str = ""
    origin: str = ""
    priority: int = DEFAULT_PRIORITY
    timeout_ns: int = 0
    report: Report | None = None


class Entry(msgspec.Struct, gc=False):
    """A stream entry as it was read; what foreigners leave out has its default."""

    name: str
    id: str
    payload: bytes
    key: str
    at_us: int
    about: About

    @property
    def entry(self) -> str:
        """What names it on the bus."""
        return f"{self.name}/{self.id}"


_encode = msgspec.json.Encoder().encode
_decode_about = msgspec.json.Decoder(About).decode
_NOTHING = About()
_DIGITS = 18
_LONGEST_NS = (1 << 63) - 1


def about_of(row: Row, common: bytes) -> bytes:
    """Return the field `about` of a message; `common` as `landing.common_of` tells it."""
    about = common
    if row.origin:
        about += b',"origin":%b' % _encode(row.origin)
    if row.timeout_ns:
        about += b',"timeout_ns":%d' % row.timeout_ns
    if row.report is not None:
        about += b',"report":%b' % row.report
    return b"{%b}" % about[1:]


def read_entry(name: str, found: Sequence[Any]) -> Entry:
    """Read `[id, fields]`; never raises for what others wrote."""
    raw_id, fields = found
    entry_id = raw_id.decode()
    if len(fields) == 8 and fields[0] == b"task" and fields[2] == b"key" and fields[4] == b"at":
        payload, key, at, about = fields[1], fields[3], fields[5], fields[7]
    else:
        told = dict(zip(fields[::2], fields[1::2], strict=False))
        payload, key, at, about = (
            _payload(told),
            told.get(b"key", b""),
            told.get(b"at", b""),
            told.get(b"about", b""),
        )
    return Entry(
        name,
        entry_id,
        payload,
        key.decode(errors="replace"),
        time_of(at) or order_of(entry_id)[0] * 1000,
        about_from(name, about),
    )


def time_of(at: bytes) -> int:
    """Read microseconds; 0 for what is no time."""
    return int(at) if at.isdigit() and len(at) <= _DIGITS else 0


def _payload(told: dict[bytes, bytes]) -> bytes:
    """The task of a foreign entry, else whatever there is, so that quarantine can show it."""
    if b"task" in told:
        return told[b"task"]
    if len(told) == 1:
        return next(iter(told.values()))
    return _encode({k.decode(errors="replace"): v.decode(errors="replace") for k, v in told.items()})


def about_from(name: str, text: bytes) -> About:
    """Read the field `about` of an entry of that stream."""
    if not text:
        middle = MIDDLE[place_of(name)[1]]
        return _NOTHING if middle == DEFAULT_PRIORITY else About(priority=middle)
    try:
        about = _decode_about(text)
    except (msgspec.DecodeError, UnicodeError, RecursionError):
        about = About(cause="about could not be read")
    if not 0 <= about.timeout_ns <= _LONGEST_NS:
        about = msgspec.structs.replace(about, timeout_ns=0)
    rank = place_of(name)[1]
    if rank_of(about.priority) != rank:  # where it lies is what counts
        about = msgspec.structs.replace(about, priority=MIDDLE[rank])
    return about


def deliveries_of(
    name: str, found: Sequence[Any], token: str, consumer: str, starts: int, crashes: Mapping[bytes, Any]
) -> list[Delivery]:
    """Return raw entries of one stream as their holder gets them; `starts` is added to the crashes of each."""
    (topic, rank), head = place_of(name), f"{name}/"
    is_middle = rank == rank_of(DEFAULT_PRIORITY)
    deliveries: list[Delivery] = []
    for each in found:
        raw_id, fields = each
        try:
            # As we write them; what is not quite so is read by the slow but patient way.
            task, payload, own, key_bytes, at, _, _, text = fields
            about, key = _decode_about(text), key_bytes.decode()
            is_usual = is_middle and about.priority == DEFAULT_PRIORITY and not about.timeout_ns
            if not (is_usual and task == b"task" and own == b"key" and at == b"at"):
                raise ValueError
        except (ValueError, msgspec.DecodeError, RecursionError):
            entry = read_entry(name, each)
            payload, key, about = entry.payload, entry.key, entry.about
        entry_name = head + raw_id.decode()
        deliveries.append(
            Delivery(
                topic,
                entry_name,
                payload,
                token,
                consumer,
                starts + int(crashes.get(entry_name.encode(), 0)) if crashes else starts,
                key,
                about.priority,
                about.timeout_ns,
                about.phase,
                about.revision,
                about.cause,
                about.batch,
                about.report,
            )
        )
    return deliveries


def peeked_of(entry: Entry, state: str, *, deliveries: int, consumer: str = "", due_us: int = 0) -> Peeked:
    """The message as one who only looks gets it."""
    about = entry.about
    return Peeked(
        place_of(entry.name)[0],
        f"{entry.name}/{entry.id}",
        entry.payload,
        entry.key,
        state,
        about.priority,
        due_us,
        entry.at_us,
        deliveries,
        consumer,
        about.cause,
        about.phase,
        about.origin,
    )


def row_of(entry: Entry, due_us: int = 0) -> Row:
    """The message as `Row`, for the fact that tells of its end without a run."""
    about = entry.about
    return Row(
        place_of(entry.name)[0],
        place_of(entry.name)[1],
        due_us,
        entry.at_us,
        entry.payload,
        entry.key,
        about.priority,
        about.timeout_ns,
        about.phase,
        about.revision,
        about.cause,
        about.batch,
        about.origin,
    )


def encode_dropped(entry: Entry, due_us: int, reason: str) -> tuple[bytes, bytes]:
    """The fact, as JSON, that tells of a message's end without a run, and under what it may have held a group."""
    fact, member = row_of(entry, due_us).dropped(reason)
    return _encode(fact), member
