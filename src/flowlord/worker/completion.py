"""What a worker commits when a task is over: its done message, its wait for another try, or its quarantine."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from zlib import crc32

from msgspec.structs import replace

from flowlord.bus.port import DONE
from flowlord.model.message import Delivery, Message, Report
from flowlord.model.plan import ANY, PUT_BACK, Commit, Fact, FactKind, Mark, Plan, Quarantined
from flowlord.model.task import Result, Task
from flowlord.rules.backoff import wait_ns
from flowlord.rules.metastring import format_sorted, parse_meta
from flowlord.rules.stamps import stamp
from flowlord.worker.handler import Ran

LONGEST_AGAIN = timedelta(hours=24)
FIRST_ASIDE_NS, LONGEST_ASIDE_NS, ASIDE_GROWS = 100_000_000, 30_000_000_000, 1.5
MARK_TTL_S = 25 * 3600
LONGEST_WORDS = 300
META_KEYS = 256
META_BYTES = 64 * 1024
ROUTING = frozenset(("workflow", "job", "retry", "retried", "delayed"))
"""Keys by which the taskmaster knows the task's phase and attempt; a worker's output must not move it elsewhere."""


def again_mark(key: str) -> str:
    """Return the mark that counts how often a dispatch asked to be tried again, as `count,first_us`."""
    return f"again:{key}"


def aside_mark(key: str) -> str:
    """Return the mark that counts how often a dispatch was left to another worker, as `count,first_us`."""
    return f"elsewhere:{key}"


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
        task, result=str(result), msg=msg, meta=meta, started=stamp(started), ended=stamp(ended)
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


def again(
    delivery: Delivery, task: Task, *, mark: str | None, now: datetime, consumer: str = "", msg: str = ""
) -> Commit | None:
    """Return the step that puts a task back to wait, without counting an attempt; None when its 24 hours are over.

    A fact beside it tells why: `msg` is what `consumer` said.

    The count and the first time lie in a mark of the dispatch, for the task itself has no place of ours. `mark` is
    what it holds now. A mark that was swept or cannot be read starts the 24 hours again.
    """
    counted = _counted(mark, now)
    if counted is None:
        return None
    tries, first_us = counted
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
    after = Mark(again_mark(delivery.key), ANY, f"{tries + 1},{first_us}", MARK_TTL_S)
    end = now - timedelta(microseconds=int(now.timestamp() * 1_000_000) - first_us) + LONGEST_AGAIN
    fact = Fact(
        FactKind.AGAIN,
        key=delivery.key,
        topic=delivery.topic,
        phase=delivery.phase,
        text=_put_back(tries + 1, consumer, msg, end),
    )
    return Commit(Plan(later=(message,), facts=(fact,)), (delivery,), (after,))


def _put_back(times: int, consumer: str, msg: str, end: datetime) -> str:
    often = "once" if times == 1 else f"{times} times"
    by = f", last by {consumer}" if consumer and times > 1 else f" by {consumer}" if consumer else ""
    said = f": {msg[:LONGEST_WORDS]}" if msg else ""
    return f"{PUT_BACK} {often}{by}{said}; gives up at {end:%Y-%m-%dT%H:%M:%SZ}"


def aside(key: str, *, mark: str | None, now: datetime) -> tuple[Mark, int] | None:
    """Return how long a task is left to other workers, in nanoseconds, and the mark that counts it.

    None when that went on for 24 hours. The waits grow by less than two, so that a task which the wrong one of two
    workers takes every other time is done soon all the same. They come in eight steps: apart, so that a worker with
    time finds some of many at any moment, and few, so that a step on the bus puts back many.
    The message itself stays: its crashes must count on, or a task that kills would never be told as such.
    """
    counted = _counted(mark, now)
    if counted is None:
        return None
    tries, first_us = counted
    step = crc32(f"{key} {tries}".encode()) % 8 / 8
    wait = wait_ns(tries, delay=FIRST_ASIDE_NS, factor=ASIDE_GROWS, max_delay=LONGEST_ASIDE_NS, jitter=step)
    return Mark(aside_mark(key), ANY, f"{tries + 1},{first_us}", MARK_TTL_S), wait


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
    alert = replace(fact, kind=FactKind.ALERT)
    return Commit(Plan(quarantine=(kept,), facts=(fact, alert)), (delivery,))


def _counted(mark: str | None, now: datetime) -> tuple[int, int] | None:
    """Return what `count,first_us` holds, None when the first time is 24 hours ago."""
    now_us = int(now.timestamp() * 1_000_000)
    count, _, first = (mark or "").partition(",")
    if not (count.isdecimal() and first.isdecimal()):
        return 0, now_us
    if now_us - int(first) >= LONGEST_AGAIN // timedelta(microseconds=1):
        return None
    return int(count), int(first)


def merged(meta: str, handed_back: Mapping[str, Sequence[str]]) -> str:
    """Return the task's meta with what the worker hands back in place of its own, key by key.

    Source:
        docs/workers.md; the keys of ROUTING are kept.
    """
    values: dict[str, Sequence[str]] = dict(parse_meta(meta))
    values.update((key, value) for key, value in handed_back.items() if key not in ROUTING)
    return format_sorted(values)
