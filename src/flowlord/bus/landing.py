"""What landing a commit puts on the bus, worked out before anything is locked.

Everything that can be wrong with a plan by itself (a message too large, text that no encoding holds) shows here, so
that an adapter's own step can only fail for reasons of the bus.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import lru_cache
from typing import NamedTuple

import msgspec

from flowlord.bus.clock import micros
from flowlord.bus.holds import Hold, batch_hold, batch_member, digest, holds_of, member_of
from flowlord.bus.port import DONE, PLAN_LIMIT, QUARANTINE, Move
from flowlord.model.errors import FlowlordError, InvalidTask
from flowlord.model.message import BANDS, DEFAULT_PRIORITY, Message, band
from flowlord.model.plan import (
    Child,
    Commit,
    Fact,
    FactKind,
    FrozenBatch,
    Quarantined,
    Rendered,
    Series,
    facts_in,
)
from flowlord.model.task import MAX_TASK_BYTES, Task, decode, encode

QUARANTINE_CAP = 10_000
"""Messages that the quarantine topic keeps; the oldest make room."""

_RANKS = tuple(len(BANDS) - 1 - band(priority) for priority in range(11))
_encode = msgspec.json.Encoder().encode
_KIND = b'{"kind":"published"'
_decode_message = msgspec.json.Decoder(Message).decode
_USUAL = 400
"""Characters of phase, revision and batch together that are kept to be written again."""
_NO_TASK = Task(type="", info="")
_make = tuple.__new__
"""Makes a named tuple of all its fields at once, in a third of the time: there is one or two for each message."""


class Row(NamedTuple):
    """A message as adapters keep it.

    `rank` orders the bands, 0 is claimed first. `due_us` is 0 when the message waits on its topic now. `origin` is
    the topic on which a quarantined message was found; `report` is JSON.
    """

    topic: str
    rank: int
    due_us: int
    at_us: int
    payload: bytes
    key: str = ""
    priority: int = DEFAULT_PRIORITY
    timeout_ns: int = 0
    phase: str = ""
    revision: str = ""
    cause: str = ""
    batch: str = ""
    origin: str = ""
    report: bytes | None = None

    def dropped(self, reason: str) -> tuple[Fact, bytes]:
        """Return the fact that tells of this message's end without a run, and under what it may have held a group."""
        try:
            task = decode(self.payload)
        except InvalidTask:
            task = None
        fact = Fact(
            FactKind.CANCELLED,
            self.key,
            self.topic,
            self.phase,
            self.revision,
            self.cause,
            self.batch,
            self.priority,
            self.due_us,
            reason,
            task,
        )
        return fact, member_of(task, self.key)

    def moved(self, move: Move, now_us: int, reason: str) -> tuple[Row, Fact]:
        """Return this message on its new topic, and the fact that tells of it."""
        cause = move.cause if move.cause is not None else "" if self.origin else self.cause
        new = self._replace(
            topic=move.to,
            at_us=now_us,
            payload=self.payload if move.payload is None else move.payload,
            key=self.key if move.key is None else move.key,
            cause=cause,
            origin="",
        )
        told = Fact(
            FactKind.MOVED,
            key=new.key,
            topic=move.to,
            phase=self.phase,
            cause=f"moved:{self.topic}",
            due=self.due_us,
            text=reason,
        )
        return new, told


class Landing(msgspec.Struct, frozen=True, gc=False):
    """One commit, ready to land: what to check lies in `commit` and `digests`, what to write in the rest.

    `commons` is what `common_of` says of each row, `told` the facts as JSON without brackets, if any.
    """

    commit: Commit
    digests: tuple[bytes, ...]
    rows: list[Row]
    commons: list[bytes]
    told: bytes
    frozen: tuple[tuple[FrozenBatch, list[bytes]], ...] = ()
    holds: Sequence[Hold] = ()


def rank(priority: int) -> int:
    """Return the place of a priority's band in the order of claiming: 0 for critical, 3 for low."""
    return _RANKS[priority] if 0 <= priority < len(_RANKS) else len(BANDS) - 1 - band(priority)


def entry_number(entry: str) -> int:
    """Return the number of an entry of ours; 0, which is nobody's, for an entry of another bus."""
    return int(entry) if entry.isdecimal() and len(entry) < 19 else 0


