"""Commits as one script call takes them, and its answers."""

from __future__ import annotations

from binascii import b2a_base64
from collections.abc import Hashable, Mapping, Sequence
from typing import Any, NamedTuple

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
_words = msgspec.json.Decoder(list[str]).decode
_pack = msgspec.msgpack.Encoder().encode
_LANDED = Committed()
_DUPLICATE = Committed(duplicate=True)
FORM = 3
"""Of what `pack` returns; the script refuses any other. To be raised here and there with each change of the form."""
_SAME = -1
"""As the length of an about: it is that of the row before."""
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
    held, streams = _Held(), _Streams()
    digests: list[bytes] = []
    marks: list[object] = []
    guards: list[object] = []
    keys: list[str] = []
    dues: list[int] = []
    texts: list[bytes] = []
    told: list[bytes] = []
    shapes: list[int] = []
    sizes: list[int] = []
    last: bytes | None = None
    has_holds, has_frozen = advance is not None, False
    for landing in landings:  # once through all of it: this is done for each result that there is
        commit, own_digests, rows, commons, facts, frozen, holds = landing
        has_holds, has_frozen = has_holds or bool(holds), has_frozen or bool(frozen)
        if commit.acknowledge:
            held.add(commit.acknowledge)
        digests += own_digests
        own = _marks(landing, now_us) if commit.marks or frozen or commit.plan.opened else ()
        if own:
            marks += own
            guards += own[::5]
        for row, common in zip(rows, commons, strict=True):
            topic, rank, due_us, _, payload, key, _, timeout_ns, _, _, _, _, origin, report = row
            streams.add(topic, rank)
            keys.append(key)
            if due_us:
                dues += (len(keys), due_us)
            is_plain = not (timeout_ns or origin or report is not None)
            if is_plain and common is last:  # as in a series
                texts.append(payload)
                sizes += (len(payload), _SAME)
                continue
            about, last = about_of(row, common), common if is_plain else None
            texts += (payload, about)
            sizes += (len(payload), len(about))
        if facts:
            told.append(facts)
        shapes += (len(commit.acknowledge), len(own_digests), len(own) // 5, len(rows), len(facts))
    packed = _pack(
        (
            FORM,
            commit_id,
            by,
            str(now_us),
            day_of(now_us),
            _are_apart(held.entries) and _are_apart(digests) and _are_apart(guards),
            held.entries,
            held.runs,
            _member_words(digests),
            marks,
            streams.runs,
            keys,
            sizes,
            dues,
            _opens(landings, advance) if has_holds else (),
            _batches(landings, staged) if has_frozen else (),
            (1, *advance[:3], int(advance.is_last)) if advance else (),
        )
    )
    return [packed, b"".join(texts), b"[%b]" % b",".join(told), _pack(shapes)]


class _Held:
    """Entries that are acknowledged, and `runs`: under which leases, and how many one after the other under each."""

    def __init__(self) -> None:
        self.entries: list[str] = []
        self.runs: list[list[Any]] = []
        self._name = self._token = self._consumer = ""

    def add(self, deliveries: Sequence[Delivery]) -> None:
        for each in deliveries:
            entry, token = each.entry, each.token
            self.entries.append(entry)
            name = entry[: entry.rfind("/")]
            if self.runs and name == self._name and token == self._token and each.consumer == self._consumer:
                self.runs[-1][2] += 1
            else:
                self._name, self._token, self._consumer = name, token, each.consumer
                self.runs.append([name, token_of(each), 1])


class _Streams:
    """`runs` tell where rows are published, and how many one after the other on each stream."""

    def __init__(self) -> None:
        self.runs: list[list[Any]] = []
        self._topic, self._rank = "", -1

    def add(self, topic: str, rank: int) -> None:
        if topic == self._topic and rank == self._rank:
            self.runs[-1][3] += 1
        else:
            self._topic, self._rank = topic, rank
            self.runs.append([names_of(topic)[rank], topic, rank, 1])


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
