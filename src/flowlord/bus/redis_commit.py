"""Commits as one script call takes them, and its answers."""

from __future__ import annotations

from binascii import b2a_base64
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import msgspec

from flowlord.bus.holds import batch_member
from flowlord.bus.judge import Answer, marks_of
from flowlord.bus.landing import Landing
from flowlord.bus.lifetimes import SECOND_US, day_of
from flowlord.bus.redis_entry import about_of
from flowlord.bus.redis_link import Reply, Word
from flowlord.bus.redis_names import names_of
from flowlord.model.errors import LeaseLost, Refused
from flowlord.model.message import Delivery
from flowlord.model.plan import ANY, Committed

_encode = msgspec.json.Encoder().encode
_pack = msgspec.msgpack.Encoder().encode
_LANDED = Committed()
_DUPLICATE = Committed(duplicate=True)
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
    streams: dict[tuple[str, int], int] = {}
    holds: dict[tuple[str, str], int] = {}
    opens: list[object] = []
    commits: list[object] = []
    texts: list[bytes] = []
    told: list[bytes] = []
    for place, (commit, digests, rows, facts, frozen, opens_now, known_text) in enumerate(landings):
        has_marks = commit.marks or frozen or commit.plan.opened
        marks = _marks(landings[place], now_us) if has_marks else ()
        batches = [(b.key, len(each), staged[place, b.key]) for b, each in frozen if each]
        text = known_text or (_encode(facts)[1:-1] if facts else b"")
        if text:
            told.append(text)
        commits += (
            len(commit.acknowledge), len(digests), len(marks) // 5, len(rows), len(text), len(batches),
            1 if advance else 0,
        )  # fmt: skip
        for delivery in commit.acknowledge:
            entry = delivery.entry
            hold = (entry.rpartition("/")[0], token_of(delivery))
            commits += (entry, holds.setdefault(hold, len(holds) + 1))
        if digests:
            commits += [member_word(digest) for digest in digests]
        commits += marks
        for row in rows:
            known = streams.setdefault((row.topic, row.rank), len(streams) + 1)
            payload, about = row.payload, about_of(row)
            texts += (payload, about)
            commits += (known, row.key, row.due_us, len(payload), len(about))
        for batch in batches:
            commits += batch
        if advance:
            commits += (*advance[:3], int(advance.is_last))
        for opened in opens_now:
            opens += (place + 1, member_word(opened.member), opened.group, opened.key)
        if advance and advance.is_last:
            opens += (place + 1, member_word(batch_member(advance.batch)), "", "")
    where = [(names_of(topic)[rank], topic, rank) for topic, rank in streams]
    packed = _pack((commit_id, by, str(now_us), day_of(now_us), where, list(holds), commits, opens))
    return [packed, b"".join(texts), b"[%b]" % b",".join(told)]


def _marks(landing: Landing, now_us: int) -> list[object]:
    flat: list[object] = []
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