def prepare(commit: Commit, now_us: int) -> Landing:
    """Turn a commit into what lands.

    Raises:
        InvalidTask: a task of more than 1 MiB, or with text that is no Unicode.
        FlowlordError: more than PLAN_LIMIT messages outside of frozen batches.
    """
    plan = commit.plan
    if commit.rendered is not None:
        return _rendered(commit, commit.rendered, now_us)
    if not (
        plan.publish or plan.later or plan.dead or plan.frozen or plan.opened or plan.quarantine or plan.facts
        or plan.series or len(plan.children) > PLAN_LIMIT
    ):  # fmt: skip
        rows, commons = _arrive_as_children(plan.children, now_us)
        return Landing(commit, _digests(commit), rows, commons, plan.told)
    messages = plan.publish
    if plan.later or plan.dead:
        messages += plan.later + plan.dead
    count = len(plan.children) + len(messages) + len(plan.quarantine)
    if plan.series:
        count += sum(len(series.keys) for series in plan.series)
    if count > PLAN_LIMIT:
        raise FlowlordError(
            f"a plan of {count} messages is more than the {PLAN_LIMIT} that land at once",
            hint="freeze it as a batch: Plan(frozen=...)",
        )
    rows, commons = _arrive_as_children(plan.children, now_us)
    facts = [plan.told] if plan.told else []  # the cause before what follows from it
    if plan.facts:
        facts.append(_encode(plan.facts)[1:-1])
    if messages:
        more_rows, more_commons, more_facts = arrive(messages, now_us)
        rows += more_rows
        commons += more_commons
        facts += more_facts
    for found in plan.quarantine:
        rows.append(row := _quarantined(found, now_us))
        commons.append(common_of(row.phase, row.revision, row.cause, row.batch, row.priority))
    frozen: tuple[tuple[FrozenBatch, list[bytes]], ...] = ()
    if plan.frozen:
        frozen = tuple((batch, [_freeze(message) for message in batch.messages]) for batch in plan.frozen)
    holds: list[Hold] = []
    for message in messages:
        if message.holds:  # hardly any does
            holds = holds_of(messages)
            break
    for series in plan.series:
        holds += _arrive_together(series, now_us, rows, commons, facts)
    for batch, _ in frozen:
        holds += batch_hold(batch)
    for opened in plan.opened:
        if opened.holds:
            holds.append(Hold(batch_member(opened.key), opened.holds, opened.key))
    return Landing(commit, _digests(commit), rows, commons, b",".join(facts), frozen, holds)


def rendered(message: Message) -> Rendered:
    """Return the bytes of a message that goes to its topic at once, for `Commit.rendered`; raises InvalidTask."""
    common = common_of(message.phase, message.revision, message.cause, message.batch, message.priority)
    return Rendered(payload_of(message), common)


def _rendered(commit: Commit, found: Rendered, now_us: int) -> Landing:
    [message] = commit.plan.publish
    holds = holds_of(commit.plan.publish) if message.holds else ()
    row = _row(message, 0, now_us, found.payload)
    fact = _published(message, 0, found.payload, found.common)
    return Landing(commit, _digests(commit), [row], [found.common], fact, (), holds)


def _digests(commit: Commit) -> tuple[bytes, ...]:
    return tuple(map(digest, commit.outcomes))


def arrive(messages: Iterable[Message], now_us: int) -> tuple[list[Row], list[bytes], list[bytes]]:
    """Return the rows of messages that land now, what `common_of` says of each, and the facts that tell of them."""
    rows: list[Row] = []
    commons: list[bytes] = []
    facts: list[bytes] = []
    for message in messages:
        due_us = 0 if message.due is None else micros(message.due)
        if due_us <= now_us:
            due_us = 0
        topic, key = message.topic, message.key
        try:
            payload = encode(message.task)
            common = common_of(
                message.phase, message.revision, message.cause, message.batch, message.priority
            )
            if topic != DONE:
                facts.append(_published(message, due_us, payload, common))
            elif not key.isascii():  # what lands on `done` is told by the decision that follows from it
                key.encode()
        except UnicodeEncodeError as error:
            raise _no_text(topic, error) from error
        if len(payload) > MAX_TASK_BYTES:
            raise _too_large(topic, payload)
        rows.append(_row(message, due_us, now_us, payload))
        commons.append(common)
    return rows, commons, facts


def _arrive_as_children(children: Iterable[Child], now_us: int) -> tuple[list[Row], list[bytes]]:
    """Do what `arrive` does for children, of which their plan tells already."""
    rows: list[Row] = []
    commons: list[bytes] = []
    for child in children:
        payload = child.payload
        topic, priority, timeout_ns, phase, revision = child.mould
        if len(payload) > MAX_TASK_BYTES:
            raise _too_large(topic, payload)
        order = _RANKS[priority] if 0 <= priority < len(_RANKS) else rank(priority)
        row = (
            topic, order, 0, now_us, payload, child.key, priority, timeout_ns, phase, revision, child.cause,
            "", "", None,
        )  # fmt: skip
        rows.append(_make(Row, row))
        commons.append(child.common)
    return rows, commons


