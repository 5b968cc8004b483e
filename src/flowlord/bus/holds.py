"""Which tasks hold which groups open: what `overlap` and limits of open tasks are judged by.

A message that names a group is a member of it under the digest of its task's identity. That is also an outcome
identity, so the commit that records its outcome ends the membership, whoever ran it; dropping the message does too.
"""

from __future__ import annotations

from binascii import unhexlify
from collections.abc import Iterable
from typing import NamedTuple

from flowlord.bus.digests import blake2b
from flowlord.model.message import SAME, Message
from flowlord.model.plan import FrozenBatch
from flowlord.model.task import Task

_DIGEST = blake2b(digest_size=16)
"""What the hash of an outcome begins with: a copy of it costs half of a new one."""


_KEY_DIGITS = 32


class Hold(NamedTuple):
    """A group that is held under `member`; `key` is the dispatch key, for people."""

    member: bytes
    group: str
    key: str


def digest(outcome: str) -> bytes:
    """Return the 16 bytes under which an outcome is remembered: those of a key of ours, else their hash."""
    if len(outcome) == _KEY_DIGITS:
        try:
            own = unhexlify(outcome)  # takes capitals, too
            if outcome == outcome.lower():
                return own
        except ValueError:
            pass
    found = _DIGEST.copy()
    found.update(outcome.encode("utf-8", "surrogatepass"))
    return found.digest()


def member_of(task: Task | None, key: str) -> bytes:
    """Return under what a message with this task holds its group."""
    return digest((task.identity if task else "") or key)


def holds_of(messages: Iterable[Message]) -> list[Hold]:
    """Return what these messages hold; hardly any does."""
    return [Hold(member_of(m.task, m.key), m.holds, m.key) for m in messages if m.holds]


def batch_hold(batch: FrozenBatch) -> list[Hold]:
    """Return what a frozen batch holds until its last chunk is published: the group of its messages."""
    group = batch.messages[0].holds if batch.messages else ""
    return [Hold(batch_member(batch.key), group, batch.key)] if group and group != SAME else []


def batch_member(key: str) -> bytes:
    """Return under what a frozen batch holds its group."""
    return digest(f"batch:{key}")
