"""What a worker commits when a task is over: its done message, its wait for another try, or its quarantine."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from zlib import crc32

from msgspec.structs import replace

from flowlord.bus.port import DONE
from flowlord.model.message import Delivery, Message, Report
from flowlord.model.plan import ANY, Commit, Fact, FactKind, Mark, Plan, Quarantined
from flowlord.model.task import Result, Task
from flowlord.rules.backoff import wait_ns
from flowlord.rules.metastring import format_sorted, parse_meta
from flowlord.worker.handler import Ran

LONGEST_AGAIN = timedelta(hours=24)
AGAIN_TTL_S = 25 * 3600
META_KEYS = 256
META_BYTES = 64 * 1024
ROUTING = frozenset(("workflow", "job", "retry", "retried", "delayed"))
"""Keys by which the taskmaster knows the task's phase and attempt; a worker's output must not move it elsewhere."""


def again_mark(key: str) -> str:
    """Return the mark that counts how often a dispatch asked to be tried again, as `count,first_us`."""
    return f"again:{key}"


def rfc3339(at: datetime) -> str:
    """Return an aware UTC instant as tasks carry it."""
    return at.isoformat(timespec="microseconds")[:-6] + "Z"


def done(
    delivery: Delivery,
    task: Task,
    ran: Ran,
    *,
    consumer: str,
    started: datetime,
    ended: datetime,
    topic: str = DONE,
) -> Commit:
    """Return the step that ends a delivery with its result: acknowledge it and tell the taskmaster."""
    result, msg, meta = ran.result, ran.msg, task.meta
    if ran.meta:
        meta = merged(task.meta, ran.meta)
        if len(meta) > META_BYTES or meta.count("&") >= META_KEYS:
            result, meta = Result.ERROR, task.meta
            msg = f"the meta handed back has more than {META_KEYS} keys or {META_BYTES} bytes"
    ended_task = replace(
        task, result=str(result), msg=msg, meta=meta, started=rfc3339(started), ended=rfc3339(ended)
    )
    message = Message(
        topic=topic,
        task=ended_task,
        key=delivery.key,
        priority=delivery.priority,
        phase=delivery.phase,
        revision=delivery.revision,
        cause=delivery.cause,
        batch=delivery.batch,
        report=Report(consumer, delivery.deliveries, ran.output),
    )
    return Commit(Plan(publish=(message,)), (delivery,))


def again(delivery: Delivery, task: Task, *, mark: str | None, now: datetime) -> Commit | None:
    """Return the step that puts a task back to wait, without counting an attempt; None when its 24 hours are over.

    The count and the first time lie in a mark of the dispatch, for the task itself has no place of ours. `mark` is
    what it holds now. A mark that was swept or cannot be read starts the 24 hours again.
    """
    now_us = int(now.timestamp() * 1_000_000)
    count, _, first = (mark or "").partition(",")
    if not (count.isdecimal() and first.isdecimal()):
        count, first = "0", str(now_us)
    if now_us - int(first) >= LONGEST_AGAIN // timedelta(microseconds=1):
        return None
    tries = int(count)
    jitter = crc32(f"{delivery.key} {tries}".encode()) / 2**32
    wait = wait_ns(tries, delay=None, factor=None, max_delay=None, jitter=jitter)
    message = Message(
        topic=delivery.topic,
        task=task,
        key=delivery.key,
        priority=delivery.priority,
        due=now + timedelta(microseconds=wait // 1000),
        timeout_ns=delivery.timeout_ns,
        phase=delivery.phase,
        revision=delivery.revision,
        cause=delivery.cause,
        batch=delivery.batch,
    )
    counted = Mark(again_mark(delivery.key), ANY, f"{tries + 1},{first}", AGAIN_TTL_S)
    return Commit(Plan(later=(message,)), (delivery,), (counted,))


def poison(delivery: Delivery, reason: str) -> Commit:
    """Return the step that sets a message aside which cannot be understood, with the reason."""
    fact = Fact(
        FactKind.QUARANTINED,
        key=delivery.key,
        topic=delivery.topic,
        phase=delivery.phase,
        revision=delivery.revision,
        cause=delivery.cause,
        batch=delivery.batch,
        priority=delivery.priority,
        text=reason,
    )
    kept = Quarantined(delivery.topic, delivery.payload, reason)
    return Commit(Plan(quarantine=(kept,), facts=(fact,)), (delivery,))


def merged(meta: str, handed_back: Mapping[str, Sequence[str]]) -> str:
    """Return the task's meta with what the worker hands back in place of its own, key by key.

    Source:
        docs/workers.md; the keys of ROUTING are kept.
    """
    values: dict[str, Sequence[str]] = dict(parse_meta(meta))
    values.update((key, value) for key, value in handed_back.items() if key not in ROUTING)
    return format_sorted(values)
