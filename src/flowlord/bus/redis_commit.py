"""Commits as one script call takes them, and its answers."""

from __future__ import annotations

from binascii import b2a_base64
from collections.abc import Hashable, Mapping, Sequence
from itertools import chain
from typing import NamedTuple

import msgspec

from flowlord.bus.holds import batch_member
from flowlord.bus.judge import Answer, marks_of
from flowlord.bus.landing import Landing, Row
from flowlord.bus.lifetimes import SECOND_US, day_of
from flowlord.bus.redis_entry import about_of
from flowlord.bus.redis_link import Reply, Word
from flowlord.bus.redis_names import names_of
from flowlord.model.errors import LeaseLost, Refused
from flowlord.model.message import Delivery
from flowlord.model.plan import ANY, Committed

_encode = msgspec.json.Encoder().encode
_words = msgspec.json.Decoder(list[str]).decode
_pack = msgspec.msgpack.Encoder().encode
_LANDED = Committed()
_DUPLICATE = Committed(duplicate=True)
FORM = 2
"""Of what `pack` returns; the script refuses any other. To be raised here and there with each change of the form."""
_ANYTHING, _ABSENT, _VALUE = range(3)


class Advance(NamedTuple):
    """What a commit takes off a frozen batch."""

    batch: str
    staged: str
    taken: int
    is_last: bool


def member_word(digest: bytes) -> str:
    """Return a digest as it is written on Redis."""
    return b2a_base64(digest, newline=False).decode()


def _member_words(digests: Sequence[bytes]) -> list[str]:
    """The same of many: bytes in JSON are written so, and a loop of ours would take twice as long."""
    return _words(_encode(digests))


def token_of(delivery: Delivery) -> str:
    """Return the end of the lease under which a delivery is held; a token of another consumer opens nothing."""
    token = delivery.token
    return f"|{token}" if token.endswith(f"|{delivery.consumer}") else "|nobody's"


def pack(
    commit_id: str,
    by: str,
    now_us: int,
    landings: Sequence[Landing],
    staged: Mapping[tuple[int, str], str],
    advance: Advance | None = None,
) -> list[Word]:
    """Return the arguments of the commit script.

    Args:
        commit_id: under which the answers are remembered.
        by: who writes.
        now_us: by the bus's clock.
        landings: what to land, in order.
        staged: where the messages of a frozen batch lie, by place of its landing and its name.
        advance: what this takes off a frozen batch.
    """
    deliveries = [each for landing in landings for each in landing.commit.acknowledge]
    entries = [each.entry for each in deliveries]
    holds = _holds(deliveries)
    digests = [digest for landing in landings for digest in landing.digests]
    marks = [_marks(landing, now_us) for landing in landings]
    guards = [key for own in marks for key in own[::5]]
    rows = [row for landing in landings for row in landing.rows]
    texts: list[bytes] = []
    plain, last = b"", b""
    for landing in landings:
        for row, common in zip(landing.rows, landing.commons, strict=True):
            if row.timeout_ns or row.origin or row.report is not None:
                texts += (row.payload, about_of(row, common))
                continue
            if common is not last:  # rows of a series have one and the same
                plain, last = about_of(row, common), common
            texts += (row.payload, plain)
    packed = _pack(
        (
            FORM,
            commit_id,
            by,
            str(now_us),
            day_of(now_us),
            _are_apart(entries) and _are_apart(digests) and _are_apart(guards),
            entries,
            holds,
            _member_words(digests),
            list(chain.from_iterable(marks)),
            _streams(rows),
            [row.key for row in rows],
            [len(text) for text in texts],
            [word for place, row in enumerate(rows, 1) if row.due_us for word in (place, row.due_us)],
            _opens(landings, advance),
            _batches(landings, staged),
            (1, *advance[:3], int(advance.is_last)) if advance else (),
        )
    )
    told = b"[%b]" % b",".join([landing.told for landing in landings if landing.told])
    shapes = [
        count
        for landing, own in zip(landings, marks, strict=True)
        for count in (
            len(landing.commit.acknowledge),
            len(landing.digests),
            len(own) // 5,
            len(landing.rows),
            len(landing.told),
        )
    ]
    return [packed, b"".join(texts), told, _pack(shapes)]


def _holds(deliveries: Sequence[Delivery]) -> list[list[object]]:
    """Return under which leases deliveries are held, and how many one after the other under each."""
    found: list[list[object]] = []
    last: tuple[str, str, str] | None = None
    count = 0
    for each in deliveries:
        name = each.entry.rpartition("/")[0]
        held = (name, each.token, each.consumer)
        if held == last:
            count += 1
            found[-1][2] = count
        else:
            last, count = held, 1
            found.append([name, token_of(each), 1])
    return found


def _streams(rows: Sequence[Row]) -> list[list[object]]:
    """Return where rows are published, and how many one after the other on each."""
    found: list[list[object]] = []
    last: tuple[str, int] | None = None
    count = 0
    for row in rows:
        where = (row.topic, row.rank)
        if where == last:
            count += 1
            found[-1][3] = count
        else:
            last, count = where, 1
            found.append([names_of(row.topic)[row.rank], *where, 1])
    return found


def _are_apart(names: Sequence[Hashable]) -> bool:
    return len(set(names)) == len(names)


def _opens(landings: Sequence[Landing], advance: Advance | None) -> list[object]:
    found: list[object] = []
    behind = 0
    for place, landing in enumerate(landings, 1):
        first, behind = behind + 1, behind + len(landing.digests)
        for hold in landing.holds:
            found += (place, member_word(hold.member), hold.group, hold.key, first, behind)
    if advance and advance.is_last:  # which is of the only commit
        found += (1, member_word(batch_member(advance.batch)), "", "", 1, 0)
    return found


def _batches(landings: Sequence[Landing], staged: Mapping[tuple[int, str], str]) -> list[object]:
    found: list[object] = []
    for place, landing in enumerate(landings):
        for batch, messages in landing.frozen:
            if messages:
                found += (place + 1, batch.key, len(messages), staged[place, batch.key])
    return found


def _marks(landing: Landing, now_us: int) -> list[object]:
    flat: list[object] = []
    if not (landing.commit.marks or landing.frozen or landing.commit.plan.opened):
        return flat
    for mark in marks_of(landing):
        seen = mark.seen
        how = _ANYTHING if seen is ANY else _ABSENT if seen is None else _VALUE
        until_us = now_us + mark.ttl_s * SECOND_US if mark.ttl_s else 0
        flat += (
            mark.key,
            how,
            seen if isinstance(seen, str) else "",
            False if mark.new is None else mark.new,
            until_us,
        )
    return flat


def read_answers(reply: Reply, count: int) -> list[Answer]:
    """Return the answer to each of `count` commits."""
    answers: list[Answer] = [_LANDED] * count
    for start in range(0, len(reply), 4):
        place, word, about, found = reply[start : start + 4]
        answers[place - 1] = _answer(word, about, found)
    return answers


def _answer(word: Reply, about: Reply, found: Reply) -> Answer:
    match word:
        case b"lost":
            return LeaseLost(about.decode())
        case b"refused":
            return Refused(about.decode(), found.decode() if isinstance(found, bytes) else None)
        case _:
            return _DUPLICATE
