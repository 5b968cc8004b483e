"""Commits as one script call takes them, and its answers."""

from __future__ import annotations

from binascii import b2a_base64
from collections.abc import Hashable, Iterable, Mapping, Sequence
from itertools import chain
from typing import Any, NamedTuple

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
FORM = 4
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
    # Column by column where that goes: this is done for each result that there is.
    acknowledged = [landing.commit.acknowledge for landing in landings]
    own_digests = [landing.digests for landing in landings]
    own_rows = [landing.rows for landing in landings]
    told = [landing.told for landing in landings]
    deliveries = list(chain.from_iterable(acknowledged))
    entries = [delivery.entry for delivery in deliveries]
    digests = list(chain.from_iterable(own_digests))
    rows = _Rows(list(chain.from_iterable(own_rows)))
    marks: list[object] = []
    marked = [0] * len(landings)
    has_holds, has_frozen = advance is not None, False
    for place, landing in enumerate(landings):
        commit = landing.commit
        has_frozen, has_holds = has_frozen or bool(landing.frozen), has_holds or bool(landing.holds)
        if commit.marks or landing.frozen or commit.plan.opened:
            own = _marks(landing, now_us)
            marks += own
            marked[place] = len(own) // 5
    texts, sizes = rows.texts([common for landing in landings for common in landing.commons])
    shapes = [0] * (5 * len(landings))
    shapes[0::5] = map(len, acknowledged)
    shapes[1::5] = map(len, own_digests)
    shapes[2::5] = marked
    shapes[3::5] = map(len, own_rows)
    shapes[4::5] = map(len, told)
    packed = _pack(
        (
            FORM,
            commit_id,
            by,
            str(now_us),
            day_of(now_us),
            _are_apart(entries) and _are_apart(digests) and _are_apart(marks[::5]),
            entries,
            _held(deliveries, entries),
            _member_words(digests),
            marks,
            rows.streams(),
            rows.keys,
            sizes,
            rows.dues(),
            _opens(landings, advance) if has_holds else (),
            _batches(landings, staged) if has_frozen else (),
            (1, *advance[:3], int(advance.is_last)) if advance else (),
        )
    )
    return [packed, b"".join(texts), b"[%b]" % b",".join(filter(None, told)), _pack(shapes)]


def _held(deliveries: Sequence[Delivery], entries: Sequence[str]) -> list[list[Any]]:
    """Return under which leases entries are acknowledged, and how many one after the other under each."""
    if not deliveries:
        return []
    first = deliveries[0]
    if (
        len({delivery.token for delivery in deliveries}) == 1
        and len({delivery.consumer for delivery in deliveries}) == 1
        and (name := _one_name(entries))
    ):
        return [[name, token_of(first), len(entries)]]
    runs: list[list[Any]] = []
    last = None
    for delivery, entry in zip(deliveries, entries, strict=True):
        this = (entry[: entry.rfind("/")], delivery.token, delivery.consumer)
        if this == last:
            runs[-1][2] += 1
        else:
            runs.append([this[0], token_of(delivery), 1])
            last = this
    return runs


def _one_name(entries: Sequence[str]) -> str:
    """Return the stream on which all of these lie; nothing when they lie on several."""
    low, high = min(entries), max(entries)
    head = low[: low.rfind("/") + 1]
    # What lies between two texts begins as both do; a longer name that begins so has a slash more.
    is_one = high.startswith(head) and "".join(entries).count("/") == len(entries) * head.count("/")
    return head[:-1] if is_one else ""


class _Rows:
    """The rows of all commits, by column: most columns are of one value, and Python need not look at each."""

    def __init__(self, rows: Sequence[Row]) -> None:
        self._rows = rows
        columns: Iterable[Any] = zip(*rows, strict=True) if rows else [()] * len(Row._fields)
        self._columns: Any = Row(*columns)
        self.keys: Sequence[str] = self._columns.key

    def texts(self, commons: Sequence[bytes]) -> tuple[list[bytes], list[int]]:
        """Return payload and about of each row, and their lengths."""
        rows, columns = self._rows, self._columns
        if not rows:
            return [], []
        is_series = len(rows) > 1 and commons[0] is commons[-1]
        is_plain = columns.report.count(None) == len(rows) and not any(columns.timeout_ns)
        if is_series or not is_plain or any(columns.origin):
            return _texts(rows, commons)
        count = len(rows)
        texts, sizes = [b""] * (4 * count), [0] * (2 * count)
        texts[0::4], texts[1::4] = columns.payload, [b"{"] * count  # as `about_of` puts it together
        texts[2::4], texts[3::4] = [common[1:] for common in commons], [b"}"] * count
        sizes[0::2] = map(len, columns.payload)
        sizes[1::2] = [max(len(common), 1) + 1 for common in commons]
        return texts, sizes

    def streams(self) -> list[list[Any]]:
        """Return where rows are published, and how many one after the other on each stream."""
        topics, ranks = self._columns.topic, self._columns.rank
        if topics and topics.count(topics[0]) == ranks.count(ranks[0]) == len(topics):
            return [[names_of(topics[0])[ranks[0]], topics[0], ranks[0], len(topics)]]
        runs: list[list[Any]] = []
        last = None
        for this in zip(topics, ranks, strict=True):
            if this == last:
                runs[-1][3] += 1
            else:
                topic, rank = last = this
                runs.append([names_of(topic)[rank], topic, rank, 1])
        return runs

    def dues(self) -> list[int]:
        """Return which rows are published later, each followed by its time."""
        found: list[int] = []
        if any(self._columns.due_us):
            for place, due_us in enumerate(self._columns.due_us, 1):
                if due_us:
                    found += (place, due_us)
        return found


def _texts(rows: Sequence[Row], commons: Sequence[bytes]) -> tuple[list[bytes], list[int]]:
    """Do what `_Rows.texts` does for any rows."""
    texts: list[bytes] = []
    sizes: list[int] = []
    last: bytes | None = None
    for row, common in zip(rows, commons, strict=True):
        payload = row.payload
        is_plain = not (row.timeout_ns or row.origin or row.report is not None)
        if is_plain and common is last:  # as in a series
            texts.append(payload)
            sizes += (len(payload), _SAME)
            continue
        about, last = about_of(row, common), common if is_plain else None
        texts += (payload, about)
        sizes += (len(payload), len(about))
    return texts, sizes


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