def _arrive_together(
    series: Series, now_us: int, rows: list[Row], commons: list[bytes], facts: list[bytes]
) -> list[Hold]:
    """Do what `arrive` does for a series, with what all have in common worked out once; returns what they hold."""
    topic, priority, timeout_ns = series.topic, series.priority, series.timeout_ns
    phase, revision, cause, batch = series.phase, series.revision, series.cause, series.batch
    payload_of(Message(topic, _NO_TASK, "", priority, None, timeout_ns, phase, revision, cause, batch))
    common, order, is_told = common_of(phase, revision, cause, batch, priority), rank(priority), topic != DONE
    form = b'{"kind":"published","key":%%b,"topic":%b,"task":%%b}' % (_encode(topic) + common).replace(
        b"%", b"%%"
    )
    for key, payload in zip(series.keys, series.payloads, strict=True):
        if len(payload) > MAX_TASK_BYTES:
            raise _too_large(topic, payload)
        row = (
            topic, order, 0, now_us, payload, key, priority, timeout_ns, phase, revision, cause, batch, "", None
        )  # fmt: skip
        rows.append(_make(Row, row))
        if is_told:
            facts.append(form % (_encode(key), payload))
    commons += [common] * len(series.keys)
    return [
        Hold(digest(identity), series.holds, key)
        for identity, key in zip(series.identities, series.keys, strict=False)
    ]


def common_of(phase: str, revision: str, cause: str, batch: str, priority: int) -> bytes:
    """Return what a message and the fact that tells of it have in common, as JSON: a comma before each name."""
    # Foreign workers may bring any text, which is not worth the memory.
    is_usual = len(phase) + len(revision) + len(batch) <= _USUAL
    lead = (_lead if is_usual else _lead.__wrapped__)(phase, revision, batch, priority)
    return b'%b,"cause":%b' % (lead, _encode(cause)) if cause else lead


@lru_cache(maxsize=4096)
def _lead(phase: str, revision: str, batch: str, priority: int) -> bytes:
    """What all children of one phase have in common."""
    return _encode(Fact(FactKind.PUBLISHED, "", "", phase, revision, "", batch, priority))[len(_KIND) : -1]


def _published(message: Message, due_us: int, payload: bytes, common: bytes) -> bytes:
    """The fact that a message was published, which holds the bytes that travel."""
    due = b',"due":%d' % due_us if due_us else b""
    told = (_encode(message.key), _encode(message.topic), common, due, payload)
    return b'{"kind":"published","key":%b,"topic":%b%b%b,"task":%b}' % told


def facts_of(told: Iterable[bytes]) -> list[Fact]:
    """Read facts as they are told, for a bus that keeps none as text."""
    return facts_in(b",".join(told))


def _row(message: Message, due_us: int, now_us: int, payload: bytes) -> Row:
    return _make(
        Row,
        (
            message.topic,
            rank(message.priority),
            due_us,
            now_us,
            payload,
            message.key,
            message.priority,
            message.timeout_ns,
            message.phase,
            message.revision,
            message.cause,
            message.batch,
            "",
            None if message.report is None else _encode(message.report),
        ),
    )


def payload_of(message: Message) -> bytes:
    """Return the bytes that travel; raises InvalidTask when no bus may carry them."""
    try:
        payload = encode(message.task)
        # Every other text of a message is written beside it: what cannot be encoded must show here as well.
        beside = (
            f"{message.topic}{message.key}{message.phase}{message.revision}{message.cause}{message.batch}"
        )
        if not beside.isascii():
            beside.encode()
    except UnicodeEncodeError as error:
        raise _no_text(message.topic, error) from error
    if len(payload) > MAX_TASK_BYTES:
        raise _too_large(message.topic, payload)
    return payload


def _no_text(topic: str, error: UnicodeEncodeError) -> InvalidTask:
    return InvalidTask(f"the message for {topic!r} holds text that is no Unicode: {error}", b"")


def _too_large(topic: str, payload: bytes) -> InvalidTask:
    text = f"the task for topic {topic!r} has {len(payload)} bytes, more than {MAX_TASK_BYTES}"
    return InvalidTask(text, payload)


def thaw(frozen: Sequence[bytes]) -> list[Message]:
    """Read back messages of a frozen batch."""
    return [_decode_message(data) for data in frozen]


def _freeze(message: Message) -> bytes:
    payload_of(message)
    return _encode(message)


def _quarantined(found: Quarantined, now_us: int) -> Row:
    return Row(
        QUARANTINE,
        rank(DEFAULT_PRIORITY),
        0,
        now_us,
        found.payload,
        cause=found.reason.encode("utf-8", "backslashreplace").decode(),  # may quote what it found
        origin=found.topic,
    )
